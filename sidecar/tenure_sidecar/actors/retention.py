"""The retention actor: deletes finished instances when their time is over.

Each ended instance that is not kept for ever has a reminder in the store, set in the transaction that
ended it (``engine/retention.py``).  This actor reads those that are due, soonest first and a batch at
a time, and deletes the instances with everything that they have.  The delete names the generation
that the reminder was set for: an id that was used again, or an instance that was rewound, is safe.

What is due and cannot be deleted (that would be a fault of ours, or of the data) is told once, left
alone, and holds up nothing behind it.

A backlog (the engine was off for a week) is worked off at ``rate`` instances a second and no faster,
in writes that take the company of others and are never urgent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import TenureError
from tenure_sidecar.engine.events import NANOS, Status
from tenure_sidecar.engine.retention import NEVER
from tenure_sidecar.store.calm import Calm
from tenure_sidecar.store.group import LINGER
from tenure_sidecar.store.port import Delivery, Purge

if TYPE_CHECKING:
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.engine.turn import Timer
    from tenure_sidecar.store.group import GroupWriter
    from tenure_sidecar.store.port import Result, Store

BATCH = 100  # instances read and deleted at a time
_STUCK_MAX = 10_000  # reminders passed over; beyond so many, those behind them wait
_SLEEP = 60.0  # seconds: the longest sleep, for what other processes ended and clocks set forward
_SKIPS = 60  # looks left out in a row while nothing changes and nothing is due: an hour
_RETRY = 1.0  # seconds after a failure
_TERMINAL = frozenset(s for s in Status if s.terminal)

_log = structlog.get_logger(__name__)


class RetentionActor:
    """See the module docstring.

    Args:
        partitions: those that this process owns now.
        purged: told the id of each instance that is gone.
        rate: instances deleted a second, at most.
    """

    def __init__(  # noqa: PLR0913 - the composition root passes each part once
        self,
        store: Store,
        *,
        writer: GroupWriter,
        partitions: Callable[[], Sequence[int]],
        purged: Callable[[str], None],
        clock: Clock,
        rate: float,
    ) -> None:
        self._store = store
        self._writer = writer
        self._partitions = partitions
        self._purged = purged
        self._clock = clock
        self._rate = rate
        self._next = 0  # ns: when the next one expires, as far as is known
        self._sooner = asyncio.Event()
        self._stuck: set[Timer] = set()  # due, and not to be deleted
        self.deleted = 0  # since start

    def expect(self, due: int) -> None:
        """An instance expires at ``due``, nanoseconds since the epoch."""
        if due < self._next:
            self._next = due
            self._sooner.set()

    async def run(self) -> None:
        """Delete what expires, until cancelled."""
        calm = Calm(self._store, skips=_SKIPS)
        while True:
            if calm.lasts() and self._clock() < self._next:
                await self._rest()
                continue
            try:
                found, deleted = await self.sweep()
                if found:
                    calm.end()
                    # What cannot be deleted must not be tried in a tight loop.
                    await asyncio.sleep(found / self._rate if deleted else _RETRY)
                    continue
                self._next = await self._look_ahead()
            except TenureError as error:
                calm.end()
                _log.warning("deleting expired instances failed", error=str(error))
                await asyncio.sleep(_RETRY)
                continue
            await self._rest()

    async def _rest(self) -> None:
        """Sleep until something expires, but no longer than a minute."""
        self._sooner.clear()  # what it told is in ``_next``
        wait = min(_SLEEP, (self._next - self._clock()) / NANOS)
        try:
            async with asyncio.timeout(max(0.0, wait)):
                await self._sooner.wait()
        except TimeoutError:
            pass

    async def _look_ahead(self) -> int:
        """When the next reminder is due."""
        self._next = NEVER  # an instance that ends during the read counts
        limit = 1 + len(self._stuck)
        found = await self._store.expired(self._partitions(), until=NEVER, limit=limit)
        first = next((timer for timer in found if timer not in self._stuck), None)
        return min(self._next, first.due if first else NEVER)

    async def sweep(self) -> tuple[int, int]:
        """One batch: how many were due, and how many of them were deleted.  Raises: TenureError."""
        limit = BATCH + len(self._stuck)
        found = await self._store.expired(self._partitions(), until=self._clock(), limit=limit)
        self._stuck.intersection_update(found)
        due = [timer for timer in found if timer not in self._stuck][:BATCH]
        outcomes = await asyncio.gather(*map(self._delete, due), return_exceptions=True)
        deleted = 0
        for timer, outcome in zip(due, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is Delivery.DELIVERED:
                deleted += 1
                self._purged(timer.instance_id)
            elif outcome is Delivery.REFUSED:
                _log.warning("an expired instance was not deleted", instance=timer.instance_id)
                if len(self._stuck) < _STUCK_MAX:
                    self._stuck.add(timer)
        self.deleted += deleted
        return len(due), deleted

    async def _delete(self, timer: Timer) -> Result:
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def written(result: Result | BaseException) -> None:
            if done.done():
                return
            if isinstance(result, BaseException):
                done.set_exception(result)
            else:
                done.set_result(result)

        op = Purge(timer.instance_id, only=_TERMINAL, generation=timer.generation)
        self._writer.submit(op, written, instance_id=timer.instance_id, linger=LINGER)
        return await done
