"""Watches on a real server: in order, without holes, and honest about holes.

Out of scope: fail-over to another member (test_etcd_members).
"""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from support.etcd import Cluster
from support.proxy import FROM, FaultProxy
from tenure_common.errors import EtcdUnavailableError
from tenure_sidecar.etcd import Batch, Delete, EtcdClient, Put, Watch, prefix_end
from tenure_sidecar.etcd import watch as module


def names(batch: Batch, prefix: bytes) -> list[str]:
    """Last parts of the keys; a minus before what was deleted."""
    return [
        "-" * event.deleted + event.kv.key.removeprefix(prefix).decode() for event in batch.events
    ]


async def until(watch: Watch, key: bytes) -> list[Batch]:
    """Batches up to the one that has ``key``."""
    found: list[Batch] = []
    async for batch in watch:
        found.append(batch)
        if any(event.kv.key == key for event in batch.events):
            break
    return found


async def test_changes_of_one_transaction_come_together(client: EtcdClient, prefix: bytes) -> None:
    watch = client.watch(prefix, prefix_end(prefix))
    began = await watch.started()
    first = await client.put(prefix + b"a", b"1")
    second = await client.txn((), (Put(prefix + b"b", b"2"), Delete(prefix + b"a")))
    one, two = await anext(watch), await anext(watch)
    assert began < first
    assert (one.revision, names(one, prefix)) == (first, ["a"])
    assert (two.revision, sorted(names(two, prefix))) == (second.revision, ["-a", "b"])
    assert one.events[0].kv.value == b"1"
    assert not one.gap
    watch.close()


async def test_list_then_watch_misses_nothing(client: EtcdClient, prefix: bytes) -> None:
    old = await client.put(prefix + b"a", b"")
    watch = client.watch(prefix, prefix_end(prefix))
    assert await watch.started() >= old
    new = await client.put(prefix + b"b", b"")
    assert (await anext(watch)).revision == new
    watch.close()


async def test_a_watch_may_begin_in_the_past(client: EtcdClient, prefix: bytes) -> None:
    first = await client.put(prefix + b"0", b"")
    for n in range(1, 50):
        await client.put(prefix + b"%d" % n, b"")
    watch = client.watch(prefix, prefix_end(prefix), revision=first)
    assert await watch.started() == first - 1
    seen = await until(watch, prefix + b"49")
    assert [name for batch in seen for name in names(batch, prefix)] == [str(n) for n in range(50)]
    watch.close()


async def test_many_watches_share_a_connection(
    proxy: FaultProxy, patient: EtcdClient, prefix: bytes
) -> None:
    watches = [patient.watch(prefix + b"%d" % n) for n in range(64)]
    await asyncio.gather(*(watch.started() for watch in watches))
    for n in (63, 0):
        await patient.put(prefix + b"%d" % n, b"")
        assert names(await anext(watches[n]), prefix) == [str(n)]
    assert proxy.accepted <= 2  # and one for renewals
    assert patient._watches.streams == 1


async def test_a_closed_watch_ends_and_leaves_the_others(client: EtcdClient, prefix: bytes) -> None:
    one, other = client.watch(prefix), client.watch(prefix)
    await asyncio.gather(one.started(), other.started())
    waiting = asyncio.create_task(anext(one))
    await asyncio.sleep(0)
    one.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    one.close()
    await client.put(prefix, b"")
    assert len((await anext(other)).events) == 1
    other.close()
    again = client.watch(prefix)
    await again.started()
    again.close()


async def test_what_arrived_before_the_close_is_given_out(
    client: EtcdClient, prefix: bytes
) -> None:
    watch = client.watch(prefix)
    await watch.started()
    await client.put(prefix, b"")
    while not watch._batches:
        await asyncio.sleep(0.001)
    watch.close()
    assert [len(batch.events) async for batch in watch] == [1]


async def test_closing_the_client_ends_watches(etcd_server: Cluster, prefix: bytes) -> None:
    client = EtcdClient(etcd_server.urls, clock=monotonic)
    watch = client.watch(prefix)
    waiting = asyncio.create_task(anext(watch))
    await watch.started()
    await client.close()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_nobody_to_watch_is_told_to_who_waits_for_the_start(prefix: bytes) -> None:
    client = EtcdClient(["http://127.0.0.1:1"], clock=monotonic, connect_timeout=0.1)
    watch = client.watch(prefix)
    waiting = asyncio.create_task(watch.started())
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(EtcdUnavailableError):
        await waiting


# --- breaks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["reset", "refuse"])
async def test_a_watch_goes_on_after_a_break_without_a_hole(
    fault: str, client: EtcdClient, proxy: FaultProxy, far: EtcdClient, prefix: bytes
) -> None:
    watch = far.watch(prefix, prefix_end(prefix))
    await watch.started()
    await client.put(prefix + b"0", b"")
    assert names(await anext(watch), prefix) == ["0"]
    if fault == "reset":
        proxy.reset()
    else:
        await proxy.refuse()
    for n in range(1, 10):
        await client.put(prefix + b"%d" % n, b"")
    await proxy.listen()
    seen = await until(watch, prefix + b"9")
    assert [name for batch in seen for name in names(batch, prefix)] == [
        str(n) for n in range(1, 10)
    ]
    assert not any(batch.gap for batch in seen)
    watch.close()


async def test_a_break_before_the_first_event_leaves_no_hole(
    client: EtcdClient, proxy: FaultProxy, far: EtcdClient, prefix: bytes
) -> None:
    watch = far.watch(prefix)
    await watch.started()
    await proxy.refuse()
    await client.put(prefix, b"")
    await proxy.listen()
    assert len((await anext(watch)).events) == 1
    watch.close()


