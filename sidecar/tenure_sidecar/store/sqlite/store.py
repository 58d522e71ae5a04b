"""``SqliteStore``: the port's asyncio face on the two lanes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from tenure_common.errors import StoreError, StoreUnavailableError
from tenure_sidecar.store.feed import Feed
from tenure_sidecar.store.sqlite.lane import Lane
from tenure_sidecar.store.sqlite.lock import FileLock
from tenure_sidecar.store.sqlite.reader import Reader
from tenure_sidecar.store.sqlite.writer import BrokenHandleError, Writer

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import Timer
    from tenure_sidecar.store.port import (
        Change,
        Document,
        Fence,
        HeadChange,
        Loaded,
        Op,
        Page,
        Query,
        Result,
    )

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class SqliteStore:
    """A store in the file ``path``; implements ``Store``.

    Args:
        path: the database; ``path`` + ``-wal``, ``-shm`` and ``.lock`` lie beside it.  Its
            directory must exist.
        partitions: P of a new database, 64 unless given; of an existing one it must be what that
            was created with.
    """

    name = "sqlite"
    coordination: None = None

    def __init__(self, path: str | Path, *, partitions: int | None = None) -> None:
        self.path = Path(path)
        self.partitions = partitions or 0  # known when open
        self._lock = FileLock(self.path)
        self._writes = Lane("tenure-store-writer")
        self._reads = Lane("tenure-store-reader")
        self._writer = Writer(self.path, partitions=partitions)
        self._reader: Reader
        self._broken = False
        self._mending = asyncio.Lock()
        self._closed = asyncio.Event()
        self._feed = Feed(secrets.token_hex(4))  # nobody else writes

    # --- life -------------------------------------------------------------------------------------

    async def open(self) -> None:
        """See ``Store.open``; also ConfigConflictError when ``partitions`` is another number."""
        self._lock.take()
        try:
            self._writes.start()
            self._reads.start()
            await self._writes.run(self._writer.open)
            self.partitions = self._writer.partitions
            self._reader = Reader(self.path, partitions=self.partitions)
            await self._reads.run(self._reader.open)
        except BaseException:
            await self._writes.close()
            await self._reads.close()
            self._lock.drop()
            raise
        self._broken = False
        self._closed.clear()

    async def close(self) -> None:
        """See ``Store.close``."""
        if not self._writes.running:
            return
        self._closed.set()
        async with self._mending:
            if not self._broken:
                await self._reads.run(self._reader.close)
                await self._writes.run(self._writer.close)
            await self._reads.close()
            await self._writes.close()
            self._lock.drop()

    async def _mend(self) -> None:
        """Open the database anew after a fault that spoilt the handle.  Raises: StoreError."""
        async with self._mending:
            if not self._broken:
                return
            await self._writes.run(self._writer.open)
            try:
                await self._reads.run(self._reader.open)
            except StoreError:
                await self._writes.run(self._writer.abandon)
                raise
            self._broken = False
            _log.info("database opened anew", path=str(self.path))

    async def _spoil(self, error: StoreError) -> None:
        """Let go of handles that cannot be trusted, the reader's too: only when the last one is
        closed does SQLite decide anew what the log holds."""
        async with self._mending:
            if self._broken:
                return
            self._broken = True
            _log.error("database handle given up", path=str(self.path), error=str(error))
            await self._reads.run(self._reader.close)
            await self._writes.run(self._writer.abandon)

    async def _change(self, call: Callable[[], T]) -> T:
        """Run a write in the writer's lane, on a handle that is sound."""
        if self._broken:
            await self._mend()
        try:
            return await self._writes.run(call)
        except BrokenHandleError as broken:
            await self._spoil(broken.error)
            raise broken.error from broken.__cause__

    async def _read(self, call: Callable[[], T]) -> T:
        if self._broken:
            await self._mend()
        return await self._reads.run(call)

    # --- writes -----------------------------------------------------------------------------------

    async def write(self, ops: Sequence[Op]) -> list[Result]:
        """See ``Store.write``; all ops share one transaction."""
        results = await self._change(lambda: self._writer.write(ops))
        if self._feed.wanted:
            self._feed.record(ops, results)
        return results

    async def put(self, key: str, body: bytes | None, *, version: int) -> int | None:
        """See ``Store.put``."""
        return await self._change(lambda: self._writer.put(key, body, version))

    async def own(self, partitions: Sequence[int], owner: str) -> list[Fence]:
        """See ``Store.own``."""
        return await self._change(lambda: self._writer.own(partitions, owner))

    async def release(self, fences: Sequence[Fence]) -> None:
        """See ``Store.release``."""
        await self._change(lambda: self._writer.release(fences))

    # --- reads ------------------------------------------------------------------------------------

    def revision(self) -> int | None:
        """See ``Store.revision``."""
        return None

    async def load(self, instance_id: str) -> Loaded | None:
        """See ``Store.load``."""
        return await self._read(lambda: self._reader.load(instance_id))

    async def head(self, instance_id: str) -> Head | None:
        """See ``Store.head``."""
        return await self._read(lambda: self._reader.head(instance_id))

    async def input(self, instance_id: str) -> str | None:
        """See ``Store.input``."""
        return await self._read(lambda: self._reader.input(instance_id))

    async def heads(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        """See ``Store.heads``."""
        return await self._read(lambda: self._reader.heads(query, limit, cursor))

    async def count(self, query: Query) -> int:
        """See ``Store.count``."""
        return await self._read(lambda: self._reader.count(query))

    async def children(self, instance_id: str) -> tuple[str, ...]:
        """See ``Store.children``."""
        return await self._read(lambda: self._reader.children(instance_id))

    async def due(
        self, partitions: Sequence[int], *, until: int, limit: int, since: int = 0
    ) -> list[Timer]:
        """See ``Store.due``."""
        return await self._read(lambda: self._reader.due(partitions, until, limit, since))

    async def expired(self, partitions: Sequence[int], *, until: int, limit: int) -> list[Timer]:
        """See ``Store.expired``."""
        return await self._read(lambda: self._reader.expired(partitions, until, limit))

    async def documents(self, prefix: str) -> list[Document]:
        """See ``Store.documents``."""
        return await self._read(lambda: self._reader.documents(prefix))

    async def position(self) -> str:
        """See ``Store.position``."""
        return self._feed.position()

    def follow(self, cursor: str) -> AsyncIterator[HeadChange]:
        """See ``Store.follow``."""
        return self._feed.follow(cursor)

    async def active(
        self, partitions: Sequence[int], *, after: str | None, limit: int
    ) -> list[str]:
        """See ``Store.active``."""
        return await self._read(lambda: self._reader.active(partitions, after, limit))

    async def watch(self, partition: int) -> AsyncIterator[Change]:
        """See ``Store.watch``: no other process writes, so it only ends, with the store."""
        if not 0 <= partition < self.partitions:
            message = f"there is no partition {partition}"
            raise StoreUnavailableError(message)
        await self._closed.wait()
        return
        yield

    async def stats(self) -> dict[str, int]:
        """See ``Store.stats``; ``bytes`` counts the file and its log.  Scans the tables."""
        stats = await self._read(self._reader.stats)
        stats["commits"] = self._writer.commits
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        stats["bytes"] = sum(file.stat().st_size for file in files if file.exists())
        return stats
