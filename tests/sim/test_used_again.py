"""An id that is purged or started anew elsewhere, while its owner still reads what was there before.

Several engines on one memory database in virtual time, as in test_sharing_engines.  In scope: what a
client is told of an instance when answers of the store, or what a watch tells, come late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest

from support.one_engine import OneEngine
from support.sharers import Sharers, of
from support.toy import Sleep
from support.virtual import in_virtual_time, passes
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.store.port import Create, Loaded, Op, Purge, Result

LATE = 0.5  # seconds


def late_loads(engine: OneEngine, *, times: int = 1) -> None:
    """What the engine reads of an instance the next ``times`` times reaches it late."""
    load, left = engine.store.load, [times]

    async def late(instance_id: str) -> Loaded | None:
        found = await load(instance_id)
        if left[0]:
            left[0] -= 1
            await passes(LATE)
        return found

    engine.store.load = late  # type: ignore[method-assign]


def late_answers(engine: OneEngine, kind: type[Any]) -> None:
    """The answer to a write of this kind reaches the engine late."""
    write = engine.store.write

    async def late(ops: Sequence[Op]) -> list[Result]:
        results = await write(ops)
        if any(isinstance(op, kind) for op in ops):
            await passes(LATE)
        return results

    engine.store.write = late  # type: ignore[method-assign]


async def status(engine: OneEngine, instance_id: str) -> Status:
    head = await engine.operations.head(instance_id)
    assert head is not None
    return head.status


async def three_and_an_end() -> tuple[Sharers, OneEngine, OneEngine, str]:
    """Engines, the first of which owns an instance that has ended."""
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.terminate(instance_id, "over", recurse=False)
    return sharers, one, two, instance_id


async def unheard(sharers: Sharers, do: Callable[[], Any]) -> None:
    """Do something of which no watch tells."""
    watchers, sharers.database.watchers = sharers.database.watchers, []
    await do()
    sharers.database.watchers = watchers


@pytest.mark.parametrize("heard", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("gone", [True, False], ids=["purged", "ended"])
@in_virtual_time
async def test_a_load_that_began_before_a_terminate_does_not_answer_it(
    gone: bool, heard: bool
) -> None:
    sharers, one, two, instance_id = await three_and_an_end()
    if gone:
        await two.operations.purge(instance_id, recursive=False)
    late_loads(one)
    one.host.wake(instance_id)
    await passes(LATE / 5)
    if heard:
        await two.begin("listen", "1", instance_id)
    else:
        await unheard(sharers, lambda: two.begin("listen", "1", instance_id))
    await one.operations.terminate(instance_id, "over", recurse=False)
    assert await status(two, instance_id) is Status.TERMINATED
    await sharers.stop()


@in_virtual_time
async def test_an_event_is_not_lost_in_a_load_that_began_before_it() -> None:
    sharers, one, two, instance_id = await three_and_an_end()
    late_loads(one)
    one.host.wake(instance_id)
    await passes(LATE / 5)
    await unheard(sharers, lambda: two.begin("listen", "1", instance_id))
    await one.operations.raise_event(instance_id, "word", "hello")
    assert await two.finish(instance_id, within=5) == "hello"
    await sharers.stop()


@in_virtual_time
async def test_a_start_that_is_heard_of_during_a_load_is_not_forgotten() -> None:
    sharers, one, two, instance_id = await three_and_an_end()
    late_loads(one)
    one.host.wake(instance_id)
    await passes(LATE / 5)
    await two.begin("chain", "3", instance_id)
    assert await two.finish(instance_id, within=2) == "6"
    await sharers.stop()


@in_virtual_time
async def test_a_purge_that_is_answered_late_forgets_no_newer_instance() -> None:
    sharers, one, two, instance_id = await three_and_an_end()
    late_answers(one, Purge)
    purging = asyncio.create_task(one.operations.purge(instance_id, recursive=False))
    await passes(LATE / 5)
    await two.begin("chain", "3", instance_id)
    assert await purging == 1
    assert await two.finish(instance_id, within=2) == "6"
    await sharers.stop()


@in_virtual_time
async def test_a_start_that_is_answered_late_replaces_no_newer_instance() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = of(one)
    late_answers(one, Create)
    at = Instant.of(one.clock() + 3600 * 10**9)
    starting = asyncio.create_task(
        one.operations.start_new("listen", instance_id=instance_id, start_at=at)
    )
    await passes(LATE / 5)
    assert await two.operations.purge(instance_id, recursive=False, force=True) == 1
    await two.begin("chain", "3", instance_id)
    await starting
    assert await two.finish(instance_id, within=2) == "6"
    await sharers.stop()


@in_virtual_time
async def test_a_copy_of_what_was_purged_elsewhere_does_not_look_for_messages_for_ever() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.wait(instance_id, end=False)
    assert await two.operations.purge(instance_id, recursive=False, force=True) == 1
    assert one.host.resident(instance_id) is not None
    one.host.inflow.refresh(instance_id)
    await passes(1)
    assert one.host.resident(instance_id) is None
    await sharers.stop()


@in_virtual_time
async def test_a_wait_is_not_ended_by_the_end_of_an_earlier_use_of_the_id() -> None:
    sharers, one, two, instance_id = await three_and_an_end()
    before = await two.operations.head(instance_id)
    assert before is not None
    await two.begin("listen", "1", instance_id)
    waiting = asyncio.create_task(two.operations.wait(instance_id, end=True))
    await passes(LATE)
    two.host.waiters.changed(before)  # of whose commit it hears now
    await passes(LATE)
    assert not waiting.done()
    await one.operations.raise_event(instance_id, "word", "hello")
    head = await waiting
    assert (head.status, head.output) == (Status.COMPLETED, "hello")
    await sharers.stop()


def nap(given: str | None) -> Generator[Any, Any, Any]:
    yield Sleep(float(given or "1"))


@in_virtual_time
async def test_a_timer_of_an_earlier_use_of_the_id_does_not_fire_that_of_a_later_one() -> None:
    engine = OneEngine(workflows={"nap": nap}, activities={})
    await engine.start()
    await engine.begin("nap", "10", "again")
    await passes(2.0)
    assert await engine.operations.purge("again", recursive=False, force=True)
    await engine.begin("nap", "30", "again")
    await passes(20.0)
    assert await status(engine, "again") is Status.RUNNING
    await passes(12.0)
    assert await status(engine, "again") is Status.COMPLETED
    await engine.crash()
