"""What changes, as it happens: inboxes of a partition, and heads of all instances.

A cursor of ``follow`` is ``etcd.<revision>.<n>``: the first ``n`` changes of that revision are told.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from tenure_common.errors import CursorExpiredError, EtcdCompactedError
from tenure_sidecar.store.etcd.values import ItemValue, unpack
from tenure_sidecar.store.port import Change, HeadChange

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.etcd import Batch, EtcdClient, KeyValue, Watch
    from tenure_sidecar.store.etcd.keys import Keys
    from tenure_sidecar.store.etcd.reading import Reader

_CURSOR = re.compile(r"etcd\.([0-9]{1,18})\.([0-9]{1,9})")


async def changes(watch: Watch, keys: Keys, *, handle: str) -> AsyncIterator[Change]:
    """Changes that ``handle`` did not make itself; ends with the watch.  Raises: StoreError."""
    try:
        async for batch in watch:
            if batch.gap:
                yield Change("", gap=True)
            for instance_id in _touched(batch, keys, handle):
                yield Change(instance_id)
    finally:
        watch.close()


def _touched(batch: Batch, keys: Keys, handle: str) -> dict[str, None]:
    """Instances that somebody else sent to, each once."""
    return {
        keys.waits(event.kv.key): None
        for event in batch.events
        if not event.deleted and unpack(event.kv.key, event.kv.value, ItemValue).writer != handle
    }


def cursor_of(revision: int, told: int = 0) -> str:
    """The cursor behind ``told`` changes of ``revision``."""
    return f"etcd.{revision}.{told}"


def _parse(cursor: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise _expired()
    return int(match[1]), int(match[2])


async def follow(
    client: EtcdClient, keys: Keys, reader: Reader, cursor: str
) -> AsyncIterator[HeadChange]:
    """See ``Store.follow``.  Raises: CursorExpiredError."""
    first, told = _parse(cursor)
    watch = client.watch(*keys.heads, revision=first)
    try:
        async for batch in watch:
            if batch.gap:
                raise _expired()
            numbers: dict[int, int] = {}
            fresh: list[tuple[str, KeyValue | None, str]] = []
            for event in batch.events:
                revision = event.kv.mod_revision
                number = numbers[revision] = numbers.get(revision, 0) + 1
                if revision == first and number <= told:
                    continue
                instance_id = keys.last(event.kv.key, keys.heads)
                kv = None if event.deleted else event.kv
                fresh.append((instance_id, kv, cursor_of(revision, number)))
            newest = {instance_id: at for instance_id, _, at in fresh}
            for instance_id, kv, at in fresh:
                if newest[instance_id] != at:  # another one has overtaken it
                    continue
                head = None if kv is None else await _head(reader, kv, instance_id)
                yield HeadChange(instance_id, head, at)
    finally:
        watch.close()


async def _head(reader: Reader, kv: KeyValue, instance_id: str) -> Head:
    try:
        head, _ = await reader.head_of(kv, instance_id, kv.mod_revision)
    except EtcdCompactedError:
        raise _expired() from None
    return head


def _expired() -> CursorExpiredError:
    message = "what came after this cursor is not known any more; list anew and go on from there"
    return CursorExpiredError(message)
