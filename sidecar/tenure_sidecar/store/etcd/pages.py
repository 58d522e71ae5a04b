"""Listings: pages of heads by id, creation or completion.

A page is one snapshot, found by walking the keys of the wanted order from where the cursor stands;
conditions that no key answers are checked head by head along the walk.  So a page costs what lies
between its first and its last head.

etcd counts all keys of a range, however few are asked for, and reads them all before it gives out the
last ones.  So ranges are kept small: by time they are windows (backward those of ``windows``), by id
they end with the ids that begin like the last one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tenure_sidecar.etcd import Get, prefix_end
from tenure_sidecar.store.etcd.keys import Span, span
from tenure_sidecar.store.etcd.values import DocumentValue, unpack
from tenure_sidecar.store.etcd.windows import FIRST, MANY, Windows, width_after
from tenure_sidecar.store.listing import matches, pack_cursor, sort_value, unpack_cursor
from tenure_sidecar.store.port import Document, Order, Page, Query

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.etcd import EtcdClient, Range
    from tenure_sidecar.store.etcd.keys import Keys
    from tenure_sidecar.store.etcd.reading import Reader
    from tenure_sidecar.store.listing import Cursor

_STEP = 100  # keys at a time: as many heads fit into one transaction of reads
_LAST = (1 << 64) - 1


class Lister:
    """Answers listings of one app; ``wall`` is the wall clock, nanoseconds since the Unix epoch."""

    def __init__(
        self, client: EtcdClient, keys: Keys, reader: Reader, *, wall: Callable[[], int]
    ) -> None:
        self._client = client
        self._keys = keys
        self._reader = reader
        self._wall = wall
        self._lowest = b""  # the first of all heads when it was read last
        self._low = 0  # where the window of the newest began
        self._width = FIRST  # of a window that held enough and not too many
        self._cut = 1  # bytes that were left out of an id to find the next ones; ids are alike

    async def heads(self, query: Query, *, limit: int, cursor: str | None) -> Page:
        """See ``Store.heads``."""
        after = None if cursor is None else unpack_cursor(query, cursor)
        found: list[Head] = []
        if limit > 0:
            async for head in self._walk(query, after):
                if matches(query, head):
                    found.append(head)
                    if len(found) > limit:
                        break
        page = tuple(found[:limit])
        return Page(page, pack_cursor(query, page[-1]) if len(found) > limit > 0 else None)

    async def count(self, query: Query) -> int:
        """See ``Store.count``."""
        if query == Query(order=query.order) and query.order is not Order.COMPLETED:
            return (await self._client.range(Get(*self._keys.heads, count_only=True))).count
        total = 0
        async for head in self._walk(query, None):
            total += matches(query, head)
        return total

    async def children(self, parent: str) -> tuple[str, ...]:
        """See ``Store.children``."""
        span = self._keys.children(parent)
        ids: list[str] = []
        async for page in self._client.scan(*span, keys_only=True):
            ids += [self._keys.last(kv.key, span) for kv in page.kvs]
        return tuple(ids)

    async def documents(self, prefix: str) -> list[Document]:
        """See ``Store.documents``."""
        keys = span(self._keys.documents.first + prefix.encode())
        found: list[Document] = []
        async for page in self._client.scan(*keys, page=_STEP):
            for kv in page.kvs:
                body = unpack(kv.key, kv.value, DocumentValue).body
                name = self._keys.last(kv.key, self._keys.documents)
                found.append(Document(name, kv.mod_revision, body))
        return found

    # --- walks ------------------------------------------------------------------------------------

    def _walk(self, query: Query, after: Cursor | None) -> AsyncIterator[Head]:
        """Heads in the query's order, from behind ``after``; more of them than match."""
        if query.parent is not None:
            return self._family(query, query.parent, after)
        if query.order is Order.ID:
            return self._by_id(query, after)
        return self._by_time(query, after)

    async def _by_id(self, query: Query, after: Cursor | None) -> AsyncIterator[Head]:
        prefix = self._keys.head(query.id_prefix or "")
        first, end = prefix, prefix_end(prefix)
        if after is not None:
            first = max(first, self._keys.head(after.instance_id) + b"\0")
        async for found, revision in self._ids(first, end):
            for kv in found.kvs:
                instance_id = self._keys.last(kv.key, self._keys.heads)
                yield (await self._reader.head_of(kv, instance_id, revision))[0]

    async def _ids(self, first: bytes, end: bytes) -> AsyncIterator[tuple[Range, int]]:
        """Heads in [first, end), and the revision of all of them.

        The next ids are looked for among those that begin like the last one, with some bytes of it
        left out (``cut``); when there are no more of them, with more bytes left out.
        """
        whole = self._keys.heads
        beginning = first == whole.first
        near = self._lowest if beginning else first.rstrip(b"\0")
        revision, cut = 0, self._cut
        while first < end:
            stop = end
            if near:
                stop = min(end, prefix_end(near[: max(len(near) - cut, len(whole.first))]))
            found = await self._client.range(Get(first, stop, limit=_STEP, revision=revision))
            revision = revision or found.revision
            if found.kvs:
                yield found, revision
                if beginning:
                    self._lowest, beginning = found.kvs[0].key, False
            if not found.more:
                first = stop
                cut += 1 if found.kvs else 2
                continue
            near = found.kvs[-1].key
            first = near + b"\0"
            if found.count <= MANY:
                self._cut = cut
            elif cut <= self._cut:
                self._cut = max(1, cut - 1)
            cut = self._cut

    async def _by_time(self, query: Query, after: Cursor | None) -> AsyncIterator[Head]:
        keys = self._keys
        completed = query.order is Order.COMPLETED
        name, whole = (
            (keys.completed, keys.completed_all) if completed else (keys.created, keys.created_all)
        )
        lower, upper = (
            (query.completed_from, query.completed_to)
            if completed
            else (query.created_from, query.created_to)
        )
        first = whole.first if lower is None else name(_bounded(lower), "")
        end = whole.end if upper is None else name(_bounded(upper), "")
        backward = query.order is Order.NEWEST
        if after is not None:
            here = name(_bounded(after.value), after.instance_id)
            first, end = (first, min(end, here)) if backward else (max(first, here + b"\0"), end)
        pages = self._backward(first, end) if backward else self._forward(first, end, whole)
        async for found, revision in pages:
            ids = [keys.indexed(kv.key)[1] for kv in found.kvs]
            for head in await self._heads(ids, revision):
                yield head

    async def _forward(
        self, first: bytes, end: bytes, whole: Span
    ) -> AsyncIterator[tuple[Range, int]]:
        """Keys of ``whole``, a time index, and the revision of all of them, the oldest first."""
        revision, width = 0, self._width
        while first < end:
            stop = end
            if first != whole.first:  # when the oldest is of, nobody knows
                until = self._keys.indexed(first)[0] + width
                stop = min(end, b"%s%016x/" % (whole.first, until)) if until <= _LAST else end
            get = Get(first, stop, limit=_STEP, revision=revision, keys_only=True)
            found = await self._client.range(get)
            revision = revision or found.revision
            if found.kvs:
                yield found, revision
            first = found.kvs[-1].key + b"\0" if found.more else stop
            width = width_after(width, found.count)
            if found.kvs and stop != end:
                self._width = width

    async def _backward(self, first: bytes, end: bytes) -> AsyncIterator[tuple[Range, int]]:
        """The same, the newest first; of keys by creation."""
        keys, revision = self._keys, 0
        # Nearly all are older than now, and the first window has the others as well.
        top, whole = self._wall(), end == keys.created_all.end
        if not whole:
            top = min(top, keys.indexed(end)[0])
        windows = Windows(top, top - self._low if whole and self._low else self._width)
        while first < end:
            low = max(first, keys.created(windows.low, "")) if windows.low > 0 else first
            get = Get(low, end, limit=_STEP, revision=revision, keys_only=True, descending=True)
            found = await self._client.range(replace(get, limit=0, count_only=True))
            revision = revision or found.revision
            if windows.crowded(found.count):
                continue
            if found.count:
                if whole:
                    self._low, whole = windows.low, False
                found = await self._client.range(get.at(revision))
                self._width = windows.width
                yield found, revision
            end = found.kvs[-1].key if found.more else low
            windows.passed(keys.indexed(end)[0] if found.more else windows.low, found.count)

    async def _family(self, query: Query, parent: str, after: Cursor | None) -> AsyncIterator[Head]:
        """The children of one parent are few enough to be sorted here."""
        heads = await self._heads(await self.children(parent), 0)

        def key(head: Head) -> tuple[int, str]:
            return sort_value(query.order, head), head.instance_id

        backward = query.order is Order.NEWEST
        for head in sorted(heads, key=key, reverse=backward):
            if after is not None:
                here = after.value, after.instance_id
                if not (key(head) < here if backward else key(head) > here):
                    continue
            yield head

    async def _heads(self, ids: Sequence[str], revision: int) -> list[Head]:
        found: list[Head] = []
        gets = [Get(self._keys.head(one), revision=revision) for one in ids]
        for at in range(0, len(gets), _STEP):
            answers, seen = await self._reader.snapshot(gets[at : at + _STEP])
            for instance_id, answer in zip(ids[at : at + _STEP], answers, strict=True):
                if answer.kvs:
                    head, _ = await self._reader.head_of(
                        answer.kvs[0], instance_id, revision or seen
                    )
                    found.append(head)
        return found


def _bounded(value: int) -> int:
    return min(max(value, 0), _LAST)
