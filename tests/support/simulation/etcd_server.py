"""etcd's members, and the channels that clients reach them by.

``EtcdServers`` are processes: each can be paused (what was sent to it is carried out when it wakes,
minutes later if need be) and killed.  ``channel`` is what the client's ``dial`` makes: it is to the
client what a channel of grpc.aio is, as far as the client uses one.

What may happen to a request besides is its *fate*, drawn from the seed while there is trouble: it is
lost before anybody saw it, or carried out and the answer lost, or carried out much later.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any
from zlib import crc32

import grpc
import grpc.aio
from grpc import ChannelConnectivity, StatusCode

from support.simulation.etcd_model import EtcdModel, Refusal
from support.simulation.machine import Machine, Process
from support.simulation.network import Network, Wire
from tenure_sidecar.etcd._generated import etcd_pb2 as pb

_RECONNECT = 0.5  # seconds between tries to connect
_ARRIVES = 0.002  # seconds in which a message reaches a client, unless the network is slow
_TICK = 0.1  # seconds between looks at the leases
_WATCH, _KEEP_ALIVE = "/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"


_KINDS: dict[int, int] = {
    pb.WatchCreateRequest.NOPUT: pb.Event.PUT,
    pb.WatchCreateRequest.NODELETE: pb.Event.DELETE,
}


def failure(code: StatusCode, details: str) -> grpc.aio.AioRpcError:
    """The error that a call raises."""
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, nothing, nothing, details)


_BROKEN = (StatusCode.UNAVAILABLE, "Socket closed")


class Trouble:
    """What happens to requests; all zero = nothing.

    Attributes:
        lost: how many of a hundred are not seen by anybody.
        unanswered: how many are carried out, and the answer is lost.
        late: how many are carried out up to ``latest`` seconds later.
        only: what a request names that any of this happens to.
        deaf: whether events of inboxes are dropped now and then, which etcd never should.
        silent: whether watches say nothing, and do not end.
        breaks: so many watch streams break, each between a message and that of the next revision.
    """

    def __init__(self) -> None:
        self.lost = self.unanswered = self.late = 0
        self.latest = 12.0
        self.only = b""
        self.deaf = 0
        self.silent = False
        self.breaks = 0

    @property
    def loses(self) -> bool:
        """Whether requests or answers are lost, or late."""
        return bool(self.lost or self.unanswered or self.late)


class EtcdServers:
    """See the module docstring.

    Args:
        loop: the machine.
        network: between them and everybody.
        rng: decides fates.
        names: of the members.
        record: told of every write: revision and events.
    """

    def __init__(
        self,
        loop: Machine,
        network: Network,
        rng: random.Random,
        *,
        names: tuple[str, ...],
        record: Callable[..., None],
    ) -> None:
        self.model = EtcdModel()
        self.trouble = Trouble()
        self.members = {name: loop.process(name) for name in names}
        self.calls: dict[str, int] = {}  # by method
        self.version = rng.choice(("3.5.1", "3.5.21"))  # what it says of itself
        self._loop = loop
        self._network = network
        self._random = rng
        self._record = record
        self._streams: dict[_Served, None] = {}
        self._told = 1  # revision up to which watches were told
        loop.call_later(_TICK, self._tick)

    # --- members ------------------------------------------------------------------------------

    @property
    def urls(self) -> tuple[str, ...]:
        """For the client."""
        return tuple([f"http://{name}" for name in self.members])

    def crash(self, name: str) -> None:
        """A member is gone, with what it had not done."""
        self.members[name].kill()

    def start(self, name: str) -> None:
        """It is back."""
        if not self.members[name].alive:
            self.members[name] = self._loop.process(name)
            if not any(one.running for n, one in self.members.items() if n != name):
                self.model.extend(self._loop.time())

    def _tick(self) -> None:
        if any(member.running for member in self.members.values()):
            before = self.model.revision
            self.model.expire(self._loop.time())
            self.wrote(before)
        self._loop.call_later(_TICK, self._tick)

    # --- requests -----------------------------------------------------------------------------

    def fate(self, request: Any) -> tuple[str, float]:
        """What happens to a request, and how much later."""
        trouble = self.trouble
        if not trouble.loses or trouble.only not in request.SerializeToString():
            return "", 0.0
        draw = self._random.randrange(100)
        for what in ("lost", "unanswered", "late"):
            draw -= getattr(trouble, what)
            if draw < 0:
                return what, self._random.uniform(0.0, trouble.latest)
        return "", 0.0

    def carry_out(self, path: str, request: Any) -> Any:
        """One request, at once.  Raises: Refusal."""
        model, before = self.model, self.model.revision
        name = path.rpartition("/")[2]
        self.calls[name] = self.calls.get(name, 0) + 1
        try:
            if name == "Range":
                return model.range(request)
            if name == "Txn":
                return model.txn(request)
            if name == "DeleteRange":
                return model.delete(request)
            if name == "Compact":
                return model.compact(request)
            if name == "LeaseGrant":
                return model.grant(request, self._loop.time())
            if name == "LeaseRevoke":
                return model.revoke(request)
            if name == "Status":
                return pb.StatusResponse(header=model.header(), version=self.version, leader=1)
            raise Refusal(StatusCode.UNIMPLEMENTED, f"unknown service {path}")
        finally:
            self.wrote(before)

    def wrote(self, before: int) -> None:
        """Let the watches know what is new since revision ``before``."""
        if self.model.revision == before:
            return
        for revision, events in self.model.since(before + 1):
            self._record("etcd", revision, *[_shown(event) for event in events])
        for stream in self._streams:
            stream.wake()

    # --- streams ------------------------------------------------------------------------------

    def attach(self, stream: _Served) -> None:
        """A watch stream wants to be told."""
        self._streams[stream] = None

    def detach(self, stream: _Served) -> None:
        """The opposite."""
        self._streams.pop(stream, None)

    def calm(self) -> None:
        """No more trouble."""
        silent, self.trouble = self.trouble.silent, Trouble()
        self.model.full = False
        if silent:
            self._streams.clear()
            for wire in tuple(self._network.wires):
                if wire.joins(self.members):
                    wire.reset()

    def drops(self, key: bytes) -> bool:
        """Whether this event is not told to this watch."""
        deaf = self.trouble.deaf
        return bool(deaf) and b"/inbox/" in key and self._random.randrange(100) < deaf

    def breaks_before(self, key: bytes) -> bool:
        """Whether the stream breaks on which this event is to be told."""
        if not self.trouble.breaks or b"/inbox/" not in key:
            return False
        self.trouble.breaks -= 1
        return True

    def break_streams(self, host: str) -> None:
        """End all connections of a host."""
        for name in self.members:
            self._network.reset(host, name)

    def channel(self, process: Process, target: str) -> Channel:
        """A channel of ``process``'s to a member."""
        return Channel(self, self._network, process, target)


