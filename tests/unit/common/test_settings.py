"""Settings: which source wins, what is refused and how the refusal reads.

Out of scope: the settings that real commands declare (their own tests), and the process's real
environment: every source is an argument here, but for ``read``, which opens a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from tenure_common import settings
from tenure_common.errors import BadSettingError

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of each kind."""

    app_id: Annotated[str, msgspec.Meta(description="Name of the app.")] = "app"
    grpc_port: Annotated[Port, msgspec.Meta(description="Where to listen.")] = 50001
    grace: float = 5.0
    verbose: bool = False
    transport: Literal["native", "grpcio"] = "native"
    hosts: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


KNOWN = settings.settings_of(Sample, without=("command",))


def resolved(
    argv: Sequence[str] = (), env: Mapping[str, str] | None = None, file: str | None = None
) -> Sample:
    """Through the same steps as a command."""
    line = settings.parse(argv, KNOWN)
    return settings.resolve(
        Sample,
        flags=line.flags,
        env=env or {},
        file=file,
        file_name="tenure.toml",
        given={"command": line.rest},
    )


def refused(
    argv: Sequence[str] = (), env: Mapping[str, str] | None = None, file: str | None = None
) -> str:
    """The message of the refusal."""
    with pytest.raises(BadSettingError) as caught:
        resolved(argv, env, file)
    return caught.value.message


FLAG = ["--grpc-port", "1"]
VARIABLE = {"TENURE_GRPC_PORT": "2"}
FILE = "grpc-port = 3"


@pytest.mark.parametrize(
    ("argv", "env", "file", "port"),
    [
        pytest.param(FLAG, VARIABLE, FILE, 1, id="flag-beats-all"),
        pytest.param([], VARIABLE, FILE, 2, id="variable-beats-file"),
        pytest.param([], {}, FILE, 3, id="file-beats-default"),
        pytest.param([], {}, None, 50001, id="default"),
        pytest.param([], {"TENURE_GRPC_PORT": ""}, FILE, 3, id="empty-variable-is-not-set"),
        pytest.param(["--grpc-port=1", "--grpc-port=9"], {}, None, 9, id="last-flag-wins"),
        pytest.param([], {"TENURE_GRPC_PORT": "0"}, FILE, 0, id="zero-is-a-value"),
    ],
)
def test_precedence(argv: list[str], env: dict[str, str], file: str | None, port: int) -> None:
    assert resolved(argv, env, file).grpc_port == port


