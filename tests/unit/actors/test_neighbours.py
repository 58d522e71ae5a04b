"""Who watches whom, and when a process is suspected; on real connections of loopback.

Out of scope: what a suspicion leads to (tests/sim/test_sharing_model, tests/cluster).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from support.ports import free_ports
from tenure_common.errors import BadSettingError, PortInUseError
from tenure_sidecar.actors.sharing import neighbours as module
from tenure_sidecar.actors.sharing.neighbours import COUNT, Neighbours, neighbours
from tenure_sidecar.actors.sharing.records import MemberRecord, suspects_of
from tenure_sidecar.dispatch.dispatcher import Dispatcher, Leases
from tenure_sidecar.peers import frames
from tenure_sidecar.peers.link import Link
from tenure_sidecar.peers.mesh import Mesh

LOOPBACK = "127.0.0.1"


def member(word: str, *, host: str = LOOPBACK, port: int = 0) -> Mesh:
    """A process with nothing but its connections."""
    dispatcher = Dispatcher(clock=time.time_ns, nonce=word, leases=Leases())
    hello = frames.Hello("any", "ns", "app", word)
    return Mesh(dispatcher, host=host, port=port, hello=hello, clock=time.time_ns)


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_each_is_watched_by_as_many_as_it_watches(count: int) -> None:
    members = [f"pod-{n}" for n in range(count)]
    watched = [name for me in members for name in neighbours(me, members)]
    expected = min(COUNT, count - 1)
    assert all(watched.count(name) == expected for name in members)
    assert all(me not in neighbours(me, members) for me in members)


def test_who_is_not_in_the_list_yet_watches_all_the_same() -> None:
    assert set(neighbours("new", ["a", "b"])) == {"a", "b"}


def test_a_suspicion_is_of_one_process_and_not_of_its_name() -> None:
    watcher = MemberRecord("w", suspects=(("a", "1"), ("b", "1"), ("c", "1")))
    members = {"w": watcher, "a": MemberRecord("a", word="1"), "b": MemberRecord("b", word="2")}
    assert suspects_of(members) == {"a"}


@pytest.fixture
async def two(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Mesh, Mesh]]:
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    monkeypatch.setattr(module, "_DOUBT_MIN", 0.01)
    pair = member("1"), member("2")
    for one in pair:
        await one.start()
    yield pair
    for one in pair:
        await one.stop()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):  # a bound for what is broken, not a target
        while not true():
            await asyncio.sleep(0.001)


async def watched(me: Mesh, other: Mesh) -> None:
    me.neighbours.watch({"other": (other.neighbours.address, other.neighbours.word)})
    await until(lambda: me._open)


def connection(me: Mesh) -> Link:
    (one,) = me._open
    return one


async def cut(me: Mesh) -> None:
    """The connection breaks; wait for the next one."""
    old = connection(me)
    old._call.cancel()
    await until(lambda: old not in me._open)


async def test_a_process_that_ends_is_suspected_at_once(two: tuple[Mesh, Mesh]) -> None:
    me, other = two
    told: list[dict[str, str]] = []
    seen = me.neighbours
    seen.changed = lambda: told.append(dict(seen.suspects))
    await watched(me, other)
    assert seen.suspects == {}
    await other.stop()
    await until(lambda: told)
    assert told == [{"other": "2"}]
    seen.watch({})  # it is no member any more
    assert seen.suspects == {}


async def test_a_broken_connection_alone_is_no_reason(two: tuple[Mesh, Mesh]) -> None:
    me, other = two
    await watched(me, other)
    for _ in range(3):
        await cut(me)
        await until(lambda: me._open)
    assert me.neighbours.suspects == {}


async def test_another_process_at_the_address_is_not_taken_for_it(
    two: tuple[Mesh, Mesh],
) -> None:
    me, other = two
    await watched(me, other)
    other._server.hello = msgspec.structs.replace(other._server.hello, word="3")
    await cut(me)
    await until(lambda: me.neighbours.suspects == {"other": "2"})


async def test_a_suspicion_is_withdrawn_and_the_next_one_waits(two: tuple[Mesh, Mesh]) -> None:
    me, other = two
    await other.stop()
    (port,) = free_ports(1)  # nobody else gets it while nobody listens
    other = member("2", port=port)
    await other.start()
    await watched(me, other)
    waits: list[float] = []
    for _ in range(3):
        await other.stop()
        await until(lambda: me.neighbours.suspects)
        other = member("2", port=port)
        await other.start()
        await until(lambda: not me.neighbours.suspects)
        waits.append(me.neighbours._doubts["other"])
    await other.stop()
    assert waits == [0.01, 0.02, 0.04]


async def test_whoever_is_about_to_go_is_not_suspected(two: tuple[Mesh, Mesh]) -> None:
    me, other = two
    await watched(me, other)
    me.neighbours.watch({}, keep={"other"})
    await asyncio.sleep(0)
    assert me._open  # what it owes can still come
    await other.stop()
    await until(lambda: not me._open)
    _, following = me.neighbours._watches["other"]
    await following
    assert me.neighbours.suspects == {}


async def test_nobody_is_suspected_who_was_never_reached(
    two: tuple[Mesh, Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    me, other = two
    await other.stop()
    tries = 0
    stay = Neighbours._stay

    async def count(self: Neighbours, name: str, peer: module.Peer) -> bool | None:
        nonlocal tries
        tries += 1
        return await stay(self, name, peer)

    monkeypatch.setattr(Neighbours, "_stay", count)
    me.neighbours.watch({"other": (other.neighbours.address, "2")})
    await until(lambda: tries > 3)
    assert me.neighbours.suspects == {}


async def test_an_address_that_is_not_to_be_had_is_named(two: tuple[Mesh, Mesh]) -> None:
    port = int(two[0].neighbours.address.rpartition(":")[2])
    with pytest.raises(PortInUseError, match=f"{port} is in use .*--peers-port"):
        await member("x", port=port).start()
    with pytest.raises(BadSettingError, match="--pod-ip"):
        await member("x", host="192.0.2.1").start()
