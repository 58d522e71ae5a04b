"""Connections of members in a simulation: a socket for each, over which a word is said.

They stand in for the gRPC streams of ``peers``, which leave the event loop; nothing is lent on them.
What follows from them, suspicion, is the real thing.
"""

from __future__ import annotations

import asyncio
import contextlib

from tenure_sidecar.actors.sharing.neighbours import Connection, Neighbours, Peer

_CONNECT = 1.0  # seconds
_BYTES = 64


class _Opened:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ended(self) -> None:
        with contextlib.suppress(OSError):
            while await self._reader.read(_BYTES):
                pass

    def close(self) -> None:
        self._writer.transport.abort()


class Words:
    """Implements ``appengine.Connections``.

    Args:
        host: address of this process.
        port: to listen on; 0 = any free one.
        word: this process's.
    """

    def __init__(self, host: str, port: int, *, word: str) -> None:
        self.neighbours = Neighbours(self._dial, word=word)
        self._at = host, port
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """See ``Connections.start``."""
        self._server = await asyncio.start_server(self._called, *self._at)
        port = self._server.sockets[0].getsockname()[1]
        self.neighbours.address = f"{self._at[0]}:{port}"

    async def run(self) -> None:
        """See ``Connections.run``."""
        await asyncio.Event().wait()

    async def drain(self, grace: float) -> None:
        """See ``Connections.drain``: nothing is borrowed."""

    async def stop(self) -> None:
        """See ``Connections.stop``."""
        self.neighbours.stop()
        if self._server is not None:
            self._server.close()
        for writer in self._callers:
            writer.close()

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers.add(writer)
        with contextlib.suppress(OSError):
            writer.write(self.neighbours.word.encode() + b"\n")
            while await reader.read(_BYTES):  # until the other end closes
                pass
        self._callers.discard(writer)
        writer.close()

    async def _dial(self, _name: str, peer: Peer) -> Connection | bool:
        host, _, port = peer[0].rpartition(":")
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_CONNECT):
                reader, writer = await asyncio.open_connection(host, int(port))
                word = await reader.readline()
        except TimeoutError:
            gone = False
        except (OSError, ValueError):
            gone = True
        else:
            if word.strip() == peer[1].encode():
                return _Opened(reader, writer)
            gone = bool(word)  # another process is there by now
        if writer is not None:
            writer.transport.abort()
        return gone
