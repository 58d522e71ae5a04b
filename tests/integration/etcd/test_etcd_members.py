"""A cluster of three: members die, freeze and are cut off, and the client uses the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from time import monotonic

import pytest

from support.etcd import Cluster
from support.proxy import FaultProxy
from support.readable import answered, readable
from tenure_common.errors import EtcdOutcomeUnknownError, EtcdUnavailableError
from tenure_sidecar.etcd import EtcdClient


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("three"), size=3) as cluster:
        yield cluster


@pytest.fixture
async def trio(three: Cluster) -> AsyncIterator[EtcdClient]:
    for member in three.members:
        if member.process is None:
            member.start()
    three.wait_ready()
    # Writes may have to wait for a new leader, on a busy machine for some seconds.
    client = EtcdClient(three.urls, clock=monotonic, timeout=10.0)
    yield client
    await client.close()


async def write(client: EtcdClient, key: bytes, value: bytes) -> int:
    """Write until it is known to have happened, as a careful caller does; returns the tries."""
    tries = 0
    while True:
        tries += 1
        try:
            await client.put(key, value)
        except EtcdUnavailableError:
            continue
        except EtcdOutcomeUnknownError:
            found = await readable(client, key)
            if found is not None and found.value == value:
                return tries
            continue
        return tries


async def test_the_first_member_that_lives_is_used(trio: EtcdClient, three: Cluster) -> None:
    three.members[0].kill()
    client = EtcdClient(three.urls, clock=monotonic, timeout=60, connect_timeout=20)
    assert await client.get(b"nothing") is None
    await client.close()


async def test_a_read_moves_on_when_its_member_dies(
    trio: EtcdClient, three: Cluster, prefix: bytes
) -> None:
    await trio.put(prefix, b"1")
    three.members[0].kill()
    found = await trio.get(prefix)
    assert found is not None
    assert found.value == b"1"


async def test_a_read_moves_on_when_its_member_freezes(
    trio: EtcdClient, three: Cluster, prefix: bytes
) -> None:
    await trio.put(prefix, b"1")
    three.members[0].pause()
    try:
        found = await trio.get(prefix)
        assert found is not None
        assert found.value == b"1"
    finally:
        three.members[0].resume()


@pytest.mark.parametrize("victim", [0, 1, 2])
async def test_writes_go_on_after_any_member_dies(
    trio: EtcdClient, three: Cluster, prefix: bytes, victim: int
) -> None:
    await trio.put(prefix, b"0")
    three.members[victim].kill()
    for n in range(1, 20):
        await write(trio, prefix, b"%d" % n)
    found = await trio.get(prefix)
    assert found is not None
    assert found.value == b"19"


async def test_a_watch_moves_on_without_a_hole(
    trio: EtcdClient, three: Cluster, prefix: bytes
) -> None:
    watch = trio.watch(prefix)
    await watch.started()
    for n in range(30):
        if n == 10:
            three.members[0].kill()
        await write(trio, prefix, b"%d" % n)
    seen: list[int] = []
    while not seen or seen[-1] != 29:
        batch = await anext(watch)
        assert not batch.gap
        seen += [int(event.kv.value) for event in batch.events]
    assert sorted(set(seen)) == list(range(30))
    watch.close()


async def test_a_lease_is_renewed_through_another_member(trio: EtcdClient, three: Cluster) -> None:
    term = await trio.lease_grant(60)
    await trio.keep_alive(term.id, within=10)
    three.members[0].kill()
    renewed = await answered(lambda: trio.keep_alive(term.id, within=10))
    assert renewed.sent_at > term.sent_at


async def test_without_a_majority_nothing_is_done_and_that_is_said(
    trio: EtcdClient, three: Cluster, prefix: bytes
) -> None:
    await trio.put(prefix, b"1")
    three.members[0].kill()
    three.members[1].kill()
    with pytest.raises((EtcdUnavailableError, EtcdOutcomeUnknownError)):
        await trio.put(prefix, b"2")
    with pytest.raises(EtcdUnavailableError):
        await trio.get(prefix)


async def test_a_cut_off_member_is_left(trio: EtcdClient, three: Cluster, prefix: bytes) -> None:
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(FaultProxy(member.client_port))
            for member in three.members
        ]
        client = EtcdClient(
            [proxy.url for proxy in proxies], clock=monotonic, timeout=10.0, silence=0.2
        )
        watch = client.watch(prefix)
        await watch.started()
        await client.put(prefix, b"1")
        proxies[0].cut()
        assert await client.get(prefix) is not None
        tries = await write(client, prefix, b"2")
        assert tries == 1, "the read had already moved on"
        values: list[bytes] = []
        while b"2" not in values:
            values += [event.kv.value for event in (await anext(watch)).events]
        assert values == [b"1", b"2"]
        await client.close()


async def test_status_of_those_that_answer(trio: EtcdClient, three: Cluster) -> None:
    await trio.get(b"nothing")
    every = await trio.status()
    assert [status.url for status in every] == three.urls
    assert len({status.leader for status in every}) == 1
    three.members[2].kill()
    while len(rest := await trio.status()) == 3:
        await asyncio.sleep(0)
    assert [status.url for status in rest] == three.urls[:2]