@pytest.mark.parametrize(
    ("argv", "env", "file", "field", "value"),
    [
        pytest.param(["--app-id", "x"], {}, None, "app_id", "x", id="flag-and-value"),
        pytest.param(["--app-id=x=y"], {}, None, "app_id", "x=y", id="value-with-equals"),
        pytest.param(["--app-id="], {}, None, "app_id", "", id="empty-value"),
        pytest.param(["--app-id", "--help"], {}, None, "app_id", "--help", id="value-like-a-flag"),
        pytest.param(["--verbose"], {}, None, "verbose", True, id="bare-truth"),
        pytest.param(["--no-verbose"], {"TENURE_VERBOSE": "1"}, None, "verbose", False, id="no"),
        pytest.param(["--verbose=false"], {}, None, "verbose", False, id="truth-with-value"),
        pytest.param([], {"TENURE_VERBOSE": "true"}, None, "verbose", True, id="true"),
        pytest.param([], {"TENURE_VERBOSE": "0"}, None, "verbose", False, id="zero"),
        pytest.param([], {}, "verbose = true", "verbose", True, id="file-truth"),
        pytest.param(["--grace", "0.25"], {}, None, "grace", 0.25, id="fraction"),
        pytest.param(["--grace", "2"], {}, None, "grace", 2.0, id="whole-for-fraction"),
        pytest.param([], {}, "grace = 2", "grace", 2.0, id="file-whole-for-fraction"),
        pytest.param(["--transport=grpcio"], {}, None, "transport", "grpcio", id="choice"),
        pytest.param(["--hosts", "a, b,"], {}, None, "hosts", ("a", "b"), id="list"),
        pytest.param([], {}, 'hosts = ["a", "b"]', "hosts", ("a", "b"), id="file-list"),
        pytest.param(["--", "run", "--app-id"], {}, None, "command", ("run", "--app-id"), id="--"),
        pytest.param(["--", "--"], {}, None, "command", ("--",), id="second-dashes-are-a-word"),
        pytest.param([], {}, None, "command", (), id="no-command"),
    ],
)
def test_values(
    argv: list[str], env: dict[str, str], file: str | None, field: str, value: object
) -> None:
    found = getattr(resolved(argv, env, file), field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("argv", "env", "file", "says"),
    [
        pytest.param(
            ["--grpc-prt", "1"],
            {},
            None,
            ("flag --grpc-prt is not known", "did you mean --grpc-port?"),
            id="flag",
        ),
        pytest.param(["--zzz"], {}, None, ("flag --zzz is not known",), id="flag-like-nothing"),
        pytest.param(["word"], {}, None, ("flag word is not known",), id="stray-word"),
        pytest.param(["--no-app-id"], {}, None, ("--no-app-id is not known",), id="no-of-a-text"),
        pytest.param(
            [],
            {"TENURE_GRPC_PROT": "1"},
            None,
            ("variable TENURE_GRPC_PROT is not known", "TENURE_GRPC_PORT"),
            id="variable",
        ),
        pytest.param(
            [],
            {},
            "grpc_port = 1",
            ("key 'grpc_port' in tenure.toml is not known", "grpc-port"),
            id="key-with-underscore",
        ),
        pytest.param([], {}, "[engine]\nx = 1", ("key 'engine'", "not known"), id="table"),
        pytest.param(
            [], {}, "command = 'x'", ("key 'command'", "not known"), id="given-is-no-setting"
        ),
    ],
)
def test_the_unknown_is_named(
    argv: list[str], env: dict[str, str], file: str | None, says: tuple[str, ...]
) -> None:
    message = refused(argv, env, file)
    assert all(part in message for part in says), message


@pytest.mark.parametrize(
    ("argv", "env", "file", "says"),
    [
        pytest.param(["--grpc-port"], {}, None, "flag --grpc-port needs a value", id="no-value"),
        pytest.param(["--grpc-port", "--"], {}, None, "needs a value", id="dashes-are-no-value"),
        pytest.param(
            ["--grpc-port=x"],
            {},
            None,
            "flag --grpc-port: 'x' will not do: it must be a whole number",
            id="whole",
        ),
        pytest.param(
            [],
            {"TENURE_GRPC_PORT": "1.5"},
            None,
            "variable TENURE_GRPC_PORT: '1.5' will not do: it must be a whole number",
            id="fraction",
        ),
        pytest.param(["--grpc-port=65536"], {}, None, "it must be <= 65535", id="too-large"),
        pytest.param(["--grpc-port=-1"], {}, None, "it must be >= 0", id="too-small"),
        pytest.param(["--grace=soon"], {}, None, "it must be a number", id="number"),
        pytest.param(["--verbose=maybe"], {}, None, "it must be true or false", id="truth"),
        pytest.param(["--transport=udp"], {}, None, "one of native, grpcio", id="choice"),
        pytest.param(
            [],
            {},
            "grpc-port = '1'",
            "key 'grpc-port' in tenure.toml: '1' will not do: it must be a whole number",
            id="file-types-are-strict",
        ),
        pytest.param([], {}, "verbose = 1", "it must be true or false", id="file-truth"),
        pytest.param([], {}, "hosts = 'a'", "hosts", id="file-list"),
        pytest.param([], {}, "grpc-port = ", "tenure.toml is not TOML", id="not-toml"),
    ],
)
def test_bad_values(argv: list[str], env: dict[str, str], file: str | None, says: str) -> None:
    assert says in refused(argv, env, file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("TENURE_PORT", "tcp://10.0.0.7:50001", id="service-tenure"),
        pytest.param("TENURE_SERVICE_HOST", "10.0.0.7", id="host"),
        pytest.param("TENURE_SERVICE_PORT", "50001", id="port"),
        pytest.param("TENURE_SERVICE_PORT_GRPC", "50001", id="named-port"),
        pytest.param("TENURE_GATEWAY_PORT_8443_TCP", "tcp://10.0.0.8:8443", id="numbered"),
        pytest.param("TENURE_GATEWAY_PORT_8443_TCP_ADDR", "10.0.0.8", id="address"),
        pytest.param("TENURE_GATEWAY_PORT_8443_TCP_PROTO", "tcp", id="protocol"),
        pytest.param("TENURE_GRPC_PORT", "tcp://10.0.0.9:50001", id="service-tenure-grpc"),
    ],
)
def test_variables_that_kubernetes_makes_are_not_settings(name: str, value: str) -> None:
    assert resolved(env={name: value}) == Sample()


