"""Items that fit no message: they stall their own workflow, with the figures, and nothing else.

In scope: turns and activities over a worker's limit, which worker can take them, and what happens
when such a worker comes.  Sizes are those of the real item, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from support.by_hand import HandWorker, call, done, kinds
from support.one_engine import OneEngine
from support.virtual import in_virtual_time, passes
from tenure_sidecar.dispatch.stream import Caps
from tenure_sidecar.engine import events as ev
from tenure_sidecar.rpc.transport import Sent
from tenure_sidecar.wire.codec import Hello

SMALL = Caps(message_bytes=2_000)
LARGE = Caps(message_bytes=200_000)
BIG = "x" * 5_000
STREAMS = Hello(history_streaming=True)  # the past does not count against the limit


async def engine() -> OneEngine:
    one = OneEngine(workflows={}, activities={})
    await one.start(workers=0)
    return one


async def status(one: OneEngine, instance_id: str) -> tuple[str, str]:
    """Status and the reason of a stall."""
    head = await one.operations.head(instance_id)
    assert head is not None
    return head.status.name, "" if head.stall is None else head.stall.description


# --- turns ----------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_turn_over_the_limit_stalls_its_workflow_with_the_figures() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=SMALL)
    await one.begin("flow", BIG, instance_id="big")
    await one.begin("flow", "x", instance_id="small")
    await passes(1)
    assert worker.took == ["small"]
    name, reason = await status(one, "big")
    assert name == "STALLED"
    assert "limit 2000 bytes" in reason


def measured(sizes: list[int], send: Callable[[bytes], Sent], message: bytes) -> Sent:
    sizes.append(len(message))
    return send(message)


@pytest.mark.parametrize("over", [0, 1], ids=["at the limit", "a byte over"])
@pytest.mark.parametrize("id_length", [1, 200])
@in_virtual_time
async def test_the_limit_holds_to_the_byte(over: int, id_length: int) -> None:
    """Whatever else is in an item: a worker drops its whole stream for one byte too many."""
    sizes: list[int] = []
    for limit in (10_000, None):
        one = await engine()
        caps = Caps(message_bytes=sizes[0] - over if limit is None else limit)
        worker = HandWorker(one.dispatcher, caps=caps)
        worker.send = partial(measured, sizes, worker.send)  # type: ignore[method-assign]
        await one.begin("flow", "x" * 500, instance_id="i" * id_length)
        await passes(1)
    assert len(sizes) == 2 - over


@in_virtual_time
async def test_a_stall_is_recorded_once() -> None:
    one = await engine()
    HandWorker(one.dispatcher, caps=SMALL)
    await one.begin("flow", BIG, instance_id="big")
    await passes(600)
    stalls = [e for e in one.database.records["big"].history if isinstance(e, ev.ExecutionStalled)]
    assert len(stalls) == 1


@in_virtual_time
async def test_a_worker_with_a_larger_limit_takes_it_at_once() -> None:
    one = await engine()
    HandWorker(one.dispatcher, caps=SMALL)
    await one.begin("flow", BIG, instance_id="big")
    await passes(600)
    large = HandWorker(one.dispatcher, caps=LARGE)
    assert large.took == ["big"]
    large.answer(large.turns.popleft(), done(result="ok"))
    assert await one.finish("big", within=1) == "ok"


@in_virtual_time
async def test_of_two_workers_the_one_it_fits_is_taken() -> None:
    one = await engine()
    small = HandWorker(one.dispatcher, caps=SMALL)
    large = HandWorker(one.dispatcher, caps=LARGE)
    for index in range(3):
        await one.begin("flow", BIG, instance_id=f"big{index}")
        await one.begin("flow", "x", instance_id=f"small{index}")
    await passes(1)
    assert [i for i in small.took if "big" in i] == []
    assert [i for i in large.took if "big" in i] == ["big0", "big1", "big2"]
    assert (await status(one, "big0"))[0] != "STALLED"


@in_virtual_time
async def test_it_waits_for_the_worker_that_it_fits_without_a_stall() -> None:
    one = await engine()
    small = HandWorker(one.dispatcher, caps=SMALL)
    large = HandWorker(
        one.dispatcher, caps=Caps(turns=1, activities=1, total=2, message_bytes=200_000)
    )
    await one.begin("flow", BIG, instance_id="first")
    await one.begin("flow", BIG, instance_id="second")
    await one.begin("flow", "x", instance_id="small")
    await passes(1)
    assert (large.took, small.took) == (["first"], ["small"])
    assert (await status(one, "second"))[0] != "STALLED"
    large.answer(large.turns.popleft(), done())
    assert large.took == ["second"]


@in_virtual_time
async def test_control_works_while_it_is_stalled() -> None:
    one = await engine()
    HandWorker(one.dispatcher, caps=SMALL)
    await one.begin("flow", BIG, instance_id="big")
    await passes(1)
    await one.operations.suspend("big", None)
    assert (await status(one, "big"))[0] == "SUSPENDED"
    await one.operations.resume("big", None)
    await one.operations.terminate("big", '"enough"', recurse=False)
    assert (await status(one, "big"))[0] == "TERMINATED"
    await passes(60)
    assert one.dispatcher.queued == (0, 0)


@in_virtual_time
async def test_a_worker_that_streams_histories_gets_what_is_new() -> None:
    one = await engine()
    first = HandWorker(one.dispatcher, caps=LARGE)
    await one.begin("flow", BIG, instance_id="w")
    first.answer(first.turns.popleft())
    await passes(1)
    first.die()
    worker = HandWorker(one.dispatcher, caps=SMALL, hello=STREAMS)
    await one.operations.raise_event("w", "go", "1")
    await passes(1)
    (turn,) = worker.turns
    assert turn.streamed
    assert (turn.past, kinds(turn.new)) == ([], ["WorkflowStarted", "EventRaised"])


@in_virtual_time
async def test_new_events_over_the_limit_are_not_sent_to_it_either() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=SMALL, hello=STREAMS)
    await one.begin("flow", BIG, instance_id="w")
    await passes(1)
    assert worker.took == []
    assert (await status(one, "w"))[0] == "STALLED"


# --- activities -----------------------------------------------------------------------------------


async def schedule(one: OneEngine, worker: HandWorker, *inputs: str) -> None:
    await one.begin("flow", "x", instance_id="w")
    worker.answer(worker.turns.popleft(), *[call(i, given=given) for i, given in enumerate(inputs)])
    await passes(1)


@in_virtual_time
async def test_an_activity_over_the_limit_stalls_a_workflow_that_is_quiet() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=SMALL)
    await schedule(one, worker, BIG)
    assert len(worker.tasks) == 0
    name, reason = await status(one, "w")
    assert name == "STALLED"
    assert "limit 2000 bytes" in reason


@in_virtual_time
async def test_the_workflows_other_activities_go_on() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=SMALL, hello=STREAMS)
    await schedule(one, worker, "a", BIG, "b")
    assert worker.inputs == ["a", "b"]
    assert (await status(one, "w"))[0] == "RUNNING"
    for _ in range(2):
        worker.complete(worker.tasks.popleft(), "1")
        await passes(5)
        while worker.turns:
            assert worker.answer(worker.turns.popleft()).errors in ([], [None])
            await passes(1)
    history = [type(e).__name__ for e in one.database.records["w"].history]
    assert history.count("TaskCompleted") == 2
    assert (await status(one, "w"))[0] == "STALLED"


@in_virtual_time
async def test_the_turn_under_way_is_not_disturbed() -> None:
    """A result is with the worker as a turn when the activity is found to be too large."""
    one = await engine()
    caps = Caps(turns=5, activities=1, total=6, message_bytes=2_000)
    worker = HandWorker(one.dispatcher, caps=caps, hello=STREAMS)
    await schedule(one, worker, "a", BIG, "b")
    await one.operations.raise_event("w", "go", None)
    await passes(1)
    (turn,) = worker.turns
    worker.complete(worker.tasks.popleft(), "1")  # makes room: BIG is looked at now
    await passes(1)
    assert worker.inputs == ["b"]
    answer = worker.answer(turn, done(result="ok"))
    await passes(1)
    assert answer.acknowledged
    assert await one.finish("w", within=1) == "ok"
    assert one.dispatcher.redelivered == 0


@in_virtual_time
async def test_an_activity_goes_to_the_worker_that_it_fits() -> None:
    one = await engine()
    small = HandWorker(one.dispatcher, caps=SMALL)
    await schedule(one, small, BIG, "a")
    large = HandWorker(one.dispatcher, caps=LARGE)
    assert large.inputs == [BIG]
    large.complete(large.tasks.popleft(), "1")
    small.complete(small.tasks.popleft(), "1")
    await passes(1)
    worker = small if small.turns else large
    worker.answer(worker.turns.popleft(), done(result="ok"))
    assert await one.finish("w", within=1) == "ok"
