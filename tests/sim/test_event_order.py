"""What was acknowledged first is heard first, whoever acknowledged it.

In scope: engines on one memory database in virtual time, and watches that are late or have lost their
place.  The same on a real etcd is in integration/store/test_etcd_order, and under faults it is I13 of
the simulation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from support.one_engine import OneEngine
from support.sharers import PARTITIONS, Sharers, of
from support.virtual import in_virtual_time, passes
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import Change


class Held:
    """A handle's watches, which say nothing until they are let go."""

    def __init__(self, sharers: Sharers, engine: OneEngine) -> None:
        self._database, self._store = sharers.database, engine.store
        self._late: list[tuple[asyncio.Queue[Change | None], asyncio.Queue[Change | None]]] = []

    def hold(self) -> None:
        """What comes from now on is late."""
        for n, (store, partition, changes) in enumerate(self._database.watchers):
            if store is self._store:
                late: asyncio.Queue[Change | None] = asyncio.Queue()
                self._late.append((late, changes))
                self._database.watchers[n] = (store, partition, late)

    def release(self) -> None:
        """All of it comes now, in order."""
        back = {id(late): changes for late, changes in self._late}
        for n, (store, partition, changes) in enumerate(self._database.watchers):
            self._database.watchers[n] = (store, partition, back.get(id(changes), changes))
        for late, changes in self._late:
            while not late.empty():
                changes.put_nowait(late.get_nowait())


@in_virtual_time
async def test_what_was_acknowledged_elsewhere_is_not_overtaken_at_the_owner() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await one.begin("listen", "3", of(one))
    await one.operations.wait(instance_id, end=False)
    watch = Held(sharers, one)
    watch.hold()
    for engine, word in ((two, "a"), (one, "b"), (two, "c")):
        await engine.operations.raise_event(instance_id, "word", word)
    watch.release()
    assert await one.finish(instance_id, within=1) == "a b c"
    await sharers.stop()


@in_virtual_time
async def test_what_a_workflow_sends_does_not_overtake_what_clients_sent_before() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await one.begin("listen", "2", of(one))
    await one.operations.wait(instance_id, end=False)
    watch = Held(sharers, one)
    watch.hold()
    await two.operations.raise_event(instance_id, "word", "a")
    await one.begin("tell", instance_id, of(one, "teller"))
    await passes(1)
    watch.release()
    assert await one.finish(instance_id, within=1) == "a b"
    await sharers.stop()


@in_virtual_time
async def test_what_a_watch_tells_behind_a_gap_does_not_overtake_what_was_in_it() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await one.begin("listen", "2", of(one))
    await one.operations.wait(instance_id, end=False)
    watchers = sharers.database.watchers
    sharers.database.watchers = []
    await two.operations.raise_event(instance_id, "word", "a")
    sharers.database.watchers = watchers
    active = one.store.active

    async def slow(partitions: Sequence[int], *, after: str | None, limit: int) -> list[str]:
        await passes(0.5)
        return await active(partitions, after=after, limit=limit)

    one.store.active = slow  # type: ignore[method-assign]
    mine = partition_of(instance_id, PARTITIONS)
    for store, partition, changes in watchers:
        if store is one.store and partition == mine:
            changes.put_nowait(Change("", gap=True))
    await two.operations.raise_event(instance_id, "word", "b")
    assert await one.finish(instance_id, within=2) == "a b"
    assert one.host.sharing is not None
    assert one.host.sharing.inboxes.missed == 0
    await sharers.stop()