async def test_a_half_open_stream_is_noticed(
    client: EtcdClient, proxy: FaultProxy, far: EtcdClient, prefix: bytes
) -> None:
    watch = far.watch(prefix)
    await watch.started()
    streams = far._watches.streams
    proxy.cut((FROM,))  # what the server says is lost, and nobody tells the client
    await client.put(prefix, b"")
    waiting = asyncio.create_task(anext(watch))
    await proxy.until(lambda: proxy.accepted > 2 or far._watches.streams > streams)
    assert not waiting.done()
    proxy.resume()
    proxy.reset()
    assert len((await waiting).events) == 1
    assert far._watches.streams > streams
    watch.close()


async def test_a_failed_call_makes_a_watch_doubt_its_stream(
    etcd_server: Cluster, client: EtcdClient, proxy: FaultProxy, prefix: bytes
) -> None:
    # It would ask only after an hour of silence; the failed read makes it ask at once.
    far = EtcdClient([proxy.url], clock=monotonic, timeout=0.3, silence=3600.0)
    watch = far.watch(prefix)
    await watch.started()
    proxy.cut((FROM,))
    with pytest.raises(EtcdUnavailableError):
        await far.get(prefix)
    await client.put(prefix, b"")
    await proxy.until(lambda: far._watches.streams > 1 or proxy.accepted > 2)
    proxy.resume()
    proxy.reset()
    assert len((await anext(watch)).events) == 1
    await far.close()


async def test_what_was_written_before_has_been_told(
    etcd_server: Cluster, client: EtcdClient, far: EtcdClient, prefix: bytes
) -> None:
    watch = far.watch(prefix)
    await watch.started()
    for _ in range(10):
        revision = await client.put(prefix, b"")
        await far.told(revision)
        # Older ones may answer before what they send (etcd issue 15220).
        assert watch._batches or etcd_server.version == "3.5.1"
        assert (await anext(watch)).revision == revision
    watch.close()
    await far.told(revision + 1)  # nobody is told anything any more


async def test_a_half_open_stream_has_not_told_what_it_lost(
    etcd_server: Cluster, client: EtcdClient, proxy: FaultProxy, prefix: bytes
) -> None:
    # It would ask only after an hour of silence; whoever wants to know makes it ask at once.
    far = EtcdClient([proxy.url], clock=monotonic, timeout=1.0, silence=3600.0)
    watch = far.watch(prefix)
    await watch.started()
    proxy.cut((FROM,))
    revision = await client.put(prefix, b"")
    waiting = asyncio.create_task(far.told(revision))
    await proxy.until(lambda: far._watches.streams > 1 or proxy.accepted > 2)
    assert not waiting.done()
    proxy.resume()
    proxy.reset()
    await waiting
    assert [batch.revision for batch in watch._batches] == [revision]
    await far.close()


async def test_silence_alone_is_no_fault(proxy: FaultProxy, prefix: bytes) -> None:
    # The answer has as long as the silence; a busy machine needs some of it.
    far = EtcdClient([proxy.url], clock=monotonic, timeout=60.0, connect_timeout=60.0, silence=2.0)
    watch = far.watch(prefix)
    await watch.started()
    heard = proxy.ways[FROM].taken
    for _ in range(3):  # it asks, and is answered
        await proxy.until(lambda heard=heard: proxy.ways[FROM].taken > heard)  # type: ignore[misc]
        heard = proxy.ways[FROM].taken
    assert far._watches.streams == 1
    await far.close()


# --- holes ----------------------------------------------------------------------------------------


async def test_compaction_beyond_the_watch_is_a_gap(
    client: EtcdClient, proxy: FaultProxy, far: EtcdClient, prefix: bytes
) -> None:
    watch, other = far.watch(prefix, prefix_end(prefix)), far.watch(b"elsewhere")
    await asyncio.gather(watch.started(), other.started())
    await proxy.refuse()
    await client.put(prefix + b"lost", b"")
    await client.delete(prefix + b"lost")
    last = await client.put(prefix + b"kept", b"")
    await client.compact(last)
    await proxy.listen()
    gap = await anext(watch)
    assert gap == Batch(last - 1, (), gap=True)
    assert names(await anext(watch), prefix) == ["kept"]
    await client.put(prefix + b"later", b"")
    assert names(await anext(watch), prefix) == ["later"]
    watch.close()
    other.close()


async def test_a_watch_that_begins_too_far_back_has_a_gap(
    client: EtcdClient, prefix: bytes
) -> None:
    first = await client.put(prefix, b"1")
    last = await client.put(prefix, b"2")
    await client.compact(last)
    watch = client.watch(prefix, revision=first)
    assert (await anext(watch)).gap
    assert (await anext(watch)).events[0].kv.value == b"2"
    watch.close()


async def test_a_slow_consumer_gets_a_gap_not_all_memory(
    client: EtcdClient, prefix: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_QUEUE", 5)
    watch, other = client.watch(prefix), client.watch(prefix)
    await asyncio.gather(watch.started(), other.started())
    for n in range(9):
        await client.put(prefix, b"%d" % n)
        await anext(other)
    assert (await anext(watch)).gap
    rest = await until(watch, prefix)
    assert [batch.events[0].kv.value for batch in rest] == [b"6"]
    watch.close()
    other.close()


async def test_a_watch_without_deletes_tells_writes_alone(
    client: EtcdClient, prefix: bytes
) -> None:
    watch = client.watch(prefix, prefix_end(prefix), deletes=False)
    await watch.started()
    await client.put(prefix + b"a", b"1")
    await client.delete(prefix + b"a")
    await client.txn((), (Put(prefix + b"b", b"2"), Put(prefix + b"end", b"")))
    found = [names(batch, prefix) for batch in await until(watch, prefix + b"end")]
    assert found == [["a"], ["b", "end"]]
    watch.close()
