"""The network between processes: wires that delay, are cut, and break.

A wire joins two processes, as a TCP connection does: each direction keeps its order.  While the two
hosts are cut off from each other, what is sent waits, as in a kernel that sends it again and again;
when the cut is over it arrives, late.  After ``PATIENCE`` seconds of it the wires between them break.

A process that is killed breaks its wires at once: its kernel says so to the other ends, unless they
are cut off.  One that is paused breaks nothing: its kernel goes on taking what comes.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Container
from typing import Any

from support.simulation.machine import Machine, Process, current

PATIENCE = 15.0  # seconds of a cut after which connections are given up
_FASTEST, _SLOWEST = 0.0001, 0.002  # seconds of one way
_AGAIN = 0.5  # seconds until a connection that cannot be made is tried again

Told = Callable[[], None]
_Sent = tuple[Callable[..., object], tuple[Any, ...]]


class Wire:
    """One connection; see the module docstring.  ``told`` of an end hears when it breaks."""

    def __init__(self, network: Network, one: Process, two: Process) -> None:
        self._network = network
        self._ends = (one, two)
        self._told: dict[Process, Told] = {}
        self._last = {one: 0.0, two: 0.0}  # when the last thing arrives there
        self._under_way: dict[Process, deque[_Sent]] = {one: deque(), two: deque()}
        self._cut_off: list[tuple[Process, _Sent]] = []
        self.open = True
        for end in self._ends:
            end.at_death.append(self.reset)

    def on_break(self, end: Process, told: Told) -> None:
        """Tell ``end``."""
        self._told[end] = told

    def other(self, end: Process) -> Process:
        """The other end."""
        return self._ends[1] if end is self._ends[0] else self._ends[0]

    def send(self, to: Process, callback: Callable[..., object], *args: Any) -> None:
        """Let ``to`` call ``callback`` when it arrives there."""
        if not self.open:
            return
        network = self._network
        if network.cut_off(*self._ends):
            self._cut_off.append((to, (callback, args)))
            return
        now = network.loop.time()
        at = self._last[to] = max(self._last[to], now + network.delay(self.other(to), to))
        self._under_way[to].append((callback, args))
        to.post(self._arrive, to, after=at - now)

    def _arrive(self, to: Process) -> None:
        callback, args = self._under_way[to].popleft()  # of two that arrive at once, the earlier
        if self.open:
            callback(*args)

    def healed(self) -> None:
        """What waited goes on its way."""
        waiting, self._cut_off = self._cut_off, []
        for to, (callback, args) in waiting:
            self.send(to, callback, *args)

    def between(self, one: str, two: str) -> bool:
        """Whether it joins the two hosts."""
        return {one, two} == {end.host for end in self._ends}

    def joins(self, hosts: Container[str]) -> bool:
        """Whether one of the hosts is at an end of it."""
        return any(end.host in hosts for end in self._ends)

    def reset(self) -> None:
        """It breaks: nothing that is on its way arrives, and both ends are told."""
        if not self.open:
            return
        self.open = False
        self._network.wires.pop(self, None)
        for end in self._ends:
            end.at_death = [one for one in end.at_death if one != self.reset]
            told = self._told.get(end)
            if told is not None and end.alive:
                end.post(told, after=self._network.delay(self.other(end), end))


class Network:
    """All wires, and who is cut off from whom."""

    def __init__(self, loop: Machine, rng: random.Random) -> None:
        self.loop = loop
        self._random = rng
        self._cuts: dict[frozenset[str], int] = {}
        self._refusing: set[str] = set()
        self._number = 0
        self.slow: dict[str, float] = {}  # host -> how many times slower it is
        self.wires: dict[Wire, None] = {}
        self._sockets: list[_Socket] = []
        self._listeners: dict[tuple[str, int], tuple[Process, Callable[[], Any]]] = {}
        loop.listen, loop.connect = self._listen, self._connect

    def delay(self, one: Process, two: Process) -> float:
        """Seconds from one to the other."""
        seconds = self._random.uniform(_FASTEST, _SLOWEST)
        if self.slow:
            seconds *= max(self.slow.get(one.host, 1.0), self.slow.get(two.host, 1.0))
        return seconds

    def wire(self, one: Process, two: Process) -> Wire:
        """A new connection; whoever asks has seen to it that there can be one."""
        wire = Wire(self, one, two)
        self.wires[wire] = None
        return wire

    # --- cuts ---------------------------------------------------------------------------------

    def is_cut(self, one: str, two: str) -> bool:
        """Whether nothing gets from one host to the other."""
        return frozenset((one, two)) in self._cuts

    def cut_off(self, one: Process, two: Process) -> bool:
        """The same of two processes."""
        return bool(self._cuts) and self.is_cut(one.host, two.host)

    def cut(self, one: str, two: str) -> None:
        """Let nothing through between the hosts."""
        self._number += 1
        number = self._cuts[frozenset((one, two))] = self._number
        self.loop.call_later(PATIENCE, self._give_up, one, two, number)

    def heal(self, one: str, two: str) -> None:
        """The opposite."""
        if self._cuts.pop(frozenset((one, two)), None) is not None:
            for wire in [wire for wire in self.wires if wire.between(one, two)]:
                wire.healed()

    def heal_all(self) -> None:
        """Everybody reaches everybody."""
        for one, *two in [sorted(pair) for pair in self._cuts]:
            self.heal(one, two[0] if two else one)
        self.slow.clear()
        self._refusing.clear()

    def _give_up(self, one: str, two: str, number: int) -> None:
        if self._cuts.get(frozenset((one, two))) == number:
            self.reset(one, two)

    def refuse(self, host: str) -> None:
        """Nobody takes connections at the host's sockets."""
        self._refusing.add(host)

    def accept(self, host: str) -> None:
        """The opposite."""
        self._refusing.discard(host)

    def reset(self, one: str, two: str) -> None:
        """Break the wires between the hosts."""
        for wire in [wire for wire in self.wires if wire.between(one, two)]:
            wire.reset()

    def close(self) -> None:
        """After the simulation: nothing is open any more."""
        for wire in tuple(self.wires):
            wire.reset()
        for socket in self._sockets:
            socket.abort()

    # --- sockets ------------------------------------------------------------------------------

    async def _listen(self, factory: Callable[[], Any], host: str, port: int) -> _Server:
        process = current()
        self._number += 1
        address = (host, port or 20_000 + self._number)
        self._listeners[address] = (process, factory)
        process.at_death.append(lambda: self._listeners.pop(address, None))
        return _Server(address, lambda: self._listeners.pop(address, None))

    async def _connect(
        self, factory: Callable[[], Any], host: str, port: int
    ) -> tuple[_Socket, Any]:
        me = current()
        while self.is_cut(me.host, host):  # the kernel tries for longer than anybody waits
            await asyncio.sleep(_AGAIN)
        found = self._listeners.get((host, port))
        if found is None or host in self._refusing:
            await asyncio.sleep(_SLOWEST)
            raise ConnectionRefusedError
        there, theirs = found
        wire = self.wire(me, there)
        mine = _Socket(wire, me, factory())
        other = _Socket(wire, there, theirs())
        mine.peer, other.peer = other, mine
        self._sockets += (mine, other)
        wire.send(there, other.begin)
        await asyncio.sleep(_SLOWEST)
        mine.begin()
        return mine, mine.protocol


