"""An engine that shares a store and has nothing to do asks it next to nothing, and misses nothing.

The store says, as etcd does, how many changes there were some seconds ago.  In virtual time.  In
scope: the looks of reminders, retention, the sweep of inboxes and bulk jobs.  What the messages to a
real etcd come to, ``bench/on_etcd.py`` counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from support.one_engine import OneEngine
from support.sharers import ACTIVITIES, PARTITIONS, WORKFLOWS
from support.virtual import VirtualLoop, in_virtual_time, passes
from tenure_sidecar.actors.jobs import Jobs
from tenure_sidecar.actors.retention import RetentionActor
from tenure_sidecar.actors.sharing.decide import SIDECAR
from tenure_sidecar.actors.sharing.inboxes import SURE, SWEEP
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.engine.events import EventRaised, Instant, Status
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.retention import Retention
from tenure_sidecar.engine.starting import start
from tenure_sidecar.engine.turn import InboxItem, Timer
from tenure_sidecar.store.memory import MemoryDatabase, MemoryStore
from tenure_sidecar.store.port import Create, Deliver, Document

SECOND = 10**9
HOUR = 3600
KNOWN = 10 / 3  # seconds between two answers that tell the store's revision
LATE = 1.5  # seconds: no timer is later


class Told(MemoryStore):
    """A store whose number of changes is known as of the last renewal, and whose reads are counted."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self._known = 0
        self.reads = 0
        self.asked = 0  # for the number of changes

    async def renewals(self) -> None:
        """Tell the number of changes again and again."""
        while True:
            self._known = self.database.changes + self.database.roster.revision
            await asyncio.sleep(KNOWN)

    def revision(self) -> int | None:
        self.asked += 1
        return self._known

    async def due(
        self, partitions: Sequence[int], *, until: int, limit: int, since: int = 0
    ) -> list[Timer]:
        self.reads += 1
        return await super().due(partitions, until=until, limit=limit, since=since)

    async def expired(self, partitions: Sequence[int], *, until: int, limit: int) -> list[Timer]:
        self.reads += 1
        return await super().expired(partitions, until=until, limit=limit)

    async def documents(self, prefix: str) -> list[Document]:
        self.reads += 1
        return await super().documents(prefix)


@asynccontextmanager
async def an_engine() -> AsyncGenerator[tuple[OneEngine, Told]]:
    """One owner of everything, at rest, with all that looks at the store from time to time."""
    loop, database = asyncio.get_running_loop(), MemoryDatabase(partitions=PARTITIONS)
    assert isinstance(loop, VirtualLoop)
    store = Told(database)
    engine = OneEngine(
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        database=database,
        store=store,
        identity=Identity("one", "one", SIDECAR),
    )
    tasks = [loop.create_task(store.renewals())]
    await engine.start()
    actor = RetentionActor(
        store,
        writer=engine.writer,
        partitions=lambda: [fence.partition for fence in engine.host.fences()],
        purged=engine.host.purged,
        clock=engine.clock,
        rate=500,
    )
    engine.host.expiring = actor.expect
    jobs = Jobs(store, operations=engine.operations, clock=engine.clock, owned=lambda _: True)
    tasks += [loop.create_task(one) for one in (actor.run(), jobs.run())]
    await passes(90)
    yield engine, store
    for task in tasks:
        task.cancel()
    await engine.crash()


async def naps(engine: OneEngine, seconds: int, instance_id: str = "n") -> int:
    """Start a workflow that sleeps; the time at which it wakes, ns."""
    await engine.begin("nap", str(seconds), instance_id=instance_id)
    await passes(1)
    (timer,) = engine.database.records[instance_id].timers
    return timer.due


async def ended(engine: OneEngine, instance_id: str, *, at: int) -> None:
    """The instance waits until ``at``, and ends then."""
    await passes((at - engine.clock()) / SECOND - 0.1)
    assert engine.database.records[instance_id].head.status is not Status.COMPLETED
    await passes(0.1 + LATE)
    assert engine.database.records[instance_id].head.status is Status.COMPLETED


def later(engine: OneEngine, seconds: float, instance_id: str = "d") -> Create:
    """Another process's request to start a workflow after so many seconds."""
    now = engine.clock()
    creation = start(
        "chain",
        instance_id=instance_id,
        input="1",
        scheduled_start=Instant.of(now + round(seconds * SECOND)),
        now=now,
        ids=engine.ids,
        limits=Limits(),
    )
    return Create(creation, "1")


@in_virtual_time
async def test_an_hour_of_rest_takes_few_reads() -> None:
    async with an_engine() as (engine, store):
        due = await naps(engine, 2 * HOUR)
        await passes(90)
        before = store.reads
        await passes(HOUR)
        assert store.reads - before <= 20
        await ended(engine, "n", at=due)


@in_virtual_time
async def test_timers_that_are_set_after_a_rest_fire_in_time() -> None:
    async with an_engine() as (engine, _):
        for seconds in (3, 14, 16, 29, 31, 44, 61, 600):
            await passes(HOUR + seconds)
            await ended(engine, f"n{seconds}", at=await naps(engine, seconds, f"n{seconds}"))


@in_virtual_time
async def test_starts_that_others_delay_happen_in_time() -> None:
    async with an_engine() as (engine, _):
        for seconds in (3, 16, 31, 61, 600):
            await passes(HOUR + seconds)
            create = later(engine, seconds, f"d{seconds}")
            await engine.store.write([create])
            assert create.creation.timer is not None
            await ended(engine, f"d{seconds}", at=create.creation.timer.due)


@pytest.mark.parametrize("seconds", [3, 12, 20, 29, 31, 45, 61, 600])
@in_virtual_time
async def test_a_delayed_start_of_which_the_watch_did_not_tell_is_found(seconds: int) -> None:
    async with an_engine() as (engine, _):
        await passes(HOUR + seconds / 7)
        watchers, engine.database.watchers = engine.database.watchers, []
        await engine.store.write([later(engine, seconds)])
        engine.database.watchers = watchers
        await passes(seconds + 45)
        assert engine.database.records["d"].head.status is Status.COMPLETED


@in_virtual_time
async def test_after_a_rest_a_message_that_was_missed_is_found_by_the_next_sweep() -> None:
    async with an_engine() as (engine, _):
        await engine.begin("listen", "1", instance_id="l")
        await passes(HOUR)
        watchers, engine.database.watchers = engine.database.watchers, []
        item = InboxItem("event-1", EventRaised(at=engine.clock(), name="word", input="a"))
        await engine.store.write([Deliver("l", item)])
        engine.database.watchers = watchers
        await passes(SWEEP + KNOWN + SURE + 1)
        assert engine.database.records["l"].head.status is Status.COMPLETED


@in_virtual_time
async def test_what_will_expire_later_wakes_nobody_for_long() -> None:
    async with an_engine() as (engine, store):
        engine.host.retention = Retention(any=3 * HOUR * SECOND)
        for _ in range(5):  # at any moment between two renewals
            await passes(500.7)
            before = store.asked
            await engine.finish(await engine.begin("chain", "1"))
            await passes(1)
            assert store.asked - before <= 10


@in_virtual_time
async def test_what_ended_before_a_rest_is_deleted_when_its_time_is_over() -> None:
    async with an_engine() as (engine, _):
        engine.host.retention = Retention(any=3 * HOUR * SECOND)
        await engine.finish(await engine.begin("chain", "1", instance_id="c"))
        await passes(3 * HOUR - 1)
        assert "c" in engine.database.records
        await passes(3)
        assert "c" not in engine.database.records
