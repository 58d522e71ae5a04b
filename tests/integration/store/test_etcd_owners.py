"""Owner and member keys in etcd: claims, releases, leases.

That commits are refused by a foreign fence is in test_store_commit, for every store; engines that
share an app are in test_etcd_sharing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from integration.store.conftest import an_etcd_store
from support.etcd import Cluster
from tenure_common.errors import EtcdLeaseGoneError
from tenure_sidecar.store.etcd import EtcdStore

SHORTEST = 2  # seconds: etcd's shortest lease


@pytest.fixture
def app() -> str:
    return uuid.uuid4().hex


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


async def test_of_two_claims_one_succeeds(one: EtcdStore, two: EtcdStore) -> None:
    leases = [await store.client.lease_grant(60) for store in (one, two)]
    claims = await asyncio.gather(
        one.owners.claim({3: 0, 4: 0}, b"one", lease=leases[0].id),
        two.owners.claim({3: 0, 4: 0}, b"two", lease=leases[1].id),
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
    first = (await one.owners.claim({3: 0}, b"one", lease=lease.id))[3]
    assert first is not None
    assert await two.owners.claim({3: first.token - 1}, b"two", lease=lease.id) == {3: None}
    second = (await two.owners.claim({3: first.token}, b"two", lease=lease.id))[3]
    assert second is not None
    assert second.token > first.token
    await one.release([first])  # an old fence: it is another's by now
    assert (await one.owners.roster()).owners[3].value == b"two"


async def test_a_claim_under_a_dead_lease_takes_nothing(one: EtcdStore) -> None:
    lease = await one.client.lease_grant(60)
    await one.client.revoke(lease.id)
    with pytest.raises(EtcdLeaseGoneError):
        await one.owners.claim({3: 0}, b"one", lease=lease.id)
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


async def test_what_is_given_back_is_told_and_nothing_else(one: EtcdStore) -> None:
    lease = await one.client.lease_grant(60)
    first, second = (await one.owners.claim({3: 0, 4: 0}, b"one", lease=lease.id)).values()
    assert first is not None
    assert second is not None
    (again,) = (await one.owners.claim({4: second.token}, b"two", lease=lease.id)).values()
    assert again is not None
    gone = await one.owners.release([first, second])
    roster = await one.owners.roster()
    assert list(gone) == [3]
    assert second.token < gone[3] <= roster.revision
    assert list(roster.owners) == [4]
    await one.client.revoke(lease.id)


async def test_what_is_left_running_is_told_with_the_partition(
    one: EtcdStore, two: EtcdStore
) -> None:
    lease = await one.client.lease_grant(60)
    fences = (await one.owners.claim({3: 0, 4: 0}, b"one", lease=lease.id)).values()
    watch = two.owners.watch_owners()
    await watch.started()
    given = await one.owners.release([f for f in fences if f], {3: b"a"}, "o/ne", lease=lease.id)
    roster = await two.owners.roster()
    assert roster.owners == {}
    assert {place: held.value for place, held in roster.running.items()} == {(3, "o/ne"): b"a"}
    assert {held.lease for held in roster.running.values()} == {lease.id}
    first = (await anext(watch)).events
    assert {(two.owners.place_of(event.kv.key), event.deleted) for event in first} == {
        ((3, ""), True),
        ((4, ""), True),
        ((3, "o/ne"), False),
    }
    assert {event.kv.mod_revision for event in first} == set(given.values())
    await one.owners.still_running({3: b"b", 4: None}, "o/ne", lease=lease.id)
    assert (await two.owners.roster()).running[3, "o/ne"].value == b"b"
    await one.owners.still_running({3: None}, "o/ne", lease=lease.id)
    assert (await two.owners.roster()).running == {}
    watch.close()


async def test_what_another_owns_by_now_is_not_said_to_be_left(one: EtcdStore) -> None:
    lease = await one.client.lease_grant(60)
    (first,) = (await one.owners.claim({3: 0}, b"one", lease=lease.id)).values()
    assert first is not None
    await one.owners.claim({3: first.token}, b"two", lease=lease.id)
    assert await one.owners.release([first], {3: b"a"}, "one", lease=lease.id) == {}
    assert (await one.owners.roster()).running == {}


async def test_owning_takes_from_whomever_has_it(one: EtcdStore, two: EtcdStore) -> None:
    (first,) = await one.own([3], "one")
    (second,) = await two.own([3], "two")
    assert second.token > first.token
    assert (await one.owners.roster()).owners[3].value == b"two"
