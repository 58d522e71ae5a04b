"""Reminders: the due-time index of the owned partitions, seen through a window.

The store has every timer; memory holds only those due within the next window (``WINDOW`` seconds)
and the time up to which the window is complete.  A timer fires when the wall clock has passed its
due time, never earlier, at least once: its row goes in the commit of the turn that consumed it.
Setting the wall clock back delays timers, setting it forward brings them forward: they follow the
store's time base, as users expect of "at 09:00".
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import TenureError
from tenure_sidecar.engine.events import NANOS
from tenure_sidecar.engine.retention import NEVER
from tenure_sidecar.engine.turn import RETENTION
from tenure_sidecar.store.calm import Calm
from tenure_sidecar.store.partition import partition_of

if TYPE_CHECKING:
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.engine.turn import Timer
    from tenure_sidecar.store.port import Store

WINDOW = 30  # seconds ahead that memory knows
PAGE = 2_000  # timers read at a time
_ALL = 2**31 - 1
_RECHECK = 1.0  # seconds: the longest sleep, so that a clock set forward is noticed
_RETRY = 1.0  # seconds after a failed read

_log = structlog.get_logger(__name__)


class Reminders:
    """Fires timers of the given partitions; ``fire`` is called on the event loop."""

    def __init__(
        self,
        store: Store,
        *,
        partitions: Iterable[int],
        clock: Clock,
        fire: Callable[[Timer], None],
    ) -> None:
        self._store = store
        self._partitions = tuple(partitions)
        self._count = store.partitions
        self._clock = clock
        self._fire = fire
        self._heap: list[tuple[int, str, int, Timer]] = []
        self._known: set[tuple[int, str, int]] = set()
        self._horizon = 0  # every timer due before it was read: it is in the heap or was fired
        self._reading = 0  # the horizon after the read under way
        self._changed = asyncio.Event()
        self._anew = False  # the window is to be read again, for partitions that came
        self._calm = Calm(store)
        self._first: int | None = (
            None  # while nothing changes: the first one due behind the horizon
        )

    @property
    def waiting(self) -> int:
        """Timers in the window."""
        return len(self._heap)

    def set(self, timers: Sequence[Timer]) -> None:
        """Timers that are durable now (later ones than the window are read when it gets there).

        Those of retention are the retention actor's.
        """
        horizon = max(self._horizon, self._reading)
        for timer in timers:
            if timer.kind == RETENTION:
                continue
            if timer.due < horizon:
                self._push(timer)
            elif self._first is not None:
                self._first = min(self._first, timer.due)

    def add(self, partitions: Collection[int]) -> None:
        """Fire the timers of these, too."""
        self._partitions = tuple(sorted({*self._partitions, *partitions}))
        self._anew = True
        self._changed.set()

    def remove(self, partitions: Collection[int]) -> None:
        """Forget the timers of these."""
        self._partitions = tuple([one for one in self._partitions if one not in partitions])
        self._heap = [
            one for one in self._heap if partition_of(one[1], self._count) not in partitions
        ]
        heapq.heapify(self._heap)
        self._known = {one[:3] for one in self._heap}

    def _push(self, timer: Timer) -> None:
        key = (timer.due, timer.instance_id, timer.timer_id)
        if key in self._known:
            return
        self._known.add(key)
        soonest = self._heap[0][0] if self._heap else None
        heapq.heappush(self._heap, (*key, timer))
        if soonest is None or timer.due < soonest:
            self._changed.set()

    async def run(self) -> None:
        """Fire timers until cancelled."""
        while True:
            now = self._clock()
            if self._anew:
                self._anew, self._horizon, self._first = False, 0, None
                self._calm.end()
            try:
                if now + WINDOW * NANOS // 2 >= self._horizon:
                    await self._move(now)
            except TenureError as error:
                _log.warning("reading timers failed", error=str(error), retry_seconds=_RETRY)
                await asyncio.sleep(_RETRY)
                continue
            self._fire_due()
            delay = _RECHECK
            if self._heap:
                delay = min(delay, max(0.0, (self._heap[0][0] - self._clock()) / NANOS))
            if self._anew:
                continue
            self._changed.clear()
            if self._heap and self._heap[0][0] <= self._clock():
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _fire_due(self) -> None:
        now = self._clock()
        for _ in range(PAGE):  # then let the loop breathe: ten thousand may be due at once
            if not self._heap or self._heap[0][0] > now:
                return
            due, instance_id, timer_id, timer = heapq.heappop(self._heap)
            self._known.discard((due, instance_id, timer_id))
            self._fire(timer)

    async def _move(self, now: int) -> None:
        """Move the horizon on.

        While nothing has changed in the store, what is due next is known after one question, and
        the window moves towards it without another one.
        """
        until = now + WINDOW * NANOS
        if not self._calm.lasts():
            self._first = None
        elif self._first is None:
            await self._look_ahead()
        if self._first is not None and until < self._first:
            self._horizon = max(self._horizon, until + 1)
            return
        self._first = None
        try:
            await self._extend(now)
        except TenureError:
            self._calm.end()
            raise

    async def _look_ahead(self) -> None:
        """Learn what is due first behind the horizon."""
        self._first = NEVER  # a timer that is set during the read counts
        try:
            found = await self._store.due(
                self._partitions, since=self._horizon, until=NEVER, limit=1
            )
        except BaseException:
            self._first = None
            self._calm.end()
            raise
        if found:
            self._first = min(self._first, found[0].due)

    async def _extend(self, now: int) -> None:
        """Read the next part of the window; a full page moves the horizon only as far as it got.

        Timers before the horizon are not read again: whoever loads an instance sets its timers
        (``set``), so one that fired but was not consumed comes back with its instance.
        """
        until = now + WINDOW * NANOS
        self._reading = until + 1
        since = self._horizon
        timers = await self._store.due(self._partitions, since=since, until=until, limit=PAGE)
        horizon = until + 1
        if len(timers) == PAGE:
            horizon = timers[-1].due
            if horizon == since or timers[0].due == horizon:
                # More than a page at one instant: take them all, or the window could never move.
                timers = await self._store.due(
                    self._partitions, since=horizon, until=horizon, limit=_ALL
                )
                horizon += 1
        self._horizon = max(self._horizon, horizon)
        for timer in timers:
            self._push(timer)
