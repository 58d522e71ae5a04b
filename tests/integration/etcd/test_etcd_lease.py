"""Leases on a real server: granted, renewed, ended, and lost in time.

Out of scope: the arithmetic (tests/unit/etcd/test_term), bulk traffic beside renewals
(test_etcd_faults).
"""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from support.etcd import Cluster
from support.proxy import FROM, FaultProxy
from support.readable import answered
from tenure_common.errors import EtcdLeaseGoneError, EtcdUnavailableError
from tenure_sidecar.etcd import EtcdClient
from tenure_sidecar.etcd import lease as module


async def test_keys_go_with_their_lease(client: EtcdClient, prefix: bytes) -> None:
    term = await client.lease_grant(60)
    await client.put(prefix, b"", lease=term.id)
    found = await client.get(prefix)
    assert found is not None
    assert found.lease == term.id
    await client.revoke(term.id)
    assert await client.get(prefix) is None
    with pytest.raises(EtcdLeaseGoneError):
        await client.revoke(term.id)


async def test_a_key_needs_a_lease_that_exists(client: EtcdClient, prefix: bytes) -> None:
    with pytest.raises(EtcdLeaseGoneError):
        await client.put(prefix, b"", lease=12345)
    assert await client.get(prefix) is None


async def test_a_term_counts_from_before_the_request(client: EtcdClient) -> None:
    before = monotonic()
    term = await client.lease_grant(60)
    after = monotonic()
    assert before <= term.sent_at <= after
    renewed = await client.keep_alive(term.id, within=60)
    assert after <= renewed.sent_at <= monotonic()
    assert (renewed.id, renewed.ttl) == (term.id, 60)


async def test_a_renewal_tells_the_revision(client: EtcdClient, prefix: bytes) -> None:
    term = await client.lease_grant(60)
    assert client.revision(within=60) is None
    await client.keep_alive(term.id, within=60)
    first = client.revision(within=60)
    assert first is not None
    written = await client.put(prefix, b"")
    assert client.revision(within=60) == first < written
    await client.keep_alive(term.id, within=60)
    second = client.revision(within=60)
    assert second is not None
    assert second >= written
    assert client.revision(within=0.0) is None


async def test_renewals_of_several_leases_share_a_stream(
    proxy: FaultProxy, patient: EtcdClient
) -> None:
    terms = [await patient.lease_grant(60) for _ in range(5)]
    before = proxy.accepted
    renewed = await asyncio.gather(*(patient.keep_alive(term.id, within=60) for term in terms))
    assert [term.id for term in renewed] == [term.id for term in terms]
    await asyncio.gather(*(patient.keep_alive(term.id, within=60) for term in terms))
    assert proxy.accepted - before <= 1


async def test_two_who_renew_at_once_share_the_time_of_sending(
    proxy: FaultProxy, far: EtcdClient
) -> None:
    # The answer belongs to what was sent first; to count from the second call would be too long.
    term = await far.lease_grant(60)
    await far.keep_alive(term.id, within=60)
    proxy.cut((FROM,))
    first = asyncio.create_task(far.keep_alive(term.id, within=60))
    kept = proxy.ways[FROM].taken
    await proxy.until(lambda: proxy.ways[FROM].taken > kept)
    between = monotonic()
    second = asyncio.create_task(far.keep_alive(term.id, within=60))
    await asyncio.sleep(0)
    proxy.resume()
    assert (await first).sent_at < between
    assert (await second).sent_at < between


async def test_an_ended_lease_is_told_of(client: EtcdClient) -> None:
    term = await client.lease_grant(60)
    await client.revoke(term.id)
    with pytest.raises(EtcdLeaseGoneError):
        await client.keep_alive(term.id, within=60)


async def test_a_lease_renews_itself_beyond_its_time(client: EtcdClient, prefix: bytes) -> None:
    lease = await client.lease(5)  # a busy machine may be late with a renewal by more than a second
    await client.put(prefix, b"", lease=lease.id)
    first = lease.term
    watch = client.watch(prefix)
    await watch.started()

    async def later_than(moment: float) -> None:
        while lease.term.sent_at <= moment:
            await asyncio.sleep(0.05)

    await later_than(first.deadline)
    assert lease.alive()
    assert await client.get(prefix) is not None
    await lease.stop()
    batch = await anext(watch)  # nobody renews any more: etcd deletes the key
    assert batch.events[0].deleted
    assert not lease.alive()
    assert not lease.lost.is_set()
    watch.close()


async def test_a_revoked_lease_is_lost(client: EtcdClient) -> None:
    lease = await client.lease(2)
    await client.revoke(lease.id)
    await lease.lost.wait()
    assert not lease.alive()
    await lease.stop()


async def test_a_lease_is_lost_here_before_it_is_lost_there(
    client: EtcdClient,
    proxy: FaultProxy,
    far: EtcdClient,
    prefix: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Half of the term between the two: how little may be between them, a busy machine cannot show.
    monkeypatch.setattr(module, "DRIFT", 0.5)
    lease = await far.lease(6)
    await far.put(prefix, b"", lease=lease.id)
    watch = client.watch(prefix)
    await watch.started()
    gone = asyncio.create_task(anext(watch))
    proxy.cut()
    await lease.lost.wait()
    assert not lease.alive()
    assert not gone.done()
    assert await client.get(prefix) is not None
    assert (await gone).events[0].deleted
    proxy.resume()
    await lease.stop()
    watch.close()


async def test_a_lease_survives_a_short_break(
    client: EtcdClient, proxy: FaultProxy, far: EtcdClient
) -> None:
    term = await far.lease_grant(10)
    await far.keep_alive(term.id, within=60)
    proxy.reset()
    # One may have been under way.
    renewed = await answered(lambda: far.keep_alive(term.id, within=60))
    assert renewed.sent_at > term.sent_at
    assert proxy.accepted > 2


async def test_no_answer_is_no_renewal(proxy: FaultProxy, far: EtcdClient) -> None:
    term = await far.lease_grant(60)
    await far.keep_alive(term.id, within=60)
    proxy.cut((FROM,))
    with pytest.raises(EtcdUnavailableError, match="no answer"):
        await far.keep_alive(term.id, within=0.2)
    proxy.resume()
    assert (await far.keep_alive(term.id, within=60)).id == term.id


async def test_close_ends_who_waits(proxy: FaultProxy, etcd_server: Cluster) -> None:
    client = EtcdClient([proxy.url], clock=monotonic)
    term = await client.lease_grant(60)
    await client.keep_alive(term.id, within=60)
    proxy.cut((FROM,))
    waiting = asyncio.create_task(client.keep_alive(term.id, within=30))
    taken = proxy.ways[FROM].taken
    await proxy.until(lambda: proxy.ways[FROM].taken > taken)
    await client.close()
    with pytest.raises(EtcdUnavailableError):
        await waiting
