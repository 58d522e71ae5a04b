"""A TCP proxy that misbehaves on command, to be put between any two parties.

It runs in the test's event loop.  Two directions are told apart: ``TO`` is from whoever connected
towards the target, ``FROM`` is back.

==============  ==================================================================================
``cut()``       bytes are taken and kept: nothing arrives, nothing is refused (a dead network).
                One way or both.  New connections seem to be made, and stay silent.
``resume()``    what was kept is passed on, in order, and so is everything after it
``delay(s)``    every byte arrives ``s`` seconds later; order and throughput stay
``reset()``     connections end with RST; new ones are taken
``refuse()``    nobody listens any more, and connections end with RST; ``listen()`` takes it back
==============  ==================================================================================

``taken`` counts bytes that came in, ``passed`` those that went out: a test can wait until a request
has certainly left, or see that it did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from support.ports import free_ports

TO = "to"
FROM = "from"
BOTH = (TO, FROM)


@dataclass
class Way:
    """The state of one direction, for all connections."""

    open: bool = True
    delay: float = 0.0  # seconds
    taken: int = 0  # bytes
    passed: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class FaultProxy:
    """Listens on a free port of loopback and connects to ``target``; see the module docstring."""

    def __init__(self, target: int, *, host: str = "127.0.0.1") -> None:
        self.target = target
        self.host = host
        (self.port,) = free_ports(1)  # while it takes no connections, nobody else gets it
        self.accepted = 0  # connections so far
        self.ways = {TO: Way(), FROM: Way()}
        self._server: asyncio.Server | None = None
        self.pairs: set[Pair] = set()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        await asyncio.gather(*(pair.task for pair in self.pairs), return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def listen(self) -> None:
        """Take connections, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)

    async def refuse(self) -> None:
        """Take no connections and end those that are open."""
        if self._server is not None:
            server, self._server = self._server, None
            # asyncio drops a connection unclosed whose server is closed while it is being taken.
            loop = asyncio.get_running_loop()
            for listener in server.sockets:
                loop.remove_reader(listener.fileno())
            await asyncio.sleep(0)
            server.close()
        self.reset()

    def cut(self, ways: Iterable[str] = BOTH) -> None:
        """Pass nothing on."""
        for way in ways:
            self.ways[way].open = False

    def resume(self, ways: Iterable[str] = BOTH) -> None:
        """Pass on again, without delay."""
        for way in ways:
            self.ways[way].open = True
            self.ways[way].delay = 0.0
            self.ways[way].changed.set()

    def delay(self, seconds: float, ways: Iterable[str] = BOTH) -> None:
        """Let bytes that arrive from now on take ``seconds``."""
        for way in ways:
            self.ways[way].delay = seconds

    def reset(self) -> None:
        """End all connections with RST."""
        for pair in tuple(self.pairs):
            pair.reset()

    def lead_to(self, target: int) -> None:
        """Another port is the target, and connections are made anew."""
        self.target = target
        self.reset()

    @property
    def connections(self) -> int:
        """Open ones."""
        return len(self.pairs)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` of the proxy's counts holds; the test's own time-out ends it."""
        while not condition():
            await asyncio.sleep(0.001)

    def choose(self) -> int:
        """The port that a new connection is passed on to.  Raises: OSError when there is none."""
        return self.target

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            target = self.choose()
            there = await asyncio.open_connection(self.host, target)
        except OSError:
            _reset(writer)
            return
        pair = Pair((reader, writer), there, self.ways, target=target)
        self.pairs.add(pair)
        with contextlib.suppress(asyncio.CancelledError):  # it was reset
            await pair.task
        self.pairs.discard(pair)


End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pair:
    """One connection and the one that it is passed on to."""

    def __init__(self, here: End, there: End, ways: dict[str, Way], *, target: int) -> None:
        self.target = target
        self._writers = here[1], there[1]
        self.task = asyncio.ensure_future(self._run(here, there, ways))

    async def _run(self, here: End, there: End, ways: dict[str, Way]) -> None:
        pumps = [
            asyncio.ensure_future(_pump(here[0], there[1], ways[TO])),
            asyncio.ensure_future(_pump(there[0], here[1], ways[FROM])),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for writer in self._writers:
                writer.close()

    def reset(self) -> None:
        for writer in self._writers:
            _reset(writer)
        self.task.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    """Pass bytes on as the direction's state allows, until one end is closed."""
    loop = asyncio.get_running_loop()
    queue: deque[tuple[float, bytes]] = deque()
    arrived = asyncio.Event()

    async def take() -> None:
        while chunk := await reader.read(1 << 16):
            way.taken += len(chunk)
            queue.append((loop.time() + way.delay, chunk))
            arrived.set()

    async def give() -> None:
        while True:
            while not queue:
                arrived.clear()
                await arrived.wait()
            at, chunk = queue.popleft()
            if (rest := at - loop.time()) > 0:
                await asyncio.sleep(rest)
            while not way.open:
                way.changed.clear()
                await way.changed.wait()
            writer.write(chunk)
            way.passed += len(chunk)
            await writer.drain()

    with contextlib.suppress(OSError):
        tasks = [asyncio.ensure_future(take()), asyncio.ensure_future(give())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            while queue and way.open:  # the end comes after what was sent before it
                await asyncio.sleep(0.001)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
