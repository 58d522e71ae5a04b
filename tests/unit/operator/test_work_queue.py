"""The work queue: nothing is missed, nothing is worked on twice at a time."""

from __future__ import annotations

import asyncio

from tenure_operator.queue import WorkQueue
from tenure_operator.resources import Key

A, B = Key("Workflow", "shop", "a"), Key("Workflow", "shop", "b")


async def test_in_order_and_each_once() -> None:
    queue = WorkQueue()
    for key in (A, B, A, A):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == [A, B]
    assert len(queue) == 0


async def test_what_is_added_while_it_is_worked_on_comes_again_and_not_before_it_is_done() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    queue.add(A)
    queue.add(A)
    assert len(queue) == 0
    queue.done(A)
    assert await queue.get() == A
    queue.done(A)
    assert len(queue) == 0


async def test_the_earlier_of_two_times_counts() -> None:
    queue = WorkQueue()
    queue.add_after(A, 3600)
    queue.add_after(A, 0)
    queue.add_after(A, 3600)
    assert queue.later == 1
    assert await queue.get() == A
    assert queue.later == 0


async def test_a_cancelled_time_does_not_come() -> None:
    queue = WorkQueue()
    queue.add_after(A, 0)
    queue.cancel(A)
    queue.add_after(B, 0)
    assert await queue.get() == B
    assert queue.later == 0


async def test_a_waiter_that_goes_away_takes_no_key_along() -> None:
    queue = WorkQueue()
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add(A)  # calls the first, which is cancelled before it can come
    first.cancel()
    assert await second == A


async def test_what_takes_too_long_is_named() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    assert queue.stuck(3600) == []
    assert queue.stuck(-1) == [A]
    queue.done(A)
    assert queue.stuck(-1) == []
