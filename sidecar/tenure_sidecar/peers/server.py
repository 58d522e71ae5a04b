"""The port at which the app's other members reach this one: one gRPC method, a stream both ways.

Nobody is anonymous there.  A caller says this process's word, which stands in the app's own records in
the store and nowhere else; with TLS it shows a certificate of the app, too, and its stream ends when
that does.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import msgspec
import structlog

from tenure_common.errors import BadRequestError, BadSettingError, NotPermittedError
from tenure_common.hosts import joined
from tenure_sidecar.peers import frames
from tenure_sidecar.peers.link import BROKEN
from tenure_sidecar.peers.tls import names
from tenure_sidecar.rpc.ports import refusal, require_free

if TYPE_CHECKING:
    from tenure_sidecar.peers.borrower import Borrowers
    from tenure_sidecar.peers.tls import PeerTls

CALLERS = 256  # streams at a time
FLAG = "--peers-port or --pod-ip"
_HELLO = 5.0  # seconds that a caller has to say who it is
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", -1),  # an app's own limit, and none of ours, bounds a frame
    ("grpc.max_send_message_length", -1),
    ("grpc.max_concurrent_streams", 4),  # of one connection, which has one
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
)

_grpc: Any = grpc  # its types are not complete
_aio: Any = grpc.aio
_log = structlog.get_logger(__name__)


class PeerServer:
    """See the module docstring.

    Args:
        host: address of this process that others reach.
        port: to listen on; 0 = any free one.
        hello: what this process says of itself.
        borrowers: who serve the streams.
        tls: None = plain.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        hello: frames.Hello,
        borrowers: Borrowers,
        tls: PeerTls | None = None,
    ) -> None:
        self.hello = hello
        self._host = host
        self._port = port
        self._borrowers = borrowers
        self._tls = tls
        self._server: Any = None

    async def start(self) -> str:
        """Listen; the address.  Raises: PortInUseError, BadSettingError."""
        require_free(self._host, self._port, flag=FLAG)
        self._server = server = _aio.server(options=_OPTIONS)
        method = _grpc.stream_stream_rpc_method_handler(self._lend)
        service, name = frames.PATH[1:].split("/")
        server.add_registered_method_handlers(service, {name: method})
        try:
            where = joined(self._host, self._port)
            if self._tls is None:
                port = server.add_insecure_port(where)
            else:
                port = server.add_secure_port(where, self._tls.server())
        except RuntimeError as error:  # taken since it was found free
            raise _refused(error, self._host, self._port) from error
        await server.start()
        return joined(self._host, port)

    async def stop(self) -> None:
        """End every stream: whoever is on one learns by that that this process ends."""
        if self._server is not None:
            await self._server.stop(None)

    async def _lend(self, requests: AsyncIterator[bytes], context: Any) -> None:  # noqa: ANN401
        """One stream, from grpc.aio."""
        try:
            incoming = aiter(requests)
            # Read before anything is refused: a caller whose first write meets the end of the call is
            # told by grpc.aio of an internal error, and not why.
            async with asyncio.timeout(_HELLO):
                first = await anext(incoming, b"")
            left = self._identified(context)
            hello = self._introduced(first)
            if not compare_digest(hello.to, self.hello.word):
                await context.abort(grpc.StatusCode.NOT_FOUND, "this is another process")
            if len(self._borrowers) >= CALLERS:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many connections")
            mine = None if self._tls is None else self._tls.left(self._tls.read().certificate)
            answer = msgspec.structs.replace(self.hello, good_for=mine)
            await context.write(frames.join([frames.encode(answer)]))
            try:
                async with asyncio.timeout(left):
                    await self._borrowers.serve(hello.name, incoming, context.write)
            except TimeoutError:
                message = f"the certificate that '{hello.name}' connected with has ended"
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, message)
        except NotPermittedError as error:
            _log.warning("refused a connection of a member", peer=context.peer(), error=str(error))
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except (BadRequestError, BadSettingError, TimeoutError) as error:
            _log.warning("closed a connection of a member", peer=context.peer(), error=str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except BROKEN:
            pass  # the caller is gone

    def _identified(self, context: Any) -> float | None:  # noqa: ANN401 - grpc's own types
        """Seconds for which the caller's certificate is valid; None without TLS.

        Raises: NotPermittedError when it is not one of the app's; BadSettingError.
        """
        if self._tls is None:
            return None
        shown = context.auth_context()
        found = [one.decode() for one in shown.get("x509_subject_alternative_name", ())]
        if not names(found, self._tls.app):
            message = (
                f"the certificate of {context.peer()} is for {', '.join(found) or 'no DNS name'}, "
                f"not for {self._tls.app}"
            )
            raise NotPermittedError(message)
        return self._tls.left(shown["x509_pem_cert"][0])

    def _introduced(self, received: bytes) -> frames.Hello:
        """Who calls.  Raises: BadRequestError, NotPermittedError."""
        first = frames.from_owner(received)[:1] if received else ()
        if not first or not isinstance(first[0], frames.Hello):
            message = "a connection of another member must begin with who it is"
            raise BadRequestError(message)
        hello, mine = first[0], self.hello
        if (hello.namespace, hello.app_id) != (mine.namespace, mine.app_id):
            message = (
                f"'{hello.name}' of app '{hello.namespace}/{hello.app_id}' called a sidecar of "
                f"'{mine.namespace}/{mine.app_id}'; only sidecars of one app connect to each other"
            )
            raise NotPermittedError(message)
        return hello


def _refused(error: Exception, host: str, port: int) -> Exception:
    return refusal(OSError(errno.EADDRINUSE, str(error)), host, port, flag=FLAG)


async def nobody_at(address: str, within: float) -> bool:
    """Whether certainly no process listens at ``address``; ``within`` seconds."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(within):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        return False
    except (OSError, ValueError):
        return True
    writer.transport.abort()
    return False
