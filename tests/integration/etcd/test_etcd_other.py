"""Another etcd cluster answers at an address of the one that a client began with.

As when a service or a name leads elsewhere, or a list of addresses is of two clusters.  The revisions of
the other are above all that is known, so that they give nothing away.  In scope: that it is noticed by
whatever is answered first, and that nothing of it is believed.  (A write that is under way may arrive
there; it is not acknowledged, and what belongs to an instance names a fence that is not there.)  What
the processes do then: process/test_etcd_elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from time import monotonic

import pytest

from support.etcd import Cluster
from support.proxy import FaultProxy
from support.readable import answered, readable
from tenure_common.errors import EtcdOtherClusterError
from tenure_sidecar.etcd import EtcdClient, Get

KEY = b"a"
AHEAD = 50  # writes by which the other one is ahead


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("ours")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("theirs")) as cluster:
        yield cluster


@pytest.fixture
async def door(ours: Cluster) -> AsyncIterator[FaultProxy]:
    """The address, which leads to ours."""
    async with FaultProxy(ours.members[0].client_port) as proxy:
        yield proxy


@pytest.fixture
async def client(door: FaultProxy) -> AsyncIterator[EtcdClient]:
    client = EtcdClient([door.url], clock=monotonic, timeout=10, connect_timeout=10)
    yield client
    await client.close()


@pytest.fixture
async def other(theirs: Cluster) -> AsyncIterator[EtcdClient]:
    """A client of theirs, which is ahead."""
    client = EtcdClient(theirs.urls, clock=monotonic)
    for _ in range(AHEAD):
        await client.put(b"theirs", b"1")
    await client.delete(KEY)
    yield client
    await client.close()


def turn(door: FaultProxy, theirs: Cluster) -> None:
    """The address leads to theirs from now on."""
    door.lead_to(theirs.members[0].client_port)


async def test_what_is_read_there_is_not_believed(
    client: EtcdClient, other: EtcdClient, door: FaultProxy, theirs: Cluster
) -> None:
    await client.put(KEY, b"1")
    turn(door, theirs)
    with pytest.raises(EtcdOtherClusterError, match="another cluster"):
        await readable(client, KEY)
    with pytest.raises(EtcdOtherClusterError):
        await client.past.over()
    calls = client.calls
    with pytest.raises(EtcdOtherClusterError):  # whatever it was, it is not sent
        await client.put(KEY, b"2")
    assert client.calls == calls


async def test_what_a_watch_is_told_there_is_not_passed_on(
    client: EtcdClient, other: EtcdClient, door: FaultProxy, theirs: Cluster
) -> None:
    watch = client.watch(b"theirs")
    await watch.started()
    turn(door, theirs)
    with pytest.raises(EtcdOtherClusterError):
        await client.past.over()
    await other.put(b"theirs", b"2")
    watch.close()
    assert [batch async for batch in watch] == []


async def test_a_lease_is_not_renewed_there(
    client: EtcdClient, other: EtcdClient, door: FaultProxy, theirs: Cluster
) -> None:
    lease = await client.lease_grant(60)
    await client.keep_alive(lease.id, within=10)
    turn(door, theirs)
    with pytest.raises(EtcdOtherClusterError):
        await answered(lambda: client.keep_alive(lease.id, within=10))


async def test_addresses_of_two_clusters_are_told_apart_at_the_start(
    ours: Cluster, theirs: Cluster
) -> None:
    client = EtcdClient([*ours.urls, *theirs.urls], clock=monotonic)
    with contextlib.suppress(EtcdOtherClusterError):
        await client.snapshot([Get(KEY)])
    with pytest.raises(EtcdOtherClusterError):
        await client.past.over()
    await client.close()
