"""What released layouts left in etcd goes on; what a newer format wrote is refused and not touched.

In scope: keys and values of real stores, and histories that are replayed.  Out of scope: single records
(unit/engine/test_golden), versions side by side (tests/cluster/test_versions).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from zlib import crc32

import msgspec
import pytest

from support.etcd import Cluster
from support.golden import STORES, goes_on
from support.golden_etcd import KEYS, PRESENT, engine, restore
from tenure_common.errors import StoreNewerError
from tenure_sidecar.engine import codec
from tenure_sidecar.etcd import EtcdClient, Get
from tenure_sidecar.store.etcd import check
from tenure_sidecar.store.etcd.keys import span
from tenure_sidecar.store.etcd.values import FORMAT, HeadValue, ItemValue, TurnValue, pack, unpack
from tenure_sidecar.store.port import Query

GOLDEN = sorted(STORES.glob("etcd-*.json"))
LEFT = "ask"  # the workflow whose records are of a newer format


@pytest.fixture
async def raw(etcd_server: Cluster) -> AsyncIterator[EtcdClient]:
    """A client that is nobody's store; the golden app is taken away in the end."""
    client = EtcdClient(etcd_server.urls, clock=monotonic)
    yield client
    await client.delete(*span(KEYS.root))
    await client.close()


def test_the_present_layout_has_its_store() -> None:
    assert PRESENT in GOLDEN


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
async def test_every_workflow_goes_on_to_its_end(
    golden: Path, etcd_server: Cluster, raw: EtcdClient
) -> None:
    await restore(raw, golden)
    assert await check(raw, KEYS) == []
    one, store = await engine(etcd_server)
    await goes_on(one)
    await one.stop()
    await store.close()
    assert await check(raw, KEYS) == []


# --- a record of a newer format -------------------------------------------------------------------


def newer_value(key: bytes, value: bytes) -> bytes:
    """The value's own format is one higher; the checksum is right."""
    blob = bytes([FORMAT + 1]) + value[1:-4]
    return blob + crc32(blob, crc32(key)).to_bytes(4, "little")


def newer_head(key: bytes, value: bytes) -> bytes:
    """The format of the head within the value is one higher."""
    found = unpack(key, value, HeadValue)
    head = bytes([codec.FORMAT + 1]) + found.head[1:]
    return pack(key, msgspec.structs.replace(found, head=head))


def newer_events(key: bytes, value: bytes) -> bytes:
    """The format of a turn's events is one higher."""
    body = unpack(key, value, TurnValue).body
    assert isinstance(body, bytes)
    return pack(key, TurnValue(bytes([codec.FORMAT + 1]) + body[1:]))


def newer_item(key: bytes, value: bytes) -> bytes:
    """The format of an inbox item is one higher."""
    found = unpack(key, value, ItemValue)
    assert isinstance(found.body, bytes)
    body = bytes([codec.FORMAT + 1]) + found.body[1:]
    return pack(key, msgspec.structs.replace(found, body=body))


HEAD = KEYS.head(LEFT)
TURN = KEYS.turn(LEFT, 0, 0)


@pytest.mark.parametrize(
    ("key", "newer"),
    [(HEAD, newer_value), (HEAD, newer_head), (TURN, newer_events), (None, newer_item)],
    ids=["value", "head", "events", "inbox"],
)
async def test_a_newer_record_is_refused_left_alone_and_stops_nobody_else(
    key: bytes | None,
    newer: Callable[[bytes, bytes], bytes],
    etcd_server: Cluster,
    raw: EtcdClient,
) -> None:
    await restore(raw, PRESENT)
    if key is None:
        ((first, *_),) = [(await raw.range(Get(*KEYS.inbox(LEFT)))).kvs]
        key = first.key
    before = await raw.get(key)
    assert before is not None
    await raw.put(key, newer(key, before.value))
    changed = await raw.get(key)
    one, store = await engine(etcd_server)
    one.connect()
    for instance_id in ("chain", "family", "loop"):  # partitions go on without the one
        await one.finish(instance_id, within=60)
    with pytest.raises(StoreNewerError, match="run the version that wrote it") as refused:
        await store.load(LEFT)
    assert refused.value.code == "TN0402"
    if key == HEAD:
        with pytest.raises(StoreNewerError):
            await one.operations.head(LEFT)
        with pytest.raises(StoreNewerError):  # part of a list would pass for all of it
            await store.heads(Query(), limit=100)
    await one.operations.raise_event(LEFT, "remark", "three")  # it waits for who can read the rest
    await one.stop()
    await store.close()
    assert await raw.get(key) == changed, "it was touched"
    # The newer version is back, and reads its own record.
    await raw.put(key, before.value)
    one, store = await engine(etcd_server)
    one.connect()
    assert await one.finish(LEFT, within=60) == "one,two"
    await one.stop()
    await store.close()
