"""Choosing a transport by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_common.errors import BadSettingError
from tenure_sidecar.rpc.ports import LOCALHOST
from tenure_sidecar.rpc.transport import TransportLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc

    from tenure_sidecar.rpc.transport import StreamHandler, Transport, UnaryHandler

KINDS = ("native", "grpcio")
_DEFAULTS = TransportLimits()


def make(  # noqa: PLR0913 - one call site per listener
    kind: str,
    *,
    host: str = LOCALHOST,
    port: int,
    unary: Mapping[str, UnaryHandler],
    streams: Mapping[str, StreamHandler],
    limits: TransportLimits = _DEFAULTS,
    port_flag: str = "--grpc-port",
    credentials: grpc.ServerCredentials | None = None,
) -> Transport:
    """A server of ``kind`` that is not listening yet.

    Arguments: ``host`` an address or ``localhost`` (both loopback addresses); ``port`` 0 for any;
    ``unary`` and ``streams`` handlers by path (``/Service/Method``); ``port_flag`` the setting to
    name when the port is taken; ``credentials`` for TLS (grpcio only).

    Raises: BadSettingError for an unknown kind, one that is not installed, or one that cannot do
    what is asked.
    """
    if kind == "native":
        if credentials is not None:
            message = "--transport native has no TLS: use --transport grpcio"
            raise BadSettingError(message)
        try:
            from tenure_sidecar.rpc.native import NativeTransport  # noqa: PLC0415 - optional
        except ImportError as error:
            message = (
                f"--transport native cannot be loaded ({error}): install tenure[sidecar] on Linux "
                "or macOS, or use --transport grpcio"
            )
            raise BadSettingError(message) from error
        return NativeTransport(
            host=host,
            port=port,
            unary=unary,
            streams=streams,
            limits=limits,
            port_flag=port_flag,
        )
    if kind == "grpcio":
        from tenure_sidecar.rpc.grpcio_server import GrpcioTransport  # noqa: PLC0415 - slow import

        return GrpcioTransport(
            host=host,
            port=port,
            unary=unary,
            streams=streams,
            limits=limits,
            port_flag=port_flag,
            credentials=credentials,
        )
    message = f"--transport '{kind}' is unknown: use one of {', '.join(KINDS)}"
    raise BadSettingError(message)
