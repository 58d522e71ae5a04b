"""gRPC in Rust: the transport for loopback, on pygrpc-native's batch interface.

Threads of the library do HTTP/2, flow control, deadlines and cancellation without the interpreter.
One thread here waits for whatever they have ready, and hands the whole batch to the event loop with
one wake-up; while the loop has not come round, more batches just join the queue.  The loop makes a
``NativeCall`` of each event and runs its handler; answers go straight back to Rust.

The library has no TLS and, what weighs more, no limit on a request before it is read: a message
over the limit is refused, but only when all of it is in memory (decompressed, too).  So it listens
on loopback addresses only, where clients are the app itself; elsewhere ``grpcio`` serves (see ADR
0002).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING

import structlog
from pygrpc_native import NativeGrpcFront

from tenure_common.errors import BadSettingError
from tenure_common.hosts import joined
from tenure_sidecar.rpc.native_call import Desk, NativeCall, NativeStream
from tenure_sidecar.rpc.ports import addresses, is_loopback, refusal, require_free
from tenure_sidecar.rpc.status import fail
from tenure_sidecar.rpc.transport import STATUS, too_large, unary_and_stream_paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pygrpc_native._native import DetailedEvent  # exists in its stub only

    from tenure_sidecar.rpc.transport import StreamHandler, TransportLimits, UnaryHandler

_BATCH = 256  # events; a bound on how long one loop turn gets
_CLOSE_SECONDS = 5.0
_FLUSH_SECONDS = 1.0
_FLUSH_LOOK = 0.005
_STOPPING = "the engine is shutting down [TN0501]"

_log = structlog.get_logger(__name__)


class NativeTransport:
    """A server on one host and port; see ``rpc.servers.make`` for the arguments."""

    def __init__(  # noqa: PLR0913 - see make
        self,
        *,
        host: str,
        port: int,
        unary: Mapping[str, UnaryHandler],
        streams: Mapping[str, StreamHandler],
        limits: TransportLimits,
        port_flag: str,
    ) -> None:
        self._addresses = addresses(host)
        if not all(map(is_loopback, self._addresses)):
            message = (
                f"--transport native listens on loopback addresses only, not on '{host}': "
                "use --transport grpcio"
            )
            raise BadSettingError(message)
        self._port = port
        self._unary = unary
        self._streams = streams
        self._limits = limits
        self._flag = port_flag
        self._listeners: list[_Listener] = []

    async def start(self) -> int:
        """Listen; returns the bound port.  Raises: PortInUseError, BadSettingError."""
        loop = asyncio.get_running_loop()
        port = self._port
        try:
            for address in self._addresses:
                listener = _Listener(
                    self._bind(address, port),
                    loop=loop,
                    unary=self._unary,
                    streams=self._streams,
                    limits=self._limits,
                )
                self._listeners.append(listener)
                port = listener.port
            for listener in self._listeners:
                listener.start()
        except BaseException:
            await self.stop(0)
            raise
        return port

    def _bind(self, address: str, port: int) -> NativeGrpcFront:
        require_free(address, port, flag=self._flag)
        limits = self._limits
        try:
            return NativeGrpcFront(
                joined(address, port),
                [],
                io_threads=1,
                call_details=True,
                keepalive_time_ms=int(limits.keepalive_time * 1000),
                keepalive_timeout_ms=int(limits.keepalive_timeout * 1000),
                max_concurrent_streams=limits.max_concurrent_streams,
                max_metadata_size=limits.max_metadata_bytes,
                metrics=True,  # tells when an answer has left, see ``_Listener.stop``
            )
        except OSError as error:  # taken since it was found free
            raise refusal(error, address, port, flag=self._flag) from error

    async def stop(self, grace: float) -> None:
        """Refuse new calls, wait ``grace`` seconds for those under way, then close."""
        await asyncio.gather(*(listener.stop(grace) for listener in self._listeners))
        self._listeners.clear()


class _Listener:
    """One front, its receiver thread and its open calls."""

    def __init__(
        self,
        front: NativeGrpcFront,
        *,
        loop: asyncio.AbstractEventLoop,
        unary: Mapping[str, UnaryHandler],
        streams: Mapping[str, StreamHandler],
        limits: TransportLimits,
    ) -> None:
        self.port = front.bound_port
        self._front = front
        self._loop = loop
        self._desk = Desk(front, loop=loop, limits=limits)
        self._max_receive = limits.max_receive_bytes
        self._batches: deque[list[DetailedEvent]] = deque()
        self._woken = False
        self._stopping = False
        self._idle = asyncio.Event()
        unary_paths, stream_paths = unary_and_stream_paths(unary, streams)
        # Method ids are indexes of this table: unary methods first.
        front.add_methods([(path, False) for path in unary_paths])
        front.add_methods([(path, True) for path in stream_paths])
        self._unary = [unary[path] for path in unary_paths]
        self._streams = [streams[path] for path in stream_paths]
        self._thread = threading.Thread(target=self._receive, name="tenure-grpc", daemon=True)

    def start(self) -> None:
        """Accept connections."""
        self._front.start()
        self._thread.start()

    # --- the receiver thread --------------------------------------------------------------------

    def _receive(self) -> None:
        receive = self._front.recv_batch_details
        batches = self._batches
        while (batch := receive(_BATCH)) is not None:
            batches.append(batch)
            # The loop clears the flag before it looks at the queue, so a batch that sees it set is
            # seen itself.
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._drain)
                except RuntimeError:  # the loop was closed without stop()
                    self._front.close()
                    return

    # --- the loop's thread ----------------------------------------------------------------------

    def _drain(self) -> None:
        self._woken = False
        batches = self._batches
        while batches:
            self._handle(batches.popleft())

    def _handle(self, batch: list[DetailedEvent]) -> None:
        desk = self._desk
        calls = desk.open
        unary = self._unary
        first_stream = len(unary)
        for _, call_id, method, payload, _, details in batch:
            if payload is None or details is None:  # a cancellation
                desk.cancel(call_id)
                continue
            if self._stopping:
                desk.fail(call_id, STATUS["UNAVAILABLE"], _STOPPING)
                continue
            if len(payload) > self._max_receive:
                text = too_large("request", len(payload), self._max_receive)
                desk.fail(call_id, STATUS["RESOURCE_EXHAUSTED"], text)
                continue
            kind = NativeCall if method < first_stream else NativeStream
            call = calls[call_id] = kind(desk, call_id, payload, details)
            try:
                if isinstance(call, NativeCall):
                    unary[method](call)
                else:
                    self._streams[method - first_stream](call)
            except Exception as error:  # noqa: BLE001 - the call must end, the next be served
                fail(call, error)  # of no effect when the handler had answered already

    async def stop(self, grace: float) -> None:
        """See ``NativeTransport.stop``."""
        self._stopping = True
        desk = self._desk
        if desk.open and grace > 0:
            desk.on_idle = self._idle.set
            try:
                async with asyncio.timeout(grace):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("calls cut off", calls=len(desk.open), grace_seconds=grace)
        desk.close(STATUS["UNAVAILABLE"], _STOPPING)
        desk.senders.close()
        await self._flush()
        await asyncio.to_thread(self._close)

    async def _flush(self) -> None:
        """Wait until what was answered has left: closing the front drops what it still holds.

        The front has nothing to wait on but its counters; a client that does not read what it is
        sent is not waited for longer than ``_FLUSH_SECONDS``.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                while self._unsent():  # noqa: ASYNC110 - see above
                    await asyncio.sleep(_FLUSH_LOOK)
                await asyncio.sleep(_FLUSH_LOOK)  # from HTTP/2's buffer to the socket

    def _unsent(self) -> int:
        """Calls whose end is not on its way to the client."""
        metrics = self._front.metrics() or {"methods": {}}
        return sum(
            method["started"] - sum(status["count"] for status in method["status"].values())
            for method in metrics["methods"].values()
        )

    def _close(self) -> None:
        self._front.close()
        self._desk.senders.join()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)
