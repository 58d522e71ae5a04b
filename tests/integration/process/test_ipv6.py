"""Processes on IPv6: what they listen on, and what they tell the app and each other.

In scope: ``tenure dev`` on ``::1``; a sidecar whose pod's address is IPv6; a sidecar's health on all
addresses.  Out of scope: the gateway (gateway/test_gateway_process), the injector.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.engine import EngineProcess
from support.ports import free_ports
from tenure_sidecar.rpc.ports import addresses

pytestmark = pytest.mark.skipif(len(addresses("")) == 1, reason="no IPv6 on this machine")


def asked(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own
        return answer.status, answer.read().decode()


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Where the app writes what it was told."""
    return tmp_path / "told.json"


@pytest.mark.parametrize("transport", ["native", "grpcio"])
def test_the_app_is_told_where_the_engine_is(tmp_path: Path, told: Path, transport: str) -> None:
    program = (
        "import json, os, pathlib, urllib.request as web\n"
        "host = os.environ['DAPR_HTTP_ENDPOINT']\n"
        "status = web.urlopen(host + '/v1.0/healthz', timeout=60).status\n"
        "found = [status, host, os.environ['DAPR_GRPC_ENDPOINT']]\n"
        f"pathlib.Path({str(told)!r}).write_text(json.dumps(found))\n"
    )
    engine = EngineProcess(
        tmp_path,
        args=["--host=::1", f"--transport={transport}", "--", sys.executable, "-c", program],
    )
    try:
        engine.start()
        assert engine.ended() == 0, engine.tail()
    finally:
        engine.close()
    http, grpc = f"http://[::1]:{engine.http_port}", f"http://[::1]:{engine.grpc_port}"
    assert json.loads(told.read_text()) == [204, http, grpc]


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[EngineProcess]:
    (port,) = free_ports(1)
    engine = EngineProcess(
        tmp_path, role="sidecar", args=["--pod-ip=::1", f"--peers-port={port}"], health_host=""
    )
    yield engine
    engine.close()


def test_health_is_told_on_all_addresses(sidecar: EngineProcess) -> None:
    sidecar.start()
    for host in ("127.0.0.1", "[::1]"):
        assert asked(f"http://{host}:{sidecar.health_port}/readyz") == (200, "ok\n")
