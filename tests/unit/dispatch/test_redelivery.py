"""What is sent again, to whom, and when: lost streams, leases, poison, dropped copies, back-off.

In scope: the dispatcher with real instances and workers played by hand, in virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from itertools import pairwise
from typing import Any

import pytest

from support.by_hand import HandWorker, call, done, kinds, takes
from support.one_engine import OneEngine
from support.toy import Call
from support.virtual import in_virtual_time, passes
from tenure_common.errors import StoreUnavailableError
from tenure_sidecar.dispatch.dispatcher import Dispatcher
from tenure_sidecar.engine import events as ev

LEASE = 30.0  # seconds, of a turn in ``OneEngine``


async def engine() -> OneEngine:
    one = OneEngine(workflows={}, activities={})
    await one.start(workers=0)
    return one


async def running(one: OneEngine, worker: HandWorker, *inputs: str) -> None:
    """Instance 'w' with activities at the worker."""
    await one.begin("flow", instance_id="w")
    worker.answer(worker.turns.popleft(), *[call(i, given=given) for i, given in enumerate(inputs)])
    await passes(1)
    assert worker.inputs == list(inputs)


# --- lost streams ---------------------------------------------------------------------------------


@in_virtual_time
async def test_what_a_lost_worker_had_goes_to_another_under_new_tokens() -> None:
    one = await engine()
    first = HandWorker(one.dispatcher)
    await running(one, first, "a", "b")
    await one.operations.raise_event("w", "go", None)
    await passes(1)
    second = HandWorker(one.dispatcher)
    first.die()
    assert second.took == ["w"]
    assert sorted(map(str, second.inputs)) == ["a", "b"]
    old = {item.token for item in [*first.turns, *first.tasks]}
    new = {item.token for item in [*second.turns, *second.tasks]}
    assert len(old | new) == 6
    assert one.dispatcher.redelivered == 3


@in_virtual_time
async def test_a_lost_turn_is_planned_anew_when_the_state_has_moved_on() -> None:
    one = await engine()
    first = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    first.answer(first.turns.popleft())
    await one.operations.raise_event("w", "go", None)
    await passes(1)
    first.die()
    await one.operations.suspend("w", None)
    await passes(1)
    await one.operations.resume("w", None)
    second = HandWorker(one.dispatcher)
    await passes(1)
    (turn,) = second.turns
    second.answer(turn, done(result="went"))
    assert await one.finish("w", within=1) == "went"
    assert one.dispatcher.redelivered == 1  # the turn that was lost, and none for being stale


@in_virtual_time
async def test_a_late_answer_of_a_lost_worker_is_acknowledged_and_ignored() -> None:
    one = await engine()
    first = HandWorker(one.dispatcher)
    await running(one, first, "a")
    first.die()
    second = HandWorker(one.dispatcher)
    late = first.complete(first.tasks.popleft(), "late")
    await passes(1)
    assert late.acknowledged
    assert one.dispatcher.ignored == 1
    second.complete(second.tasks.popleft(), "in time")
    await passes(1)
    results = [
        e.result for e in one.database.records["w"].history if isinstance(e, ev.TaskCompleted)
    ]
    (turn,) = second.turns
    assert kinds(turn.new) == ["WorkflowStarted", "TaskCompleted"]
    second.answer(turn, done())
    await passes(1)
    results = [
        e.result for e in one.database.records["w"].history if isinstance(e, ev.TaskCompleted)
    ]
    assert results == ["in time"]


@in_virtual_time
async def test_given_back_work_is_sent_again() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await running(one, worker, "a")
    task = worker.tasks.popleft()
    one.dispatcher.abandon(task.token)
    assert worker.inputs == ["a"]
    one.dispatcher.abandon(task.token)  # given back twice
    one.dispatcher.abandon("")
    assert worker.inputs == ["a"]
    assert one.dispatcher.redelivered == 1


# --- leases ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_turn_not_answered_in_time_goes_to_another_worker() -> None:
    """The first one hangs, and its connection lives: it must not get the turn again and again."""
    one = await engine()
    hangs, works = HandWorker(one.dispatcher), HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    assert hangs.took == ["w"]
    await passes(LEASE - 2)
    assert works.took == []
    await passes(4)
    assert works.took == ["w"]
    assert hangs.took == ["w"]


@in_virtual_time
async def test_a_worker_that_hangs_gets_nothing_while_another_has_room() -> None:
    one = await engine()
    hangs, works = HandWorker(one.dispatcher), HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    await passes(LEASE + 2)
    for index in range(20):
        await one.begin("flow", instance_id=f"more-{index}")
    assert len(works.turns) == 21
    late = hangs.answer(hangs.turns.popleft(), done())  # it wakes up
    assert late.acknowledged
    await one.begin("flow", instance_id="again")
    assert hangs.took == []  # the late answer was for an item that is not its own any more
    works.die()
    assert len(hangs.turns) == 22


@in_virtual_time
async def test_an_only_worker_gets_its_item_again_and_the_late_answer_is_ignored() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    await passes(LEASE + 2)
    first, second = worker.turns
    assert first.token != second.token
    assert worker.stream.turns == 1
    assert worker.answer(first, done(result="late")).acknowledged
    worker.answer(second, done(result="in time"))
    assert await one.finish("w", within=1) == "in time"


@in_virtual_time
async def test_an_activity_has_no_lease_unless_it_is_set() -> None:
    one = await engine()
    first, second = HandWorker(one.dispatcher), HandWorker(one.dispatcher)
    one.dispatcher._leases.activity = float("inf")
    await running(one, first, "a")
    await passes(3600)
    assert second.inputs == []
    one.dispatcher._leases.activity = 60.0
    first.die()
    assert second.inputs == ["a"]
    third = HandWorker(one.dispatcher)
    await passes(70)
    assert third.inputs == ["a"]


# --- poison ---------------------------------------------------------------------------------------


def deliveries(one: OneEngine) -> list[float]:
    """When the turn of 'w' is sent, with a worker that dies of it each time."""
    times: list[float] = []

    class Dies(HandWorker):
        doomed = False

        def send(self, message: bytes) -> Any:
            sent = super().send(message)
            if "w" in self.took and not self.doomed:
                self.doomed = True
                times.append(one.loop.time())
                one.loop.call_soon(self.die)
                one.loop.call_later(0.01, Dies, one.dispatcher)
            return sent

    Dies(one.dispatcher)
    return times


@in_virtual_time
async def test_a_turn_that_kills_its_worker_backs_off() -> None:
    one = await engine()
    times = deliveries(one)
    await one.begin("flow", instance_id="w")
    await passes(300)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[:2] == pytest.approx([0.01, 0.01], abs=0.01)  # twice at once
    assert gaps[2:8] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2], rel=0.2)
    assert gaps[-1] == pytest.approx(30.0, rel=0.01)


@in_virtual_time
async def test_poison_does_not_keep_others_from_running() -> None:
    """F28: the worker dies of one workflow, again and again, with whatever else it had."""
    one = OneEngine(workflows={"fine": fine}, activities={"add": lambda given: given})
    await one.start(workers=0)
    times = deliveries(one)
    await one.begin("poison", instance_id="w")
    ids = [await one.begin("fine", instance_id=f"fine-{i}") for i in range(20)]
    good = one.connect(hello=takes(workflows=["fine"], activities=["add"]))
    for instance_id in ids:
        assert await one.finish(instance_id, within=120) == "3"
    assert len(times) > 3
    assert good.turns


def fine(_given: str | None) -> Generator[Any, Any, Any]:
    for step in range(3):
        yield Call("add", str(step))
    return "3"


@in_virtual_time
async def test_an_answer_resets_the_back_off() -> None:
    one = await engine()
    for _ in range(6):
        worker = HandWorker(one.dispatcher)
        if not worker.turns:
            await one.begin("flow", instance_id="w") if _ == 0 else await passes(10)
        worker.die()
    worker = HandWorker(one.dispatcher)
    await passes(10)
    worker.answer(worker.turns.popleft())
    await one.operations.raise_event("w", "go", None)
    await passes(1)
    worker.die()
    assert HandWorker(one.dispatcher).took == ["w"]


@in_virtual_time
async def test_a_pause_survives_suspend_and_resume_and_no_older_pause_cuts_it_short() -> None:
    one = await engine()
    instance_id = await one.begin("flow", instance_id="w")
    for _ in range(8):  # failures enough for a pause of seconds
        worker = HandWorker(one.dispatcher)
        await passes(5)
        worker.die()
    await one.operations.suspend(instance_id, None)
    await one.operations.resume(instance_id, None)
    instance = one.host.resident(instance_id)
    assert instance is not None
    worker = HandWorker(one.dispatcher)
    left = instance.pause_until - one.loop.time()
    assert left > 1
    await passes(left - 0.5)
    assert worker.took == []
    await passes(1)
    assert worker.took == ["w"]


# --- dropped copies -------------------------------------------------------------------------------


def drop(one: OneEngine, instance_id: str) -> None:
    instance = one.host.resident(instance_id)
    assert instance is not None
    one.host.drop(instance, StoreUnavailableError("no route"))


@in_virtual_time
async def test_an_activity_under_way_is_not_run_again_for_a_reloaded_copy() -> None:
    """W4: one execution in flight for an activity of one owner."""
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await running(one, worker, "a")
    drop(one, "w")
    await passes(10)
    assert worker.inputs == ["a"]
    assert worker.complete(worker.tasks.popleft(), "1").errors == []
    await passes(1)
    (turn,) = worker.turns
    assert kinds(turn.new) == ["WorkflowStarted", "TaskCompleted"]


@in_virtual_time
async def test_a_result_that_comes_while_the_copy_is_away_counts() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await running(one, worker, "a")
    drop(one, "w")
    answer = worker.complete(worker.tasks.popleft(), "1")
    await passes(10)
    assert answer.acknowledged
    assert worker.inputs == []
    (turn,) = worker.turns
    assert kinds(turn.new) == ["WorkflowStarted", "TaskCompleted"]


@in_virtual_time
async def test_a_late_result_of_an_ended_workflow_is_ignored_without_a_load() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await running(one, worker, "a")
    await one.operations.terminate("w", None, recurse=False)
    await passes(1)
    assert one.host.resident("w") is None
    load = one.store.load
    loads: list[str] = []

    async def counted(instance_id: str) -> Any:
        loads.append(instance_id)
        return await load(instance_id)

    one.store.load = counted  # type: ignore[method-assign]
    assert worker.complete(worker.tasks.popleft(), "1").acknowledged
    await passes(1)
    assert loads == []


# --- bugs of ours ---------------------------------------------------------------------------------


@in_virtual_time
async def test_an_instance_that_cannot_be_sent_harms_nobody_else() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    codec = worker.stream.codec
    item = codec.turn_item

    def broken(head: Any, **more: Any) -> bytes:
        if head.instance_id == "bad":
            raise KeyError("a bug")
        return item(head, **more)

    codec.turn_item = broken  # type: ignore[method-assign]
    await one.begin("flow", instance_id="bad")
    await one.begin("flow", instance_id="good")
    await passes(20)
    assert worker.took == ["good"]
    codec.turn_item = item  # type: ignore[method-assign]
    await passes(60)
    assert sorted(set(worker.took)) == ["bad", "good"]


@in_virtual_time
async def test_an_answer_that_breaks_the_engine_is_run_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tenure_sidecar.actors import instance as module

    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    advance = module.advance

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise KeyError("a bug")

    monkeypatch.setattr(module, "advance", broken)
    answer = worker.answer(worker.turns.popleft(), done())
    assert [type(e) for e in answer.errors] == [KeyError]
    monkeypatch.setattr(module, "advance", advance)
    await passes(20)
    worker.answer(worker.turns.popleft(), done(result="ok"))
    assert await one.finish("w", within=1) == "ok"


@in_virtual_time
async def test_the_sweep_goes_on_after_an_error() -> None:
    loop = asyncio.get_running_loop()
    assert loop.time() == 0.0
    one = await engine()
    assert isinstance(one.dispatcher, Dispatcher)
    worker = HandWorker(one.dispatcher, health_ping=True)

    def broken(message: bytes) -> Any:
        raise KeyError("a bug")

    good = worker.send
    worker.send = broken  # type: ignore[method-assign]
    other = HandWorker(one.dispatcher, health_ping=True)
    await passes(31)
    worker.send = good  # type: ignore[method-assign]
    await passes(31)
    assert other.pings >= 1
