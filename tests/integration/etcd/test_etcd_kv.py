"""Keys and transactions on a real server.

Out of scope: faults (test_etcd_faults), several members (test_etcd_members).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from support.etcd import Cluster
from tenure_common.errors import (
    EtcdCompactedError,
    EtcdRefusedError,
    EtcdTooLargeError,
)
from tenure_sidecar.etcd import (
    Delete,
    EtcdClient,
    Get,
    Put,
    Range,
    Txn,
    TxnResult,
    absent,
    prefix_end,
    present,
    unchanged,
    value_is,
)


async def test_put_get_delete(client: EtcdClient, prefix: bytes) -> None:
    key = prefix + b"a"
    assert await client.get(key) is None
    first = await client.put(key, b"1")
    second = await client.put(key, b"2")
    found = await client.get(key)
    assert found is not None
    assert (found.key, found.value, found.lease) == (key, b"2", 0)
    assert (found.create_revision, found.mod_revision) == (first, second)
    old = await client.get(key, revision=first)
    assert old is not None
    assert old.value == b"1"
    assert await client.delete(key) == 1
    assert await client.delete(key) == 0
    assert await client.get(key) is None


async def test_a_range_is_in_order_and_says_when_it_was_cut(
    client: EtcdClient, prefix: bytes
) -> None:
    for name in (b"c", b"a", b"b"):
        await client.put(prefix + name, name)
    every = await client.range(Get(prefix, prefix_end(prefix)))
    assert [kv.value for kv in every.kvs] == [b"a", b"b", b"c"]
    assert (every.more, every.count) == (False, 3)
    cut = await client.range(Get(prefix, prefix_end(prefix), limit=2))
    assert ([kv.value for kv in cut.kvs], cut.more, cut.count) == ([b"a", b"b"], True, 3)
    last = await client.range(Get(prefix, prefix_end(prefix), limit=1, descending=True))
    assert [kv.value for kv in last.kvs] == [b"c"]
    keys = await client.range(Get(prefix, prefix_end(prefix), keys_only=True))
    assert [(kv.key[-1:], kv.value) for kv in keys.kvs] == [(b"a", b""), (b"b", b""), (b"c", b"")]
    assert (await client.range(Get(prefix, prefix_end(prefix), count_only=True))).count == 3


async def test_a_scan_is_one_snapshot(client: EtcdClient, prefix: bytes) -> None:
    await client.txn((), [Put(prefix + b"%03d" % n, b"old") for n in range(25)])
    seen: list[tuple[bytes, bytes]] = []
    async for page in client.scan(prefix, prefix_end(prefix), page=10):
        seen += [(kv.key, kv.value) for kv in page.kvs]
        # What happens between two pages is not in it.
        await client.put(prefix + b"%03d" % 24, b"new")
        await client.put(prefix + b"new", b"new")
        await client.delete(prefix + b"%03d" % 20)
    assert seen == [(prefix + b"%03d" % n, b"old") for n in range(25)]


async def test_a_scan_of_nothing_is_one_empty_page(client: EtcdClient, prefix: bytes) -> None:
    pages = [page async for page in client.scan(prefix, prefix_end(prefix))]
    assert [page.kvs for page in pages] == [()]


async def test_a_transaction_takes_one_branch(client: EtcdClient, prefix: bytes) -> None:
    key = prefix + b"a"
    made = await client.txn((absent(key),), (Put(key, b"1"),), (Get(key),))
    assert made == TxnResult(True, made.revision, (None,))
    again = await client.txn((absent(key),), (Put(key, b"2"),), (Get(key),))
    assert not again.succeeded
    (found,) = again.results
    assert isinstance(found, Range)
    assert found.kvs[0].value == b"1"
    assert found.kvs[0].mod_revision == made.revision


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("kind", ["absent", "none in a range", "present", "unchanged", "value"])
async def test_each_comparison(client: EtcdClient, prefix: bytes, kind: str, holds: bool) -> None:
    key, other = prefix + b"a", prefix + b"b"
    revision = await client.put(key, b"1")
    compare = {
        "absent": absent(other if holds else key),
        "none in a range": absent(other if holds else prefix, prefix_end(prefix)),
        "present": present(key if holds else other),
        "unchanged": unchanged(key, revision if holds else revision - 1),
        "value": value_is(key, b"1" if holds else b"2"),
    }[kind]
    assert (await client.txn((compare,), ())).succeeded is holds


async def test_unchanged_0_is_absent(client: EtcdClient, prefix: bytes) -> None:
    assert (await client.txn((unchanged(prefix, 0),), ())).succeeded


async def test_nested_transactions_are_judged_each_on_its_own(
    client: EtcdClient, prefix: bytes
) -> None:
    a, b, c = (prefix + name for name in (b"a", b"b", b"c"))
    await client.put(b, b"there")
    result = await client.txn(
        (),
        (
            Txn((absent(a),), (Put(a, b"1"),)),
            Txn((absent(b),), (Put(b, b"2"),), (Get(b),)),
            Txn((absent(c),), (Put(c, b"3"), Txn((), (Delete(b),)))),
        ),
    )
    assert [one.succeeded for one in result.results if isinstance(one, TxnResult)] == [
        True,
        False,
        True,
    ]
    kvs = (await client.range(Get(prefix, prefix_end(prefix)))).kvs
    assert [(kv.key, kv.value) for kv in kvs] == [(a, b"1"), (c, b"3")]
    assert {kv.mod_revision for kv in kvs} == {result.revision}


async def test_siblings_see_the_state_before_the_batch(client: EtcdClient, prefix: bytes) -> None:
    # Why one batch never holds two operations of one instance.
    a, b, guard = (prefix + name for name in (b"a", b"b", b"guard"))
    result = await client.txn(
        (),
        (
            Txn((absent(guard),), (Put(guard, b""), Put(a, b""))),
            Txn((absent(guard),), (Put(b, b""),)),
        ),
    )
    assert all(one.succeeded for one in result.results if isinstance(one, TxnResult))


async def test_a_key_is_put_once_in_a_transaction(client: EtcdClient, prefix: bytes) -> None:
    with pytest.raises(EtcdRefusedError, match="duplicate key"):
        await client.txn((), (Put(prefix, b"1"), Txn((), (Put(prefix, b"2"),))))
    assert await client.get(prefix) is None


async def test_what_is_too_large_is_refused_whole(client: EtcdClient, prefix: bytes) -> None:
    with pytest.raises(EtcdTooLargeError):
        await client.put(prefix, b"x" * 1_600_000)
    with pytest.raises(EtcdTooLargeError):
        await client.put(prefix, b"x" * 3_000_000)  # the server's gRPC refuses this one
    with pytest.raises(EtcdTooLargeError):
        await client.txn((), [Put(prefix + b"%d" % n, b"") for n in range(129)])
    assert (await client.range(Get(prefix, prefix_end(prefix)))).count == 0


async def test_a_large_answer_is_taken(client: EtcdClient, prefix: bytes) -> None:
    for n in range(8):
        await client.put(prefix + b"%d" % n, b"x" * 1_000_000)
    found = await client.range(Get(prefix, prefix_end(prefix)))
    assert sum(len(kv.value) for kv in found.kvs) == 8_000_000


async def test_a_compacted_revision_is_told_of(client: EtcdClient, prefix: bytes) -> None:
    first = await client.put(prefix, b"1")
    last = await client.put(prefix, b"2")
    await client.compact(last)
    with pytest.raises(EtcdCompactedError):
        await client.get(prefix, revision=first)
    with pytest.raises(EtcdCompactedError):
        await client.compact(last - 1)


async def test_a_scan_that_compaction_overtakes_says_so(client: EtcdClient, prefix: bytes) -> None:
    for n in range(4):
        await client.put(prefix + b"%d" % n, b"")
    pages = client.scan(prefix, prefix_end(prefix), page=2)
    await anext(pages)
    await client.compact(await client.put(prefix + b"x", b""))
    with pytest.raises(EtcdCompactedError):
        await anext(pages)


async def test_status_and_defragmentation(client: EtcdClient, prefix: bytes) -> None:
    for n in range(20):
        await client.put(prefix + b"%d" % n, b"x" * 100_000)
    await client.delete(prefix, prefix_end(prefix))
    await client.compact(await client.put(prefix, b""))
    (before,) = await client.status()
    while before.size - before.in_use < 1_000_000:  # pages are free after a later batch's commit
        await client.put(prefix, b"")
        (before,) = await client.status()
    assert before.version.startswith("3.")
    assert before.leader == before.member_id
    await client.defragment(before.url)
    (after,) = await client.status()
    assert after.size < before.size - 1_000_000
    assert after.problems == ()
    assert await client.alarms() == []


async def test_calls_are_counted(client: EtcdClient, prefix: bytes) -> None:
    await client.put(prefix, b"")
    await client.get(prefix)
    await client.txn((), ())
    assert (client.calls, client.transactions) == (3, 2)


async def test_a_snapshot_is_of_one_revision(client: EtcdClient, prefix: bytes) -> None:
    keys = [prefix + b"%d" % n for n in range(8)]

    async def write() -> None:
        for n in range(100):
            await client.txn((), [Put(key, b"%d" % n) for key in keys])

    writing = asyncio.create_task(write())
    revisions = set()
    while not writing.done():
        found, revision = await client.snapshot([Get(key) for key in keys])
        assert len({one.kvs[0].value if one.kvs else b"" for one in found}) == 1
        revisions.add(revision)
    assert len(revisions) > 1
    await writing


async def test_callers_that_go_away_while_they_read_harm_nobody(
    tmp_path: Path, etcd_server: Cluster
) -> None:
    # etcd before 3.5.5 dies of it when they read in a transaction.
    with Cluster(tmp_path, version=etcd_server.version) as cluster:
        client = EtcdClient(cluster.urls, clock=monotonic)
        for n in range(10):
            await client.txn((), [Put(b"/a/%d/%d" % (n, m), b"x" * 10_000) for m in range(100)])
        whole = [Get(b"/a/", prefix_end(b"/a/")) for _ in range(20)]
        await client.snapshot(whole[:2])
        for n in range(40):
            reading = asyncio.create_task(client.snapshot(whole))
            await asyncio.sleep(n / 4000)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        assert len((await client.snapshot(whole))[0]) == 20
        await client.close()
