"""A backup of etcd is put back under processes that run, against what the page says: stop them first.

What they know is of a future that did not happen: ids that are taken, work that is done, places of
watches behind which nothing is told.  So each ends, whoever keeps it running starts it anew, and the
next one goes on with what is there.  Out of scope: how it is noticed (etcd/test_etcd_past).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.by_wire import Client, Worker
from support.engine import EngineProcess
from support.etcd import Cluster
from support.gateway import GatewayProcess

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "etcd") as cluster:
        yield cluster


def address(server: Cluster) -> str:
    return f"etcd://127.0.0.1:{server.members[0].client_port}?lease=2"


@pytest.mark.parametrize("role", ["sidecar", "dev"])
def test_an_engine_ends_and_the_next_one_goes_on(
    server: Cluster, tmp_path: Path, role: str
) -> None:
    engine = EngineProcess(tmp_path, role=role, store=address(server))
    engine.start()
    try:
        with Client(engine.taskhub_address) as client, Worker(client) as worker:
            client.start("kept")
            worker.turn("kept")  # and nobody answers it yet
            restore = server.members[0].backed_up(tmp_path / "copy")
            client.start("lost")
            worker.complete(worker.turn("lost"), '"done"')
            assert client.output("lost") == '"done"'
        restore()
        assert engine.ended() == 5, engine.tail()
        assert "TN0608: etcd went back from revision" in engine.tail()
        engine.start()
        with Client(engine.taskhub_address) as client, Worker(client) as worker:
            assert client.state("lost") is None
            worker.complete(worker.turn("kept"), '"done"')
            assert client.output("kept") == '"done"'
            client.start("lost")
            worker.complete(worker.turn("lost"), '"again"')
            assert client.output("lost") == '"again"'
        assert engine.stop() == 0
    finally:
        engine.close()


def test_a_gateway_ends_too(server: Cluster, tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, address(server))
    gateway.start()
    sidecar = EngineProcess(tmp_path, role="sidecar", app_id="late", store=address(server))
    restore = server.members[0].backed_up(tmp_path / "copy")
    try:
        sidecar.start()
        gateway.until(lambda: gateway.ask("GET", "/v1alpha1/apps")[1]["items"] != [])
        sidecar.kill()
        restore()
        assert gateway.process is not None
        assert gateway.process.wait(timeout=120) == 5, gateway.tail()
        assert "TN0608: etcd went back from revision" in gateway.tail()
        gateway.start()
        assert gateway.ask("GET", "/v1alpha1/apps")[1]["items"] == []
    finally:
        sidecar.close()
        gateway.close()
