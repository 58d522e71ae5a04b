"""Server streams through both transports.

In scope: order and completeness, ends and statuses, slow and vanished readers, many streams, the
bound on what a stream queues.  Out of scope: work items (the dispatcher's tests).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
import grpc.aio
import pytest

from integration.transport.conftest import Lab, Program
from tenure_common.errors import MessageTooLargeError
from tenure_sidecar.rpc.transport import Call, Sent, Stream

PATH = "/t.T/Stream"
ECHO = "/t.T/Echo"
MEGABYTE = 1024 * 1024


def echo(call: Call) -> None:
    call.reply(call.request)


class Opened:
    """A handler that keeps its streams for the test to feed."""

    def __init__(self) -> None:
        self.streams: asyncio.Queue[Stream] = asyncio.Queue()
        self.cancelled: asyncio.Queue[Stream] = asyncio.Queue()

    def __call__(self, stream: Stream) -> None:
        stream.on_cancel(lambda: self.cancelled.put_nowait(stream))
        self.streams.put_nowait(stream)


@pytest.mark.parametrize("count", [0, 1, 2, 1000], ids=str)
async def test_messages_arrive_in_order_then_ok(server: Program, count: int) -> None:
    call = server.channel.unary_stream("/t.T/Feed")(b"%d 240" % count, timeout=60)
    numbers = [int.from_bytes(message[:8], "big") async for message in call]
    assert numbers == list(range(count))
    assert await call.code() is grpc.StatusCode.OK
    await server.quiet()


async def test_status_ends_the_stream(lab: Lab) -> None:
    def refuse(stream: Stream) -> None:
        stream.fail("FAILED_PRECONDITION", "not now")

    _, port = await lab.serve(streams={PATH: refuse})
    call = lab.channel(port).unary_stream(PATH)(b"", timeout=60)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [_ async for _ in call]
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "not now"


async def test_status_after_messages(lab: Lab) -> None:
    opened = Opened()
    _, port = await lab.serve(streams={PATH: opened})
    call = lab.channel(port).unary_stream(PATH)(b"", timeout=60)
    reading = asyncio.ensure_future(call.read())
    stream = await opened.streams.get()
    assert stream.send(b"one") is Sent.SENT
    assert await reading == b"one"
    stream.fail("UNAVAILABLE", "bye")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert opened.cancelled.empty()


async def test_nothing_is_taken_after_the_end(lab: Lab) -> None:
    results: list[Sent] = []

    def ends(stream: Stream) -> None:
        results.append(stream.send(b"one"))
        stream.end()
        results.append(stream.send(b"two"))
        stream.end()
        stream.fail("INTERNAL", "too late")

    _, port = await lab.serve(streams={PATH: ends})
    call = lab.channel(port).unary_stream(PATH)(b"", timeout=60)
    assert [message async for message in call] == [b"one"]
    assert await call.code() is grpc.StatusCode.OK
    assert results == [Sent.SENT, Sent.CLOSED]


async def test_end_waits_for_what_is_queued(lab: Lab) -> None:
    def burst(stream: Stream) -> None:
        for number in range(50):
            assert stream.send(b"%d" % number) is Sent.SENT
        stream.end()

    _, port = await lab.serve(streams={PATH: burst})
    call = lab.channel(port).unary_stream(PATH)(b"", timeout=60)
    assert [message async for message in call] == [b"%d" % n for n in range(50)]


async def test_cancel_calls_back_once_and_closes(lab: Lab) -> None:
    opened = Opened()
    _, port = await lab.serve({ECHO: echo}, {PATH: opened})
    channel = lab.channel(port)
    call = channel.unary_stream(PATH)(b"")
    stream = await opened.streams.get()
    call.cancel()
    assert await opened.cancelled.get() is stream
    assert stream.send(b"x") is Sent.CLOSED
    stream.end()
    stream.fail("INTERNAL", "late")
    assert await channel.unary_unary(ECHO)(b"on", timeout=60) == b"on"
    assert opened.cancelled.empty()


async def test_slow_reader_is_full_then_ready_and_misses_nothing(lab: Lab) -> None:
    opened = Opened()
    _, port = await lab.serve({ECHO: echo}, {PATH: opened})
    call = lab.channel(port).unary_stream(PATH)(b"", timeout=120)
    stream = await opened.streams.get()
    fed = Feeder(stream, size=64 * 1024)
    fed.push()
    await asyncio.wait_for(fed.full.wait(), 60)
    taken = fed.sent
    # Nobody reads: others are served all the same, and the stream stays full.
    other = lab.channel(port)
    assert await other.unary_unary(ECHO)(b"on", timeout=60) == b"on"
    fed.stop_at(taken + 500)
    numbers = [int.from_bytes(message[:8], "big") async for message in call]
    assert numbers == list(range(taken + 500))
    assert fed.readied >= 1


async def test_slow_readers_hold_bounded_memory(server: Program) -> None:
    """Forty clients that read nothing of 100 MB each."""
    await server.healthy()
    before = await server.stats()
    feed = server.channel.unary_stream("/t.T/Feed")
    calls = [feed(b"1600 65536", timeout=120) for _ in range(40)]
    async with asyncio.timeout(60):
        while (now := await server.stats())["full"] < 40:
            pass
    assert await server.channel.unary_unary(ECHO)(b"on", timeout=60) == b"on"
    assert now["pushed"] < 40 * 400
    assert now["rss"] - before["rss"] < 40 * 2 * MEGABYTE
    for call in calls:
        call.cancel()
    await server.quiet()
    after = await server.stats()
    assert after["open"] == 0
    assert after["cancelled"] == before["cancelled"] + 40


async def test_message_over_the_queue_is_sent_alone(lab: Lab) -> None:
    opened = Opened()
    _, port = await lab.serve(streams={PATH: opened})
    call = lab.channel(port, max_receive_message_length=-1).unary_stream(PATH)(b"", timeout=60)
    stream = await opened.streams.get()
    fed = Feeder(stream, size=3 * MEGABYTE)
    fed.stop_at(20)
    fed.push()
    sizes = [len(message) async for message in call]
    assert sizes == [3 * MEGABYTE] * 20


async def test_message_over_the_limit_is_refused_and_the_stream_goes_on(lab: Lab) -> None:
    errors: list[MessageTooLargeError] = []

    def sends(stream: Stream) -> None:
        stream.send(b"x" * 1000)
        try:
            stream.send(b"x" * 1001)
        except MessageTooLargeError as error:
            errors.append(error)
        stream.send(b"y")
        stream.end()

    _, port = await lab.serve(streams={PATH: sends}, max_send_bytes=1000)
    call = lab.channel(port).unary_stream(PATH)(b"", timeout=60)
    assert [message async for message in call] == [b"x" * 1000, b"y"]
    assert "1001" in str(errors[0])
    assert "1000" in str(errors[0])


async def test_two_hundred_streams(lab: Lab) -> None:
    opened = Opened()
    _, port = await lab.serve(streams={PATH: opened})
    channel = lab.channel(port)
    calls = [channel.unary_stream(PATH)(b"%d" % n, timeout=60) for n in range(200)]
    readers = [asyncio.ensure_future(_read_all(call)) for call in calls]
    streams = [await opened.streams.get() for _ in calls]
    for number in range(20):
        for stream in streams:
            assert stream.send(stream.request + b":%d" % number) is Sent.SENT
    for stream in streams:
        stream.end()
    got = await asyncio.gather(*readers)
    assert got == [[b"%d:%d" % (n, number) for number in range(20)] for n in range(200)]


async def test_stalled_streams_do_not_hold_up_one_that_reads(lab: Lab) -> None:
    """More stalled streams than the native transport has threads for them."""
    opened = Opened()
    _, port = await lab.serve(streams={PATH: opened})
    stalled = lab.channel(port)
    silent = [stalled.unary_stream(PATH)(b"", timeout=120) for _ in range(140)]
    for _ in silent:
        fed = Feeder(await opened.streams.get(), size=256 * 1024)
        fed.push()
        await asyncio.wait_for(fed.full.wait(), 60)
    call = lab.channel(port).unary_stream(PATH)(b"", timeout=60)
    reading = asyncio.ensure_future(_read_all(call))
    fed = Feeder(await opened.streams.get(), size=1024)
    fed.stop_at(300)
    fed.push()
    assert len(await reading) == 300
    for each in silent:
        each.cancel()
    for _ in silent:
        await opened.cancelled.get()


async def test_ready_call_back_that_raises_costs_its_own_stream_at_most(lab: Lab) -> None:
    opened = Opened()
    _, port = await lab.serve({ECHO: echo}, {PATH: opened})
    channel = lab.channel(port)
    call = channel.unary_stream(PATH)(b"", timeout=60)
    stream = await opened.streams.get()
    raised = asyncio.Event()

    def raises() -> None:
        raised.set()
        message = "odd"
        raise ValueError(message)

    while stream.send(b"x" * 65536) is Sent.SENT:
        pass
    stream.on_ready(raises)
    reading = asyncio.ensure_future(_read_all(call))
    await asyncio.wait_for(raised.wait(), 60)
    assert stream.send(b"last") is Sent.SENT
    stream.end()
    assert (await reading)[-1] == b"last"


class Feeder:
    """Sends numbered messages whenever there is room."""

    def __init__(self, stream: Stream, *, size: int) -> None:
        self.stream = stream
        self.size = size
        self.sent = 0
        self.readied = 0
        self.full = asyncio.Event()
        self._last: Callable[[], bool] = lambda: False

    def stop_at(self, count: int) -> None:
        self._last = lambda: self.sent >= count

    def push(self) -> None:
        while not self._last():
            sent = self.stream.send(self.sent.to_bytes(8, "big").ljust(self.size, b"."))
            if sent is Sent.FULL:
                self.full.set()
                self.stream.on_ready(self._ready)
                return
            if sent is Sent.CLOSED:
                return
            self.sent += 1
        self.stream.end()

    def _ready(self) -> None:
        self.readied += 1
        self.push()


async def _read_all(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> list[bytes]:
    return [message async for message in call]
