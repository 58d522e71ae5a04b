"""Reads across partitions: what is due, what must be resumed, how much there is."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import merge
from typing import TYPE_CHECKING

from tenure_sidecar.etcd import Get
from tenure_sidecar.store.etcd.values import HeadValue, unpack

if TYPE_CHECKING:
    from tenure_sidecar.engine.turn import Timer
    from tenure_sidecar.etcd import EtcdClient, KeyValue
    from tenure_sidecar.store.etcd.keys import Keys, Span
    from tenure_sidecar.store.etcd.reading import Reader

_PAGE = 1000


class Scanner:
    """Scans of one app's keys."""

    def __init__(self, client: EtcdClient, keys: Keys, reader: Reader) -> None:
        self._client = client
        self._keys = keys
        self._reader = reader

    async def due(
        self,
        partitions: Sequence[int],
        *,
        since: int,
        until: int,
        limit: int,
        retention: bool = False,
    ) -> list[Timer]:
        """See ``Store.due``; with ``retention``, ``Store.expired``."""
        if limit <= 0 or until < max(since, 0):
            return []
        spans = [
            self._keys.due(p, max(since, 0), until, retention=retention)
            for p in dict.fromkeys(partitions)
        ]
        found = await self._beginnings(spans, limit=limit)
        timers = ([self._keys.reminder(kv.key, kv.value) for kv in kvs] for kvs in found if kvs)
        ordered = merge(*timers, key=lambda timer: timer.due)
        return [timer for timer, _ in zip(ordered, range(limit), strict=False)]

    async def active(
        self, partitions: Sequence[int], *, after: str | None, limit: int
    ) -> list[str]:
        """See ``Store.active``."""
        keys = self._keys
        runnable: set[str] = set()
        wanted = list(dict.fromkeys(partitions))
        kinds = ("inbox", "own", "active", "delayed")
        spans = [keys.of_partition(kind, p) for p in wanted for kind in kinds]
        found = await self._beginnings(spans, limit=0, keys_only=True)
        for n, partition in enumerate(wanted):
            inbox, own, pending, delayed = found[4 * n : 4 * n + 4]
            ids = {keys.waits(kv.key) for kv in (*inbox, *own)}
            span = keys.of_partition("active", partition)
            ids.update(keys.last(kv.key, span) for kv in pending)
            span = keys.of_partition("delayed", partition)
            ids.difference_update(keys.last(kv.key, span) for kv in delayed)
            runnable |= ids
        return sorted(one for one in runnable if after is None or one > after)[: max(limit, 0)]

    async def arrivals(
        self, partitions: Sequence[int], *, after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str]]:
        """See ``Coordination.arrivals``."""
        keys = self._keys
        wanted = list(dict.fromkeys(partitions))
        spans = [keys.of_partition("inbox", p) for p in wanted]
        found = await self._beginnings(spans, limit=0, keys_only=True)
        items = [keys.waiting(kv.key) for kvs in found for kv in kvs]
        if not items:
            return []
        spans = [keys.of_partition("delayed", p) for p in wanted]
        found = await self._beginnings(spans, limit=0, keys_only=True)
        later = {
            keys.last(kv.key, span) for span, kvs in zip(spans, found, strict=True) for kv in kvs
        }
        items = [one for one in items if one[0] not in later]
        return sorted(one for one in items if after is None or one > after)[: max(limit, 0)]

    async def outboxes(self, partitions: Sequence[int]) -> list[str]:
        """Instances of the partitions that still have something to send."""
        spans = [self._keys.of_partition("outbox", p) for p in partitions]
        found = await self._beginnings(spans, limit=0, keys_only=True)
        return [
            self._keys.last(kv.key, span)
            for span, kvs in zip(spans, found, strict=True)
            for kv in kvs
        ]

    async def stats(self) -> dict[str, int]:
        """Counts; reads every head."""
        keys = self._keys
        spans = [
            keys.of_partition(kind, p)
            for kind in ("inbox", "own", "timer", "expire")
            for p in range(keys.partitions)
        ]
        counts = await self._reader.many([Get(*span, count_only=True) for span in spans])
        instances = events = 0
        async for page in self._client.scan(*keys.heads, page=_PAGE):
            instances += len(page.kvs)
            events += sum(unpack(kv.key, kv.value, HeadValue).book.events for kv in page.kvs)
        numbers = [answer.count for answer in counts]
        return {
            "instances": instances,
            "history_events": events,
            "inbox_items": sum(numbers[: 2 * keys.partitions]),
            "timers": sum(numbers[2 * keys.partitions :]),
        }

    async def _beginnings(
        self, spans: Sequence[Span], *, limit: int, keys_only: bool = False
    ) -> list[list[KeyValue]]:
        """The first ``limit`` keys (0 = all) of each range."""
        page = min(limit or _PAGE, _PAGE)
        answers = await self._reader.many(
            [Get(*span, limit=page, keys_only=keys_only) for span in spans]
        )
        found: list[list[KeyValue]] = []
        for span, answer in zip(spans, answers, strict=True):
            kvs = list(answer.kvs)
            while answer.more and (not limit or len(kvs) < limit):
                answer = await self._client.range(  # noqa: PLW2901 - the next page of it
                    Get(kvs[-1].key + b"\0", span.end, limit=_PAGE, keys_only=keys_only)
                )
                kvs += answer.kvs
            found.append(kvs)
        return found
