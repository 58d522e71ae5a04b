"""A backup of etcd is put back while clients go on: revisions begin again below what they know.

In scope: that it is noticed, by whatever is told first, and that nothing is sent from then on.  What
the processes do then: process/test_etcd_restored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from support.etcd import Cluster
from support.readable import readable
from tenure_common.errors import EtcdWentBackError
from tenure_sidecar.etcd import EtcdClient


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "etcd") as cluster:
        yield cluster


async def test_who_was_told_more_by_an_answer_notices(server: Cluster, tmp_path: Path) -> None:
    client = EtcdClient(server.urls, clock=monotonic)
    await client.put(b"a", b"1")
    restore = server.members[0].backed_up(tmp_path / "copy")
    await readable(client, b"a")
    after = await client.put(b"a", b"2")
    restore()
    with pytest.raises(EtcdWentBackError, match=f"from revision {after} to {after - 1}:"):
        await readable(client, b"a")
    with pytest.raises(EtcdWentBackError):
        await client.past.over()
    calls = client.calls
    with pytest.raises(EtcdWentBackError):  # whatever it was, it is not sent
        await client.put(b"a", b"3")
    assert client.calls == calls
    await client.close()
    other = EtcdClient(server.urls, clock=monotonic)
    assert await other.put(b"a", b"4") == after
    await other.close()


async def test_who_was_told_more_by_a_watch_is_asked_to_list(
    server: Cluster, tmp_path: Path
) -> None:
    """It would hear nothing until the store has come to where the watch was."""
    client = EtcdClient(server.urls, clock=monotonic)
    writer = EtcdClient(server.urls, clock=monotonic)
    watch = client.watch(b"a")
    await watch.started()
    restore = server.members[0].backed_up(tmp_path / "copy")
    await readable(writer, b"a")
    after = await writer.put(b"a", b"2")
    while (await anext(watch)).revision < after:
        pass
    restore()
    assert (await anext(watch)).gap
    with pytest.raises(EtcdWentBackError):
        await readable(client, b"a")
    await client.close()
    await writer.close()


async def test_who_was_told_more_by_a_renewal_notices(server: Cluster, tmp_path: Path) -> None:
    client = EtcdClient(server.urls, clock=monotonic)
    writer = EtcdClient(server.urls, clock=monotonic)
    lease = await client.lease_grant(60)
    restore = server.members[0].backed_up(tmp_path / "copy")
    await readable(writer, b"a")
    after = await writer.put(b"a", b"2")
    while client.revision(within=60) != after:
        await client.keep_alive(lease.id, within=10)
    restore()
    with pytest.raises(EtcdWentBackError):
        await readable(client, b"a")
    await client.close()
    await writer.close()


async def test_answers_that_overtake_each_other_are_no_sign_of_it(server: Cluster) -> None:
    client = EtcdClient(server.urls, clock=monotonic)

    async def write(number: int) -> None:
        for _ in range(20):
            await client.put(b"%d" % number, b"")
            await client.get(b"%d" % number)

    await asyncio.gather(*map(write, range(20)))
    await client.close()
