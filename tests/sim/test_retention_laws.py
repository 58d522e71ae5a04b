"""Finished instances are deleted when their time is over, and nothing else is.  In virtual time.

Laws: never before its time; everything of it goes; what was used again or brought back stays; a
backlog is worked off at the rate that is set, and the workflows that run do not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support.one_engine import OneEngine
from support.toy import ActivityError, Call, Child, Event, Sleep
from support.virtual import run
from tenure_common.errors import NoSuchInstanceError, OutcomeUnknownError, StoreUnavailableError
from tenure_sidecar.actors.retention import BATCH, RetentionActor
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.retention import RETENTION_TAG, Retention
from tenure_sidecar.engine.starting import start
from tenure_sidecar.store.memory import MemoryDatabase
from tenure_sidecar.store.port import Commit, Op

SECOND = 10**9


def empty(given: str | None) -> Generator[Any, Any, Any]:
    return given
    yield


def nap(given: str | None) -> Generator[Any, Any, Any]:
    yield Sleep(float(given or "60"))
    return "awake"


def ask(_given: str | None) -> Generator[Any, Any, Any]:
    return (yield Event("answer"))


def fails(_given: str | None) -> Generator[Any, Any, Any]:
    return (yield Call("fail"))


def family(_given: str | None) -> Generator[Any, Any, Any]:
    return (yield Child("empty", "1"))


WORKFLOWS = {"empty": empty, "nap": nap, "ask": ask, "fails": fails, "family": family}


class Engine(OneEngine):
    """One engine with a retention actor."""

    def __init__(
        self, retention: Retention, *, rate: float = 500, database: MemoryDatabase | None = None
    ) -> None:
        self.broken = True
        super().__init__(workflows=WORKFLOWS, activities={"fail": self._fail}, database=database)
        self.retention = retention
        self.rate = rate

    def _fail(self, given: str | None) -> str | None:
        if self.broken:
            raise ActivityError("no")
        return given

    async def start(self, workers: int = 1) -> None:
        await super().start(workers)
        self.host.retention = self.retention
        self.actor = RetentionActor(
            self.store,
            writer=self.writer,
            partitions=lambda: [fence.partition for fence in self.host.fences()],
            purged=self.host.purged,
            clock=self.loop.wall_ns,
            rate=self.rate,
        )
        self.host.expiring = self.actor.expect
        self._actor_task = self.loop.create_task(self.actor.run())

    async def crash(self) -> None:
        self._actor_task.cancel()
        await super().crash()

    def there(self) -> set[str]:
        """Every instance that there is."""
        return set(self.database.records)


@asynccontextmanager
async def engine(
    kept: Retention = Retention(any=60 * SECOND), **options: Any
) -> AsyncIterator[Engine]:
    one = Engine(kept, **options)
    await one.start()
    yield one
    await one.crash()


def test_not_before_its_time_and_then_all_of_it() -> None:
    async def main() -> None:
        async with engine() as one:
            await one.begin("ask", instance_id="other")
            await one.finish(await one.begin("family", instance_id="a"))
            head = await one.store.head("a")
            assert head is not None
            assert head.expires_at == head.completed_at + 60 * SECOND
            await asyncio.sleep((head.expires_at - one.loop.wall_ns()) / SECOND - 0.1)
            assert one.there() >= {"a", "other"}
            await asyncio.sleep(1)
            assert one.there() == {"other"}
            stats = await one.store.stats()
            assert stats["timers"] == 0
            assert one.actor.deleted == 2  # the child has a reminder of its own

    run(main())


def test_deleted_at_once_and_the_result_is_told_before() -> None:
    async def main() -> None:
        async with engine(Retention(any=0)) as one:
            assert await one.finish(await one.begin("empty", "7", instance_id="a")) == "7"
            await asyncio.sleep(1)
            assert one.there() == set()

    run(main())


def test_an_end_of_which_nobody_heard_counts() -> None:
    async def main() -> None:
        async with engine(Retention(any=5 * SECOND)) as one:

            def unknown(ops: Sequence[Op]) -> BaseException | None:
                ends = [op for op in ops if isinstance(op, Commit) and op.turn.head.completed_at]
                return OutcomeUnknownError("no answer") if ends else None

            one.store.after = unknown
            assert await one.finish(await one.begin("empty", "7", instance_id="a")) == "7"
            await asyncio.sleep(6)
            assert one.there() == set()

    run(main())


def test_each_status_has_its_time() -> None:
    async def main() -> None:
        kept = Retention(
            any=None, by_status={Status.COMPLETED: 10 * SECOND, Status.TERMINATED: 100 * SECOND}
        )
        async with engine(kept) as one:
            await one.finish(await one.begin("empty", instance_id="done"))
            await one.begin("fails", instance_id="bad")
            await one.operations.wait("bad", end=True)
            await one.begin("ask", instance_id="killed")
            await one.operations.terminate("killed", None, recurse=True)
            await asyncio.sleep(50)
            assert one.there() == {"bad", "killed"}
            await asyncio.sleep(100)
            assert one.there() == {"bad"}
            await asyncio.sleep(10_000)
            assert one.there() == {"bad"}

    run(main())


async def begin_with_tag(one: Engine, instance_id: str, tag: str) -> None:
    creation = start(
        "empty",
        instance_id=instance_id,
        tags={RETENTION_TAG: tag},
        now=one.loop.wall_ns(),
        ids=one.operations.ids,
    )
    await one.operations.start(creation)
    await one.operations.wait(instance_id, end=True)


def test_an_instance_can_say_for_itself() -> None:
    async def main() -> None:
        async with engine() as one:
            for instance_id, tag in {"short": "5s", "long": "1h", "ever": "forever"}.items():
                await begin_with_tag(one, instance_id, tag)
            await asyncio.sleep(30)
            assert one.there() == {"long", "ever"}
            await asyncio.sleep(3600)
            assert one.there() == {"ever"}

    run(main())


def test_a_change_of_the_settings_does_not_reach_back() -> None:
    async def main() -> None:
        async with engine(Retention()) as one:
            await one.finish(await one.begin("empty", instance_id="before"))
            await one.crash()
            one.retention = Retention(any=SECOND)
            await one.start()
            await one.finish(await one.begin("empty", instance_id="after"))
            await asyncio.sleep(10_000)
            assert one.there() == {"before"}

    run(main())


def test_a_longer_time_does_not_reach_back_either() -> None:
    async def main() -> None:
        async with engine() as one:
            await one.finish(await one.begin("empty", instance_id="a"))
            one.host.retention = Retention()
            await asyncio.sleep(100)
            assert one.there() == set()

    run(main())


def test_an_id_that_is_used_again_is_not_deleted_for_the_run_before() -> None:
    async def main() -> None:
        async with engine() as one:
            await one.finish(await one.begin("empty", instance_id="a"))
            await asyncio.sleep(30)
            await one.begin("nap", "45", instance_id="a")
            await asyncio.sleep(40)  # the first run's time is over
            assert one.there() == {"a"}
            await one.finish("a")
            await asyncio.sleep(59)
            assert one.there() == {"a"}
            await asyncio.sleep(2)
            assert one.there() == set()

    run(main())


def test_a_rewound_instance_is_not_deleted() -> None:
    async def main() -> None:
        async with engine() as one:
            await one.begin("fails", instance_id="a")
            await one.operations.wait("a", end=True)
            assert (await one.store.stats())["timers"] == 1
            one.broken = False
            await asyncio.sleep(30)
            await one.operations.rewind("a", None)
            await one.finish("a")
            head = await one.store.head("a")
            assert head is not None
            assert head.expires_at == head.completed_at + 60 * SECOND
            assert (await one.store.stats())["timers"] == 1
            await asyncio.sleep(55)
            assert one.there() == {"a"}
            await asyncio.sleep(10)
            assert one.there() == set()

    run(main())


@pytest.mark.parametrize("seed", range(3))
def test_what_expired_while_the_engine_was_off_goes_when_it_is_back(seed: int) -> None:
    async def main() -> None:
        async with engine() as one:
            for n in range(20):
                await one.finish(await one.begin("empty", instance_id=f"i{n}"))
            await one.crash()
            await asyncio.sleep(100 + seed)
            await one.start()
            await asyncio.sleep(5)
            assert one.there() == set()

    run(main())


def test_a_backlog_is_worked_off_at_the_rate_and_hurts_nobody() -> None:
    async def main() -> None:
        count = 5 * BATCH
        async with engine(rate=100) as one:
            for n in range(count):
                await one.begin("empty", instance_id=f"i{n:04}")
            await asyncio.sleep(1)
            await one.crash()
            await asyncio.sleep(1000)
            await one.start()
            began = one.loop.time()
            left = len(one.there())
            while left:
                gone = count - left
                assert gone <= (one.loop.time() - began) * one.rate + BATCH
                naps_at = one.loop.time()
                await one.finish(await one.begin("nap", "0.5", instance_id="nap"))
                assert one.loop.time() - naps_at < 1  # half a second, and no waiting for the rest
                await one.operations.purge("nap", recursive=False)
                left = len(one.there())
            assert one.loop.time() - began >= (count - BATCH) / one.rate

    run(main())


def test_a_store_that_fails_is_tried_again() -> None:
    async def main() -> None:
        async with engine() as one:
            await one.finish(await one.begin("empty", instance_id="a"))
            errors = iter([StoreUnavailableError("away")] * 3)
            one.store.before = lambda _ops: next(errors, None)
            await asyncio.sleep(100)
            assert one.there() == set()

    run(main())


def test_waiters_hear_of_the_end_of_it() -> None:
    async def main() -> None:
        async with engine(Retention(any=0)) as one:
            await one.begin("nap", "5", instance_id="a")
            await one.finish("a")
            await asyncio.sleep(1)
            with pytest.raises(NoSuchInstanceError):
                await one.operations.wait("a", end=True)

    run(main())
