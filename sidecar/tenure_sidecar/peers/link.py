"""One connection to another member, the owner's end: activities leave, results come back.

To the dispatcher it is a work stream like any other, but far (``dispatch/stream.py``): its codec writes
frames instead of work items, and its cap on activities is what the peer last said.  When the stream
ends, the dispatcher does what it does for every worker that is lost: it hands the work out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Never

import grpc.aio
import structlog

from tenure_common.errors import BadRequestError, TenureError
from tenure_sidecar.dispatch.loans import Borrowed
from tenure_sidecar.dispatch.stream import Caps, WorkerStream
from tenure_sidecar.peers import frames
from tenure_sidecar.peers.outbox import Outbox
from tenure_sidecar.rpc.transport import Metadata, Sent
from tenure_sidecar.wire.codec import ActivityResult, Filters, Hello

if TYPE_CHECKING:
    from tenure_sidecar.actors.instance import Ack
    from tenure_sidecar.dispatch.dispatcher import Dispatcher
    from tenure_sidecar.engine.events import Event, TaskScheduled
    from tenure_sidecar.engine.head import Head

_FAREWELL = 10.0  # seconds that the other end has to read the last of it
BROKEN = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError)
_ASK = frames.encode(frames.Ask())
_NO_WORKFLOWS: dict[str, tuple[str, ...]] = {}

_log = structlog.get_logger(__name__)


class LentCodec:
    """Writes an activity as a frame.  Implements ``wire.codec.Codec``, of which a far stream, that
    takes no turns and whose answers come as frames, needs nothing else."""

    flavour = "peers"

    def activity_item(self, head: Head, task: TaskScheduled, *, token: str) -> bytes:
        """See ``Codec.activity_item``."""
        return frames.encode(
            frames.Lent(Borrowed(token, head.instance_id, head.execution_id, task))
        )

    def event(self, event: Event) -> bytes:
        """Not for peers."""
        self._never(event)

    def turn_item(self, head: Head, **_parts: object) -> bytes:
        """Not for peers."""
        self._never(head)

    def health_ping(self) -> bytes:
        """Not for peers: gRPC's own pings keep the connection."""
        self._never("a ping")

    def hello(self, request: bytes) -> Hello:
        """Not for peers."""
        self._never(request)

    def turn_result(self, request: bytes) -> Never:
        """Not for peers."""
        self._never(request)

    def activity_result(self, request: bytes) -> ActivityResult:
        """Not for peers."""
        self._never(request)

    def activity_trace(self, task: TaskScheduled, span_id: str) -> None:
        """Not for peers."""
        self._never((task, span_id))

    def _never(self, what: object) -> Never:
        message = f"peers are lent activities and nothing else, not {what!r}"
        raise TypeError(message)


