"""Events acknowledged by two engines over a real etcd keep their order, at so many transactions.

In scope: the owner's watch, held back or not, and what an event costs at the owner and elsewhere.
Out of scope: watches that lose their place (sim/test_event_order), faults (the simulation).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Generator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from integration.store.conftest import an_etcd_store
from support.etcd import Cluster
from support.one_engine import OneEngine
from support.toy import Event
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.store.etcd import EtcdStore
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import Change

WITHIN = 60  # seconds: a bound for a broken engine, not a target


def listen(given: str | None) -> Generator[Any, Any, Any]:
    heard = []
    for _ in range(int(given or "1")):
        heard.append((yield Event("word")))
    return " ".join(heard)


class Gate:
    """What the watches of a store tell waits while it is shut."""

    def __init__(self, store: EtcdStore) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.told = 0
        self._watch = store.watch
        store.watch = self.watch  # type: ignore[method-assign]

    async def watch(self, partition: int) -> AsyncIterator[Change]:
        async for change in self._watch(partition):
            await self.open.wait()
            self.told += not change.gap
            yield change


class Two:
    """Two engines of one app, and the gate of the first one's watches."""

    def __init__(self, cluster: Cluster, stack: AsyncExitStack) -> None:
        self._cluster = cluster
        self._stack = stack
        self._app = uuid.uuid4().hex

    async def start(self) -> None:
        self.one, self.gate = await self._start("alpha")
        self.two, _ = await self._start("beta")
        async with asyncio.timeout(WITHIN):
            while not self._spread():
                await asyncio.sleep(0.02)

    async def _start(self, name: str) -> tuple[OneEngine, Gate]:
        store = an_etcd_store(self._cluster, app=self._app)
        await store.open()
        self._stack.push_async_callback(store.close)
        gate = Gate(store)
        engine = OneEngine(
            workflows={"listen": listen},
            activities={},
            store=store,
            seed=len(name),
            identity=Identity(name, pod=name),
        )
        await engine.start()
        self._stack.push_async_callback(engine.host.stop)
        return engine, gate

    def _spread(self) -> bool:
        counts = [len(engine.host.fences()) for engine in (self.one, self.two)]
        return sum(counts) == self.one.host.store.partitions and min(counts) > 0

    async def listener(self, events: int) -> str:
        """An instance of the first one's that waits for so many events."""
        mine = {fence.partition for fence in self.one.host.fences()}
        partitions = self.one.host.store.partitions
        names = (uuid.uuid4().hex for _ in range(10_000))
        name = next(name for name in names if partition_of(name, partitions) in mine)
        await self.one.begin("listen", str(events), name)
        await self.one.operations.wait(name, end=False)
        return name


@pytest.fixture
async def both(etcd_server: Cluster) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        two = Two(etcd_server, stack)
        await two.start()
        yield two


async def test_the_owner_does_not_overtake_what_was_acknowledged_elsewhere(both: Two) -> None:
    instance_id = await both.listener(4)
    both.gate.open.clear()
    told = both.gate.told
    for engine, word in ((both.two, "a"), (both.one, "b"), (both.two, "c"), (both.one, "d")):
        await engine.operations.raise_event(instance_id, "word", word)
    assert both.gate.told == told  # the owner has heard of none
    both.gate.open.set()
    assert await both.two.finish(instance_id, within=WITHIN) == "a b c d"


async def test_a_large_event_is_not_overtaken_either(both: Two) -> None:
    instance_id = await both.listener(2)
    large = "x" * 300_000  # its watch does not have it, it has to be read
    await both.two.operations.raise_event(instance_id, "word", large)
    await both.one.operations.raise_event(instance_id, "word", "b")
    assert await both.two.finish(instance_id, within=WITHIN) == f"{large} b"


async def test_an_event_costs_two_transactions_wherever_it_is_raised(both: Two) -> None:
    for engine in (both.one, both.two):
        instance_id = await both.listener(10)
        commits = _transactions(both)
        for n in range(10):
            await engine.operations.raise_event(instance_id, "word", str(n))
            async with asyncio.timeout(WITHIN):
                while len(await _history(both, instance_id)) < n + 1:
                    await asyncio.sleep(0.005)
        await both.one.operations.wait(instance_id, end=True)
        assert _transactions(both) - commits == 20  # the event itself, and the turn that takes it


def _transactions(both: Two) -> int:
    stores = [engine.host.store for engine in (both.one, both.two)]
    return sum(store._writer.commits for store in stores if isinstance(store, EtcdStore))


async def _history(both: Two, instance_id: str) -> list[str]:
    _, history = await both.two.operations.history(instance_id)
    return [event.name for event in history if type(event).__name__ == "EventRaised"]