def test_other_programs_variables_are_theirs() -> None:
    assert resolved(env={"TENUREX": "1", "GRPC_PORT": "2", "tenure_app_id": "x"}) == Sample()


def test_the_server_of_the_command_line_is_no_setting() -> None:
    assert resolved(env={"TENURE_SERVER": "https://tenure.example.org"}) == Sample()


def test_settings_of_other_commands_may_stand_in_shared_places() -> None:
    found = settings.resolve(
        Sample,
        flags={},
        env={"TENURE_ETCD_CA": "ca.pem", "TENURE_CONFIG": "x.toml"},
        file="etcd-ca = 'ca.pem'\napp-id = 'x'",
        given={"command": ()},
        elsewhere=("etcd_ca", "app_id"),
    )
    assert found.app_id == "x"


def test_a_required_setting_is_missed() -> None:
    class Needs(msgspec.Struct, frozen=True, kw_only=True):
        server: str

    with pytest.raises(BadSettingError, match="--server"):
        settings.resolve(Needs, flags={}, env={})


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_asked_for(word: str) -> None:
    assert settings.parse(["--app-id", "x", word, "--nonsense"], KNOWN).help


def test_help_after_dashes_is_the_commands() -> None:
    line = settings.parse(["--", "--help"], KNOWN)
    assert not line.help
    assert line.rest == ("--help",)


def test_help_text_names_flag_variable_and_default() -> None:
    text = settings.help_of(KNOWN)
    assert "--grpc-port N\n      Where to listen. [TENURE_GRPC_PORT; default 50001]" in text
    assert "--transport native|grpcio\n" in text
    assert "--verbose\n" in text
    assert "--config" in text
    assert "--command" not in text


@pytest.mark.parametrize(
    ("flags", "env", "path"),
    [
        pytest.param({"config": "a"}, {"TENURE_CONFIG": "b"}, "a", id="flag"),
        pytest.param({}, {"TENURE_CONFIG": "b"}, "b", id="variable"),
        pytest.param({}, {}, None, id="neither"),
        pytest.param({}, {"TENURE_CONFIG": ""}, None, id="empty"),
    ],
)
def test_where_the_file_is(flags: dict[str, str], env: dict[str, str], path: str | None) -> None:
    assert settings.config_path(flags, env) == path


def test_config_flag_takes_a_value() -> None:
    assert settings.parse(["--config", "x.toml"], KNOWN).flags == {"config": "x.toml"}
    assert resolved(["--config=x.toml"]) == Sample()


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "tenure.toml"
    path.write_text(FILE)
    assert settings.read(str(path)) == FILE
    assert settings.read(None) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "No such file", id="missing"),
        pytest.param(b"\xff\xfe", "not UTF-8", id="not-text"),
    ],
)
def test_unreadable_file(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "tenure.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSettingError) as caught:
        settings.read(str(path))
    assert says in caught.value.message
    assert str(path) in caught.value.message


def test_every_setting_has_three_names() -> None:
    names: list[tuple[Any, ...]] = [(s.flag, s.variable, s.key) for s in KNOWN[:2]]
    assert names == [
        ("--app-id", "TENURE_APP_ID", "app-id"),
        ("--grpc-port", "TENURE_GRPC_PORT", "grpc-port"),
    ]
