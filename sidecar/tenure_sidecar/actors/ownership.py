"""Which partitions this process owns, and the proof of it that every commit carries.

``Ownership`` is what the host needs to know.  ``Sole`` is the one for a store that only one process
can use: it takes everything when the host starts and keeps it until the host stops.  Where several
processes share a store, ``sharing`` holds a set of partitions that changes all the time; the host is
its ``Tenant`` and is told what comes and what goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from tenure_sidecar.actors.loops import Loops
    from tenure_sidecar.actors.port import ActivityKey
    from tenure_sidecar.store.port import Fence, Store

_ACTIVE_PAGE = 1_000
_RETRY = 1.0  # seconds after a failed read

_log = structlog.get_logger(__name__)


class Ownership(Protocol):
    """See the module docstring."""

    def holds(self, instance_id: str) -> bool:
        """Whether turns of the instance are taken here."""
        ...

    def fence(self, partition: int) -> Fence:
        """The proof of owning ``partition``, which must be held."""
        ...

    def fences(self) -> Sequence[Fence]:
        """Those of all partitions that are held."""
        ...

    async def start(self, loops: Loops) -> None:
        """Begin.  Raises: StoreError."""
        ...

    async def hand_over(self) -> None:
        """Take no more turns, and let others have the partitions; returns when they can."""
        ...

    def elsewhere(self, activity: ActivityKey) -> bool:
        """Whether an earlier owner still runs the activity."""
        ...

    async def finish(self) -> None:
        """Return when nothing runs here any more of what others own by now."""
        ...

    async def stop(self) -> None:
        """Own nothing; after the loops have ended.  Raises: StoreError."""
        ...

    def abort(self) -> None:
        """Do nothing any more, as after a crash."""
        ...

    def doubt(self) -> None:
        """A commit was refused: some partition is another's by now."""
        ...

    def workers(self, count: int) -> None:
        """So many workers are connected."""
        ...


class Tenant(Protocol):
    """Who lives in the partitions."""

    def gain(self, partitions: Collection[int]) -> None:
        """They are held from now on: resume what is in them."""
        ...

    def halt(self, partitions: Collection[int]) -> None:
        """They will be given back: take no new turns in them."""
        ...

    def busy(self, partitions: Collection[int]) -> set[int]:
        """Those of them in which a turn is at a worker, or something on its way to the store."""
        ...

    def leave(
        self, partitions: Collection[int], ended: Callable[[int, ActivityKey], None]
    ) -> dict[int, list[ActivityKey]]:
        """They are about to be given away: what stays at workers here.  ``ended`` is called with
        partition and activity when it has ended."""
        ...

    def run_again(self, activities: Collection[ActivityKey]) -> None:
        """An earlier owner has ended these, or does not run them any more."""
        ...

    def part(self, partitions: Collection[int]) -> None:
        """They are not held any more: drop everything of them."""
        ...

    def flavours(self) -> set[str]:
        """Protocol flavours of the connected workers."""
        ...


class Sole:
    """Owns every partition of the store; implements ``Ownership``.

    Args:
        store: where.
        name: of the owner, for people who look.
        wake: called with the id of every instance that has work.
    """

    def __init__(self, store: Store, name: str, *, wake: Callable[[str], None]) -> None:
        self._store = store
        self._name = name
        self._wake = wake
        self._fences: dict[int, Fence] = {}

    def holds(self, instance_id: str) -> bool:  # noqa: ARG002 - everything
        """See ``Ownership.holds``."""
        return True

    def fence(self, partition: int) -> Fence:
        """See ``Ownership.fence``."""
        return self._fences[partition]

    def fences(self) -> Sequence[Fence]:
        """See ``Ownership.fences``."""
        return tuple(self._fences.values())

    async def start(self, loops: Loops) -> None:
        """See ``Ownership.start``."""
        for fence in await self._store.own(range(self._store.partitions), self._name):
            self._fences[fence.partition] = fence
        loops.spawn("resume", resume(self._store, tuple(self._fences), self._wake))

    async def hand_over(self) -> None:
        """See ``Ownership.hand_over``: there is nobody who could have them."""

    def elsewhere(self, activity: ActivityKey) -> bool:  # noqa: ARG002 - there is no other
        """See ``Ownership.elsewhere``."""
        return False

    async def finish(self) -> None:
        """See ``Ownership.finish``: everything is ours."""

    async def stop(self) -> None:
        """See ``Ownership.stop``."""
        await self._store.release(self.fences())

    def abort(self) -> None:
        """See ``Ownership.abort``: nothing goes on by itself."""

    def doubt(self) -> None:
        """See ``Ownership.doubt``: whoever it was, the store lets nobody else in."""

    def workers(self, count: int) -> None:
        """See ``Ownership.workers``: with or without, nobody else is there."""


async def resume(store: Store, partitions: Sequence[int], wake: Callable[[str], None]) -> None:
    """Wake every instance that had work when the partitions' last owner went away."""
    after: str | None = None
    resumed = 0
    while True:
        try:
            page = await store.active(partitions, after=after, limit=_ACTIVE_PAGE)
        except Exception as error:  # noqa: BLE001 - whatever it was, they must be resumed
            _log.warning("reading active instances failed", error=str(error))
            await asyncio.sleep(_RETRY)
            continue
        for instance_id in page:
            wake(instance_id)
        resumed += len(page)
        if len(page) < _ACTIVE_PAGE:
            break
        after = page[-1]
    if resumed:
        _log.info("resumed instances", count=resumed)
