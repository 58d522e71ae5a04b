"""Streams between members in a simulation, in the place of grpc.aio, which leaves the event loop.

As much of its server, channel and call as ``peers`` asks for, over the sockets of ``network``: a stream
keeps its order, its messages are delayed, it breaks with the connection below, and it is given up
when pings are not answered, as ``peers`` has it of gRPC.  Everything above is the real thing: who lends
what to whom, what becomes of it, and who suspects whom.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import grpc
import grpc.aio
from grpc import StatusCode

from support.simulation.etcd_server import failure
from tenure_sidecar.peers import server

_PING, _PONG = 5.0, 3.0  # seconds between pings, and until the answer must be there
_HEAD = 5  # bytes before what is said: its kind and its length
_BEGIN, _SAID, _ASKED, _ANSWERED, _END = range(5)
_BROKEN = failure(StatusCode.UNAVAILABLE, "Socket closed")


class _Ended(Exception):  # noqa: N818 - how a stream of the server's is told from an accident
    pass


class _Connection:
    """One end of a socket on which there is one stream; ``failed`` is why it is over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._answered = asyncio.Event()
        self.failed: grpc.aio.AioRpcError | None = None
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._read()), loop.create_task(self._ping())]

    def say(self, kind: int, message: bytes = b"") -> None:
        """Send it.  Raises: AioRpcError."""
        if self.failed is not None:
            raise self.failed
        self._writer.write(bytes([kind]) + len(message).to_bytes(4, "big") + message)

    async def messages(self) -> AsyncIterator[bytes]:
        """What the other end says, until it is over.  Raises: AioRpcError when it broke."""
        while (message := await self._said.get()) is not None:
            yield message
        if self.failed is not None and self.failed.code() is not StatusCode.OK:
            raise self.failed

    def over(self, why: grpc.aio.AioRpcError) -> None:
        """End it, for good."""
        if self.failed is None:
            self.failed = why
            self._said.put_nowait(None)
            self._writer.transport.abort()
            for task in self._tasks:
                task.cancel()

    async def _read(self) -> None:
        try:
            while True:
                head = await self._reader.readexactly(_HEAD)
                message = await self._reader.readexactly(int.from_bytes(head[1:], "big"))
                if head[0] == _SAID:
                    self._said.put_nowait(message)
                elif head[0] == _ASKED:
                    self.say(_ANSWERED)
                elif head[0] == _ANSWERED:
                    self._answered.set()
                elif head[0] == _END:
                    code, _, details = message.decode().partition(" ")
                    self.over(failure(StatusCode[code], details))
        except (OSError, EOFError, grpc.aio.AioRpcError):
            self.over(_BROKEN)

    async def _ping(self) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError):
            while True:
                await asyncio.sleep(_PING)
                self._answered.clear()
                self.say(_ASKED)
                try:
                    async with asyncio.timeout(_PONG):
                        await self._answered.wait()
                except TimeoutError:
                    self.over(failure(StatusCode.UNAVAILABLE, "keepalive watchdog timeout"))


class Channel:
    """The caller's end, of one call."""

    def __init__(self, address: str, options: object = ()) -> None:
        self._address = address
        self._call: _Call | None = None

    def stream_stream(self, _path: str) -> Callable[[], _Call]:
        """See ``grpc.aio.Channel``."""

        def call() -> _Call:
            self._call = _Call(self._address)
            return self._call

        return call

    async def close(self) -> None:
        """See ``grpc.aio.Channel``."""
        if self._call is not None:
            self._call.cancel()


class _Call:
    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._at = host, int(port)
        self._connection: _Connection | None = None
        self._failed: grpc.aio.AioRpcError | None = None

    async def write(self, message: bytes) -> None:
        if self._failed is not None:
            raise self._failed
        if self._connection is None:
            try:
                self._connection = _Connection(*await asyncio.open_connection(*self._at))
            except OSError:
                self._failed = failure(StatusCode.UNAVAILABLE, "failed to connect")
                raise self._failed from None
            self._connection.say(_BEGIN)
        self._connection.say(_SAID, message)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._connection is not None:
            async for message in self._connection.messages():
                yield message

    def _why(self) -> grpc.aio.AioRpcError | None:
        return self._failed or (self._connection and self._connection.failed)

    def done(self) -> bool:
        return self._why() is not None

    def cancel(self) -> bool:
        why = failure(StatusCode.CANCELLED, "Locally cancelled by application!")
        self._failed = self._why() or why
        if self._connection is not None:
            self._connection.over(why)
        return True

    async def code(self) -> StatusCode:
        why = self._why()
        return StatusCode.OK if why is None else why.code()

    async def details(self) -> str:
        why = self._why()
        return "" if why is None else why.details() or ""


class Server:
    """The other end: a method for every call."""

    def __init__(self, options: object = ()) -> None:
        self._method: Callable[..., Any] | None = None
        self._at = "", 0
        self._server: asyncio.Server | None = None
        self._open: dict[_Connection, None] = {}

    def add_registered_method_handlers(self, _service: str, methods: dict[str, Any]) -> None:
        """See ``grpc.aio.Server``."""
        (handler,) = methods.values()
        self._method = handler.stream_stream

    def add_insecure_port(self, address: str) -> int:
        """See ``grpc.aio.Server``."""
        host, _, port = address.rpartition(":")
        self._at = host, int(port)
        return self._at[1]

    async def start(self) -> None:
        """See ``grpc.aio.Server``."""
        self._server = await asyncio.start_server(self._called, *self._at)

    async def stop(self, _grace: float | None) -> None:
        """See ``grpc.aio.Server``."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._open):
            connection.over(_BROKEN)

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        self._open[connection] = None
        try:
            assert self._method is not None
            await self._method(connection.messages(), _Context(connection))
            _end(connection, StatusCode.OK, "")
        except _Ended:
            pass
        finally:
            self._open.pop(connection, None)
            connection.over(_BROKEN)


def _end(connection: _Connection, code: StatusCode, details: str) -> None:
    with contextlib.suppress(grpc.aio.AioRpcError):
        connection.say(_END, f"{code.name} {details}".encode())


class _Context:
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def write(self, message: bytes) -> None:
        self._connection.say(_SAID, message)

    async def abort(self, code: StatusCode, details: str) -> None:
        _end(self._connection, code, details)
        await asyncio.sleep(_PONG)  # the other end closes when it has heard
        raise _Ended

    def peer(self) -> str:
        return "a member"


@contextmanager
def peer_streams() -> Iterator[None]:
    """Members connect to each other in the simulation."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(grpc.aio, "insecure_channel", Channel))
        patches.enter_context(patch.object(grpc.aio, "server", Server))
        patches.enter_context(patch.object(server, "require_free", lambda *_, **__: None))
        yield
