"""Calls and streams of the grpc.aio transport.

grpc.aio runs a coroutine per call and ends the call when it returns; the seam's calls are answered
from anywhere, later.  So the coroutine hands its ``Call`` to the handler and then waits: for the
answer (unary), or for messages to write (streams).  Cancellation of the coroutine is how grpc.aio
tells that the client is gone or its deadline has passed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

import grpc
import grpc.aio
import structlog

from tenure_common.errors import MessageTooLargeError
from tenure_sidecar.rpc.transport import Sent, too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure_sidecar.rpc.transport import Metadata

    Context = grpc.aio.ServicerContext[bytes, bytes]

_QUEUE_MESSAGES = 64
_QUEUE_BYTES = 256 * 1024
_NO_DEADLINE = 1e9  # grpc.aio gives about 9e9 s for "none"

_log = structlog.get_logger(__name__)


class _Seam:
    """What calls and streams share.

    The facts of the request are read at once: grpc.aio reads them from memory of the call, and a
    look at them after its end crashes the process (grpcio 1.85).
    """

    __slots__ = (
        "_callbacks",
        "_context",
        "_gone",
        "_loop",
        "ended",
        "max_send",
        "metadata",
        "peer",
        "request",
        "time_remaining",
    )

    def __init__(
        self, request: bytes, context: Context, *, loop: asyncio.AbstractEventLoop, max_send: int
    ) -> None:
        self.request = request
        self.max_send = max_send
        self.ended = False
        self.metadata: Metadata = tuple(
            (str(key), value) for key, value in context.invocation_metadata() or ()
        )
        self.peer = str(context.peer())
        left = cast("float | None", context.time_remaining())
        self.time_remaining = None if left is None or left > _NO_DEADLINE else left
        self._context = context
        self._loop = loop
        self._callbacks: tuple[Callable[[], None], ...] = ()
        self._gone = False

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call back once when the client is gone; soon, when it already is."""
        if self._gone:
            self._loop.call_soon(callback)
        elif not self.ended:
            self._callbacks += (callback,)

    def cancelled(self) -> None:
        """The client is gone: run the callbacks, unless the call has ended before."""
        if self.ended:
            return
        self.ended = self._gone = True
        callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001 - the others must hear of it too
                _log.exception("cancel callback failed")


class GrpcioCall(_Seam):
    """One unary call; ``answer`` is its response or its status and message."""

    __slots__ = ("answer",)

    def __init__(
        self, request: bytes, context: Context, *, loop: asyncio.AbstractEventLoop, max_send: int
    ) -> None:
        super().__init__(request, context, loop=loop, max_send=max_send)
        self.answer: asyncio.Future[bytes | tuple[str, str]] = loop.create_future()

    def reply(self, response: bytes) -> None:
        """Answer."""
        if len(response) > self.max_send:
            self.fail("RESOURCE_EXHAUSTED", too_large("response", len(response), self.max_send))
        else:
            self._end(response)

    def fail(self, code: str, message: str) -> None:
        """Answer with a status."""
        self._end((code, message))

    def cut(self, code: str, message: str) -> None:
        """The server ends the call: as if the client had gone, but it gets a status."""
        if not self.ended:
            self.cancelled()
            self.answer.set_result((code, message))

    def _end(self, answer: bytes | tuple[str, str]) -> None:
        if not self.ended:
            self.ended = True
            self.answer.set_result(answer)


class GrpcioStream(_Seam):
    """One server-streaming call, written by ``run``."""

    __slots__ = ("_on_ready", "_queue", "_queued_bytes", "_status", "_wake", "_was_full")

    def __init__(
        self, request: bytes, context: Context, *, loop: asyncio.AbstractEventLoop, max_send: int
    ) -> None:
        super().__init__(request, context, loop=loop, max_send=max_send)
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._on_ready: Callable[[], None] | None = None
        self._was_full = False
        self._status: tuple[str, str] | None = None

    def send(self, message: bytes) -> Sent:
        """Queue one message."""
        if self.ended:
            return Sent.CLOSED
        if len(message) > self.max_send:
            raise MessageTooLargeError(too_large("message", len(message), self.max_send))
        queue = self._queue
        if queue and (
            len(queue) >= _QUEUE_MESSAGES or self._queued_bytes + len(message) > _QUEUE_BYTES
        ):
            self._was_full = True
            return Sent.FULL
        queue.append(message)
        self._queued_bytes += len(message)
        self._wake.set()
        return Sent.SENT

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call back once when a stream that was FULL takes messages again."""
        self._on_ready = callback

    def end(self) -> None:
        """Close with OK after what is queued."""
        self.ended = True
        self._wake.set()

    def fail(self, code: str, message: str) -> None:
        """Close with a status; what is queued is dropped."""
        if not self.ended:
            self.ended = True
            self._status = (code, message)
            self._drop()
            self._wake.set()

    def cut(self, code: str, message: str) -> None:
        """The server ends the stream: as if the client had gone, but it gets a status."""
        if not self.ended:
            self.cancelled()
            self._status = (code, message)
            self._wake.set()

    def cancelled(self) -> None:
        """The client is gone."""
        self._drop()
        self._on_ready = None
        super().cancelled()

    async def run(self) -> None:
        """Write what is queued until the stream ends."""
        queue = self._queue
        while True:
            while queue:
                message = queue.popleft()
                # A message under way counts: the next one waits in the queue, not in gRPC.
                try:
                    await self._context.write(message)
                except Exception as error:
                    # The client went while the message was on its way; grpc.aio does not always
                    # cancel, too.
                    raise asyncio.CancelledError from error
                self._queued_bytes -= len(message)
            self._queued_bytes = 0
            if self._status is not None:
                code, text = self._status
                await self._context.abort(grpc.StatusCode[code], text)
            if self.ended:
                return
            self._ready()
            if not queue:
                self._wake.clear()
                await self._wake.wait()

    def _ready(self) -> None:
        callback = self._on_ready
        if self._was_full and callback is not None:
            self._was_full = False
            self._on_ready = None
            try:
                callback()
            except Exception:  # noqa: BLE001 - the stream goes on
                _log.exception("ready callback failed")

    def _drop(self) -> None:
        self._queue.clear()
        self._queued_bytes = 0
