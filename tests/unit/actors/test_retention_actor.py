"""The retention actor's batches: what cannot be deleted holds up nothing behind it.

Out of scope: its timing and a whole engine around it (tests/sim).
"""

from __future__ import annotations

import asyncio

from integration.store.samples import RETENTION, Hub, a_timer
from tenure_sidecar.actors.retention import BATCH, RetentionActor
from tenure_sidecar.store.group import GroupWriter
from tenure_sidecar.store.memory import MemoryStore

NOW = 1_000_000


async def an_actor(store: MemoryStore) -> RetentionActor:
    loop = asyncio.get_running_loop()
    return RetentionActor(
        store,
        writer=GroupWriter(store, call_later=loop.call_later, now=loop.time),
        partitions=lambda: range(store.partitions),
        purged=lambda _: None,
        clock=lambda: NOW,
        rate=500.0,
    )


async def test_what_cannot_be_deleted_holds_up_nothing() -> None:
    store = MemoryStore()
    await store.open()
    hub = Hub(store)
    await hub.own()
    # Instances that run have no reminder of retention, unless something is wrong with the data.
    running = [f"r-{number}" for number in range(BATCH + 20)]
    for one in running:
        await hub.running(one, timers_set=(a_timer(one, 1, kind=RETENTION),))
    await hub.running("ended")
    await hub.finish("ended", timers_set=(a_timer("ended", 2, kind=RETENTION),))
    actor = await an_actor(store)
    sweeps = [await actor.sweep() for _ in range(3)]
    assert sweeps == [(BATCH, 0), (21, 1), (0, 0)]
    assert await store.head("ended") is None
    assert (await hub.counts())["instances"] == len(running)


async def test_one_that_ends_after_all_is_deleted() -> None:
    store = MemoryStore()
    await store.open()
    hub = Hub(store)
    await hub.own()
    await hub.running("late", timers_set=(a_timer("late", 1, kind=RETENTION),))
    actor = await an_actor(store)
    assert await actor.sweep() == (1, 0)
    later = a_timer("late", 3, kind=RETENTION)
    await hub.finish(
        "late", timers_cleared=(a_timer("late", 1, kind=RETENTION),), timers_set=(later,)
    )
    assert await actor.sweep() == (1, 1)
    assert await store.head("late") is None
