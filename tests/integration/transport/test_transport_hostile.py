"""Clients that break the rules of HTTP/2 and gRPC, against both transports.

In scope: that each costs its own connection at most.  The server lives, no handler sees a request
that was not one, other clients are served, nothing stays open, descriptors and memory come back.
Which error the offender gets is the library's business; where it matters, the table says so.
Out of scope: what is inside messages (the codecs' tests).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from integration.transport.conftest import Program
from integration.transport.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Connection,
    block,
    frame,
    frame_head,
    message,
    request,
)

ECHO, HOLD, FEED = "/t.T/Echo", "/t.T/Hold", "/t.T/Feed"
MEGABYTE = 1024 * 1024
FLOOD = 10_000
ECHO_OF_SETTLED = 1  # the healthy client's

NATIVE, GRPCIO = frozenset({"native"}), frozenset({"grpcio"})

Attack = Callable[[Connection], Awaitable[None]]


class Case(NamedTuple):
    """``fatal``: an error of the connection by RFC 9113; the native transport must end it, grpcio
    lets many pass.  ``served_by``: transports that may take it for a good request all the same."""

    attack: Attack
    fatal: bool = False
    served_by: frozenset[str] = frozenset()


def headers(path: str, *extra: tuple[str, str], flags: int = END_HEADERS, **kwargs: str) -> bytes:
    return frame(HEADERS, flags=flags, stream=1, payload=request(path, *extra, **kwargs))


def body(data: bytes, *, stream: int = 1, flags: int = END_STREAM) -> bytes:
    return frame(DATA, flags=flags, stream=stream, payload=data)


def sends(*parts: bytes) -> Attack:
    """Send it all."""

    async def attack(connection: Connection) -> None:
        connection.write(b"".join(parts))
        await connection.flush()

    return attack


def floods(part: bytes, *, times: int = FLOOD, before: bytes = b"") -> Attack:
    """Send the same again and again, without reading."""

    async def attack(connection: Connection) -> None:
        connection.write(before)
        for _ in range(100):
            connection.write(part * (times // 100))
            await connection.flush()

    return attack


async def rapid_reset(connection: Connection) -> None:
    """CVE-2023-44487: open a call, cancel it, open the next."""
    opened = request(HOLD)
    for first in range(1, 2 * FLOOD, 200):
        for stream in range(first, first + 200, 2):
            connection.write(
                frame(HEADERS, flags=END_HEADERS, stream=stream, payload=opened)
                + body(message(b"x"), stream=stream)
                + frame(RST_STREAM, stream=stream, payload=struct.pack(">I", 8))
            )
        await connection.flush()


async def made_you_reset(connection: Connection) -> None:
    """CVE-2025-8671: calls that the server itself has to reset."""
    opened = request(HOLD)
    for first in range(1, 2 * FLOOD, 200):
        for stream in range(first, first + 200, 2):
            connection.write(
                frame(HEADERS, flags=END_HEADERS, stream=stream, payload=opened)
                + body(message(b"x"), stream=stream, flags=0)
                + frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", 0))
            )
        await connection.flush()


async def sends_nothing(connection: Connection) -> None:
    await connection.flush()


NOT_HANDLED: dict[str, Case] = {
    "nothing_but_the_preface": Case(sends_nothing),
    "data_frame_on_connection": Case(sends(body(b"x", stream=0)), fatal=True),
    "data_frame_on_idle_stream": Case(sends(body(b"x", stream=5)), fatal=True),
    "headers_on_even_stream": Case(
        sends(frame(HEADERS, flags=END_HEADERS, stream=2, payload=request(ECHO))),
        fatal=True,
    ),
    "headers_on_connection": Case(
        sends(frame(HEADERS, flags=END_HEADERS, stream=0, payload=request(ECHO))),
        fatal=True,
    ),
    "continuation_without_headers": Case(
        sends(frame(CONTINUATION, flags=END_HEADERS, stream=1, payload=request(ECHO))),
        fatal=True,
    ),
    "ping_inside_header_block": Case(
        sends(headers(ECHO, flags=0), frame(PING, payload=bytes(8))),
        fatal=True,
    ),
    "push_promise_from_client": Case(
        sends(frame(PUSH_PROMISE, flags=END_HEADERS, stream=1, payload=bytes(4) + request(ECHO))),
        fatal=True,
    ),
    "frame_longer_than_allowed": Case(
        sends(frame_head(2**24 - 1, DATA, stream=1) + b"x" * MEGABYTE),
        fatal=True,
    ),
    "settings_of_odd_length": Case(sends(frame(SETTINGS, payload=b"12345")), fatal=True),
    "settings_window_too_large": Case(
        sends(frame(SETTINGS, payload=struct.pack(">HI", 4, 2**31))),
        fatal=True,
    ),
    "settings_frame_size_too_small": Case(
        sends(frame(SETTINGS, payload=struct.pack(">HI", 5, 1))),
        fatal=True,
    ),
    "window_of_connection_overflows": Case(
        sends(frame(WINDOW_UPDATE, payload=struct.pack(">I", 2**31 - 1)) * 2),
        fatal=True,
    ),
    "window_update_of_zero": Case(
        sends(frame(WINDOW_UPDATE, payload=struct.pack(">I", 0))),
        fatal=True,
    ),
    "padding_longer_than_frame": Case(
        sends(headers(ECHO), frame(DATA, flags=PADDED, stream=1, payload=b"\xff\x00")),
        fatal=True,
    ),
    "hpack_index_out_of_range": Case(
        sends(frame(HEADERS, flags=END_HEADERS, stream=1, payload=b"\xff\xff\xff\x7f")),
        fatal=True,
    ),
    "hpack_truncated_literal": Case(
        sends(frame(HEADERS, flags=END_HEADERS, stream=1, payload=b"\x00\x7f")),
    ),
    "header_name_in_capitals": Case(
        sends(headers(ECHO, ("X-Loud", "1")), body(message(b"x"))),
    ),
    "path_missing": Case(sends(headers(ECHO, drop=":path"), body(message(b"x")))),
    "path_twice": Case(
        sends(
            frame(
                HEADERS,
                flags=END_HEADERS,
                stream=1,
                payload=request(ECHO) + block((":path", "/t.T/Hold")),
            ),
            body(message(b"x")),
        ),
        served_by=GRPCIO,
    ),
    "header_of_a_megabyte": Case(
        sends(
            headers(ECHO, flags=0),
            *(
                frame(CONTINUATION, stream=1, payload=block((f"x-{n}", "v" * 16000)))
                for n in range(64)
            ),
            frame(CONTINUATION, flags=END_HEADERS, stream=1),
            body(message(b"x")),
        ),
        served_by=GRPCIO,
    ),
    "path_unknown": Case(sends(headers("/t.T/Nothing"), body(message(b"x")))),
    "path_without_slash": Case(sends(headers("t.T/Echo"), body(message(b"x")))),
    "path_percent_encoded": Case(sends(headers("/t.T%2fEcho"), body(message(b"x")))),
    "path_with_dots": Case(sends(headers("/x/../t.T/Echo"), body(message(b"x")))),
    "content_type_of_a_page": Case(
        sends(headers(ECHO, ("content-type", "text/html")), body(message(b"x"))),
        served_by=NATIVE | GRPCIO,
    ),
    "content_type_missing": Case(
        sends(headers(ECHO, drop="content-type"), body(message(b"x"))),
        served_by=NATIVE | GRPCIO,
    ),
    "method_get": Case(sends(headers(ECHO, method="GET"), body(message(b"x"))), served_by=NATIVE),
    "no_message": Case(sends(headers(ECHO, flags=END_HEADERS | END_STREAM))),
    "message_prefix_cut_off": Case(sends(headers(ECHO), body(b"\x00\x00"))),
    "message_cut_off": Case(sends(headers(ECHO), body(message(b"x", length=100)))),
    "message_claims_four_gigabytes": Case(
        sends(headers(ECHO), body(message(b"x", length=2**32 - 1))),
    ),
    "message_flag_unknown": Case(
        sends(headers(ECHO), body(message(b"x", flag=7))), served_by=GRPCIO
    ),
    "compressed_without_encoding": Case(
        sends(headers(ECHO), body(message(b"x", flag=1))),
    ),
    "compressed_with_unknown_encoding": Case(
        sends(headers(ECHO, ("grpc-encoding", "rot13")), body(message(b"x", flag=1))),
    ),
    "compressed_is_garbage": Case(
        sends(headers(ECHO, ("grpc-encoding", "gzip")), body(message(b"not gzip", flag=1))),
    ),
    "two_messages_in_unary": Case(
        sends(headers(ECHO), body(message(b"x") + message(b"y"))),
        served_by=NATIVE | GRPCIO,
    ),
    "garbage_after_message": Case(
        sends(headers(ECHO), body(message(b"x") + b"\x09\x09")), served_by=GRPCIO
    ),
}

UNFRAMED: dict[str, bytes] = {
    "http1_request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "http1_upgrade": (
        b"POST /t.T/Echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n\r\n"
    ),
    "tls_hello": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    "preface_with_typo": PREFACE[:-5] + b"XX\r\n\r\n" + frame(SETTINGS),
    "zeros": bytes(65536),
}

FLOODS: dict[str, Attack] = {
    "settings": floods(frame(SETTINGS, payload=struct.pack(">HI", 3, 100))),
    "pings": floods(frame(PING, payload=b"12345678")),
    "window_updates": floods(frame(WINDOW_UPDATE, payload=struct.pack(">I", 1))),
    "priorities": floods(frame(PRIORITY, stream=1, payload=struct.pack(">IB", 3, 1))),
    "empty_data": floods(body(b"", flags=0), before=headers(HOLD)),
    "continuations": floods(
        frame(CONTINUATION, stream=1, payload=block(("x", "y" * 100))),
        before=headers(HOLD, flags=0),
    ),
    "empty_continuations": floods(frame(CONTINUATION, stream=1), before=headers(HOLD, flags=0)),
    "unknown_frames": floods(frame(0x42, payload=bytes(64))),
    "rapid_reset": rapid_reset,
    "made_you_reset": made_you_reset,
}


async def settled(server: Program, before: dict[str, int], *, rss: int = 64 * MEGABYTE) -> None:
    """The server is as it was before."""
    await server.healthy()
    await server.descriptors_at_most(before["descriptors"])
    after = await server.stats()
    assert after["open"] == 0
    assert after["rss"] - before["rss"] < rss


@pytest.mark.parametrize("case", NOT_HANDLED.values(), ids=NOT_HANDLED)
async def test_broken_request_reaches_no_handler(kind: str, server: Program, case: Case) -> None:
    await server.healthy()
    before = await server.stats()
    connection = await Connection.open(server.port)
    async with asyncio.timeout(60):
        await case.attack(connection)
        ended = await connection.ended()
    assert ended or not (case.fatal and kind == "native")
    await connection.close()
    await settled(server, before)
    handled = (await server.stats())["handled"] - before["handled"] - ECHO_OF_SETTLED
    assert handled in ({0, 1} if kind in case.served_by else {0})


@pytest.mark.parametrize("data", UNFRAMED.values(), ids=UNFRAMED)
async def test_what_is_not_http2_is_hung_up_on(server: Program, data: bytes) -> None:
    await server.healthy()
    before = await server.stats()
    connection = await Connection.open(server.port, handshake=False)
    connection.write(data)
    await connection.flush()
    async with asyncio.timeout(60):
        await connection.drained()
    await connection.close()
    await settled(server, before)


@pytest.mark.parametrize("attack", FLOODS.values(), ids=FLOODS)
async def test_flood_costs_its_own_connection_at_most(server: Program, attack: Attack) -> None:
    await server.healthy()
    before = await server.stats()
    connection = await Connection.open(server.port)
    async with asyncio.timeout(60):
        await attack(connection)
        await connection.ended()
    await connection.close()
    await settled(server, before)


@pytest.mark.parametrize("goodbye", [b"", frame(GOAWAY, payload=bytes(8))], ids=["reset", "goaway"])
async def test_client_that_goes_ends_its_calls(server: Program, goodbye: bytes) -> None:
    await server.healthy()
    before = await server.stats()
    connection = await Connection.open(server.port)
    connection.write(headers(HOLD) + body(message(b"x")))
    async with asyncio.timeout(60):
        while (await server.stats())["open"] == 0:
            pass
    if goodbye:
        connection.write(goodbye)
        await connection.close()
    else:
        connection.abort()
    await settled(server, before)
    assert (await server.stats())["cancelled"] == before["cancelled"] + 1


async def test_half_sent_frame_then_gone(server: Program) -> None:
    await server.healthy()
    before = await server.stats()
    for cut in (1, 8, 9, 20):
        connection = await Connection.open(server.port)
        connection.write(headers(ECHO)[:cut])
        await connection.flush()
        await connection.close()
    await settled(server, before)
