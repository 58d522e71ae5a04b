"""What changes, as it happens: inboxes of a partition, heads of one or of all instances.

A cursor of ``follow`` is ``etcd.<revision>.<n>``: the first ``n`` changes of that revision are told.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from tenure_common.errors import CursorExpiredError, EtcdCompactedError, EtcdUnavailableError
from tenure_sidecar.engine.codec import decode_item
from tenure_sidecar.store.etcd.values import Blob, ItemValue, unpack
from tenure_sidecar.store.port import Change, HeadChange

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.etcd import EtcdClient, KeyValue, Watch
    from tenure_sidecar.store.etcd.keys import Keys
    from tenure_sidecar.store.etcd.reading import Reader

_CURSOR = re.compile(r"etcd\.([0-9]{1,18})\.([0-9]{1,9})")


async def changes(watch: Watch, keys: Keys, *, handle: str) -> AsyncIterator[Change]:
    """What came, of a ``watch`` without deletes, but for what ``handle`` wrote under its name; ends
    with the watch.  Raises: StoreError."""
    try:
        try:
            await watch.started()
        except EtcdUnavailableError:  # closed before it began
            return
        yield Change("", gap=True)
        async for batch in watch:
            if batch.gap:
                yield Change("", gap=True)
            for event in batch.events:
                item = unpack(event.kv.key, event.kv.value, ItemValue)
                if item.writer != handle:
                    yield _change(event.kv, item, keys)
    finally:
        watch.close()


def _change(kv: KeyValue, item: ItemValue, keys: Keys) -> Change:
    """An item that came; a large one is left for the owner to read."""
    body = None if isinstance(item.body, Blob) else decode_item(item.body)
    return Change(keys.waits(kv.key), body, kv.mod_revision)


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


async def observe(
    client: EtcdClient, keys: Keys, reader: Reader, instance_id: str
) -> AsyncIterator[Head | None]:
    """See ``Coordination.observe``."""
    watch = client.watch(keys.head(instance_id))
    try:
        await watch.started()
        yield await reader.head(instance_id)
        async for batch in watch:
            kv = batch.events[-1].kv if batch.events else None
            if kv is not None and batch.events[-1].deleted:
                yield None
                continue
            try:
                yield (
                    await reader.head(instance_id)
                    if kv is None
                    else (await reader.head_of(kv, instance_id, kv.mod_revision))[0]
                )
            except EtcdCompactedError:
                yield await reader.head(instance_id)
    finally:
        watch.close()


async def item_goes(client: EtcdClient, key: bytes) -> None:
    """Return when the inbox key is not there (any more)."""
    watch = client.watch(key)
    try:
        await watch.started()
        if await client.get(key) is None:
            return
        async for batch in watch:
            gone = any(event.deleted for event in batch.events)
            if gone or (batch.gap and await client.get(key) is None):
                return
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
