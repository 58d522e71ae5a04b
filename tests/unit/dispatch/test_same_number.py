"""Two activities of one instance's id and one number, at a worker that answers without tokens.

The numbers begin anew when a workflow continues as new, or when its id is used again, while workers
still have activities from before.  An answer without a token says no more than id and number, so the
second one must wait for the first wherever either of them is.
"""

from __future__ import annotations

import pytest

from support.by_hand import HandWorker, call, done
from support.one_engine import OneEngine
from support.virtual import in_virtual_time, passes
from tenure_sidecar.actors.instance import Ack
from tenure_sidecar.dispatch.loans import Borrowed
from tenure_sidecar.dispatch.stream import Caps
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.wire.codec import ActivityResult

ONE = Caps(turns=5, activities=1, total=6)
AGAIN = act.Complete(99, status=ev.Status.CONTINUED_AS_NEW, result="2")


class Asks:
    """A member that lends; what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str | None]] = []

    def finished(self, token: str, result: ActivityResult, ack: Ack) -> None:
        self.told.append((token, result.result))
        ack(None)

    def refuse(self, token: str, *, size: int = 0) -> None:
        self.told.append((token, "refused"))

    def lose(self, token: str) -> None:
        self.told.append((token, "lost"))


async def engine() -> OneEngine:
    one = OneEngine(workflows={}, activities={})
    await one.start(workers=0)
    return one


async def echoing(one: OneEngine, *busy: HandWorker) -> HandWorker:
    """A worker that has shown that it answers with tokens; ``busy`` take no turn meanwhile."""
    for worker in busy:
        one.dispatcher.change(worker.stream, hello=worker.stream.hello, caps=Caps(0, 1, 1))
    made = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="shows it")
    made.answer(made.turns.popleft(), done())
    assert made.stream.echoes_tokens
    for worker in busy:
        one.dispatcher.change(worker.stream, hello=worker.stream.hello, caps=ONE)
    return made


def lend(one: OneEngine, lender: Asks, token: str, execution: str) -> None:
    """Number 0 of 'w' comes from another member."""
    scheduled = ev.TaskScheduled(at=0, task_id=0, name="work", input=execution)
    borrowed = Borrowed(token, "w", execution, scheduled)
    one.dispatcher.loans.take(lender, borrowed, now=one.dispatcher.now())


@in_virtual_time
async def test_the_answer_to_an_earlier_generations_is_not_taken_for_a_later_ones() -> None:
    one = await engine()
    old = HandWorker(one.dispatcher, caps=ONE)
    await one.begin("flow", instance_id="w")
    old.answer(old.turns.popleft(), call(0, given="first"), token="")
    await passes(1)
    new = await echoing(one, old)
    await one.operations.raise_event("w", "go", None)
    await passes(1)
    (turn,) = [*old.turns, *new.turns]
    at = old if old.turns else new
    at.answer(turn, AGAIN, token="" if at is old else None)
    await passes(1)
    at = old if len(old.turns) == 2 or (at is new and old.turns) else new
    at.answer(at.turns[-1], call(0, given="second"), token="" if at is old else None)
    await passes(1)
    assert (old.inputs, new.inputs) == (["first"], [])
    assert old.complete(old.tasks.popleft(), "of the first", token="").acknowledged
    assert [*old.inputs, *new.inputs] == ["second"]
    here = old if old.tasks else new
    here.complete(here.tasks.popleft(), "of the second", token="" if here is old else None)
    await passes(1)
    turn = (old.turns or new.turns)[-1]
    found = [e for e in map(_decoded, turn.new) if isinstance(e, ev.TaskCompleted)]
    assert [event.result for event in found] == ["of the second"]


@in_virtual_time
@pytest.mark.parametrize("same", ["e1", "e2"])
async def test_a_loan_of_a_number_that_is_out_without_a_token_is_refused(same: str) -> None:
    one = await engine()
    old = HandWorker(one.dispatcher, caps=ONE)
    lender = Asks()
    lend(one, lender, "first", "e1")
    assert old.inputs == ["e1"]
    new = await echoing(one, old)
    lend(one, lender, "second", same)
    assert lender.told == [("second", "refused")]
    assert old.complete(old.tasks.popleft(), "x", token="").acknowledged
    assert lender.told[1:] == [("first", "x")]
    lend(one, lender, "third", same)
    assert [*old.inputs, *new.inputs] == [same]


@in_virtual_time
async def test_ones_own_waits_for_a_loan_that_is_out_without_a_token() -> None:
    """As when the workflow moved here while its activity was lent to this sidecar."""
    one = await engine()
    old = HandWorker(one.dispatcher, caps=ONE)
    lender = Asks()
    lend(one, lender, "first", "e1")
    new = await echoing(one, old)
    await one.begin("flow", instance_id="w")
    at = old if old.turns else new
    at.answer(at.turns.popleft(), call(0, given="own"), token="" if at is old else None)
    await passes(1)
    assert (old.inputs, new.inputs) == (["e1"], [])
    old.complete(old.tasks.popleft(), "x", token="")
    assert lender.told == [("first", "x")]
    assert [*old.inputs, *new.inputs] == ["own"]


def _decoded(encoded: bytes) -> ev.Event:
    from support.toy import decode_event

    return decode_event(encoded)
