"""What a process still has at its workers of partitions that it gave away.

An activity cannot move: it runs where it runs, for as long as it takes.  So it stays, and its
partition goes at once; the write that gives the partition away says what is *left running*, and
whoever owns it next does not run that again.  When it ends, its result goes into the store like any
other process's message, and then it is taken off the list.

::

    give away ──► owners/<p>/<name> = [a, b] ──► a ends: its result is stored ──► [b] ──► no key

The list goes with the lease of whoever wrote it, so a process that dies takes its list along, and
the owner runs what was on it.  It is a hint: what is missing from it is run once more, as after a
crash; what is on it although nobody runs it waits for a lease at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import StoreError
from tenure_sidecar.actors.sharing import records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure_sidecar.actors.port import ActivityKey
    from tenure_sidecar.store.coordination import Coordination, Held, Running, Session
    from tenure_sidecar.store.port import Fence

_MOST = 500  # activities of one partition that are listed: a hundred bytes each in one key
_RETRY = 0.2  # seconds after the store failed

_log = structlog.get_logger(__name__)


class LeftRunning:
    """This process's list.

    Args:
        coordination: the store's.
        name: this process's.
    """

    def __init__(self, coordination: Coordination, name: str) -> None:
        self.ended = asyncio.Event()  # nothing is left running
        self.ended.set()
        self._coordination = coordination
        self._name = name
        self._running: dict[int, set[ActivityKey]] = {}
        self._stale: set[int] = set()  # what the store says of these is not true any more
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()  # of two lists the newer one is written last

    def add(self, partition: int, activities: Iterable[ActivityKey]) -> None:
        """These are left running when the partition is given away."""
        if there := self._running.get(partition, set()) | set(activities):
            self._running[partition] = there
            self.ended.clear()

    def end(self, partition: int, activity: ActivityKey) -> None:
        """One of them has ended, and its result is stored; or nobody runs it here any more."""
        there = self._running.get(partition)
        if there is None or activity not in there:
            return
        there.discard(activity)
        if not there:
            del self._running[partition]
        self._stale.add(partition)
        self._changed.set()
        if not self._running:
            self.ended.set()

    def clear(self) -> None:
        """The lease is lost, and every list with it."""
        self._running.clear()
        self._stale.clear()
        self.ended.set()

    async def give(self, fences: Sequence[Fence], *, session: Session) -> dict[int, int]:
        """Give partitions away, with what is left running of them; see ``Coordination.give``.

        Raises: StoreError.
        """
        async with self._writing:
            partitions = [one.partition for one in fences]
            lists = {p: value for p in partitions if (value := self._list(p)) is not None}
            try:
                return await self._coordination.give(fences, lists, self._name, session=session)
            except StoreError:
                self._stale |= lists.keys()  # it may be another's by now
                self._changed.set()
                raise

    async def run(self, session: Session) -> None:
        """Keep the lists true, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            async with self._writing:
                stale, self._stale = self._stale, set()
                lists = {partition: self._list(partition) for partition in stale}
                try:
                    await self._coordination.still_running(lists, self._name, session=session)
                except StoreError as error:
                    _log.warning("saying what is still running waits", error=str(error))
                    self._stale |= stale
            if self._stale:
                await asyncio.sleep(_RETRY)
                self._changed.set()

    def _list(self, partition: int) -> bytes | None:
        there = self._running.get(partition)
        return records.encode(sorted(there)[:_MOST]) if there else None


def elsewhere(
    running: Mapping[Running, Held], members: Mapping[str, Held], *, me: str, gone: Iterable[str]
) -> frozenset[ActivityKey]:
    """What other processes run of partitions that they gave away.

    Args:
        running: lists by partition and name.
        members: by name; a list counts while its process is there under the same lease.
        me: name of whoever asks.
        gone: names of members that are taken for dead.
    """
    dead = {me, *gone}
    found: set[ActivityKey] = set()
    for (_, name), held in running.items():
        there = members.get(name)
        if name not in dead and there is not None and there.lease == held.lease:
            found |= records.activities_of(held)
    return frozenset(found)
