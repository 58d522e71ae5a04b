"""What docs/how-to/gateway.md shows is what the program takes: files, settings, metrics, callers.

Out of scope: that the command runs (integration/gateway), links (test_docs.py).
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from msgspec import structs

from support.gated import Files
from support.pages import files
from tenure_cli.connect import Target, path, target
from tenure_common.errors import BadSettingError
from tenure_common.settings import parse as parse_flags
from tenure_common.settings import settings_of
from tenure_sidecar import aggregation
from tenure_sidecar.config import GatewayConfig
from tenure_sidecar.gateway import Gateway
from tenure_sidecar.http import secure
from tenure_sidecar.http.access import LEAST_TOKEN, Caller, Shown, parse

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "gateway.md").read_text("utf-8")
FILES = dict(files(PAGE))


def test_the_access_file_is_one() -> None:
    access = parse(FILES["access.toml"], file="access.toml")
    token = re.findall(r'tokens = \["(.*)"\]', FILES["access.toml"])[0]
    assert access.caller([f"Bearer {token}"], None) == Caller("operator")
    by_uri = access.caller([], Shown("", ("spiffe://example.org/dashboard",)))
    assert by_uri == Caller("dashboard", frozenset({"shop"}), read_only=True)
    assert f"of {LEAST_TOKEN} characters" in PAGE


def test_the_contexts_are_contexts(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path), "TENURE_API_TOKEN": "t"}
    path(env).parent.mkdir()
    path(env).write_text(FILES["contexts.toml"], encoding="utf-8")
    shop, robot = target(env=env), target(env=env, context="robot")
    assert (shop.namespace, shop.app, shop.cert) == ("shop", "orders", "")
    assert robot == Target(
        server=shop.server,
        namespace="shop",
        app="orders",
        token="t",
        ca=shop.ca,
        cert=robot.cert,
        key=robot.key,
    )
    assert robot.cert.endswith("/robot.crt")


def test_the_command_has_these_flags() -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    words = shlex.split(block.replace("\\\n", " "))
    assert words[:2] == ["tenure", "gateway"]
    assert parse_flags(words[2:], settings_of(GatewayConfig)).flags.keys() == {
        "store",
        "gateway_host",
        "tls_cert",
        "tls_key",
        "access_file",
    }


def test_flags_in_the_text_are_flags() -> None:
    known = {setting.flag for setting in settings_of(GatewayConfig)} | {"--namespace"}
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= known


async def test_metrics_are_those_of_the_process(tmp_path: Path) -> None:
    files = Files(tmp_path)
    config = GatewayConfig(
        store="etcd://127.0.0.1:1",
        tls_cert=str(files.cert),
        tls_key=str(files.key),
        kubernetes_api=True,
        api_server="https://127.0.0.1:1",
        api_ca_file=str(files.ca),
    )
    gateway = Gateway(config)
    try:
        text = gateway.metrics.render().decode()
    finally:
        await gateway.client.close()
    served = set(re.findall(r"^# TYPE (tenure_\w+)", text, re.MULTILINE))
    assert set(re.findall(r"`(tenure_gateway_\w+)`", PAGE)) == served


async def test_a_part_of_the_kubernetes_api_needs_tls_and_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    config = GatewayConfig(store="etcd://127.0.0.1:1", kubernetes_api=True)
    with pytest.raises(BadSettingError, match="needs --tls-cert and --tls-key"):
        Gateway(config)
    files = Files(tmp_path)
    with pytest.raises(BadSettingError, match="not in a cluster"):
        Gateway(structs.replace(config, tls_cert=str(files.cert), tls_key=str(files.key)))


def test_times_are_those_of_the_program() -> None:
    assert f"looked at every {secure.LOOK_EVERY:.0f} seconds" in PAGE
    assert f"looked at every {aggregation.LOOK_EVERY:.0f} seconds" in PAGE
    assert f"port {GatewayConfig(store='').kubernetes_port} of the gateway" in PAGE
    assert GatewayConfig(store="").health_port == 3501
    assert "`/readyz` on port 3501" in PAGE


@pytest.mark.parametrize("name", ["access.toml", "contexts.toml"])
def test_files_are_found(name: str) -> None:
    assert name in FILES
