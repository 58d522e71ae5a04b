"""What both transports refuse by themselves, and what refusing costs.

In scope: sizes of requests, responses and metadata at the limit and just over it, compression, calls
per connection, pings.  Out of scope: limits on what a workflow may store.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from pathlib import Path

import grpc
import grpc.aio
import pytest

from integration.transport.conftest import Lab, Program, program
from integration.transport.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    WINDOW_UPDATE,
    Connection,
    frame,
    message,
    request,
)
from tenure_sidecar.rpc.transport import Call

PATH, ECHO = "/t.T/Method", "/t.T/Echo"
MEGABYTE = 1024 * 1024
LIMIT = 8 * MEGABYTE


def echo(call: Call) -> None:
    call.reply(call.request)


def peak(server: Program) -> int:
    """The most memory that the process has had, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def client(port: int) -> grpc.aio.Channel:
    """A client without limits of its own."""
    return grpc.aio.insecure_channel(
        f"127.0.0.1:{port}",
        options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)],
    )


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT], ids=["below", "at"])
async def test_request_within_the_limit_is_served(lab: Lab, size: int) -> None:
    _, port = await lab.serve({PATH: lambda call: call.reply(b"ok")}, max_receive_bytes=LIMIT)
    channel = lab.channel(port, max_send_message_length=-1)
    assert await channel.unary_unary(PATH)(bytes(size), timeout=60) == b"ok"


@pytest.mark.parametrize("over", [1, 100 * MEGABYTE], ids=["one_byte", "100MB"])
async def test_request_over_the_limit_is_refused_for_good(kind: str, over: int) -> None:
    async with program(kind, max_receive_bytes=LIMIT) as server, client(server.port) as channel:
        before = await server.stats()
        began = peak(server)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(ECHO)(bytes(LIMIT + over), timeout=60)
        # Not UNAVAILABLE: the same message would be sent again, and never fit.
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert str(LIMIT + over) in (caught.value.details() or "")
        assert str(LIMIT) in (caught.value.details() or "")
        assert (await server.stats())["handled"] == before["handled"]
        await server.healthy()
        if kind == "grpcio":  # refused before it is read; native reads it first (ADR 0002)
            assert peak(server) - began < 3 * LIMIT


