"""Several engines that share one memory database in virtual time, with toy workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any

from support.by_hand import HandWorker, call, done
from support.one_engine import OneEngine
from support.toy import All, Call, Child, Event, Send, Sleep
from support.virtual import passes
from tenure_sidecar.actors.sharing.decide import SIDECAR
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.store.memory import MemoryDatabase
from tenure_sidecar.store.partition import partition_of

Steps = Generator[Any, Any, Any]
PARTITIONS = 16
TTL = 10.0  # seconds of a lease


def chain(given: str | None) -> Steps:
    total = 0
    for step in range(int(given or "5")):
        total += int((yield Call("add", str(step))))
    return str(total)


def family(given: str | None) -> Steps:
    results = yield All([Child("chain", str(i)) for i in range(int(given or "12"))])
    return ",".join(results)


def nap(given: str | None) -> Steps:
    yield Sleep(float(given or "30"))
    return "awake"


def listen(given: str | None) -> Steps:
    heard = []
    for _ in range(int(given or "1")):
        heard.append((yield Event("word")))
    return " ".join(heard)


def tell(given: str | None) -> Steps:
    yield Send(given or "", "word", "b")
    return "told"


WORKFLOWS: dict[str, Any] = {
    "chain": chain,
    "family": family,
    "nap": nap,
    "listen": listen,
    "tell": tell,
}
ACTIVITIES: dict[str, Callable[[str | None], str | None]] = {
    "add": lambda given: str(int(given or "0") + 1)
}


class Sharers:
    """Engines on one database."""

    def __init__(self) -> None:
        self.database = MemoryDatabase(partitions=PARTITIONS)
        self.engines: dict[str, OneEngine] = {}

    async def start(
        self, name: str, *, workers: int = 1, role: str = SIDECAR, pod: str = ""
    ) -> OneEngine:
        engine = OneEngine(
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            seed=len(self.engines),
            database=self.database,
            identity=Identity(name, pod or name, role),
        )
        self.engines[name] = engine
        await engine.start(workers)
        return engine

    async def three(self) -> tuple[OneEngine, OneEngine, OneEngine]:
        found = [await self.start(name) for name in ("alpha", "beta", "gamma")]
        await settled(*found)
        return found[0], found[1], found[2]

    async def stop(self) -> None:
        for engine in self.engines.values():
            if not engine.host.stopping:
                await engine.host.stop()


def owned(engine: OneEngine) -> set[int]:
    return {fence.partition for fence in engine.host.fences()}


async def settled(*engines: OneEngine, within: float = 60.0) -> None:
    """Until every partition has an owner among them, and nothing moves any more."""
    async with asyncio.timeout(within):
        before: list[set[int]] = []
        while True:
            now = [owned(engine) for engine in engines]
            if sum(map(len, now)) == PARTITIONS and now == before:
                return
            before = now
            await passes(0.2)


def of(engine: OneEngine, word: str = "w") -> str:
    """An instance id in a partition of the engine's."""
    mine = owned(engine)
    return next(
        name for n in range(10_000) if partition_of(name := f"{word}{n}", PARTITIONS) in mine
    )


class Seen:
    """Connections to neighbours, of which one has ended."""

    address = word = ""

    def __init__(self, gone: str) -> None:
        self.suspects = {gone: ""}

    def links(self, near: Sequence[str], _members: object) -> Sequence[str]:
        """No more than the neighbours."""
        return near

    def watch(self, peers: object, *, keep: object) -> None:
        """Nothing more ends."""


class Held:
    """An instance of alpha's whose activity is at alpha's worker, and beta, which could take it over.

    Both have a worker that is played by hand.
    """

    def __init__(self) -> None:
        self.sharers = Sharers()

    async def begin(self) -> None:
        self.one = await self.sharers.start("alpha", workers=0)
        self.slow = HandWorker(self.one.dispatcher)
        await settled(self.one)
        self.id = await self.one.begin("chain", "1")
        await passes(0.1)
        self.slow.answer(self.slow.turns.popleft(), call(0, "add"))
        await passes(0.1)
        self.two = await self.sharers.start("beta", workers=0)
        self.heir = HandWorker(self.two.dispatcher)

    async def end(self) -> None:
        """Beta's worker has a turn, with which the workflow ends."""
        turn = self.heir.turns.popleft()
        assert turn.instance_id == self.id
        self.heir.answer(turn, done(result="all"))
        assert await self.two.finish(self.id) == "all"
        await self.sharers.stop()
