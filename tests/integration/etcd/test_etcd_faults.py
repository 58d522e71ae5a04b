"""What a call says when the network or the server fails: refused, unavailable, or unknown.

The faults are made by a proxy between client and server, or by the server's own end.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from support.etcd import Cluster
from support.proxy import FROM, TO, FaultProxy
from support.readable import answered, readable
from tenure_common.errors import (
    EtcdFullError,
    EtcdOutcomeUnknownError,
    EtcdUnavailableError,
)
from tenure_sidecar.etcd import EtcdClient, Get, Put, absent, prefix_end

LARGE = b"x" * 4096


async def test_nobody_listens(prefix: bytes) -> None:
    client = EtcdClient(["http://127.0.0.1:1"], clock=monotonic, connect_timeout=0.2)
    with pytest.raises(EtcdUnavailableError, match="cannot connect"):
        await client.put(prefix, b"")
    with pytest.raises(EtcdUnavailableError, match="cannot connect"):
        await client.get(prefix)
    with pytest.raises(EtcdUnavailableError):
        await client.status()
    await client.close()


async def test_no_such_host(prefix: bytes) -> None:
    client = EtcdClient(["http://no-such-host.invalid:1"], clock=monotonic, connect_timeout=0.2)
    with pytest.raises(EtcdUnavailableError):
        await client.put(prefix, b"")
    await client.close()


async def test_a_write_that_was_not_answered_is_unknown_and_happened_once(
    client: EtcdClient, proxy: FaultProxy, far: EtcdClient, prefix: bytes
) -> None:
    await far.get(prefix)
    calls = far.calls
    proxy.cut((FROM,))
    with pytest.raises(EtcdOutcomeUnknownError):
        await far.put(prefix, b"1")
    found = await client.get(prefix)
    assert found is not None
    assert found.create_revision == found.mod_revision, "it was sent twice"
    assert far.calls == calls + 1


async def test_a_write_that_did_not_arrive_is_unknown_too(
    client: EtcdClient, proxy: FaultProxy, far: EtcdClient, prefix: bytes
) -> None:
    await far.get(prefix)
    calls = far.calls
    proxy.cut((TO,))
    with pytest.raises(EtcdOutcomeUnknownError):
        await far.put(prefix, b"1")
    assert await client.get(prefix) is None
    assert far.calls == calls + 1


@pytest.mark.parametrize("way", [TO, FROM])
async def test_a_connection_that_breaks_under_way_leaves_a_write_unknown(
    client: EtcdClient, proxy: FaultProxy, far: EtcdClient, prefix: bytes, way: str
) -> None:
    await far.get(prefix)
    proxy.cut((way,))
    taken = proxy.ways[TO].taken
    write = asyncio.create_task(far.put(prefix, LARGE))
    await proxy.until(lambda: proxy.ways[TO].taken > taken + len(LARGE))  # no ping is as large
    if way == FROM:
        await written(client, prefix)
    proxy.reset()
    with pytest.raises(EtcdOutcomeUnknownError):
        await write
    assert (await client.get(prefix) is None) is (way == TO)


async def test_a_read_is_only_unavailable(
    proxy: FaultProxy, far: EtcdClient, prefix: bytes
) -> None:
    await far.get(prefix)
    proxy.cut()
    with pytest.raises(EtcdUnavailableError):
        await far.get(prefix)


async def test_calls_work_again_when_the_network_does(
    proxy: FaultProxy, far: EtcdClient, prefix: bytes
) -> None:
    await far.put(prefix, b"")
    await proxy.refuse()
    with pytest.raises((EtcdUnavailableError, EtcdOutcomeUnknownError)):
        await far.put(prefix, b"")
    await proxy.listen()
    await answered(lambda: far.put(prefix, b"again"))
    found = await far.get(prefix)
    assert found is not None
    assert found.value == b"again"


async def test_a_cancelled_call_is_given_up_at_once(
    client: EtcdClient, proxy: FaultProxy, far: EtcdClient, prefix: bytes
) -> None:
    await far.get(prefix)
    proxy.cut((FROM,))
    write = asyncio.create_task(far.put(prefix, b""))
    await written(client, prefix)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    proxy.resume()
    assert await far.get(prefix) is not None


async def written(client: EtcdClient, key: bytes) -> None:
    """Wait until the server has ``key``; the test's own time-out ends it."""
    while await client.get(key) is None:
        await asyncio.sleep(0.001)


