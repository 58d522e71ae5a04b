"""The transport seam: what the engine needs of a gRPC server, and nothing of its library.

A transport listens, reads requests and hands each to the handler registered for its path as a
``Call``.  Handlers run on the event loop's thread, are plain functions and return at once; they
answer later, any number of loop turns later, through the call.  (Coroutines per call cost more
than the call: ADR 0002.)  All payloads are bytes; nothing is decoded here.

Two implementations: ``native`` (pygrpc-native, HTTP/2 in Rust outside the GIL; no TLS) and
``grpcio`` (grpc.aio).  Both pass the same tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

Metadata = tuple[tuple[str, str | bytes], ...]

# Numbers of the gRPC statuses: https://grpc.io/docs/guides/status-codes/
STATUS: Mapping[str, int] = {
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": 16,
}


class Sent(Enum):
    """What became of a stream message."""

    SENT = 0
    FULL = 1  # not taken: the client reads too slowly; ``on_ready`` tells when to go on
    CLOSED = 2  # not taken: the stream is gone


class Call(Protocol):
    """One unary request waiting for its answer.  Exactly one of ``reply`` and ``fail`` counts; a
    second one, or one after the client went away, is ignored."""

    @property
    def request(self) -> bytes:
        """The request message."""
        ...

    @property
    def metadata(self) -> Metadata:
        """Request headers, lower-case keys; ``-bin`` values are bytes."""
        ...

    @property
    def peer(self) -> str:
        """The client's address as gRPC writes it (``ipv4:127.0.0.1:40000``)."""
        ...

    @property
    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline when the call arrived; None = no deadline.

        Nobody has to watch it: when it passes, ``on_cancel`` calls back.
        """
        ...

    def reply(self, response: bytes) -> None:
        """Answer with OK; with RESOURCE_EXHAUSTED when it is over ``max_send_bytes``."""
        ...

    def fail(self, code: str, message: str) -> None:
        """End with the gRPC status ``code`` (its name, e.g. NOT_FOUND)."""
        ...

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call back once when the client goes away or its deadline passes before the answer."""
        ...


class Stream(Protocol):
    """One server-streaming request."""

    @property
    def request(self) -> bytes:
        """The request message."""
        ...

    @property
    def metadata(self) -> Metadata:
        """Request headers, as ``Call.metadata``."""
        ...

    @property
    def peer(self) -> str:
        """The client's address, as ``Call.peer``."""
        ...

    @property
    def time_remaining(self) -> float | None:
        """As ``Call.time_remaining``."""
        ...

    def send(self, message: bytes) -> Sent:
        """Queue one message; never blocks.  The queue is bounded (FULL).

        Raises: MessageTooLargeError; the stream goes on as if nothing had been sent.
        """
        ...

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call back once when a stream that was FULL takes messages again; a later call replaces
        the callback."""
        ...

    def end(self) -> None:
        """Close with status OK after what is queued."""
        ...

    def fail(self, code: str, message: str) -> None:
        """Close with a status now; messages that the client has not read yet may be lost."""
        ...

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call back once when the client is gone."""
        ...


UnaryHandler = Callable[[Call], None]
StreamHandler = Callable[[Stream], None]


class Transport(Protocol):
    """A gRPC server on one address."""

    async def start(self) -> int:
        """Listen; returns the bound port.  Raises: PortInUseError, BadSettingError."""
        ...

    async def stop(self, grace: float) -> None:
        """Refuse new calls, let those under way finish for ``grace`` seconds, then close.

        What is still open then ends with UNAVAILABLE and its ``on_cancel`` callbacks run.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """What a transport enforces by itself; sizes in bytes, times in seconds.

    A request over ``max_receive_bytes`` ends with RESOURCE_EXHAUSTED, which SDKs take as final: it
    is the right status for a message that will never fit, and for nothing else.
    """

    max_receive_bytes: int = 64 * 1024 * 1024
    max_send_bytes: int = 2**31 - 1  # what a gRPC client can be set to accept
    max_metadata_bytes: int = 16 * 1024
    max_concurrent_streams: int = 10_000  # calls of one connection; waits without a deadline count
    # A connection from which nothing came for this long is pinged, and closed without an answer.
    # On loopback nothing gets lost: what this finds is an app that is stopped or hangs.
    keepalive_time: float = 20.0
    keepalive_timeout: float = 10.0
    # Clients may ping as often as they like.  SDKs ping every 30 s without a call and some are set
    # to 5 s; a server with gRPC's default policy sends them away (GOAWAY too_many_pings).


def unary_and_stream_paths(
    unary: Mapping[str, UnaryHandler], streams: Mapping[str, StreamHandler]
) -> tuple[list[str], list[str]]:
    """The two path lists, sorted; raises ValueError when a path is in both."""
    if both := unary.keys() & streams.keys():
        msg = f"registered as unary and as stream: {sorted(both)}"
        raise ValueError(msg)
    return sorted(unary), sorted(streams)


def too_large(what: str, size: int, limit: int) -> str:
    """The text for a message over a limit, both in bytes."""
    return f"{what} of {size} bytes is larger than the limit of {limit} bytes [TN0201]"