class _Server:
    """As much of ``asyncio.Server`` as is asked for."""

    def __init__(self, address: tuple[str, int], close: Callable[[], object]) -> None:
        self.sockets = (self,)
        self._address = address
        self.close = close

    def getsockname(self) -> tuple[str, int]:
        return self._address


class _Socket(asyncio.Transport):
    """One end of a connection that a program sees as a stream of bytes."""

    peer: _Socket

    def __init__(self, wire: Wire, end: Process, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self._wire = wire
        self._end = end
        self._closing = False
        self._over = False

    def begin(self) -> None:
        self._wire.on_break(self._end, self._broken)
        self.protocol.connection_made(self)

    def write(self, data: Any) -> None:
        self._wire.send(self._wire.other(self._end), self.peer.feed, bytes(data))

    def feed(self, data: bytes) -> None:
        if not self._over:
            self.protocol.data_received(data)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._wire.send(self._wire.other(self._end), self.peer.ended)
            self._end.post(self._lost, None)

    def abort(self) -> None:
        if not self._closing:
            self._closing = True
            self._wire.reset()

    def ended(self) -> None:
        """The other end has closed."""
        if not self._over:
            self.protocol.eof_received()
            self.close()

    def _broken(self) -> None:
        self._closing = True
        self._lost(ConnectionResetError())

    def _lost(self, error: Exception | None) -> None:
        if not self._over:
            self._over = True
            self.protocol.connection_lost(error)
