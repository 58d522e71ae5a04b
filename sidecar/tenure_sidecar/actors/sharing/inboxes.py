"""How an owner hears of what others send to its partitions: a watch of each, and a slow sweep.

A watch begins with a gap: from there on nothing is missed, so what is there already is looked for
then (``resume``), and again whenever the watch has lost its place.  What comes meanwhile must not
overtake what is looked for: it is looked for as well.  The sweep asks the store from
time to time for rows that nobody here knows, those of delayed starts when their time has come, and
lets the watches tell first what they are behind with.  It should never find one: ``missed`` counts
them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

import structlog

from tenure_common.errors import StoreError
from tenure_sidecar.actors.ownership import resume
from tenure_sidecar.actors.reminders import WINDOW
from tenure_sidecar.engine.turn import START, START_KEY
from tenure_sidecar.store.calm import Calm
from tenure_sidecar.store.port import by_watch

if TYPE_CHECKING:
    from tenure_sidecar.actors.loops import Loops
    from tenure_sidecar.store.coordination import Coordination
    from tenure_sidecar.store.port import Change, Store

SWEEP = 6  # seconds between sweeps; with the age of what a store knows of itself, no more than 10
SKIPS = 99  # sweeps left out in a row while nothing changes: ten minutes
# Except for one: a delayed start that nobody heard of comes due within the reminders' window, and
# those behind it the reminders read.
_LATE = WINDOW // SWEEP + 2
SURE = 2.0  # seconds after which a row that the watch was past, and is still unknown, was missed
PATIENCE = 10.0  # seconds for watches to tell what they are behind with, a dead stream's among them
_PAGE = 1_000
_RETRY = 0.5  # seconds until a watch that failed is begun anew

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Who is told."""

    def arrived(self, change: Change) -> None:
        """The watch tells of a row."""
        ...

    def refresh(self, instance_id: str) -> None:
        """Look whether there is something new for the instance."""
        ...

    def knows(self, instance_id: str, key: str) -> bool:
        """Whether the row is known here, or will be without anybody's help."""
        ...

    def now(self) -> int:
        """The wall clock, nanoseconds since the Unix epoch."""
        ...


class Inboxes:
    """See the module docstring."""

    def __init__(self, store: Store, coordination: Coordination, *, listener: Listener) -> None:
        self._store = store
        self._coordination = coordination
        self._listener = listener
        self._watches: dict[int, asyncio.Task[None]] = {}
        self._unlisted: set[int] = set()
        self._resuming: set[int] = set()  # are being looked at
        self._listing: asyncio.Task[None] | None = None
        self.missed = 0  # rows that the sweep found

    def start(self, loops: Loops) -> None:
        """Sweep until the loops are stopped."""
        loops.start("inbox sweep", self._sweep)

    def open(self, partitions: Collection[int]) -> None:
        """These are ours: watch them, and resume what is in them."""
        for partition in partitions:
            self._watches[partition] = asyncio.get_running_loop().create_task(
                self._follow(partition), name=f"inbox watch {partition}"
            )

    def close(self, partitions: Collection[int]) -> None:
        """These are not ours any more."""
        self._unlisted.difference_update(partitions)
        for partition in partitions:
            watch = self._watches.pop(partition, None)
            if watch is not None:
                watch.cancel()

    def abort(self) -> None:
        """End everything and do not wait."""
        self.close(tuple(self._watches))
        if self._listing is not None:
            self._listing.cancel()

    async def _follow(self, partition: int) -> None:
        while True:
            try:
                async for change in self._store.watch(partition):
                    if change.gap:
                        self._list(partition)
                    elif self._looking(partition) and change.item and by_watch(change.item):
                        self._listener.refresh(change.instance_id)
                    else:
                        self._listener.arrived(change)
            except StoreError as error:
                _log.warning("watching a partition failed", partition=partition, error=str(error))
            except Exception:  # noqa: BLE001 - a bug with one message must not deafen the partition
                _log.exception("a message was not taken in", partition=partition)
            else:  # the store is closed
                return
            await asyncio.sleep(_RETRY)

    def _list(self, partition: int) -> None:
        self._unlisted.add(partition)
        if self._listing is None or self._listing.done():
            self._listing = asyncio.get_running_loop().create_task(self._list_all(), name="resume")

    def _looking(self, partition: int) -> bool:
        """Whether what is in the partition is still being looked for."""
        return partition in self._unlisted or partition in self._resuming

    async def _list_all(self) -> None:
        """Look at the partitions whose watches began, as many in one read as there are by now."""
        while self._unlisted:
            await asyncio.sleep(0)
            self._resuming, self._unlisted = self._unlisted, set()
            try:
                partitions = tuple(sorted(self._resuming))
                await resume(self._store, partitions, self._listener.refresh)
            finally:
                self._resuming = set()

    # --- the sweep ----------------------------------------------------------------------------

    async def _sweep(self) -> None:
        calm = Calm(self._store, skips=SKIPS)
        while True:
            await asyncio.sleep(SWEEP)
            if calm.lasts() and calm.skipped != _LATE:
                continue
            try:
                if await self.sweep():
                    calm.end()
            except StoreError as error:
                calm.end()
                _log.warning("sweeping inboxes failed", error=str(error))

    async def sweep(self) -> int:
        """Look for rows that were missed, and see to them; how many.  Raises: StoreError."""
        unknown = await self._unknown()
        if not unknown:
            return 0
        # Most are on their way, or were taken since they were read.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._coordination.heard()
        await asyncio.sleep(SURE)
        missed = unknown & await self._unknown()
        for instance_id in sorted({instance_id for instance_id, _ in missed}):
            _log.error("a message was missed by the watch and found by the sweep", of=instance_id)
            self._listener.refresh(instance_id)
        self.missed += len(missed)
        return len(missed)

    async def _unknown(self) -> set[tuple[str, str]]:
        partitions = tuple(sorted(self._watches.keys() - self._unlisted - self._resuming))
        found = await self._overdue(partitions)
        after: tuple[str, str] | None = None
        while partitions:
            page = await self._coordination.arrivals(partitions, after=after, limit=_PAGE)
            found.update(one for one in page if not self._listener.knows(*one))
            if len(page) < _PAGE:
                break
            after = page[-1]
        return found

    async def _overdue(self, partitions: Sequence[int]) -> set[tuple[str, str]]:
        """Delayed starts whose time has come, and of which nobody here knows."""
        found: set[tuple[str, str]] = set()
        since, until = 0, self._listener.now()
        while partitions:
            page = await self._store.due(partitions, since=since, until=until, limit=_PAGE)
            starts = [(one.instance_id, START_KEY) for one in page if one.kind == START]
            found.update(one for one in starts if not self._listener.knows(*one))
            if len(page) < _PAGE:
                break
            since = max(page[-1].due, since + 1)
        return found