def _shown(event: pb.Event) -> str:
    key = event.kv.key.decode()
    if event.type == pb.Event.DELETE:
        return f"-{key}"
    return f"+{key}={crc32(event.kv.value):08x}"


class Channel:
    """A client's connection to one member, made again whenever it broke."""

    def __init__(
        self, servers: EtcdServers, network: Network, process: Process, target: str
    ) -> None:
        self.servers = servers
        self.process = process
        self.wire: Wire | None = None
        self._network = network
        self._target = target
        self._closed = False
        self._calls: dict[asyncio.Future[Any], None] = {}
        self.streams: dict[Stream, None] = {}
        self._changed: asyncio.Future[None] = process.loop.create_future()
        process.post(self._connect)

    @property
    def member(self) -> Process:
        """The process at the other end."""
        return self.servers.members[self._target]

    def _connect(self) -> None:
        if self._closed or self.wire is not None:
            return
        if not self.member.alive or self._network.is_cut(self.process.host, self._target):
            self.process.post(self._connect, after=_RECONNECT)
            return
        self.wire = self._network.wire(self.process, self.member)
        self.wire.on_break(self.process, self._broken)
        self._tell()

    def _broken(self) -> None:
        self.wire = None
        calls, self._calls = self._calls, {}
        for call in calls:
            if not call.done():
                call.set_exception(failure(*_BROKEN))
        for stream in tuple(self.streams):
            stream.fail(failure(*_BROKEN))
        self._tell()
        self.process.post(self._connect, after=_RECONNECT)

    def _tell(self) -> None:
        changed, self._changed = self._changed, self.process.loop.create_future()
        if not changed.done():
            changed.set_result(None)

    # --- what grpc.aio.Channel has ------------------------------------------------------------

    def get_state(self, try_to_connect: bool = False) -> ChannelConnectivity:
        if self._closed:
            return ChannelConnectivity.SHUTDOWN
        return ChannelConnectivity.READY if self.wire else ChannelConnectivity.TRANSIENT_FAILURE

    async def wait_for_state_change(self, last: ChannelConnectivity) -> None:
        while self.get_state() is last:
            await asyncio.shield(self._changed)

    def unary_unary(self, path: str, **_serializers: Any) -> Callable[..., Any]:
        async def call(request: Any, *, timeout: float, metadata: Any = ()) -> Any:
            return await self._call(path, request, timeout)

        return call

    def stream_stream(self, path: str, **_serializers: Any) -> Callable[..., Any]:
        return lambda metadata=(): Stream(self, path)

    async def close(self, grace: float | None = None) -> None:
        self._closed = True
        if self.wire is not None:
            self.wire.reset()
        self._tell()

    # --- a unary call -------------------------------------------------------------------------

    async def _call(self, path: str, request: Any, timeout: float) -> Any:
        wire, process, servers = self.wire, self.process, self.servers
        if wire is None:
            raise failure(StatusCode.UNAVAILABLE, "failed to connect to all addresses")
        member = wire.other(process)
        answered: asyncio.Future[Any] = process.loop.create_future()
        what, later = servers.fate(request)

        def take(result: Any) -> None:
            self._calls.pop(answered, None)
            if answered.done():
                return
            if isinstance(result, Refusal):
                answered.set_exception(failure(result.code, result.details))
            else:
                answered.set_result(result)

        def carry_out() -> None:
            try:
                result = servers.carry_out(path, request)
            except Refusal as refusal:
                result = refusal
            if what != "unanswered":
                wire.send(process, take, result)

        def arrive() -> None:
            if what == "late":  # it lies in the member, whatever becomes of the connection
                member.post(carry_out, after=later)
            elif what != "lost":
                carry_out()

        self._calls[answered] = None
        wire.send(member, arrive)
        timer = process.loop.call_later(
            timeout,
            lambda: (
                answered.done()
                or answered.set_exception(
                    failure(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
                )
            ),
        )
        try:
            return await answered
        finally:
            timer.cancel()
            self._calls.pop(answered, None)


class Stream:
    """The client's end of a bidirectional call."""

    def __init__(self, channel: Channel, path: str) -> None:
        self._channel = channel
        self._process = channel.process
        self._inbox: list[Any] = []
        self._error: BaseException | None = None
        self._arrived = asyncio.Event()
        self._wire = channel.wire
        self._served: _Served | None = None
        if self._wire is None:
            self._error = failure(StatusCode.UNAVAILABLE, "failed to connect to all addresses")
            return
        channel.streams[self] = None
        self._served = _Served(channel.servers, self, self._wire, channel.process, path)

    async def read(self) -> Any:
        while not self._inbox:
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()
        return self._inbox.pop(0)

    async def write(self, request: Any) -> None:
        if self._error is not None:
            raise self._error
        if self._wire is not None and self._served is not None:
            self._wire.send(self._wire.other(self._process), self._served.take, request)

    def cancel(self) -> bool:
        self.fail(asyncio.CancelledError())
        return True

    def feed(self, response: Any) -> None:
        """A response arrived."""
        if self._error is None:
            self._inbox.append(response)
            self._arrived.set()

    def fail(self, error: BaseException) -> None:
        """It is over."""
        if self._error is not None:
            return
        self._error = error
        self._arrived.set()
        self._channel.streams.pop(self, None)
        if self._served is not None:
            self._channel.servers.detach(self._served)


class _Served:
    """The member's end of it: renewals of leases, or watches."""

    def __init__(
        self, servers: EtcdServers, stream: Stream, wire: Wire, client: Process, path: str
    ) -> None:
        self._servers = servers
        self._stream = stream
        self._wire = wire
        self._client = client
        self._path = path
        self._exact: dict[bytes, dict[int, None]] = {}
        self._ranges: dict[int, tuple[bytes, bytes]] = {}
        self._spans: dict[int, tuple[bytes, bytes]] = {}
        self._left_out: dict[int, set[int]] = {}  # kinds of events
        self._next = 0  # revision that is told next, of the watches that are up to date
        self._woken = False
        self._mute = False
        self._last: dict[int, int] = {}  # revision of what each watch was told last
        if path == _WATCH:
            servers.attach(self)
            member = wire.other(client)
            member.at_death.append(lambda: servers.detach(self))

    def _say(self, response: Any) -> None:
        silent = self._servers.trouble.silent and self._path == _WATCH
        if not (silent or self._mute):
            self._wire.send(self._client, self._stream.feed, response)

    def take(self, request: Any) -> None:
        """A request arrived."""
        servers, model = self._servers, self._servers.model
        if self._path == _KEEP_ALIVE:
            what, _ = servers.fate(request)
            if what != "lost":
                answer = model.keep_alive(request, self._wire.other(self._client).loop.time())
                if what != "unanswered":
                    self._say(answer)
        elif request.HasField("create_request"):
            self._create(request.create_request)
        elif request.HasField("cancel_request"):
            number = request.cancel_request.watch_id
            if self._spans.pop(number, None) is not None:
                self._forget(number)
                self._say(pb.WatchResponse(header=model.header(), watch_id=number, canceled=True))
        else:
            self._flush()
            self._say(pb.WatchResponse(header=model.header(), watch_id=-1))

    # --- watches ------------------------------------------------------------------------------

    def _create(self, request: pb.WatchCreateRequest) -> None:
        model, number = self._servers.model, request.watch_id
        self._flush()
        self._say(pb.WatchResponse(header=model.header(), watch_id=number, created=True))
        first = request.start_revision or model.revision + 1
        if first < model.compacted:
            self._say(
                pb.WatchResponse(
                    header=model.header(),
                    watch_id=number,
                    canceled=True,
                    compact_revision=model.compacted,
                )
            )
            return
        span = self._spans[number] = (request.key, request.range_end)
        self._left_out[number] = {_KINDS[one] for one in request.filters}
        for revision, events in model.since(first):
            seen = [event for event in events if _covers(span, event.kv.key)]
            self._tell(number, revision, seen)
        if request.range_end:
            self._ranges[number] = span
        else:
            self._exact.setdefault(request.key, {})[number] = None

    def _forget(self, number: int) -> None:
        self._ranges.pop(number, None)
        for numbers in self._exact.values():
            numbers.pop(number, None)

    def wake(self) -> None:
        """Something was written."""
        if not self._woken:
            self._woken = True
            self._wire.other(self._client).post(self._flush)

    def _flush(self) -> None:
        self._woken = False
        model = self._servers.model
        if not self._spans:
            self._next = model.revision + 1
            return
        for revision, events in model.since(self._next):
            seen: dict[int, list[pb.Event]] = {}
            for event in events:
                key = event.kv.key
                for number in self._exact.get(key, ()):
                    seen.setdefault(number, []).append(event)
                for number, (first, end) in self._ranges.items():
                    if key >= first and (end == b"\0" or key < end):
                        seen.setdefault(number, []).append(event)
            for number, found in seen.items():
                self._tell(number, revision, found)
        self._next = model.revision + 1

    def _tell(self, number: int, revision: int, events: list[pb.Event]) -> None:
        left_out = self._left_out[number]
        events = [
            event
            for event in events
            if event.type not in left_out and not self._servers.drops(event.kv.key)
        ]
        if events:
            follows = self._last.get(number) == revision - 1
            self._last[number] = revision
            if follows and not self._mute and self._servers.breaks_before(events[0].kv.key):
                self._mute = True  # this and what follows is lost with the stream
                self._servers.detach(self)
                self._client.post(self._stream.fail, failure(*_BROKEN), after=_ARRIVES)
            header = pb.ResponseHeader(revision=revision)
            self._say(pb.WatchResponse(header=header, watch_id=number, events=events))


def _covers(span: tuple[bytes, bytes], key: bytes) -> bool:
    first, end = span
    if not end:
        return key == first
    return key >= first and (end == b"\0" or key < end)
