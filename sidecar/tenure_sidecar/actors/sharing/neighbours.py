"""Connections to a few other members, which end at once when a process does.

A lease tells after seconds that a process is gone; the kernel of its machine tells at once, by ending
its connections.  So each member keeps one open to the next three in the order of their names' hashes,
and is in turn watched by three.  When a connection ends, another one is tried: whoever takes it and
says the same word is alive after all.  If nobody takes it, the process is *suspected*.

A suspicion is a hint, and makes nothing unsafe: it lets others claim by comparison what they would
have claimed later, and the fence refuses whoever is alive in spite of it.  It is withdrawn when the
suspect answers again, and each time that this happens to one, the next suspicion of it waits longer.
A network that swallows packets says nothing, and is left to the lease.

Nothing is said on these connections but the word: a random one for each process, so that a process
that was started again under the same name and address is not taken for the one before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b

import structlog

from tenure_common.errors import BadSettingError, PortInUseError

COUNT = 3  # members that one watches
_CONNECT = 1.0  # seconds
_PAUSE = 1.0  # seconds between tries to reach somebody
_DOUBT_MIN, _DOUBT_MAX = 0.5, 60.0  # seconds that a suspicion waits after a false one
_WORD_BYTES = 64
_CALLERS = 256  # connections that are taken at a time

_log = structlog.get_logger(__name__)

Peer = tuple[str, str]  # address, word


def neighbours(me: str, members: Iterable[str]) -> list[str]:
    """Whom ``me`` watches: the ``COUNT`` next in the order of their names' hashes."""
    ring = sorted({*members, me}, key=_place)
    at = ring.index(me)
    return [*ring[at + 1 :], *ring[:at]][:COUNT]


def _place(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=8).digest()


class Neighbours:
    """See the module docstring.

    Args:
        host: address of this process that the others can reach.
        port: to listen on; 0 = any free one.
        word: this process's.
    """

    def __init__(self, *, host: str, port: int, word: str) -> None:
        self.word = word
        self.address = ""  # once it listens
        self.changed: Callable[[], None] = lambda: None  # told when ``suspects`` changed
        self.suspects: dict[str, str] = {}  # name -> word
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.StreamWriter] = set()
        self._watches: dict[str, tuple[Peer, asyncio.Task[None]]] = {}
        self._doubts: dict[str, float] = {}  # name -> seconds

    async def start(self) -> None:
        """Listen.  Raises: PortInUseError, BadSettingError when the host has no such address."""
        try:
            self._server = await asyncio.start_server(self._called, self._host, self._port)
        except OSError as error:
            where = f"{self._host}:{self._port}"
            if error.errno == errno.EADDRINUSE:
                message = f"{where} is taken by another program; choose another with --peers-port"
                raise PortInUseError(message) from error
            message = f"cannot listen on {where} (--pod-ip, --peers-port): {error.strerror}"
            raise BadSettingError(message) from error
        port = self._server.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.address = f"{host}:{port}"

    def stop(self) -> None:
        """End everything; whoever watches this process is told by that."""
        self.watch({})
        if self._server is not None:
            self._server.close()
        for writer in self._callers:
            writer.close()

    def watch(self, peers: Mapping[str, Peer]) -> None:
        """Watch these and nobody else; a suspicion of others is forgotten."""
        for name, (peer, task) in tuple(self._watches.items()):
            if peers.get(name) != peer:
                task.cancel()
                del self._watches[name]
                self.suspects.pop(name, None)
        for name, peer in peers.items():
            if name not in self._watches:
                task = asyncio.get_running_loop().create_task(
                    self._follow(name, peer), name=f"neighbour {name}"
                )
                self._watches[name] = (peer, task)

    # --- being watched ------------------------------------------------------------------------

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._callers) < _CALLERS:
            self._callers.add(writer)
            with contextlib.suppress(OSError):
                writer.write(self.word.encode() + b"\n")
                while await reader.read(_WORD_BYTES):  # until the other end closes
                    pass
            self._callers.discard(writer)
        writer.close()

    # --- watching -----------------------------------------------------------------------------

    async def _follow(self, name: str, peer: Peer) -> None:
        reached = False  # a process that was never reached is not suspected
        while True:
            gone = await self._stay(name, peer)
            if gone is None:
                reached = True
                continue  # it was there until now: is it still?
            if gone and reached and name not in self.suspects:
                await asyncio.sleep(self._doubts.get(name, 0.0))
                if not await self._refused(peer):
                    continue
                _log.warning("a member is suspected: its connection ended", member=name)
                self.suspects[name] = peer[1]
                self.changed()
            await asyncio.sleep(_PAUSE)

    async def _stay(self, name: str, peer: Peer) -> bool | None:
        """Be connected for as long as possible: None when that ended, True when nobody takes the
        connection, False when nothing can be said."""
        opened = await self._open(peer)
        if isinstance(opened, bool):
            return opened
        reader, writer = opened
        try:
            if self.suspects.pop(name, None) is not None:
                doubt = 2 * self._doubts.get(name, _DOUBT_MIN / 2)
                self._doubts[name] = min(doubt, _DOUBT_MAX)
                _log.warning("a suspected member is there after all", member=name)
                self.changed()
            with contextlib.suppress(OSError):
                while await reader.read(_WORD_BYTES):
                    pass
            return None
        finally:
            writer.transport.abort()

    async def _refused(self, peer: Peer) -> bool:
        """Whether certainly nobody with that word is at the address."""
        opened = await self._open(peer)
        if isinstance(opened, bool):
            return opened
        opened[1].transport.abort()
        return False

    async def _open(self, peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | bool:
        """A connection to the process; True when it is certainly not there, False when nothing can
        be said."""
        host, _, port = peer[0].rpartition(":")
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_CONNECT):
                reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                word = await reader.readline()
        except TimeoutError:
            gone = False
        except (OSError, ValueError):
            gone = True
        else:
            if word.strip() == peer[1].encode():
                return reader, writer
            gone = bool(word)  # another process is there by now
        if writer is not None:
            writer.transport.abort()
        return gone
