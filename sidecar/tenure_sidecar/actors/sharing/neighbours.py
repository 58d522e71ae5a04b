"""Connections to a few other members, which end at once when a process does.

A lease tells after seconds that a process is gone; the kernel of its machine tells at once, by ending
its connections.  So each member keeps one open to the next three in the order of their names' hashes,
and is in turn watched by three.  When a connection ends, another one is tried: whoever takes it and
says the same word is alive after all.  If nobody takes it, the process is *suspected*.

A suspicion is a hint, and makes nothing unsafe: it lets others claim by comparison what they would
have claimed later, and the fence refuses whoever is alive in spite of it.  It is withdrawn when the
suspect answers again, and each time that this happens to one, the next suspicion of it waits longer.
A network that swallows packets says nothing, and is left to the lease.

The connections are those over which activities are lent (``peers``), and there may be more of them than
three.  The word is a random one for each process, so that a process that was started again under the
same name and address is not taken for the one before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from tenure_sidecar.actors.sharing.records import MemberRecord

COUNT = 3  # members that one watches
_PAUSE = 1.0  # seconds between tries to reach somebody
_DOUBT_MIN, _DOUBT_MAX = 0.5, 60.0  # seconds that a suspicion waits after a false one

_log = structlog.get_logger(__name__)

Peer = tuple[str, str]  # address, word


class Connection(Protocol):
    """A connection to a process that said the right word."""

    async def ended(self) -> None:
        """Return when it is over, or to be replaced by a new one."""
        ...

    def close(self) -> None:
        """End it, unless it is being replaced."""
        ...


# Connects to the process: True when it is certainly not there, False when nothing can be said.
Dial = Callable[[str, Peer], Awaitable[Connection | bool]]

# Whom to be connected to, of all members: ``near`` and others.
Links = Callable[[Sequence[str], Mapping[str, "MemberRecord"]], Collection[str]]


def ring(me: str, members: Iterable[str]) -> list[str]:
    """The others in the order of their names' hashes, beginning behind ``me``."""
    names = sorted({*members, me}, key=_place)
    at = names.index(me)
    return [*names[at + 1 :], *names[:at]]


def neighbours(me: str, members: Iterable[str]) -> list[str]:
    """Whom ``me`` watches: the ``COUNT`` next."""
    return ring(me, members)[:COUNT]


def _place(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=8).digest()


def _only_near(near: Sequence[str], _members: Mapping[str, MemberRecord]) -> Collection[str]:
    return near


class Neighbours:
    """See the module docstring.

    Args:
        dial: makes a connection.
        word: this process's.
    """

    def __init__(self, dial: Dial, *, word: str) -> None:
        self.word = word
        self.address = ""  # where others reach this process, once it listens
        self.changed: Callable[[], None] = lambda: None  # told when ``suspects`` changed
        self.links: Links = _only_near
        self.suspects: dict[str, str] = {}  # name -> word
        self._dial = dial
        self._watches: dict[str, tuple[Peer, asyncio.Task[None]]] = {}
        self._kept: frozenset[str] = frozenset()  # not watched any more
        self._doubts: dict[str, float] = {}  # name -> seconds

    def stop(self) -> None:
        """End all connections."""
        self.watch({})

    def watch(self, peers: Mapping[str, Peer], *, keep: Collection[str] = ()) -> None:
        """Watch these and nobody else; a suspicion of others is forgotten.

        Those in ``keep`` are about to go: the connection to one stays until it ends, and that says
        nothing.
        """
        self._kept = frozenset(keep) - peers.keys()
        for name, (peer, task) in tuple(self._watches.items()):
            if peers.get(name) == peer:
                continue
            self.suspects.pop(name, None)
            if name not in self._kept or task.done():
                task.cancel()
                del self._watches[name]
        for name, peer in peers.items():
            if name not in self._watches:
                task = asyncio.get_running_loop().create_task(
                    self._follow(name, peer), name=f"neighbour {name}"
                )
                self._watches[name] = (peer, task)

    async def _follow(self, name: str, peer: Peer) -> None:
        reached = False  # a process that was never reached is not suspected
        while True:
            gone = await self._stay(name, peer)
            if name in self._kept:
                return
            if gone is None:
                reached = True
                continue  # it was there until now: is it still?
            if gone and reached and name not in self.suspects:
                await asyncio.sleep(self._doubts.get(name, 0.0))
                if not await self._refused(name, peer):
                    continue
                _log.warning("a member is suspected: its connection ended", member=name)
                self.suspects[name] = peer[1]
                self.changed()
            await asyncio.sleep(_PAUSE)

    async def _stay(self, name: str, peer: Peer) -> bool | None:
        """Be connected for as long as possible: None when that ended, True when nobody takes the
        connection, False when nothing can be said."""
        connection = await self._dial(name, peer)
        if isinstance(connection, bool):
            return connection
        try:
            if self.suspects.pop(name, None) is not None:
                doubt = 2 * self._doubts.get(name, _DOUBT_MIN / 2)
                self._doubts[name] = min(doubt, _DOUBT_MAX)
                _log.warning("a suspected member is there after all", member=name)
                self.changed()
            await connection.ended()
            return None
        finally:
            connection.close()

    async def _refused(self, name: str, peer: Peer) -> bool:
        """Whether certainly nobody with that word is at the address."""
        connection = await self._dial(name, peer)
        if isinstance(connection, bool):
            return connection
        connection.close()
        return False
