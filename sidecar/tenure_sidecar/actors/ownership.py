"""The partitions of this process: taken at the start, resumed, and taken again when they are lost.

Ownership is never believed: every commit compares the fence that is here, so a copy in memory that
outlives it does no harm.  What is left to do when it may be lost is to go on living: take the
partitions anew, forget every copy that was loaded under an old fence, and resume.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from tenure_sidecar.store.port import Fence, Store

_ACTIVE_PAGE = 1_000

_log = structlog.get_logger(__name__)


class Ownership:
    """Owns every partition of the store, for one process.

    Args:
        store: where.
        name: of the owner, for people who look.
        wake: called with the id of every instance that has work.
        reload: called when copies in memory are of an ownership that is over.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        wake: Callable[[str], None],
        reload: Callable[[], None],
    ) -> None:
        self._store = store
        self._name = name
        self._wake = wake
        self._reload = reload
        self._fences: dict[int, Fence] = {}

    def __iter__(self) -> Iterator[Fence]:
        return iter(self._fences.values())

    def fence(self, partition: int) -> Fence:
        """The proof of owning ``partition``."""
        return self._fences[partition]

    async def take(self) -> None:
        """Own everything.  Raises: StoreError."""
        for fence in await self._store.own(range(self._store.partitions), self._name):
            self._fences[fence.partition] = fence

    async def give_back(self) -> None:
        """Own nothing.  Raises: StoreError."""
        await self._store.release(tuple(self._fences.values()))

    async def keep(self) -> None:
        """Take everything again whenever it may be lost; a loop.  Raises: StoreError."""
        while True:
            await self._store.lost()
            _log.warning("ownership may be lost, taking the partitions again", owner=self._name)
            await self.take()
            self._reload()
            await self.resume()

    async def resume(self) -> None:
        """Wake every instance that had work when its last owner went away."""
        after: str | None = None
        resumed = 0
        while True:
            try:
                page = await self._store.active(
                    tuple(self._fences), after=after, limit=_ACTIVE_PAGE
                )
            except Exception as error:  # noqa: BLE001 - whatever it was, they must be resumed
                _log.warning("reading active instances failed", error=str(error))
                await asyncio.sleep(1.0)
                continue
            for instance_id in page:
                self._wake(instance_id)
            resumed += len(page)
            if len(page) < _ACTIVE_PAGE:
                break
            after = page[-1]
        if resumed:
            _log.info("resumed instances", count=resumed)
