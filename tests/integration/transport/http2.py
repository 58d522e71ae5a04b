"""Just enough of HTTP/2 (RFC 9113) to break its rules on purpose.

Frames are written byte by byte, header blocks are HPACK literals without indexing and without
Huffman coding (RFC 7541, 6.2.2).  What the server sends is only split into frames; header blocks of
responses are not decoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8


class Frame(NamedTuple):
    """One received frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, *, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """A frame with a true length."""
    return frame_head(len(payload), kind, flags=flags, stream=stream) + payload


def frame_head(length: int, kind: int, *, flags: int = 0, stream: int = 0) -> bytes:
    """A frame header that says whatever it is told to."""
    return struct.pack(">I", length)[1:] + struct.pack(">BBI", kind, flags, stream)


def _integer(value: int, *, prefix_bits: int) -> bytes:
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([value])
    out = bytearray([limit])
    value -= limit
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(*pairs: tuple[str, str]) -> bytes:
    """A header block of literals."""
    out = bytearray()
    for name, value in pairs:
        out += b"\x00"
        for text in (name.encode(), value.encode()):
            out += _integer(len(text), prefix_bits=7) + text
    return bytes(out)


def request(path: str, *extra: tuple[str, str], drop: str = "", method: str = "POST") -> bytes:
    """The header block of a gRPC request, without the headers named ``drop``."""
    pairs = (
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    )
    replaced = {name for name, _ in extra} | {drop}
    return block(*(pair for pair in pairs if pair[0] not in replaced), *extra)


def message(payload: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """A gRPC length-prefixed message; ``length`` lies about its size."""
    return struct.pack(">BI", flag, len(payload) if length is None else length) + payload


class Connection:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, *, handshake: bool = True, settings: bytes = b"") -> Connection:
        """Connect; with the preface and SETTINGS unless told otherwise."""
        connection = cls(*await asyncio.open_connection("127.0.0.1", port))
        if handshake:
            connection.write(PREFACE + frame(SETTINGS, payload=settings))
        return connection

    def write(self, data: bytes) -> None:
        """Queue bytes for sending, unless the peer is known to be gone."""
        if not self.writer.is_closing():
            self.writer.write(data)

    async def flush(self) -> None:
        """Wait until the kernel took what was written; the peer may be gone already."""
        with contextlib.suppress(OSError):
            await self.writer.drain()

    async def next(self) -> Frame | None:
        """The next frame; None at the end of the connection."""
        try:
            head = await self.reader.readexactly(9)
            length = int.from_bytes(head[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            return Frame(kind, flags, stream & 0x7FFFFFFF, await self.reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def ended(self) -> bool:
        """Whether the server ends the connection (True) or goes on with it (False).

        It is asked with a ping, which it has to answer in order.
        """
        self.write(frame(PING, payload=b"tenure!!"))
        await self.flush()
        while (got := await self.next()) is not None:
            if got.kind == GOAWAY:
                return True
            if got.kind == PING and got.flags & ACK and got.payload == b"tenure!!":
                return False
        return True

    async def drained(self) -> None:
        """Read until the server hangs up."""
        with contextlib.suppress(OSError):
            while await self.reader.read(65536):
                pass

    def abort(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
