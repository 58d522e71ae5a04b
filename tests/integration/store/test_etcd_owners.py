"""Ownership of an app in etcd: one process at a time, and what it notices when that is over.

That commits are refused by a foreign fence is in test_store_commit, for every store.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from integration.store.conftest import an_etcd_store
from integration.store.samples import Hub, events
from support.etcd import Cluster
from tenure_common.errors import EtcdLeaseGoneError, StoreLockedError
from tenure_sidecar.etcd import EtcdClient
from tenure_sidecar.store.etcd import EtcdStore
from tenure_sidecar.store.etcd.keys import Keys
from tenure_sidecar.store.port import Committed, Conflict

SHORTEST = 2  # seconds: etcd's shortest lease


@pytest.fixture
def app() -> str:
    return uuid.uuid4().hex


@pytest.fixture
async def raw(etcd_server: Cluster) -> AsyncIterator[EtcdClient]:
    """A client that is nobody's store."""
    client = EtcdClient(etcd_server.urls, clock=monotonic)
    yield client
    await client.close()


@pytest.fixture
async def one(etcd_server: Cluster, app: str) -> AsyncIterator[EtcdStore]:
    store = an_etcd_store(etcd_server, app=app, lease=SHORTEST)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def two(etcd_server: Cluster, app: str, one: EtcdStore) -> AsyncIterator[EtcdStore]:
    """Another process of the same app."""
    store = an_etcd_store(etcd_server, app=app, lease=SHORTEST)
    await store.open()
    yield store
    await store.close()


def everything(store: EtcdStore) -> range:
    return range(store.partitions)


# --- one process ----------------------------------------------------------------------------------


async def test_a_second_process_is_told_who_owns_the_app(one: EtcdStore, two: EtcdStore) -> None:
    await one.own(everything(one), "host-a/17")
    with pytest.raises(StoreLockedError, match="'host-a/17'"):
        await two.owners.take(everything(two), b"b", lease=0, ours=(), patience=0.05)


async def test_a_second_process_takes_over_when_the_first_stops(
    one: EtcdStore, two: EtcdStore
) -> None:
    hub, heir = Hub(one), Hub(two)
    await hub.own()
    await hub.running("a")
    waiting = asyncio.create_task(heir.own())
    await asyncio.sleep(0)
    await one.release(tuple(hub.fences.values()))
    await waiting
    heir.versions = hub.versions
    assert await hub.commit("a", append=events("late")) == Conflict(fenced=True)
    assert isinstance(await heir.commit("a", append=events("mine")), Committed)


async def test_a_dead_process_lets_go_when_its_lease_ends(one: EtcdStore, two: EtcdStore) -> None:
    await one.own(everything(one), "dead")
    await one.client.close()  # nobody renews it any more, and nobody revokes it
    fences = await two.own(everything(two), "heir")
    assert len(fences) == two.partitions
    await one.open()


async def test_two_processes_that_begin_at_once_do_not_share(
    one: EtcdStore, two: EtcdStore
) -> None:
    leases = [await store.client.lease_grant(60) for store in (one, two)]
    taken = await asyncio.gather(
        *(
            store.owners.take(
                everything(store), b"%d" % n, lease=lease.id, ours=(lease.id,), patience=0.5
            )
            for n, (store, lease) in enumerate(zip((one, two), leases, strict=True))
        ),
        return_exceptions=True,
    )
    owners = {held.lease for held in (await one.owners.roster()).owners.values()}
    assert len(owners) == 1
    assert sorted(isinstance(one, StoreLockedError) for one in taken) == [False, True]
    for lease in leases:
        await one.client.revoke(lease.id)


# --- losing it ------------------------------------------------------------------------------------


async def test_nothing_is_lost_while_the_owner_works(one: EtcdStore) -> None:
    hub = Hub(one)
    await hub.own()
    lost = asyncio.create_task(one.lost())
    await hub.running("a")
    await hub.finish("a")
    assert not lost.done()
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)


async def test_a_lease_that_ended_is_noticed_and_everything_taken_again(
    one: EtcdStore, raw: EtcdClient
) -> None:
    hub = Hub(one)
    await hub.own()
    await hub.running("a")
    roster = await one.owners.roster()
    await raw.revoke(roster.owners[0].lease)
    async with asyncio.timeout(30):
        await one.lost()
    assert await hub.commit("a", append=events("late")) == Conflict(fenced=True)
    await hub.own()
    assert isinstance(await hub.commit("a", append=events("again")), Committed)


@pytest.mark.parametrize("partition", [0, 63])
async def test_a_key_that_somebody_changed_is_noticed(
    one: EtcdStore, raw: EtcdClient, app: str, partition: int
) -> None:
    hub = Hub(one)
    await hub.own()
    lost = asyncio.create_task(one.lost())
    await raw.delete(Keys("test", app).owner(partition))
    async with asyncio.timeout(30):
        await lost


# --- claims, for processes that share an app ------------------------------------------------------


async def test_of_two_claims_one_succeeds(one: EtcdStore, two: EtcdStore) -> None:
    leases = [await store.client.lease_grant(60) for store in (one, two)]
    claims = await asyncio.gather(
        one.claim({3: 0, 4: 0}, b"one", lease=leases[0].id),
        two.claim({3: 0, 4: 0}, b"two", lease=leases[1].id),
    )
    for partition in (3, 4):
        winners = [claim for claim in claims if claim[partition] is not None]
        assert len(winners) == 1
        roster = await one.owners.roster()
        fence = winners[0][partition]
        assert fence is not None
        assert roster.owners[partition].revision == fence.token


async def test_a_claim_names_what_it_saw(one: EtcdStore, two: EtcdStore) -> None:
    lease = await one.client.lease_grant(60)
    first = (await one.claim({3: 0}, b"one", lease=lease.id))[3]
    assert first is not None
    assert await two.claim({3: first.token - 1}, b"two", lease=lease.id) == {3: None}
    second = (await two.claim({3: first.token}, b"two", lease=lease.id))[3]
    assert second is not None
    assert second.token > first.token
    await one.release([first])  # an old fence: it is another's by now
    assert (await one.owners.roster()).owners[3].value == b"two"


async def test_a_claim_under_a_dead_lease_takes_nothing(one: EtcdStore) -> None:
    lease = await one.client.lease_grant(60)
    await one.client.revoke(lease.id)
    with pytest.raises(EtcdLeaseGoneError):
        await one.claim({3: 0}, b"one", lease=lease.id)
    assert (await one.owners.roster()).owners == {}


async def test_members_come_and_go_with_their_leases(one: EtcdStore, two: EtcdStore) -> None:
    lease = await one.client.lease_grant(60)
    watch = two.owners.watch_members()
    await watch.started()
    await one.owners.announce("side/car", b"here", lease=lease.id)
    assert {name: held.value for name, held in (await two.owners.roster()).members.items()} == {
        "side/car": b"here"
    }
    await one.client.revoke(lease.id)
    seen = [
        (event.deleted, two.owners.name_of(event.kv.key))
        for batch in [await anext(watch), await anext(watch)]
        for event in batch.events
    ]
    assert seen == [(False, "side/car"), (True, "side/car")]
    watch.close()
