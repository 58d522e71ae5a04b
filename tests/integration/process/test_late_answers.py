"""Answers of workers that come late, twice, to the wrong sidecar or for what is no more (F14).

Two sidecars on a real etcd, each with a worker that a test plays by hand, over real connections.
What clients see is asked at both; what etcd wrote is audited in the end.  Out of scope: one engine
alone (``test_bad_input``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from support.audit import audit
from support.by_wire import COMPLETED, Client, Worker
from support.etcd import Cluster
from support.fleet import LEASE, Fleet, Sidecar

MANY = 16  # instances: either sidecar owns some
# Where no owner is to change, none does because the machine is busy with something else.
NEVER_OVER = 3600  # seconds
WAITED_FOR = pytest.mark.parametrize("pair", [LEASE], indirect=True)

pytestmark = pytest.mark.timeout(300)


@dataclass
class Side:
    """A sidecar, a client of it, and its worker."""

    sidecar: Sidecar
    client: Client
    worker: Worker


class Pair:
    """Two sidecars that share an app."""

    def __init__(self, fleet: Fleet, one: Side, two: Side) -> None:
        self.fleet = fleet
        self.one = one
        self.two = two

    def first_turn(self) -> tuple[str, dict[str, Any]]:
        """The first turn of a workflow that the first one owns: its id, and the item."""
        for number in range(MANY):
            self.two.client.start(f"w{number:02}")  # none begins as another one does
        item = self.one.worker.next()
        return item["orchestratorRequest"]["instanceId"], item

    def first_activity(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """The same, and the activity that its first turn calls."""
        instance_id, item = self.first_turn()
        self.one.worker.call(item, "a")
        return instance_id, item, self.one.worker.activity(instance_id)

    def end(self, instance_id: str, turn: dict[str, Any], output: str) -> None:
        """Answer the last turn, and do so again wherever it comes when its owner changes."""
        self.two.worker.complete(turn, output)
        while (self.two.client.state(instance_id) or {}).get("orchestrationStatus") != COMPLETED:
            for side in (self.one, self.two):
                with suppress(Empty):
                    side.worker.complete(side.worker.turn(instance_id, 0.1), output)

    def ended(self, instance_id: str, output: str | None) -> None:
        """It ended with this, as everybody sees it."""
        assert self.one.client.output(instance_id) == output
        assert self.two.client.output(instance_id) == output

    async def seen(self, instance_id: str, output: str) -> None:
        """The same, and the story of its keys is sound."""
        self.ended(instance_id, output)
        found = await audit(self.fleet.cluster.urls, app=self.fleet.app_id)
        assert found.stale == 0
        assert [one for one in found.wrong if instance_id in one] == []


@pytest.fixture(params=[NEVER_OVER])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """Both, each with partitions of its own; the parameter: the lease, seconds."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path / "etcd"))
        fleet = Fleet(tmp_path, cluster, size=2, lease=request.param, wired=False)
        stack.callback(fleet.close)
        sides: list[Side] = []
        for sidecar in fleet.sidecars:
            sidecar.engine.start()
            sidecar.here = True
            client = stack.enter_context(Client(sidecar.engine.taskhub_address))
            sides.append(Side(sidecar, client, stack.enter_context(Worker(client))))
        fleet.settled()
        yield Pair(fleet, *sides)


@WAITED_FOR
async def test_a_turn_that_ends_when_its_owner_is_another_one_counts_for_nothing(
    pair: Pair,
) -> None:
    instance_id, item = pair.first_turn()
    pair.fleet.pause(pair.one.sidecar)
    turn = pair.two.worker.turn(instance_id)
    pair.fleet.go_on(pair.one.sidecar)
    pair.one.worker.complete(item, "late")
    pair.end(instance_id, turn, "in time")
    await pair.seen(instance_id, "in time")
    pair.one.worker.complete(item, "later still")
    await pair.seen(instance_id, "in time")


