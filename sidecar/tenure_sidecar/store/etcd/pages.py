"""Listings: pages of heads by id, creation or completion.

A page is one snapshot, found by walking the keys of the wanted order from where the cursor stands;
conditions that no key answers are checked head by head along the walk.  So a page costs what lies
between its first and its last head.

etcd reads all keys of a range before it gives the last ones, so the newest are looked for backward in
*windows* of time, each as wide as it takes to hold about a step.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from tenure_sidecar.etcd import Get, prefix_end
from tenure_sidecar.store.etcd.keys import span
from tenure_sidecar.store.etcd.values import DocumentValue, unpack
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
_WINDOW = 1_000_000_000  # nanoseconds of the first window
_FACTOR = 8  # by which a window is wider or narrower than the one before, at most


class Lister:
    """Answers listings of one app; ``wall`` is the wall clock, nanoseconds since the Unix epoch."""

    def __init__(
        self, client: EtcdClient, keys: Keys, reader: Reader, *, wall: Callable[[], int]
    ) -> None:
        self._client = client
        self._keys = keys
        self._reader = reader
        self._wall = wall

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
        if first >= end:
            return
        revision = 0
        async for page in self._client.scan(first, end, page=_STEP):
            revision = revision or page.revision
            for kv in page.kvs:
                instance_id = self._keys.last(kv.key, self._keys.heads)
                yield (await self._reader.head_of(kv, instance_id, revision))[0]

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
        pages = self._backward(first, end) if backward else self._forward(first, end)
        async for found, revision in pages:
            ids = [keys.indexed(kv.key)[1] for kv in found.kvs]
            for head in await self._heads(ids, revision):
                yield head

    async def _forward(self, first: bytes, end: bytes) -> AsyncIterator[tuple[Range, int]]:
        """Keys of a time index and the revision of all of them, the oldest first."""
        revision = 0
        while first < end:
            get = Get(first, end, limit=_STEP, revision=revision, keys_only=True)
            found = await self._client.range(get)
            revision = revision or found.revision
            yield found, revision
            if not found.more:
                return
            first = found.kvs[-1].key + b"\0"

    async def _backward(self, first: bytes, end: bytes) -> AsyncIterator[tuple[Range, int]]:
        """The same, the newest first; of keys by creation."""
        keys, revision, width = self._keys, 0, _WINDOW
        # Nearly all are older than now, and the first window has the others as well.
        top = self._wall()
        if end != keys.created_all.end:
            top = min(top, keys.indexed(end)[0])
        while first < end:
            low = max(first, keys.created(top - width, "")) if top > width else first
            get = Get(low, end, limit=_STEP, revision=revision, keys_only=True, descending=True)
            found = await self._client.range(get)
            revision = revision or found.revision
            if found.kvs:
                yield found, revision
            if found.more:
                end = found.kvs[-1].key
                top = keys.indexed(end)[0]
            else:
                end, top = low, top - width
            wanted = width * 2 * _STEP // max(found.count, 1)
            width = min(max(wanted, width // _FACTOR, 1), width * _FACTOR)

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
