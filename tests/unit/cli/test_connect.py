"""Which server a command speaks to: flags, variables, contexts, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenure_cli.connect import HERE, Target, path, target
from tenure_common.errors import BadSettingError

FILE = """
current = "staging"

[contexts.staging]
server = "https://staging:8443/"
app = "orders"
token-file = "{token}"

[contexts.prod]
server = "https://prod:8443"

[contexts.certified]
server = "https://prod:8443"
namespace = "shop"
ca-file = "~/ca.crt"
cert-file = "/etc/me.crt"
key-file = "/etc/me.key"

[contexts.half]
server = "https://prod:8443"
cert-file = "/etc/me.crt"
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Variables with a configuration folder that has contexts."""
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    (tmp_path / "token").write_text("secret\n")
    path(env).parent.mkdir()
    path(env).write_text(FILE.format(token=tmp_path / "token"))
    return env


def test_without_anything_it_is_the_engine_of_this_machine(tmp_path: Path) -> None:
    assert target(env={"XDG_CONFIG_HOME": str(tmp_path)}) == Target(server=HERE)


@pytest.mark.parametrize(
    ("port", "server"), [("4444", "http://127.0.0.1:4444"), ("0", HERE), ("x", HERE), ("", HERE)]
)
def test_the_engine_of_this_machine_is_where_its_setting_says(
    tmp_path: Path, port: str, server: str
) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path), "TENURE_HTTP_PORT": port}
    assert target(env=env).server == server


def test_the_engine_of_this_machine_may_be_on_another_address(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path), "TENURE_HOST": "::1", "TENURE_HTTP_PORT": "4444"}
    assert target(env=env).server == "http://[::1]:4444"
    assert target(env={**env, "TENURE_HTTP_PORT": ""}).server == "http://[::1]:3500"
    assert target(server="http://[::1]:4444/", env=env).server == "http://[::1]:4444"


@pytest.mark.parametrize("text", ["http://[::1", "http://::1:3500", "http://[zz]:1", "https://a:x"])
def test_address_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSettingError, match="is not the address of a server"):
        target(server=text, env={"XDG_CONFIG_HOME": str(tmp_path)})


def test_the_current_context_counts(env: dict[str, str]) -> None:
    assert target(env=env) == Target(server="https://staging:8443", app="orders", token="secret")


def test_another_context_can_be_named(env: dict[str, str]) -> None:
    assert target(env=env, context="prod") == Target(server="https://prod:8443")


def test_a_variable_counts_before_the_current_context(env: dict[str, str]) -> None:
    env |= {"TENURE_SERVER": "http://there:1", "TENURE_APP_ID": "mine", "TENURE_API_TOKEN": "t"}
    assert target(env=env) == Target(server="http://there:1", app="mine", token="t")


def test_flags_count_before_everything(env: dict[str, str]) -> None:
    env |= {"TENURE_SERVER": "http://there:1"}
    found = target(env=env, server="http://flag:2/", app="other", context="prod")
    assert found == Target(server="http://flag:2", app="other")


def test_an_unknown_context_is_named_with_the_known_ones(env: dict[str, str]) -> None:
    with pytest.raises(
        BadSettingError, match=r"no context 'nope'.*known: certified, half, prod, staging"
    ):
        target(env=env, context="nope")


@pytest.mark.parametrize(
    "text", ["current = ", "[contexts.a]\nserverr = 'x'", "contexts = 1", "x = 1"]
)
def test_a_file_that_cannot_be_used_says_so(env: dict[str, str], text: str) -> None:
    path(env).write_text(text)
    with pytest.raises(BadSettingError, match=r"contexts\.toml"):
        target(env=env)


def test_a_token_that_cannot_be_read_says_so(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "token").unlink()
    with pytest.raises(BadSettingError, match="token of context 'staging'"):
        target(env=env)


def test_a_context_has_a_namespace_and_certificates(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/srv/me")
    expected = Target(
        server="https://prod:8443",
        namespace="shop",
        ca="/srv/me/ca.crt",
        cert="/etc/me.crt",
        key="/etc/me.key",
    )
    assert target(env=env, context="certified") == expected
    assert target(env=env | {"TENURE_NAMESPACE": "bank"}, context="certified").namespace == "bank"
    assert target(env=env, context="certified", namespace="else").namespace == "else"


def test_a_certificate_without_its_key_is_refused(env: dict[str, str]) -> None:
    with pytest.raises(BadSettingError, match="context 'half': cert-file and key-file go together"):
        target(env=env, context="half")
