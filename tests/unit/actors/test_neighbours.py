"""Who watches whom, and when a process is suspected; on real sockets of loopback.

Out of scope: what a suspicion leads to (tests/sim/test_sharing_model, tests/cluster).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tenure_common.errors import BadSettingError, PortInUseError
from tenure_sidecar.actors.sharing import neighbours as module
from tenure_sidecar.actors.sharing.neighbours import COUNT, Neighbours, neighbours
from tenure_sidecar.actors.sharing.records import MemberRecord, suspects_of

LOOPBACK = "127.0.0.1"


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
async def two(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Neighbours, Neighbours]]:
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    monkeypatch.setattr(module, "_DOUBT_MIN", 0.01)
    pair = Neighbours(host=LOOPBACK, port=0, word="1"), Neighbours(host=LOOPBACK, port=0, word="2")
    for one in pair:
        await one.start()
    yield pair
    for one in pair:
        one.stop()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.001)


async def watched(me: Neighbours, other: Neighbours) -> None:
    me.watch({"other": (other.address, other.word)})
    await until(lambda: other._callers)


async def test_a_process_that_ends_is_suspected_at_once(
    two: tuple[Neighbours, Neighbours],
) -> None:
    me, other = two
    told: list[dict[str, str]] = []
    me.changed = lambda: told.append(dict(me.suspects))
    await watched(me, other)
    assert me.suspects == {}
    other.stop()
    await until(lambda: told)
    assert told == [{"other": "2"}]
    me.watch({})  # it is no member any more
    assert me.suspects == {}


async def test_a_broken_connection_alone_is_no_reason(two: tuple[Neighbours, Neighbours]) -> None:
    me, other = two
    await watched(me, other)
    for _ in range(3):
        (connection,) = other._callers
        connection.transport.abort()
        await until(lambda old=connection: other._callers and old not in other._callers)
    assert me.suspects == {}


async def test_another_process_at_the_address_is_not_taken_for_it(
    two: tuple[Neighbours, Neighbours],
) -> None:
    me, other = two
    await watched(me, other)
    other.word = "3"
    (connection,) = other._callers
    connection.transport.abort()
    await until(lambda: me.suspects == {"other": "2"})


async def test_a_suspicion_is_withdrawn_and_the_next_one_waits(
    two: tuple[Neighbours, Neighbours],
) -> None:
    me, other = two
    await watched(me, other)
    port = int(other.address.rpartition(":")[2])
    waits: list[float] = []
    for _ in range(3):
        other.stop()
        await until(lambda: me.suspects)
        other = Neighbours(host=LOOPBACK, port=port, word="2")
        await other.start()
        await until(lambda: not me.suspects)
        waits.append(me._doubts["other"])
    other.stop()
    assert waits == [0.01, 0.02, 0.04]


async def test_nobody_is_suspected_who_was_never_reached(
    two: tuple[Neighbours, Neighbours], monkeypatch: pytest.MonkeyPatch
) -> None:
    me, other = two
    other.stop()
    tries = 0
    stay = Neighbours._stay

    async def count(self: Neighbours, name: str, peer: module.Peer) -> bool | None:
        nonlocal tries
        tries += 1
        return await stay(self, name, peer)

    monkeypatch.setattr(Neighbours, "_stay", count)
    me.watch({"other": (other.address, other.word)})
    await until(lambda: tries > 3)
    assert me.suspects == {}


async def test_an_address_that_is_not_to_be_had_is_named(
    two: tuple[Neighbours, Neighbours],
) -> None:
    port = int(two[0].address.rpartition(":")[2])
    with pytest.raises(PortInUseError, match=f"{port} is taken .*--peers-port"):
        await Neighbours(host=LOOPBACK, port=port, word="x").start()
    with pytest.raises(BadSettingError, match="--pod-ip"):
        await Neighbours(host="192.0.2.1", port=0, word="x").start()