class Link:
    """See the module docstring.

    Args:
        name: the member's.
        call: the gRPC stream, on which both have said hello.
        incoming: its further messages.
        close: ends the channel that it is on.
        dispatcher: whose activities are lent.
        changed: told when something was answered.
        timed: told when it was asked what the clock there says (loop time, seconds), and the answer
            (nanoseconds).
        protocol: of the other end.
        until: seconds after which a new connection is to take its place; None = never.
    """

    request = b""
    metadata: Metadata = ()
    time_remaining: float | None = None

    def __init__(  # noqa: PLR0913 - one call site, by name
        self,
        name: str,
        *,
        peer: str,
        call: Any,  # noqa: ANN401 - grpc's own types are not complete
        incoming: AsyncIterator[bytes],
        close: Callable[[], None],
        dispatcher: Dispatcher,
        changed: Callable[[], None],
        timed: Callable[[float, int], None],
        protocol: int,
        until: float | None = None,
    ) -> None:
        self.name = name
        self.peer = peer
        self._call = call
        self._incoming = incoming
        self._close = close
        self._dispatcher = dispatcher
        self._changed = changed
        self._timed = timed
        self._tells_time = protocol >= frames.CLOCKS
        self._asked: float | None = None
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox()
        self._stream: WorkerStream | None = None
        self._over = self._loop.create_future()
        self._replaced = False
        self._ending = False
        self._gone: Callable[[], None] = lambda: None
        self._wanting = False
        self._unsettled = 0  # results that are being made durable
        self._tasks = [
            self._loop.create_task(self._read(), name=f"read from {name}"),
            self._loop.create_task(self._write(), name=f"write to {name}"),
        ]
        self._timer: asyncio.TimerHandle | None = None
        if until is not None:
            self._after(until, self.replace)

    # --- Connection ---------------------------------------------------------------------------

    async def ended(self) -> None:
        """See ``Connection.ended``."""
        await asyncio.shield(self._over)

    def close(self) -> None:
        """See ``Connection.close``.  One that is being replaced waits for what it has lent."""
        if self.owing and not self._replaced:
            self.abort()
            return
        self.replace()
        self.tidy()

    def tidy(self) -> None:
        """End it if it was replaced, and everything that it was kept for has come."""
        if self._replaced and not self.owing and not self._ending and self.open:
            self._ending = True
            self._tasks.append(self._loop.create_task(self._end(), name=f"end with {self.name}"))
            self._after(_FAREWELL, self.abort)

    # --- facts --------------------------------------------------------------------------------

    @property
    def owing(self) -> int:
        """What is still to come here, or to be told: activities that the peer has not answered, and
        results that it has not heard about."""
        return self.lent + self._unsettled + (not self._outbox.empty)

    @property
    def lent(self) -> int:
        """Activities that the peer has not answered."""
        return 0 if self._stream is None else self._stream.activities

    @property
    def open(self) -> bool:
        """Whether anything can still come."""
        return not self._call.done()

    # --- what is sent -------------------------------------------------------------------------

    def want(self, more: bool) -> None:  # noqa: FBT001 - the frame's own word
        """Tell whether there is something to lend."""
        if more != self._wanting and not self._replaced:
            self._wanting = more
            self._outbox.put(frames.encode(frames.Want(more)))

    def ask(self) -> None:
        """Ask what the clock there says, unless it has yet to answer that, or would not."""
        if self._tells_time and self._asked is None and not self._replaced:
            self._asked = self._loop.time()
            self._outbox.put(_ASK)

    def send(self, message: bytes) -> Sent:
        """See ``Stream.send``."""
        if not self.open:
            return Sent.CLOSED
        if self._outbox.full:
            return Sent.FULL
        self._outbox.put(message)
        return Sent.SENT

    def on_ready(self, callback: Callable[[], None]) -> None:
        """See ``Stream.on_ready``."""
        self._outbox.on_ready(callback)

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """See ``Stream.on_cancel``."""
        self._gone = callback

    def end(self) -> None:
        """See ``Stream.end``: nothing more is lent; what was may still be answered."""

    def fail(self, code: str, message: str) -> None:
        """See ``Stream.fail``."""
        _log.warning("connection to a member closed", member=self.name, code=code, reason=message)
        self.abort()

    # --- what comes ---------------------------------------------------------------------------

    def take(self, received: Sequence[frames.FromPeer]) -> None:
        """Frames of the peer's have come."""
        for frame in received:
            match frame:
                case frames.Room():
                    self._room(frame)
                case frames.Done():
                    result = ActivityResult("", 0, frame.token, frame.result, frame.failure)
                    self._dispatcher.answer_activity(result, self._settled(frame.token))
                case frames.Refused():
                    self._dispatcher.refused(frame.token, size=frame.size)
                case frames.Lost():
                    self._dispatcher.abandon(frame.token)
                case frames.Time():
                    self._time(frame)
                case frames.Hello():
                    pass
        self._changed()

    def _time(self, told: frames.Time) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            self._timed(asked, told.now)

    def _settled(self, token: str) -> Ack:
        self._unsettled += 1

        def ack(error: BaseException | None) -> None:
            self._unsettled -= 1
            text = "" if error is None else str(error) or type(error).__name__
            self._outbox.put(frames.encode(frames.Settled(token, text)))
            self._changed()

        return ack

    def _room(self, room: frames.Room) -> None:
        limit = 0 if self._replaced else room.limit
        caps = Caps(turns=0, activities=limit, total=limit, message_bytes=room.message_bytes)
        hello = Hello(filters=Filters(workflows=_NO_WORKFLOWS, activities=room.activities))
        dispatcher = self._dispatcher
        if self._stream is not None:
            dispatcher.change(self._stream, hello=hello, caps=caps)
            return
        self._stream = WorkerStream(
            dispatcher.next_id(),
            self,
            codec=LentCodec(),
            hello=hello,
            caps=caps,
            health_ping=False,
            now=dispatcher.now(),
            far=True,
        )
        dispatcher.connect(self._stream)

    async def _read(self) -> None:
        try:
            async for message in self._incoming:
                self.take(frames.from_peer(message))
        except BROKEN:
            pass  # that it ended is all that matters
        except BadRequestError as error:
            _log.error("closing the connection to a member", member=self.name, error=str(error))
        finally:
            self.abort()

    async def _write(self) -> None:
        try:
            await self._outbox.run(self._call.write)
        except BROKEN:
            self.abort()

    # --- the end ------------------------------------------------------------------------------

    def replace(self) -> None:
        """Lend nothing more here: whoever follows the connection makes a new one."""
        self.want(False)  # noqa: FBT003 - as above
        self._replaced = True
        stream = self._stream
        if stream is not None:
            none = Caps(turns=0, activities=0, total=0, message_bytes=stream.caps.message_bytes)
            self._dispatcher.change(stream, hello=stream.hello, caps=none)
        self._tell()

    async def _end(self) -> None:
        """Say that nothing more follows, and leave it to the other end to end the call: one that is
        cancelled takes with it what is still on its way, such as that a result counts."""
        try:
            await self._call.done_writing()
        except BROKEN:
            self.abort()

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, what)

    def _tell(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def abort(self) -> None:
        """End it now: what was lent and not answered is handed out again."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        self._call.cancel()
        self._close()
        self._tell()
        try:
            self._gone()
        except TenureError:
            _log.exception("work of a lost member cannot be handed out", member=self.name)
        self._gone = lambda: None
        self._changed()