async def test_compressed_request_over_the_limit_is_refused(kind: str) -> None:
    """A megabyte of zeros takes a kilobyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(bytes(4 * LIMIT)) + packer.flush()
    async with program(kind, max_receive_bytes=LIMIT) as server:
        before = await server.stats()
        began = peak(server)
        connection = await Connection.open(server.port)
        connection.write(
            frame(
                HEADERS,
                flags=END_HEADERS,
                stream=1,
                payload=request(ECHO, ("grpc-encoding", "gzip")),
            )
        )
        data = message(bomb, flag=1)
        for start in range(0, len(data), 16384):
            chunk = data[start : start + 16384]
            flags = END_STREAM if start + 16384 >= len(data) else 0
            connection.write(frame(DATA, flags=flags, stream=1, payload=chunk))
        await connection.flush()
        async with asyncio.timeout(60):
            while (got := await connection.next()) is not None:
                if got.kind == HEADERS and got.flags & END_STREAM:
                    break
        assert got is not None
        await connection.close()
        await server.healthy()
        assert (await server.stats())["handled"] == before["handled"] + 1  # the healthy client's
        if kind == "grpcio":
            assert peak(server) - began < 3 * LIMIT


async def test_compressed_request_within_the_limit_is_served(lab: Lab) -> None:
    _, port = await lab.serve({PATH: echo}, max_receive_bytes=LIMIT)
    answer = await lab.channel(port).unary_unary(PATH)(
        b"z" * 100_000, timeout=60, compression=grpc.Compression.Gzip
    )
    assert answer == b"z" * 100_000


@pytest.mark.parametrize(
    ("size", "code"),
    [(LIMIT, None), (LIMIT + 1, grpc.StatusCode.RESOURCE_EXHAUSTED)],
    ids=["at", "over"],
)
async def test_response_and_its_limit(lab: Lab, size: int, code: grpc.StatusCode | None) -> None:
    _, port = await lab.serve({PATH: lambda call: call.reply(bytes(size))}, max_send_bytes=LIMIT)
    method = lab.channel(port, max_receive_message_length=-1).unary_unary(PATH)
    if code is None:
        assert len(await method(b"", timeout=60)) == size
        return
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(b"", timeout=60)
    assert caught.value.code() is code
    assert str(size) in (caught.value.details() or "")


@pytest.mark.parametrize("size", [10_000, 15_000], ids=str)
async def test_metadata_within_the_limit_is_served(lab: Lab, size: int) -> None:
    _, port = await lab.serve({PATH: echo}, max_metadata_bytes=16 * 1024)
    answer = await lab.channel(port).unary_unary(PATH)(
        b"x", metadata=(("k", "v" * size),), timeout=60
    )
    assert answer == b"x"


@pytest.mark.parametrize("size", [16 * 1024, 1_000_000], ids=str)
async def test_metadata_over_the_limit_is_refused(lab: Lab, size: int) -> None:
    called: list[Call] = []
    _, port = await lab.serve({PATH: called.append, ECHO: echo}, max_metadata_bytes=16 * 1024)
    channel = lab.channel(port)
    with pytest.raises(grpc.aio.AioRpcError):
        await channel.unary_unary(PATH)(b"x", metadata=(("k", "v" * size),), timeout=60)
    assert await lab.channel(port).unary_unary(ECHO)(b"on", timeout=60) == b"on"
    assert not called


async def test_calls_over_the_limit_of_a_connection_wait(lab: Lab) -> None:
    calls: asyncio.Queue[Call] = asyncio.Queue()
    _, port = await lab.serve({PATH: calls.put_nowait, ECHO: echo}, max_concurrent_streams=5)
    method = lab.channel(port).unary_unary(PATH)
    # The connection first learns the limit from the server's settings.
    first = asyncio.ensure_future(_ask(method))
    (await calls.get()).reply(b"")
    await first
    asked = [asyncio.ensure_future(_ask(method)) for _ in range(6)]
    held = [await calls.get() for _ in range(5)]
    assert await lab.channel(port).unary_unary(ECHO)(b"on", timeout=60) == b"on"
    assert calls.empty()
    held[0].reply(b"")
    (await calls.get()).reply(b"")
    for call in held[1:]:
        call.reply(b"")
    await asyncio.gather(*asked)


async def test_client_may_ping_as_often_as_it_likes(server: Program) -> None:
    """SDKs ping every 30 s, some every 5 s, also without a call; gRPC's default policy sends such a
    client away (GOAWAY too_many_pings), and its worker reconnects for ever."""
    connection = await Connection.open(server.port)
    for _ in range(10):
        connection.write(frame(PING, payload=b"12345678") * 100)
        await connection.flush()
    async with asyncio.timeout(60):
        assert not await connection.ended()
    await connection.close()


async def test_client_that_does_not_answer_pings_is_dropped(lab: Lab) -> None:
    """An app that is stopped: its connection is open, and nothing comes."""
    cancelled = asyncio.Event()
    _, port = await lab.serve(
        {PATH: lambda call: call.on_cancel(cancelled.set)},
        keepalive_time=1.0,
        keepalive_timeout=1.0,
    )
    connection = await Connection.open(port)
    connection.write(
        frame(HEADERS, flags=END_HEADERS, stream=1, payload=request(PATH))
        + frame(DATA, flags=END_STREAM, stream=1, payload=message(b"x"))
        + frame(WINDOW_UPDATE, payload=struct.pack(">I", 1))
    )
    await connection.flush()
    async with asyncio.timeout(60):
        await cancelled.wait()
    connection.abort()


async def _ask(method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]) -> bytes:
    return await method(b"", timeout=60)
