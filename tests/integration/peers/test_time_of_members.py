"""Members ask each other what their clocks say, and say so when these differ.

In scope: questions and answers on real gRPC connections, and members of the version that knows no such
questions.  What is made of an answer is in tests/unit/peers/test_peer_clocks; whole processes whose
clocks are set are in tests/cluster/test_clocks.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import msgspec
import pytest
from structlog.testing import capture_logs

from support.lenders import Member, Members, fan_out, until
from tenure_sidecar.peers import frames
from tenure_sidecar.peers import mesh as module
from tenure_sidecar.peers.clocks import BOUND, Clocks

OLD = 1  # the protocol of those that know no questions about clocks
_from_owner = msgspec.msgpack.Decoder(
    tuple[frames.Hello | frames.Want | frames.Lent | frames.Settled, ...]
)
_from_peer = msgspec.msgpack.Decoder(
    tuple[frames.Hello | frames.Room | frames.Done | frames.Refused | frames.Lost, ...]
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def members(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Members]:
    monkeypatch.setattr(module, "_LOOK", 0.001)
    made = Members()
    yield made
    await made.stop()


class Wrong:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.ahead = 0.0  # seconds

    def __call__(self) -> int:
        return time.time_ns() + round(self.ahead * 1e9)


def clocks(member: Member) -> Clocks:
    """What it knows of those of others."""
    assert member.mesh is not None
    return member.mesh.clocks


def asked(member: Member) -> int:
    """Of how many members it knows something."""
    return len(clocks(member)._known)


def told(logs: list[Any]) -> list[tuple[str, str, int]]:
    """What was logged about clocks: how, of whom, and by how many seconds it is ahead."""
    return [
        (one["log_level"], one["member"], round(one["ahead"]))
        for one in logs
        if one["event"].startswith("clocks of sidecars")
    ]


async def test_a_wrong_clock_is_told_of_once_by_each_and_once_that_it_is_right_again(
    members: Members,
) -> None:
    clock = Wrong()
    one = await members.start("one")
    two = await members.start("two", clock=clock)
    both = (one, two)
    with capture_logs() as logs:
        await until(lambda: all(asked(member) for member in both), "they have asked each other")
        assert not told(logs)
        assert all(clocks(member).skew < BOUND for member in both)
        clock.ahead = -40.0
        await until(lambda: all(clocks(member).differ for member in both), "it is seen")
        assert all(38 < clocks(member).skew <= 40.1 for member in both)
        clock.ahead = -50.0
        await until(lambda: all(clocks(member).skew > 45 for member in both), "it is seen again")
        clock.ahead = 0.0
        await until(lambda: not any(clocks(member).differ for member in both), "it is right")
    assert sorted(told(logs)[:2]) == [("warning", "one", 40), ("warning", "two", -40)]
    assert sorted(told(logs)[2:]) == [("info", "one", 0), ("info", "two", 0)]
    assert {one["code"] for one in logs if one["log_level"] == "warning"} == {"TN0010"}


async def test_a_member_that_goes_takes_its_clock_with_it(members: Members) -> None:
    clock = Wrong()
    clock.ahead = 40.0
    one = await members.start("one")
    two = await members.start("two", clock=clock)
    await until(lambda: clocks(one).differ, "it is seen")
    await two.crash()
    await until(lambda: not asked(one), "nothing is known of it")
    assert clocks(one).skew == 0


# --- a version before -------------------------------------------------------------------------------


class Older:
    """The peer's end of the version before: what it cannot read ends the connection."""

    def __init__(self, word: str) -> None:
        self._hello = frames.Hello("older", "ns", "sim", word, protocol=OLD)
        self.heard: list[frames.FromOwner] = []
        self.broken = ""

    async def lend(self, requests: AsyncIterator[bytes], context: Any) -> None:
        """One stream, from grpc.aio."""
        room = frames.Room(1, 1 << 20)
        await context.write(frames.join([frames.encode(one) for one in (self._hello, room)]))
        async for message in requests:
            try:
                self.heard += _from_owner.decode(message)
            except msgspec.MsgspecError as error:
                self.broken = str(error)
                return


async def test_a_member_of_the_version_before_is_not_asked(members: Members) -> None:
    older = Older("word")
    server: Any = grpc.aio.server()
    service, name = frames.PATH[1:].split("/")
    method = grpc.stream_stream_rpc_method_handler(older.lend)
    server.add_registered_method_handlers(service, {name: method})
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    owner = await members.start("owner")
    clock = Wrong()
    await members.start("newer", clock=clock)
    near = owner.worker(1)
    assert owner.mesh is not None
    link = await owner.mesh._dial("older", (f"127.0.0.1:{port}", "word"))
    assert not isinstance(link, bool)
    await until(lambda: owner.lending == 2, "it may be lent to")
    await fan_out(owner, near, 2)
    await until(lambda: any(isinstance(one, frames.Lent) for one in older.heard), "it is lent one")
    clock.ahead = 40.0
    await until(lambda: clocks(owner).differ, "all have been asked anew")
    assert not older.broken
    assert asked(owner) == 1
    link.close()
    await server.stop(None)


async def test_a_member_of_the_version_before_asks_nothing_and_is_told_nothing(
    members: Members,
) -> None:
    peer = await members.start("peer")
    peer.worker(1)
    assert peer.mesh is not None
    hello = frames.Hello("older", "ns", "sim", "w", to=peer.mesh.neighbours.word, protocol=OLD)
    async with grpc.aio.insecure_channel(peer.mesh.neighbours.address) as channel:
        call: Any = channel.stream_stream(frames.PATH)()
        await call.write(frames.join([frames.encode(hello)]))
        assert isinstance(_from_peer.decode(await call.read())[0], frames.Hello)
        await call.write(frames.join([frames.encode(frames.Want(more=True))]))
        rooms: list[frames.FromPeer] = []
        while not any(isinstance(one, frames.Room) and one.limit for one in rooms):
            rooms += _from_peer.decode(await call.read())
        assert all(isinstance(one, frames.Room) for one in rooms)
