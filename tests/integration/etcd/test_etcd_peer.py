"""An independent client (``etcd3aio``, in a process of its own): what one writes the other reads.

So a mistake that our client makes both in writing and in reading cannot hide.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.etcd import Cluster
from tenure_common.errors import EtcdLeaseGoneError
from tenure_sidecar.etcd import EtcdClient, Get, Put, absent, prefix_end
from tenure_sidecar.etcd._generated import etcd_pb2 as pb


class Peer:
    """The other client."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def __call__(self, do: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        arguments = {
            name: value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in arguments.items()
        }
        self.process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        line = await self.process.stdout.readline()
        assert line, "the other client ended"
        return json.loads(line)


@pytest.fixture
async def peer(etcd_server: Cluster) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("peer.py")),
        etcd_server.urls[0],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield Peer(process)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


async def test_it_reads_what_we_write(client: EtcdClient, peer: Peer, prefix: bytes) -> None:
    lease = await client.lease_grant(60)
    one = await client.put(prefix + b"a\x00\xff", b"\x00\xfe", lease=lease.id)
    two = (await client.txn((absent(prefix + b"b"),), (Put(prefix + b"b", b"2"),))).revision
    assert await peer("get", key=prefix) == [
        [(prefix + b"a\x00\xff").decode("latin-1"), "\x00\xfe", one, lease.id],
        [(prefix + b"b").decode("latin-1"), "2", two, 0],
    ]
    assert await peer("create", key=prefix + b"b", value="3") is False
    assert await peer("left", lease=lease.id) > 50
    assert await client.delete(prefix + b"b") == 1
    assert await peer("delete", key=prefix + b"b") == 0
    await client.revoke(lease.id)
    assert await peer("get", key=prefix) == []


async def test_we_read_what_it_writes(client: EtcdClient, peer: Peer, prefix: bytes) -> None:
    lease = await peer("grant", ttl=60)
    one = await peer("put", key=prefix + b"a\xff", value=b"\x00\xfe", lease=lease)
    assert await peer("create", key=prefix + b"b", value="2") is True
    first, second = (await client.range(Get(prefix, prefix_end(prefix)))).kvs
    assert (first.key, first.value, first.mod_revision) == (prefix + b"a\xff", b"\x00\xfe", one)
    assert first.lease == lease
    assert (second.value, second.create_revision) == (b"2", one + 1)
    assert (await client.keep_alive(lease, within=5)).ttl == 60
    await peer("revoke", lease=lease)
    with pytest.raises(EtcdLeaseGoneError):
        await client.keep_alive(lease, within=5)
    assert await client.get(prefix + b"a\xff") is None


async def test_each_watches_the_other(client: EtcdClient, peer: Peer, prefix: bytes) -> None:
    watch = client.watch(prefix, prefix_end(prefix))
    await watch.started()
    first = await peer("put", key=prefix + b"a", value="1")
    assert (await anext(watch)).revision == first
    await peer("delete", key=prefix + b"a")
    (event,) = (await anext(watch)).events
    assert (event.deleted, event.kv.key) == (True, prefix + b"a")
    watch.close()
    await client.put(prefix + b"b", b"")
    await client.delete(prefix + b"b")
    events = await peer("watch", key=prefix, revision=first, count=4)
    names = [(kind, key[-1]) for kind, key in events]
    assert names == [(0, "a"), (1, "a"), (0, "b"), (1, "b")]


async def test_our_messages_are_etcd_s(peer: Peer) -> None:
    theirs = await peer("types")
    wrong: list[str] = []
    todo = list(pb.DESCRIPTOR.message_types_by_name.values())
    assert len(todo) > 30
    while todo:
        message = todo.pop()
        todo += message.nested_types
        if message.name == "Event":  # in a file that the other client does not import by name
            continue
        for number, field in message.fields_by_number.items():
            if theirs[message.name].get(str(number)) != [field.type, field.is_repeated]:
                wrong.append(f"{message.name}.{field.name}")
    assert wrong == []
