"""Partitions that are handed over while work is under way, on engines in virtual time.

In scope: turns and activities that the former owner has at its workers, and their late results.  Who
gets what, and what happens when an owner dies: test_sharing_engines.
"""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from support.by_hand import HandWorker, again, call, done, events
from support.sharers import PARTITIONS, TTL, Held, Seen, Sharers, of, settled
from support.virtual import in_virtual_time, passes
from tenure_sidecar.engine.events import TaskCompleted
from tenure_sidecar.store.partition import partition_of


@in_virtual_time
async def test_a_hand_over_runs_nothing_twice() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    ids = [await one.begin("chain", "8", of(one, f"w{n}-")) for n in range(20)]
    await passes(0.05)
    await one.host.hand_over()
    for instance_id in ids:
        assert await two.finish(instance_id) == "36"
    assert len(one.effects) > 0
    assert sum(len(engine.effects) for engine in (one, two, three)) == 160
    await sharers.stop()


@in_virtual_time
async def test_what_drains_takes_no_new_turn_and_ends_the_one_under_way() -> None:
    sharers = Sharers()
    one = await sharers.start("alpha", workers=0)
    slow = HandWorker(one.dispatcher)
    await settled(one)
    busy = await one.begin("chain", "1")
    await passes(0.1)
    other = next(
        name
        for n in range(1_000)
        if partition_of(name := f"w{n}", PARTITIONS) == partition_of(busy, PARTITIONS)
    )
    two = await sharers.start("beta", workers=0)
    heir = HandWorker(two.dispatcher)
    leaving = asyncio.create_task(one.host.hand_over())
    await passes(0.02)
    await one.begin("chain", "1", other)
    await passes(0.02)
    assert slow.took == [busy]  # and not the other
    assert slow.answer(slow.turns.popleft(), call(0, "add")).errors == []
    await leaving
    await settled(two)
    await passes(0.1)
    assert slow.tasks == slow.turns == deque()
    assert heir.took == [other]
    assert [task.instance_id for task in heir.tasks] == [busy]
    await sharers.stop()


@in_virtual_time
async def test_an_activity_that_outlasts_the_hand_over_is_not_lost() -> None:
    held = Held()
    await held.begin()
    await held.one.host.hand_over()
    await settled(held.two)
    answer = held.slow.complete(held.slow.tasks.popleft(), "42")
    await passes(0.5)
    assert answer.acknowledged
    await held.end()


class Moved(Held):
    """The same when the instance has moved to beta."""

    async def begin(self) -> None:
        await super().begin()
        began = self.one.loop.time()
        await self.one.host.hand_over()
        assert self.one.loop.time() - began < 0.05  # nobody waited for the activity
        await settled(self.two)
        await passes(0.5)


@in_virtual_time
async def test_an_activity_that_outlasts_the_hand_over_runs_once() -> None:
    moved = Moved()
    await moved.begin()
    assert moved.heir.tasks == deque()
    ending = asyncio.create_task(moved.one.host.finish(60))
    await passes(1)
    assert not ending.done()
    answer = moved.slow.complete(moved.slow.tasks.popleft(), "42")
    await passes(0.5)
    assert answer.acknowledged
    assert ending.done()
    assert moved.heir.tasks == deque()
    assert moved.sharers.database.roster.held.keys() == {
        *((("owner", p, "")) for p in range(PARTITIONS)),
        ("member", 0, "alpha"),
        ("member", 0, "beta"),
    }
    await moved.end()


@pytest.mark.parametrize("how", ["killed", "stopped", "worker", "suspected"])
@in_virtual_time
async def test_what_was_left_running_and_is_lost_runs_again(how: str) -> None:
    moved = Moved()
    await moved.begin()
    assert moved.two.host.sharing is not None
    if how == "killed":
        await moved.one.crash()
        assert moved.heir.tasks == deque()
        await passes(TTL)
    elif how == "stopped":  # it could not wait any longer
        await moved.one.host.stop()
    elif how == "suspected":
        moved.two.host.sharing._peers = Seen("alpha")  # type: ignore[assignment]
        moved.two.host.sharing._changed.set()
    else:
        moved.slow.die()
    await passes(0.5)
    (task,) = moved.heir.tasks
    assert task.instance_id == moved.id
    moved.heir.complete(task, "42")
    await passes(0.5)
    await moved.end()


@in_virtual_time
async def test_what_is_left_running_is_known_to_every_later_owner() -> None:
    moved = Moved()
    await moved.begin()
    three = await moved.sharers.start("gamma", workers=0)
    last = HandWorker(three.dispatcher)
    await moved.two.host.hand_over()
    await settled(three)
    await passes(0.5)
    assert last.tasks == deque()
    moved.slow.complete(moved.slow.tasks.popleft(), "42")
    await passes(0.5)
    assert last.tasks == deque()
    last.answer(last.turns.popleft(), done(result="all"))
    assert await three.finish(moved.id) == "all"
    await moved.sharers.stop()


@in_virtual_time
async def test_a_late_result_of_an_earlier_generation_hides_no_newer_one() -> None:
    moved = Moved()
    await moved.begin()
    await moved.two.operations.raise_event(moved.id, "on", "1")
    await passes(0.1)
    moved.heir.answer(moved.heir.turns.popleft(), again(99))
    await passes(0.1)
    moved.heir.answer(moved.heir.turns.popleft(), call(0, "add"))  # the same number
    await passes(0.1)
    await moved.two.operations.raise_event(moved.id, "on", "2")
    await passes(0.1)
    turn = moved.heir.turns.popleft()  # at its worker, so nothing is taken from the inbox
    old = moved.slow.complete(moved.slow.tasks.popleft(), "old")
    await passes(0.5)
    new = moved.heir.complete(moved.heir.tasks.popleft(), "new")
    await passes(0.5)
    assert old.acknowledged
    assert new.acknowledged
    moved.heir.answer(turn)
    await passes(0.1)
    results = [one for one in events(moved.heir.turns[0].new) if isinstance(one, TaskCompleted)]
    assert [one.result for one in results] == ["new"]
    await moved.end()


@in_virtual_time
async def test_a_late_result_of_an_earlier_generation_is_not_taken_for_a_newer_ones() -> None:
    moved = Moved()
    await moved.begin()
    await moved.two.operations.raise_event(moved.id, "on", "1")
    await passes(0.1)
    moved.heir.answer(moved.heir.turns.popleft(), again(99))
    await passes(0.1)
    moved.heir.answer(moved.heir.turns.popleft(), call(0, "add"))
    await passes(0.1)
    await moved.two.operations.raise_event(moved.id, "on", "2")
    moved.slow.complete(moved.slow.tasks.popleft(), "old")
    await passes(0.5)
    await moved.two.crash()  # with the old result in the inbox, and the new activity at its worker
    three = await moved.sharers.start("gamma", workers=0)
    last = HandWorker(three.dispatcher)
    await passes(2 * TTL)
    (task,) = last.tasks
    last.complete(task, "new")
    await passes(0.5)
    last.answer(last.turns.popleft(), done(result="all"))
    assert await three.finish(moved.id) == "all"
    await moved.sharers.stop()