async def test_a_stopped_server_is_noticed_by_the_deadline(tmp_path: Path, prefix: bytes) -> None:
    with Cluster(tmp_path) as cluster:
        patient = EtcdClient(cluster.urls, clock=monotonic, timeout=60.0, connect_timeout=60.0)
        await patient.put(prefix, b"")
        await patient.close()
        client = EtcdClient(cluster.urls, clock=monotonic, timeout=0.5)
        await readable(client, prefix)
        (member,) = cluster.members
        member.pause()
        with pytest.raises(EtcdUnavailableError):
            await client.get(prefix)
        with pytest.raises(EtcdOutcomeUnknownError):
            await client.put(prefix, b"late")
        member.resume()
        found = await readable(client, prefix)
        assert found is not None
        assert found.value in (b"", b"late")  # it may have been withdrawn in time
        await client.close()


async def test_a_server_that_was_killed_has_kept_what_it_acknowledged(
    tmp_path: Path, prefix: bytes
) -> None:
    with Cluster(tmp_path) as cluster:
        client = EtcdClient(cluster.urls, clock=monotonic, connect_timeout=10, timeout=20)
        watch = client.watch(prefix)
        await watch.started()
        revision = await client.put(prefix, b"1")
        (member,) = cluster.members
        member.kill()
        member.start()
        found = await readable(client, prefix)
        assert found is not None
        assert found.mod_revision == revision
        assert (await anext(watch)).revision == revision
        later = await client.put(prefix, b"2")
        assert (await anext(watch)).revision == later
        await client.close()


# --- bulk beside renewals -------------------------------------------------------------------------


async def test_bulk_traffic_does_not_hold_up_renewals(
    etcd_server: Cluster, proxy: FaultProxy, prefix: bytes
) -> None:
    # All bulk of the client is stuck in the network; the renewal's connection is another one.
    client = EtcdClient([proxy.url], clock=monotonic, timeout=60, connect_timeout=60)
    term = await client.lease_grant(60)
    await client.keep_alive(term.id, within=60)
    assert proxy.accepted == 2
    calls = [
        asyncio.create_task(client.put(prefix + b"%d" % n, b"x" * 1_000_000)) for n in range(16)
    ]
    await proxy.until(lambda: proxy.ways[TO].taken > 1_000_000)
    assert (await client.keep_alive(term.id, within=60)).sent_at > term.sent_at
    await asyncio.gather(*calls)
    await client.close()


# --- no room --------------------------------------------------------------------------------------


async def test_a_full_store_refuses_writes_keeps_leases_and_resumes(
    tmp_path: Path, prefix: bytes
) -> None:
    with Cluster(tmp_path, extra=["--quota-backend-bytes", str(16 << 20)]) as cluster:
        client = EtcdClient(cluster.urls, clock=monotonic)
        term = await client.lease_grant(60)
        await client.put(prefix + b"kept", b"1")
        written = 0

        async def fill() -> None:
            nonlocal written
            while True:
                await client.put(prefix + b"bulk%d" % written, b"x" * 1_000_000)
                written += 1

        with pytest.raises(EtcdFullError, match="disarm"):
            await fill()
        assert [kind for _, kind in await client.alarms()] == ["NOSPACE"]
        with pytest.raises(EtcdFullError):
            await client.put(prefix + b"small", b"")
        with pytest.raises(EtcdFullError):
            await client.txn((absent(prefix),), (Put(prefix, b""),))
        assert await client.get(prefix + b"small") is None
        assert await client.get(prefix + b"kept") is not None
        assert (await client.keep_alive(term.id, within=60)).sent_at > term.sent_at
        (status,) = await client.status()
        assert any("NOSPACE" in problem for problem in status.problems)
        # What an administrator does; a plain delete is taken even now.
        bulk = await client.range(Get(prefix + b"bulk", prefix_end(prefix + b"bulk"), limit=1))
        assert bulk.count == written
        assert await client.delete(prefix + b"bulk", prefix_end(prefix + b"bulk")) == written
        (status,) = await client.status()
        await client.compact(status.revision)
        await client.defragment(status.url)
        assert await client.alarms(disarm=True) == []
        await client.put(prefix + b"small", b"")
        await client.close()
