"""gRPC by grpc.aio: the transport that is always available, and the one with TLS.

It costs several times the CPU of ``native`` per call, but limits a message before it is read and
listens anywhere.  Methods are registered by path with handlers that never decode.  gRPC keeps a
queue of requests per registered method, and sheds calls (CANCELLED) from one that grows too long,
so a flood of one method does not hit the others; unknown methods share a queue, and are answered
by name.
"""

# The stubs of grpc leave the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import errno
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
import structlog

from tenure_common.hosts import joined
from tenure_sidecar.rpc.grpcio_call import GrpcioCall, GrpcioStream
from tenure_sidecar.rpc.ports import addresses, refusal, require_free
from tenure_sidecar.rpc.status import fail
from tenure_sidecar.rpc.transport import unary_and_stream_paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenure_sidecar.rpc.grpcio_call import Context
    from tenure_sidecar.rpc.transport import StreamHandler, TransportLimits, UnaryHandler

    _GenericRpcHandler = grpc.GenericRpcHandler[bytes, bytes]
else:
    _GenericRpcHandler = grpc.GenericRpcHandler

_CLOSE_SECONDS = 1.0
_STOPPING = "the engine is shutting down [TN0501]"

_log = structlog.get_logger(__name__)


class GrpcioTransport:
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
        credentials: grpc.ServerCredentials | None,
    ) -> None:
        unary_and_stream_paths(unary, streams)
        self._addresses = addresses(host)
        self._port = port
        self._unary = unary
        self._streams = streams
        self._limits = limits
        self._flag = port_flag
        self._credentials = credentials
        self._open: set[GrpcioCall | GrpcioStream] = set()
        self._idle = asyncio.Event()
        self._stopping = False
        self._server: grpc.aio.Server | None = None

    async def start(self) -> int:
        """Listen; returns the bound port.  Raises: PortInUseError, BadSettingError."""
        self._loop = asyncio.get_running_loop()
        server = grpc.aio.server(options=_options(self._limits))
        server.add_generic_rpc_handlers((_Unknown(),))
        for service, methods in self._methods().items():
            cast("Any", server).add_registered_method_handlers(service, methods)  # not in the stubs
        try:
            port = self._bind(server)
        except BaseException:
            # gRPC lets go of the ports that it did get only by way of a start and a stop.
            self._stopping = True
            await server.start()
            await server.stop(None)
            raise
        await server.start()
        self._server = server
        return port

    def _bind(self, server: grpc.aio.Server) -> int:
        """Take the port on every address."""
        port = self._port
        for address in self._addresses:
            require_free(address, port, flag=self._flag)
            where = joined(address, port)
            try:
                if self._credentials is None:
                    port = server.add_insecure_port(where)
                else:
                    port = server.add_secure_port(where, self._credentials)
            except RuntimeError as error:  # taken since it was found free
                taken = OSError(errno.EADDRINUSE, str(error))
                raise refusal(taken, address, port, flag=self._flag) from error
        return port

    async def stop(self, grace: float) -> None:
        """Refuse new calls, wait ``grace`` seconds for those under way, then close."""
        server, self._server = self._server, None
        if server is None:
            return
        self._stopping = True
        # gRPC stops listening at once and cancels what is left a little later than we end it.
        stopped = asyncio.ensure_future(server.stop(grace + _CLOSE_SECONDS))
        if self._open and grace > 0:
            try:
                async with asyncio.timeout(grace):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("calls cut off", calls=len(self._open), grace_seconds=grace)
        for call in list(self._open):
            if not call.ended:
                call.cut("UNAVAILABLE", _STOPPING)
        await stopped

    async def serve_unary(self, handler: UnaryHandler, request: bytes, context: Context) -> bytes:
        """One unary call, from grpc.aio."""
        call = GrpcioCall(request, context, loop=self._loop, max_send=self._limits.max_send_bytes)
        self._open.add(call)
        try:
            if self._stopping:
                call.fail("UNAVAILABLE", _STOPPING)
            else:
                try:
                    handler(call)
                except Exception as error:  # noqa: BLE001 - the call must end
                    fail(call, error)
            answer = await call.answer
        except asyncio.CancelledError:
            call.cancelled()
            raise
        finally:
            self._leave(call)
        if isinstance(answer, tuple):
            await context.abort(grpc.StatusCode[answer[0]], answer[1])
        return answer

    async def serve_stream(self, handler: StreamHandler, request: bytes, context: Context) -> None:
        """One server-streaming call, from grpc.aio."""
        stream = GrpcioStream(
            request, context, loop=self._loop, max_send=self._limits.max_send_bytes
        )
        self._open.add(stream)
        try:
            if self._stopping:
                stream.fail("UNAVAILABLE", _STOPPING)
            else:
                try:
                    handler(stream)
                except Exception as error:  # noqa: BLE001 - the call must end
                    fail(stream, error)
            await stream.run()
        except asyncio.CancelledError:
            stream.cancelled()
            raise
        finally:
            self._leave(stream)

    def _leave(self, call: GrpcioCall | GrpcioStream) -> None:
        self._open.discard(call)
        if self._stopping and not self._open:
            self._idle.set()

    def _methods(self) -> dict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]]:
        """grpc.aio's handlers, by service and method."""
        found: dict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]] = {}
        for path, unary in self._unary.items():
            _, service, method = path.split("/")
            found.setdefault(service, {})[method] = grpc.unary_unary_rpc_method_handler(
                partial(self.serve_unary, unary)
            )
        for path, stream in self._streams.items():
            _, service, method = path.split("/")
            found.setdefault(service, {})[method] = grpc.unary_stream_rpc_method_handler(
                partial(self.serve_stream, stream)
            )
        return found


async def _unimplemented(path: str, _request: bytes, context: Context) -> bytes:
    await context.abort(
        grpc.StatusCode.UNIMPLEMENTED, f"there is no method {path} on this port [TN0300]"
    )


class _Unknown(_GenericRpcHandler):
    """Every method that is not registered."""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        path = handler_call_details.method
        return grpc.unary_unary_rpc_method_handler(partial(_unimplemented, path))


def _options(limits: TransportLimits) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", limits.max_receive_bytes),
        ("grpc.max_send_message_length", -1),  # checked before it is queued
        ("grpc.max_concurrent_streams", limits.max_concurrent_streams),
        # Between the two limits gRPC refuses at random, so they are one.
        ("grpc.max_metadata_size", limits.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", limits.max_metadata_bytes),
        ("grpc.keepalive_time_ms", int(limits.keepalive_time * 1000)),
        ("grpc.keepalive_timeout_ms", int(limits.keepalive_timeout * 1000)),
        ("grpc.http2.ping_timeout_ms", int(limits.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Clients may ping as they like: no strikes, no GOAWAY.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 1),
        ("grpc.http2.max_ping_strikes", 0),
    ]
