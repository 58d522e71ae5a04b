"""Frames, the messages that carry them, and the outbox that fills those."""

from __future__ import annotations

import asyncio

import pytest

from tenure_common.errors import BadRequestError
from tenure_sidecar.dispatch.loans import Borrowed
from tenure_sidecar.engine.events import Failure, TaskScheduled, TraceContext
from tenure_sidecar.peers import frames, outbox
from tenure_sidecar.peers.outbox import Outbox

TASK = TaskScheduled(
    at=5,
    task_id=3,
    name="work",
    version="2",
    input="{}",
    task_execution_id="key",
    trace=TraceContext("00-a-b-01", span_id="b", tracestate="s"),
    tags={"a": "b"},
)
OWNERS = (
    frames.Hello("a", "ns", "app", "word", to="other"),
    frames.Want(True),
    frames.Lent(Borrowed("t", "i", "e", TASK)),
    frames.Settled("t", "why"),
    frames.Ask(),
)
PEERS = (
    frames.Hello("a", "ns", "app", "word", good_for=2.5),
    frames.Room(3, 4096, {"work": ("1", "2")}),
    frames.Done("t", "r", Failure("E", "m", inner=Failure("I", "n"))),
    frames.Refused("t", 7),
    frames.Lost("t"),
    frames.Time(1_800_000_000_000_000_000),
)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 300])
def test_every_frame_comes_as_it_was_sent(count: int) -> None:
    sent = tuple(OWNERS[n % len(OWNERS)] for n in range(count))
    assert frames.from_owner(frames.join([frames.encode(one) for one in sent])) == sent
    back = tuple(PEERS[n % len(PEERS)] for n in range(count))
    assert frames.from_peer(frames.join([frames.encode(one) for one in back])) == back


def test_a_field_that_a_later_version_adds_is_passed_over() -> None:
    later = bytes([0x91, 0x93, 1, 0xC3, 5])  # Want with one field more
    assert frames.from_owner(later) == (frames.Want(True),)


@pytest.mark.parametrize("message", [b"", b"\x91", b"\x91\x92\x63\xc3", b"\x92\x92\x01\xc3"])
def test_what_cannot_be_read_is_refused(message: bytes) -> None:
    with pytest.raises(BadRequestError):
        frames.from_owner(message)


def test_each_side_has_frames_of_its_own() -> None:
    with pytest.raises(BadRequestError):
        frames.from_owner(frames.join([frames.encode(frames.Done("t"))]))
    with pytest.raises(BadRequestError):
        frames.from_peer(frames.join([frames.encode(frames.Want(True))]))


async def test_frames_go_together_in_order_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_MESSAGE", 100)
    box = Outbox()
    sent = [frames.Settled(str(n), "x" * 30) for n in range(7)] + [frames.Settled("7", "x" * 500)]
    written: list[bytes] = []

    async def write(message: bytes) -> None:
        written.append(message)

    for frame in sent:
        box.put(frames.encode(frame))
    running = asyncio.ensure_future(box.run(write))
    while not box.empty:
        await asyncio.sleep(0)
    running.cancel()
    received = [frames.from_owner(message) for message in written]
    assert [frame for part in received for frame in part] == sent
    assert [len(part) for part in received] == [2, 2, 2, 1, 1]


async def test_a_reader_that_is_slow_is_felt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BYTES", 20)
    box = Outbox()
    reads, told = asyncio.Event(), asyncio.Event()

    async def write(_message: bytes) -> None:
        await reads.wait()

    running = asyncio.ensure_future(box.run(write))
    assert not box.full
    box.put(b"\xa0" * 30)
    await asyncio.sleep(0)
    assert box.full
    box.on_ready(told.set)
    await asyncio.sleep(0)
    assert not told.is_set()
    reads.set()
    await told.wait()
    assert not box.full
    running.cancel()
