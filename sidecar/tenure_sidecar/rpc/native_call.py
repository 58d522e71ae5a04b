"""Calls and streams of the native transport.

The Rust side (``NativeGrpcFront``) knows a call by its id and takes answers by id from any thread.
What is here runs on the loop's thread only, so there are no locks: ``Desk.open`` holds every call
that is not answered, and whoever takes a call out of it (an answer, a cancel, the server's end) is
the only one who ends it.

The front queues eight or so messages of a stream and then says FULL, without a way to learn when
there is room again.  So each stream has a small queue of its own behind that, and while any of them
is not empty the desk tries again: at once for a few turns of the loop (a burst goes out in
microseconds), then with growing pauses (a client that does not read).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import structlog
from pygrpc_native import STREAM_FULL, STREAM_SENT, NativeGrpcFront

from tenure_common.errors import MessageTooLargeError
from tenure_sidecar.rpc.transport import STATUS, Sent, too_large

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from tenure_sidecar.rpc.transport import Metadata, TransportLimits

    Details = tuple[Metadata, str, float | None]

_QUEUE_MESSAGES = 64
_QUEUE_BYTES = 256 * 1024
_EAGER_TRIES = 8  # loop turns
_PAUSE_MIN = 0.001  # seconds; uvloop's timers know no less
_PAUSE_MAX = 0.016

_log = structlog.get_logger(__name__)


class Desk:
    """The open calls of one front, and its ways out."""

    __slots__ = (
        "_blocked",
        "_pause",
        "_pump_armed",
        "_tries",
        "fail",
        "front",
        "loop",
        "max_send",
        "on_idle",
        "open",
        "respond",
        "try_send",
    )

    def __init__(
        self, front: NativeGrpcFront, *, loop: asyncio.AbstractEventLoop, limits: TransportLimits
    ) -> None:
        self.front = front
        self.loop = loop
        self.max_send = limits.max_send_bytes
        self.open: dict[int, NativeCall | NativeStream] = {}
        self.on_idle: Callable[[], None] | None = None  # set while stopping
        # Bound once: looked up for every message.
        self.respond = front.respond
        self.fail = front.fail
        self.try_send = front.stream_try_send
        self._blocked: dict[int, NativeStream] = {}
        self._pump_armed = False
        self._tries = 0
        self._pause = _PAUSE_MIN

    def take(self, call_id: int) -> bool:
        """Take the call out of the open ones; False when it has ended already."""
        if self.open.pop(call_id, None) is None:
            return False
        if self.on_idle is not None and not self.open:
            self.on_idle()
        return True

    def cancel(self, call_id: int) -> None:
        """The client has gone, or its deadline has passed."""
        call = self.open.get(call_id)
        if call is not None and self.take(call_id):
            self._blocked.pop(call_id, None)
            call.cancelled()

    def close(self, code: int, message: str) -> None:
        """End whatever is open."""
        for call_id in list(self.open):
            self.fail(call_id, code, message)
            self.cancel(call_id)

    # --- streams with something to send ---------------------------------------------------------

    def block(self, stream: NativeStream) -> None:
        """Try to send what ``stream`` has queued until it is gone."""
        self._blocked[stream.id] = stream
        if not self._pump_armed:
            self._tries = 0
            self._pause = _PAUSE_MIN
            self._arm()

    def unblock(self, stream: NativeStream) -> None:
        """``stream`` has ended."""
        self._blocked.pop(stream.id, None)

    def _arm(self) -> None:
        self._pump_armed = True
        if self._tries < _EAGER_TRIES:
            self._tries += 1
            self.loop.call_soon(self._pump)
        else:
            self.loop.call_later(self._pause, self._pump)
            self._pause = min(2 * self._pause, _PAUSE_MAX)

    def _pump(self) -> None:
        self._pump_armed = False
        moved = False
        ready: list[NativeStream] = []
        for stream in list(self._blocked.values()):
            if stream.flush():
                moved = True
            if not stream.queue:
                del self._blocked[stream.id]
                ready.append(stream)
        for stream in ready:
            stream.flushed()
        if self._pump_armed or not self._blocked:
            return
        if moved:
            self._tries = 0
            self._pause = _PAUSE_MIN
        self._arm()


class _Ended:
    """What calls and streams share: the request, and the one end."""

    __slots__ = ("_callbacks", "_desk", "_details", "_gone", "id", "request")

    def __init__(self, desk: Desk, call_id: int, request: bytes, details: Details) -> None:
        self.id = call_id
        self.request = request
        self._desk = desk
        self._details = details
        self._callbacks: tuple[Callable[[], None], ...] = ()
        self._gone = False

    @property
    def metadata(self) -> Metadata:
        """Request headers."""
        return self._details[0]

    @property
    def peer(self) -> str:
        """The client's address as gRPC writes it."""
        return self._details[1]

    @property
    def time_remaining(self) -> float | None:
        """Seconds until the deadline when the call arrived."""
        return self._details[2]

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call back once when the client is gone; soon, when it already is."""
        if self._gone:
            self._desk.loop.call_soon(callback)
        else:
            self._callbacks += (callback,)

    def cancelled(self) -> None:
        """Run the callbacks; the desk calls this once."""
        self._gone = True
        callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001 - the others must hear of it too
                _log.exception("cancel callback failed")


class NativeCall(_Ended):
    """One unary call."""

    __slots__ = ()

    def reply(self, response: bytes) -> None:
        """Answer."""
        desk = self._desk
        if len(response) > desk.max_send:
            self.fail("RESOURCE_EXHAUSTED", too_large("response", len(response), desk.max_send))
        elif desk.take(self.id):
            desk.respond(self.id, response)

    def fail(self, code: str, message: str) -> None:
        """Answer with a status."""
        if self._desk.take(self.id):
            self._desk.fail(self.id, STATUS[code], message)


class NativeStream(_Ended):
    """One server-streaming call."""

    __slots__ = ("_ending", "_on_ready", "_was_full", "queue", "queued_bytes")

    def __init__(self, desk: Desk, call_id: int, request: bytes, details: Details) -> None:
        super().__init__(desk, call_id, request, details)
        self.queue: deque[bytes] = deque()
        self.queued_bytes = 0
        self._on_ready: Callable[[], None] | None = None
        self._was_full = False
        self._ending = False

    def send(self, message: bytes) -> Sent:
        """Queue one message."""
        desk = self._desk
        if self._ending or self.id not in desk.open:
            return Sent.CLOSED
        if len(message) > desk.max_send:
            raise MessageTooLargeError(too_large("message", len(message), desk.max_send))
        queue = self.queue
        if not queue:
            sent = desk.try_send(self.id, message)
            if sent == STREAM_SENT:
                return Sent.SENT
            if sent != STREAM_FULL:
                return Sent.CLOSED  # the cancel event is on its way
        elif len(queue) >= _QUEUE_MESSAGES or self.queued_bytes + len(message) > _QUEUE_BYTES:
            self._was_full = True
            return Sent.FULL
        queue.append(message)
        self.queued_bytes += len(message)
        desk.block(self)
        return Sent.SENT

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call back once when a stream that was FULL takes messages again."""
        self._on_ready = callback

    def end(self) -> None:
        """Close with OK after what is queued."""
        if self.queue:
            self._ending = True
        elif self._desk.take(self.id):
            self._desk.front.stream_end(self.id)

    def fail(self, code: str, message: str) -> None:
        """Close with a status; what is queued here is dropped."""
        self._desk.unblock(self)
        self._drop()
        if self._desk.take(self.id):
            self._desk.fail(self.id, STATUS[code], message)

    # --- for the desk ---------------------------------------------------------------------------

    def flush(self) -> bool:
        """Hand queued messages to the front; whether it took any."""
        queue = self.queue
        moved = False
        while queue:
            sent = self._desk.try_send(self.id, queue[0])
            if sent == STREAM_FULL:
                return moved
            if sent != STREAM_SENT:
                self._drop()
                return moved
            self.queued_bytes -= len(queue.popleft())
            moved = True
        return moved

    def flushed(self) -> None:
        """Nothing is queued any more."""
        if self._ending:
            self.end()
            return
        callback = self._on_ready
        if self._was_full and callback is not None:
            self._was_full = False
            self._on_ready = None
            try:
                callback()
            except Exception:  # noqa: BLE001 - other streams wait behind it
                _log.exception("ready callback failed")

    def cancelled(self) -> None:
        """The client is gone."""
        self._drop()
        self._on_ready = None
        super().cancelled()

    def _drop(self) -> None:
        self.queue.clear()
        self.queued_bytes = 0