@WAITED_FOR
async def test_an_activity_that_ends_when_its_owner_is_another_one_counts_for_nothing(
    pair: Pair,
) -> None:
    instance_id, _, activity = pair.first_activity()
    pair.fleet.pause(pair.one.sidecar)
    again = pair.two.worker.activity(instance_id)
    assert key(again) == key(activity), "an activity keeps its key, or it cannot be made idempotent"
    pair.two.worker.result(again, "in time")
    turn = pair.two.worker.turn(instance_id)
    assert results(turn) == ["in time"]
    pair.fleet.go_on(pair.one.sidecar)
    pair.one.worker.result(activity, "late")
    pair.end(instance_id, turn, "over")
    await pair.seen(instance_id, "over")


async def test_an_answer_to_the_wrong_sidecar_counts_for_nothing(pair: Pair) -> None:
    instance_id, item = pair.first_turn()
    pair.two.worker.complete(item, "elsewhere")
    pair.one.worker.complete(item, "here")
    await pair.seen(instance_id, "here")


async def test_answers_that_come_twice_and_in_another_order_count_once(pair: Pair) -> None:
    instance_id, item = pair.first_turn()
    worker = pair.one.worker
    worker.call(item, "a", "b", "c")
    worker.call(item, "a", "b", "c")
    activities = [worker.activity(instance_id) for _ in range(3)]
    turn: dict[str, Any] = {}
    heard: list[str] = []
    for activity in (*reversed(activities), *activities):
        worker.result(activity, activity["activityRequest"]["input"])
    while len(heard) < 3:
        turn = worker.turn(instance_id)
        heard += results(turn)
        if len(heard) < 3:
            worker.call(turn)
    assert sorted(heard) == ["a", "b", "c"]
    worker.complete(turn, "over")
    worker.complete(turn, "over again")
    for activity in activities:
        worker.result(activity, "much later")
    await pair.seen(instance_id, "over")


async def test_an_answer_for_another_task_counts_for_nothing(pair: Pair) -> None:
    instance_id, _, activity = pair.first_activity()
    worker = pair.one.worker
    worker.result(activity, "of a task that was never scheduled", task=77, token="")
    worker.result(activity, "of nobody's task", token="of nobody")
    worker.result(activity, "a")
    turn = worker.turn(instance_id)
    assert results(turn) == ["a"]
    worker.complete(turn, "over")
    await pair.seen(instance_id, "over")


async def test_an_answer_after_the_workflow_began_anew_counts_for_nothing(pair: Pair) -> None:
    instance_id, item, activity = pair.first_activity()
    worker = pair.one.worker
    worker.result(activity, "a")
    turn = worker.turn(instance_id)
    worker.anew(turn, "second")
    second = worker.turn(instance_id)
    worker.result(activity, "a again")
    worker.complete(item, "of the first turn")
    worker.complete(turn, "of the first generation")
    worker.complete(second, "of the second")
    pair.ended(instance_id, "of the second")


async def test_an_answer_for_a_workflow_that_is_no_more_counts_for_nothing(pair: Pair) -> None:
    instance_id, item, activity = pair.first_activity()
    worker = pair.one.worker
    pair.two.client.terminate(instance_id)
    pair.ended(instance_id, None)
    worker.result(activity, "after its end")
    worker.complete(item, "after its end")
    pair.ended(instance_id, None)
    pair.two.client.purge(instance_id)
    worker.result(activity, "after it was deleted")
    worker.complete(item, "after it was deleted")
    assert pair.one.client.state(instance_id) is None
    pair.two.client.start(instance_id)  # another one of the same name
    turn = worker.turn(instance_id)
    worker.result(activity, "of the one before")
    worker.complete(item, "of the one before")
    worker.complete(turn, "its own")
    pair.ended(instance_id, "its own")


def key(item: dict[str, Any]) -> tuple[str, int]:
    """What is the same at each execution of an activity."""
    asked = item["activityRequest"]
    return asked["orchestrationInstance"]["instanceId"], asked.get("taskId", 0)


def results(item: dict[str, Any]) -> list[str]:
    """What the activities returned of which a turn is told."""
    events = item["orchestratorRequest"].get("newEvents", [])
    return [one["taskCompleted"]["result"] for one in events if "taskCompleted" in one]
