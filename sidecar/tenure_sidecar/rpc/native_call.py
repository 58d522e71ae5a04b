"""Calls and streams of the native transport.

The Rust side (``NativeGrpcFront``) knows a call by its id and takes answers by id from any thread.
What is here runs on the loop's thread only, so there are no locks: ``Desk.open`` holds every call
that is not answered, and whoever takes a call out of it (an answer, a cancel, the server's end) is
the only one who ends it.

A stream sends a message itself when the front has room.  What it could not send waits in a small
queue and is sent by ``Senders``; until that is done, further messages join the queue, so that order
holds.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import structlog
from pygrpc_native import STREAM_FULL, STREAM_SENT, NativeGrpcFront

from tenure_common.errors import MessageTooLargeError
from tenure_sidecar.rpc.senders import Senders
from tenure_sidecar.rpc.transport import STATUS, Sent, too_large

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from tenure_sidecar.rpc.transport import Metadata, TransportLimits

    Details = tuple[Metadata, str, float | None]

_QUEUE_MESSAGES = 64
_QUEUE_BYTES = 256 * 1024

_log = structlog.get_logger(__name__)


class Desk:
    """The open calls of one front, and its ways out."""

    __slots__ = (
        "fail",
        "front",
        "loop",
        "max_send",
        "on_idle",
        "open",
        "respond",
        "senders",
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
        self.senders = Senders(loop)

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
            call.cancelled()

    def close(self, code: int, message: str) -> None:
        """End whatever is open."""
        for call_id in list(self.open):
            self.fail(call_id, code, message)
            self.cancel(call_id)


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

    __slots__ = (
        "_bytes_in",
        "_bytes_out",
        "_closed",
        "_ending",
        "_on_ready",
        "_queue",
        "_sending",
        "_was_full",
    )

    def __init__(self, desk: Desk, call_id: int, request: bytes, details: Details) -> None:
        super().__init__(desk, call_id, request, details)
        self._queue: deque[bytes] = deque()
        self._sending = False  # the queue is with the senders
        # Bytes that were queued and that left the queue.  Two counters, because the first belongs
        # to the loop's thread and the second to whoever sends.
        self._bytes_in = 0
        self._bytes_out = 0
        self._closed = False  # the client is gone, as a sender has found
        self._on_ready: Callable[[], None] | None = None
        self._was_full = False
        self._ending = False

    def send(self, message: bytes) -> Sent:
        """Queue one message."""
        desk = self._desk
        if self._ending or self._closed or self.id not in desk.open:
            return Sent.CLOSED
        size = len(message)
        if size > desk.max_send:
            raise MessageTooLargeError(too_large("message", size, desk.max_send))
        if not self._sending:
            sent = desk.try_send(self.id, message)
            if sent == STREAM_SENT:
                return Sent.SENT
            if sent != STREAM_FULL:
                self._closed = True
                desk.loop.call_soon(desk.cancel, self.id)
                return Sent.CLOSED
        elif len(self._queue) >= _QUEUE_MESSAGES or (
            self._bytes_in - self._bytes_out + size > _QUEUE_BYTES
        ):
            self._was_full = True
            return Sent.FULL
        self._bytes_in += size
        self._queue.append(message)
        if not self._sending:
            self._sending = True
            desk.senders.send(self)
        return Sent.SENT

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call back once when a stream that was FULL takes messages again."""
        self._on_ready = callback

    def end(self) -> None:
        """Close with OK after what is queued."""
        if self._sending:
            self._ending = True
        elif self._desk.take(self.id):
            self._desk.front.stream_end(self.id)

    def fail(self, code: str, message: str) -> None:
        """Close with a status; what is queued here is dropped."""
        self._drop()
        if self._desk.take(self.id):
            self._desk.fail(self.id, STATUS[code], message)

    def cancelled(self) -> None:
        """The client is gone."""
        self._drop()
        super().cancelled()

    def _drop(self) -> None:
        self._queue.clear()
        self._on_ready = None
        self._desk.senders.forget(self)

    # --- for the senders ------------------------------------------------------------------------

    def send_all(self) -> None:
        """Send what is queued, waiting for the client; runs on a thread of the senders."""
        queue = self._queue
        send = self._desk.front.stream_send
        while queue:
            try:
                message = queue.popleft()
            except IndexError:  # dropped meanwhile
                return
            if not send(self.id, message):
                self._closed = True
                return
            self._bytes_out += len(message)

    def try_all(self) -> bool:
        """Send what there is room for; whether nothing is left to send."""
        queue = self._queue
        while queue:
            sent = self._desk.try_send(self.id, queue[0])
            if sent == STREAM_FULL:
                return False
            if sent != STREAM_SENT:
                self._closed = True
                return True
            self._bytes_out += len(queue.popleft())
        return True

    def sent_all(self) -> None:
        """Nothing is queued any more, or the client is gone."""
        if self.id not in self._desk.open:
            return
        if self._closed:
            self._desk.cancel(self.id)
            return
        if self._queue:  # queued since
            self._desk.senders.send(self)
            return
        self._sending = False
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
