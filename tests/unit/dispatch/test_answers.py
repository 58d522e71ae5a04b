"""Answers and the tokens that say what they are for: stale, unknown, none, and for another.

In scope: the dispatcher's side.  Out of scope: decoding and chunks (rpc/test_worker_service).
"""

from __future__ import annotations

import pytest

from support.by_hand import HandWorker, call, done, kinds
from support.one_engine import OneEngine
from support.virtual import in_virtual_time, passes
from tenure_sidecar.dispatch.stream import Caps
from tenure_sidecar.engine import events as ev
from tenure_sidecar.wire.codec import Hello


async def engine() -> OneEngine:
    one = OneEngine(workflows={}, activities={})
    await one.start(workers=0)
    return one


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["unknown", "b1-0", "b1-ffff"])
@in_virtual_time
async def test_an_unknown_token_is_acknowledged_and_ignored(token: str) -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    turn = worker.turns.popleft()
    assert worker.answer(turn, done(result="no"), token=token).acknowledged
    assert one.dispatcher.ignored == 1
    assert worker.stream.turns == 1
    worker.answer(turn, done(result="yes"))
    assert await one.finish("w", within=1) == "yes"


@in_virtual_time
async def test_an_answer_counts_once() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    turn = worker.turns.popleft()
    first = worker.answer(turn, call(0))
    again = worker.answer(turn, done(result="no"))
    await passes(1)
    assert first.acknowledged
    assert again.acknowledged
    assert [t.task.task_id for t in worker.tasks] == [0]
    assert worker.stream.turns == 0


@in_virtual_time
async def test_a_turns_token_does_not_answer_an_activity_nor_the_reverse() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    worker.answer(worker.turns.popleft(), call(0))
    await passes(1)
    task = worker.tasks.popleft()
    await one.operations.raise_event("w", "go", None)
    await passes(1)
    turn = worker.turns.popleft()
    assert worker.answer(turn, done(result="no"), token=task.token).acknowledged
    assert worker.complete(task, "no", token=turn.token).acknowledged
    assert one.dispatcher.ignored == 2
    assert one.dispatcher.in_flight == 2


@in_virtual_time
async def test_an_answer_is_acknowledged_when_it_is_durable_and_not_before() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    answer = worker.answer(worker.turns.popleft(), call(0))
    assert answer.errors == []
    await passes(1)
    assert answer.acknowledged
    result = worker.complete(worker.tasks.popleft(), "1")
    assert result.errors == []
    await passes(1)
    assert result.acknowledged


# --- workers that do not echo tokens --------------------------------------------------------------


@in_virtual_time
async def test_without_tokens_answers_are_matched_by_instance_and_task() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    worker.answer(worker.turns.popleft(), call(0), call(1), token="")
    await passes(1)
    second = worker.tasks.pop()
    worker.complete(second, "b", token="")
    await passes(1)
    (turn,) = worker.turns
    assert kinds(turn.new) == ["WorkflowStarted", "TaskCompleted"]
    assert worker.answer(turn, done(result="ok"), token="").errors == []
    assert await one.finish("w", within=1) == "ok"


@in_virtual_time
async def test_without_tokens_the_answer_to_a_withdrawn_turn_is_not_the_next_ones() -> None:
    """It would consume an event that the code has not seen: the workflow would wait for ever."""
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    old = worker.turns.popleft()
    await one.operations.suspend("w", None)
    await one.operations.resume("w", None)
    await one.operations.raise_event("w", "go", None)
    await passes(1)
    assert worker.answer(old, token="").acknowledged  # it waits for 'go'
    await passes(1)
    (new,) = worker.turns
    assert "EventRaised" in kinds(new.new)
    worker.answer(new, done(result="went"), token="")
    assert await one.finish("w", within=1) == "went"


@in_virtual_time
async def test_without_tokens_a_late_answer_to_a_lost_turn_is_not_taken_for_more() -> None:
    """The turn is sent again as it was: what has come since is for the turn after it."""
    one = await engine()
    first = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    old = first.turns.popleft()
    first.die()
    await one.operations.raise_event("w", "go", None)
    second = HandWorker(one.dispatcher)
    (again,) = second.turns
    assert kinds(again.new) == kinds(old.new)
    first.answer(old, token="")  # the answer that was on its way
    await passes(1)
    new = second.turns[-1]
    assert kinds(new.new) == ["WorkflowStarted", "EventRaised"]
    second.answer(new, done(result="went"), token="")
    assert await one.finish("w", within=1) == "went"


