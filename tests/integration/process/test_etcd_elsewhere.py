"""The address of etcd leads to another cluster under a sidecar that runs, and back again later.

It ends, whoever keeps it running starts it anew, and what was acknowledged is where it was.  Out of
scope: how it is noticed (etcd/test_etcd_other).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.by_wire import Client, Worker
from support.engine import EngineProcess
from support.etcd import Cluster
from support.fleet import Wires
from support.proxy import FaultProxy

AHEAD = 100  # writes by which the other one is ahead

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[tuple[Cluster, Cluster]]:
    with Cluster(tmp_path / "ours") as ours, Cluster(tmp_path / "theirs") as theirs:
        for _ in range(AHEAD):
            theirs.ctl("put", "something", "else")
        yield ours, theirs


def lead(wires: Wires, door: FaultProxy, cluster: Cluster) -> None:
    """Let the address lead there."""
    wires.call(lambda: door.lead_to(cluster.members[0].client_port))


def test_a_sidecar_ends_and_the_next_one_goes_on_with_ours(
    clusters: tuple[Cluster, Cluster], tmp_path: Path
) -> None:
    ours, theirs = clusters
    with ExitStack() as stack:
        wires = Wires()
        stack.callback(wires.close)
        door = wires.make(ours.members[0].client_port)
        store = f"etcd://127.0.0.1:{door.port}?lease=2"
        engine = EngineProcess(tmp_path, role="sidecar", store=store)
        stack.callback(engine.close)
        engine.start()
        with Client(engine.taskhub_address) as client, Worker(client) as worker:
            client.start("kept")
            worker.turn("kept")  # and nobody answers it yet
            lead(wires, door, theirs)
            assert engine.ended() == 5, engine.tail()
        assert "TN0609: etcd is another cluster" in engine.tail()
        lead(wires, door, ours)
        engine.start()
        with Client(engine.taskhub_address) as client, Worker(client) as worker:
            worker.complete(worker.turn("kept"), '"done"')
            assert client.output("kept") == '"done"'
        assert engine.stop() == 0
