"""Members of one app in this process that lend each other activities, with workers played by hand.

Real: the engines, their memory store, the connections on loopback.  The workers take what they are
sent and answer when a test tells them to, so that who has how much is seen exactly.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from support.by_hand import HandWorker, call
from support.one_engine import OneEngine
from tenure_sidecar.actors.port import Clock
from tenure_sidecar.actors.sharing.placement import place
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.dispatch.stream import Caps
from tenure_sidecar.peers.borrower import Borrower
from tenure_sidecar.peers.link import Link
from tenure_sidecar.peers.tls import PeerTls
from tenure_sidecar.store.memory import MemoryDatabase
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.wire.codec import Hello

PARTITIONS = 16
WITHIN = 90.0  # seconds: a bound for a broken engine, not a target


async def until(true: Callable[[], object], what: str) -> None:
    """Wait for what connections bring.  Raises: TimeoutError, with what never came."""
    try:
        async with asyncio.timeout(WITHIN):
            while not true():
                await asyncio.sleep(0.001)
    except TimeoutError:
        message = f"never came: {what}"
        raise TimeoutError(message) from None


class Member(OneEngine):
    """One engine and its workers."""

    def __init__(
        self,
        name: str,
        *,
        database: MemoryDatabase,
        seed: int,
        tls: PeerTls | None,
        clock: Clock | None,
    ) -> None:
        super().__init__(
            workflows={},
            activities={},
            seed=seed,
            database=database,
            identity=Identity(name, pod=name),
            connects=True,
            tls=tls,
            clock=clock,
        )
        self.name = name
        self._words = itertools.count()

    def worker(
        self, slots: int, *, hello: Hello = Hello(), message_bytes: int = 4 * 1024 * 1024
    ) -> HandWorker:
        """One more worker, with so many slots for activities."""
        caps = Caps(activities=slots, message_bytes=message_bytes)
        return HandWorker(self.dispatcher, caps=caps, hello=hello, peer=self.name)

    @property
    def partitions(self) -> set[int]:
        """What it owns."""
        return {fence.partition for fence in self.host.fences()}

    @property
    def lending(self) -> int:
        """Members that it may lend to."""
        return len([s for s in self.dispatcher._streams.values() if s.far])

    @property
    def links(self) -> list[Link]:
        """On which it lends."""
        assert self.mesh is not None
        return list(self.mesh._open)

    @property
    def borrowers(self) -> list[Borrower]:
        """On which it borrows."""
        assert self.mesh is not None
        return list(self.mesh._borrowers._all.values())

    def own(self) -> str:
        """A new instance id in a partition of its."""
        word = f"w{next(self._words)}-"
        mine = self.partitions
        return next(n for i in range(10_000) if partition_of(n := f"{word}{i}", PARTITIONS) in mine)


class Members:
    """See the module docstring."""

    def __init__(self) -> None:
        self.database = MemoryDatabase(partitions=PARTITIONS)
        self.all: list[Member] = []

    async def start(
        self, name: str, *, tls: PeerTls | None = None, clock: Clock | None = None
    ) -> Member:
        """One more member, without workers."""
        seed = len(self.all) + 1
        member = Member(name, database=self.database, seed=seed, tls=tls, clock=clock)
        self.all.append(member)
        await member.start(workers=0)
        return member

    async def settled(self) -> None:
        """Wait until all partitions are shared, and everybody may lend to everybody."""
        here = [one for one in self.all if not one.host.stopping]
        await until(
            lambda: all(one.lending == len(here) - 1 for one in here), "everybody is connected"
        )
        wanted = place(PARTITIONS, [one.name for one in here if one.dispatcher.workers])
        await until(
            lambda: {p: one.name for one in here for p in one.partitions} == wanted,
            "every partition is where it stays",
        )

    async def stop(self) -> None:
        """End all that are left."""
        for one in self.all:
            if not one.host.stopping:
                await one.crash()


async def fan_out(
    owner: Member, worker: HandWorker, count: int, *, name: str = "work", given: str = ""
) -> str:
    """An instance of the owner's that has scheduled so many activities; its id."""
    instance_id = await owner.begin("flow", instance_id=owner.own())
    await until(lambda: worker.turns, "the first turn")
    inputs = [given or str(task_id) for task_id in range(count)]
    turn = worker.turns.popleft()
    actions = [call(task_id, name, given) for task_id, given in enumerate(inputs)]
    answer = worker.answer(turn, *actions)
    await until(lambda: answer.errors, "the turn is durable")
    assert answer.acknowledged
    return instance_id