@in_virtual_time
async def test_a_withdrawn_turn_keeps_its_slot_until_it_is_answered() -> None:
    """The worker is still busy with it: what is sent on top is over its cap."""
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=Caps(turns=1, activities=1, total=2))
    await one.begin("flow", instance_id="w")
    await one.begin("flow", instance_id="x")
    await one.operations.terminate("w", None, recurse=False)
    await passes(1)
    assert worker.took == ["w"]
    assert worker.answer(worker.turns.popleft(), done()).acknowledged
    assert worker.took == ["x"]


@in_virtual_time
async def test_a_withdrawn_turns_slot_is_free_after_its_lease_or_its_stream() -> None:
    one = await engine()
    caps = Caps(turns=1, activities=1, total=2)
    worker = HandWorker(one.dispatcher, caps=caps)
    await one.begin("flow", instance_id="w")
    await one.begin("flow", instance_id="x")
    await one.operations.terminate("w", None, recurse=False)
    await passes(35)
    assert worker.took == ["w", "x"]
    await one.operations.terminate("x", None, recurse=False)
    worker.die()
    assert one.dispatcher.in_flight == 0
    assert one.dispatcher.redelivered == 0


# --- stateful history -----------------------------------------------------------------------------

STATEFUL = Hello(stateful_history=True)


async def turn_of(one: OneEngine, worker: HandWorker, event: str = "go") -> None:
    await one.operations.raise_event("w", event, None)
    await passes(1)


@in_virtual_time
async def test_a_worker_with_a_cache_gets_only_what_it_does_not_have() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, hello=STATEFUL)
    await one.begin("flow", instance_id="w")
    turn = worker.turns.popleft()
    assert (turn.cached, turn.past) == (None, [])
    worker.answer(turn)
    await turn_of(one, worker)
    turn = worker.turns.popleft()
    # Nothing was in the past of the first turn: all of it is sent.
    assert (turn.cached, kinds(turn.past)) == (None, ["WorkflowStarted", "ExecutionStarted"])
    worker.answer(turn, call(0))
    await turn_of(one, worker)
    turn = worker.turns.popleft()
    assert turn.cached == 2
    assert kinds(turn.past) == ["WorkflowStarted", "EventRaised", "TaskScheduled"]


@in_virtual_time
async def test_another_stream_gets_all_of_it() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, hello=STATEFUL)
    await one.begin("flow", instance_id="w")
    worker.answer(worker.turns.popleft())
    await turn_of(one, worker)
    worker.answer(worker.turns.popleft())
    await passes(1)
    worker.die()
    other = HandWorker(one.dispatcher, hello=STATEFUL)
    await turn_of(one, other)
    turn = other.turns.popleft()
    assert turn.cached is None
    assert len(turn.past) == 4


@in_virtual_time
async def test_a_new_generation_gets_all_of_it() -> None:
    from tenure_sidecar.engine import actions as act

    one = await engine()
    worker = HandWorker(one.dispatcher, hello=STATEFUL)
    await one.begin("flow", instance_id="w")
    worker.answer(worker.turns.popleft())
    await turn_of(one, worker)
    again = act.Complete(99, status=ev.Status.CONTINUED_AS_NEW, result="2")
    worker.answer(worker.turns.popleft(), again)
    await passes(1)
    turn = worker.turns.popleft()
    assert turn.cached is None
    worker.answer(turn)
    await turn_of(one, worker)
    assert worker.turns[0].cached is None


@in_virtual_time
async def test_a_worker_that_lost_its_cache_gets_all_of_it_at_once() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, hello=STATEFUL)
    await one.begin("flow", instance_id="w")
    worker.answer(worker.turns.popleft())
    await turn_of(one, worker)
    worker.answer(worker.turns.popleft())
    await turn_of(one, worker)
    turn = worker.turns.popleft()
    assert turn.cached is not None
    assert worker.answer(turn, requires_history=True).acknowledged
    (whole,) = worker.turns
    assert whole.cached is None
    assert len(whole.past) == 4
    assert kinds(whole.new) == kinds(turn.new)


@in_virtual_time
async def test_a_worker_that_asks_for_the_whole_history_again_and_again_backs_off() -> None:
    """It had all of it: sending the same once more would go round as fast as it can ask."""
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    for _ in range(1000):
        while worker.turns:
            worker.answer(worker.turns.popleft(), requires_history=True)
        await passes(0.1)
    assert one.dispatcher._issued < 30


@in_virtual_time
async def test_a_refused_answer_makes_the_worker_forget() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, hello=STATEFUL)
    await one.begin("flow", instance_id="w")
    worker.answer(worker.turns.popleft(), call(0))
    await turn_of(one, worker)
    worker.answer(worker.turns.popleft())
    await turn_of(one, worker)
    turn = worker.turns.popleft()
    assert turn.cached is not None
    contradiction = call(0, "other")  # 0 is another activity in the history
    assert worker.answer(turn, contradiction).acknowledged
    (again,) = worker.turns
    assert again.cached is None
