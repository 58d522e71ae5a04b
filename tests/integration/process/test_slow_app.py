"""An app that takes work and reads none of it, with ten thousand pieces outstanding (F15).

A real sidecar on a real etcd; the workers are played by hand.  In scope: what the sidecar holds stays
bounded, other workflows go on at another worker meanwhile, and everything ends when the slow one is
given up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.by_wire import Client, Worker
from support.engine import EngineProcess
from support.etcd import Cluster

WORKFLOWS, EACH = 20, 500
INPUT = "x" * 1_000
MOST = 100 << 20  # bytes of memory more than at rest; all inputs are ten million


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """A sidecar on etcd."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path / "etcd"))
        url = f"etcd://127.0.0.1:{cluster.members[0].client_port}"
        args = ["--pod-name=pod", "--pod-uid=uid", "--pod-ip=127.0.0.1"]
        engine = EngineProcess(tmp_path, role="sidecar", store=url, args=args)
        stack.callback(engine.close)
        engine.start()
        yield engine


def resident(engine: EngineProcess) -> int:
    """Bytes of memory that the process has."""
    pages = int(Path(f"/proc/{engine.pid}/statm").read_text().split()[1])
    return pages * 4096


class Quick:
    """What a worker does that answers everything: a workflow calls its activities at its first turn,
    and ends when it has heard of all."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.left: Counter[str] = Counter()  # results that a workflow waits for
        self.ended: set[str] = set()

    def until(self, *instance_ids: str) -> None:
        """Work until these have ended."""
        while not self.ended.issuperset(instance_ids):
            item = self.worker.next()
            if "activityRequest" in item:
                self.worker.result(item, "done")
            else:
                self._turn(item)

    def _turn(self, item: dict[str, Any]) -> None:
        turn = item["orchestratorRequest"]
        instance_id, events = turn["instanceId"], turn.get("newEvents", [])
        if any("executionStarted" in event for event in events):
            self.left[instance_id] = 1
            self.worker.call(item, "small")
            return
        self.left[instance_id] -= sum("taskCompleted" in event for event in events)
        if self.left[instance_id]:
            self.worker.call(item)
            return
        self.worker.complete(item, "over")
        self.ended.add(instance_id)


def test_others_go_on_and_nothing_is_lost(engine: EngineProcess) -> None:
    large = [f"large-{number}" for number in range(WORKFLOWS)]
    small = [f"small-{number}" for number in range(10)]
    with Client(engine.taskhub_address) as client, Client(engine.taskhub_address) as other:
        with Worker(client, activities=WORKFLOWS * EACH) as slow:
            rest = resident(engine)
            turns: list[dict[str, Any]] = []
            for instance_id in large:
                client.start(instance_id)
                turns.append(slow.turn(instance_id))
            slow.read(False)
            for turn in turns:
                slow.call(turn, *[INPUT] * EACH)
            with Worker(other) as worker:
                quick = Quick(worker)
                quick.left.update(dict.fromkeys(large, EACH))
                for instance_id in small:
                    other.start(instance_id)
                quick.until(*small)
                assert resident(engine) - rest < MOST
                assert 0 < engine.metric("tenure_work_items_in_flight") < WORKFLOWS * EACH / 2
                # The slow one is given up, and all that it had is done by the other one.
                quick.until(*large)
                assert engine.metric("tenure_work_items_redelivered_total") > 0
        for instance_id in (*small, *large):
            assert other.output(instance_id) == "over"
