"""Results of activities whose writes fail: the work is done, so it is not done again.

Engines on a memory database in virtual time.  In scope: writes without an answer, writes that are
refused because the instance moved, and the bound on what is kept.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from support.one_engine import OneEngine
from support.sharers import ACTIVITIES, Held
from support.toy import All, Call
from support.virtual import in_virtual_time, passes
from tenure_common.errors import OutcomeUnknownError
from tenure_sidecar.dispatch import results
from tenure_sidecar.engine.events import TaskCompleted
from tenure_sidecar.store.port import Commit, Op

STEPS = 5
SLOW = 0.05  # seconds of a write: results come in meanwhile, and turns take them before they are stored


def fan(_given: str | None) -> Generator[All, list[str], str]:
    return ",".join((yield All([Call("add", str(n)) for n in range(STEPS)])))


def has_result(ops: Sequence[Op]) -> bool:
    """Whether a turn among the ops took an activity's result."""
    return any(
        isinstance(op, Commit) and any(isinstance(one, TaskCompleted) for one in op.turn.append)
        for op in ops
    )


class Fault:
    """Each turn that takes a result meets an unknown outcome, ``times`` times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.met = 0

    def __call__(self, ops: Sequence[Op]) -> BaseException | None:
        if not has_result(ops) or self.met == self.times:
            return None
        self.met += 1
        return OutcomeUnknownError("nobody knows")


async def started() -> OneEngine:
    one = OneEngine(workflows={"fan": fan}, activities=ACTIVITIES)
    await one.start()
    one.store._delay = lambda: SLOW
    return one


async def fanned(one: OneEngine) -> str | None:
    return await one.finish(await one.begin("fan"))


@pytest.mark.parametrize("happened", [True, False], ids=["done", "not done"])
@in_virtual_time
async def test_a_result_whose_turn_has_an_unknown_outcome_is_kept(happened: bool) -> None:
    one = await started()
    fault = Fault(1)
    if happened:
        one.store.after = fault
    else:
        one.store.before = fault
    assert await fanned(one) == "1,2,3,4,5"
    assert fault.met == 1
    assert len(one.effects) == STEPS
    assert one.dispatcher.results.waiting == 0
    await one.stop()


@in_virtual_time
async def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "KEPT_MAX", 0)
    one = await started()
    fault = one.store.before = Fault(1)
    assert await fanned(one) == "1,2,3,4,5"
    assert fault.met == 1
    assert len(one.effects) > STEPS
    await one.stop()


@in_virtual_time
async def test_a_result_goes_to_whoever_took_the_instance_over() -> None:
    held = Held()
    await held.begin()
    assert held.one.host.sharing is not None
    session = held.one.host.sharing._session
    assert session is not None
    held.sharers.database.roster.end(session.id)
    answer = held.slow.complete(held.slow.tasks.popleft(), "42")  # it does not know yet
    assert answer.errors == []
    await passes(2)
    assert answer.acknowledged
    # What the heir was asked to do once more is never answered.
    await held.end()
