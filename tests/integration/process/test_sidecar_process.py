"""``tenure sidecar`` as a process: what the kubelet sees of it, from start to SIGTERM.

In scope: health before, while and after it serves; a store that is away or taken; wrong settings.
Out of scope: pods (tests/kubernetes), several sidecars of one app (store/test_etcd_engine and on).
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.engine import EngineProcess
from support.etcd import Cluster


def asked(engine: EngineProcess, path: str) -> tuple[int, str]:
    """Status and text of a health path; 0 when nobody listens."""
    try:
        with urllib.request.urlopen(engine.health_url + path) as answer:  # noqa: S310 - our own
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()
    except urllib.error.URLError:
        return 0, ""


def until(true: Callable[[], bool], engine: EngineProcess) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, engine.tail()
        time.sleep(0.05)


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path, role="sidecar")
    yield engine
    engine.close()


def test_it_serves_until_it_is_told_to_stop(sidecar: EngineProcess) -> None:
    line = sidecar.start()
    assert "app 'test'" in line
    assert asked(sidecar, "/healthz") == (200, "ok")
    assert asked(sidecar, "/readyz") == (200, "ok")
    status, metrics = asked(sidecar, "/metrics")
    assert status == 200
    assert "tenure_workers 0.0" in metrics
    assert sidecar.workers() == 0
    assert sidecar.stop() == 0


def test_it_waits_for_a_store_that_another_process_holds(
    sidecar: EngineProcess, tmp_path: Path
) -> None:
    holder = EngineProcess(tmp_path)
    holder.start()
    try:
        sidecar.launch()
        until(lambda: "TN0401" in asked(sidecar, "/readyz")[1], sidecar)
        assert asked(sidecar, "/readyz")[0] == 503
        assert asked(sidecar, "/healthz") == (200, "ok")  # or the app's container never starts
    finally:
        holder.close()
    sidecar.ready()
    assert asked(sidecar, "/readyz") == (200, "ok")


def test_it_waits_for_an_etcd_that_is_away(tmp_path: Path) -> None:
    with Cluster(tmp_path / "etcd") as cluster:
        (member,) = cluster.members
        member.kill()
        address = f"etcd://127.0.0.1:{member.client_port}?timeout=1"
        sidecar = EngineProcess(tmp_path, role="sidecar", store=address)
        try:
            sidecar.launch()
            until(lambda: "TN0605" in asked(sidecar, "/readyz")[1], sidecar)
            assert asked(sidecar, "/healthz") == (200, "ok")
            member.start()
            sidecar.ready()
            until(lambda: asked(sidecar, "/readyz") == (200, "ok"), sidecar)
            member.kill()
            assert sidecar.stop() == 0  # what it held ends by itself
        finally:
            sidecar.close()


def test_it_can_be_stopped_while_it_waits(sidecar: EngineProcess, tmp_path: Path) -> None:
    holder = EngineProcess(tmp_path)
    holder.start()
    try:
        sidecar.launch()
        until(lambda: "TN0401" in asked(sidecar, "/readyz")[1], sidecar)
        assert sidecar.stop() == 0
    finally:
        holder.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--store=sqlite:a"], "TN0003: --app-id (or TENURE_APP_ID) must be given"),
        (["--app-id=a"], "TN0003: --store (or TENURE_STORE) must be given"),
        (["--app-id=a", "--store=redis:1"], "TN0003: --store 'redis:1' is not a store"),
    ],
)
def test_what_no_waiting_mends_ends_it(arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "tenure_sidecar", "sidecar", "--health-port=0", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert message in ran.stderr
