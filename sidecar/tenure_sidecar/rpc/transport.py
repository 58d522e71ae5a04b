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
from enum import Enum
from typing import Protocol

Metadata = tuple[tuple[str, str | bytes], ...]


class Sent(Enum):
    """What became of a stream message."""

    SENT = 0
    FULL = 1  # not taken: the client reads too slowly; ``on_ready`` tells when to go on
    CLOSED = 2  # not taken: the stream is gone


class Call(Protocol):
    """One unary request waiting for its answer.  Exactly one of ``reply`` and ``fail`` counts; a
    second one, or one after the client went away, is ignored."""

    @property
    def request(self) -> bytes: ...
    @property
    def metadata(self) -> Metadata:
        """Request headers, lower-case keys; ``-bin`` values are bytes."""
        ...

    @property
    def peer(self) -> str: ...
    @property
    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline when the call arrived; None = no deadline."""
        ...

    def reply(self, response: bytes) -> None: ...
    def fail(self, code: str, message: str) -> None:
        """End with the gRPC status ``code`` (its name, e.g. NOT_FOUND)."""
        ...

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call back once when the client goes away or its deadline passes before the answer."""
        ...


class Stream(Protocol):
    """One server-streaming request."""

    @property
    def request(self) -> bytes: ...
    @property
    def metadata(self) -> Metadata: ...
    @property
    def peer(self) -> str: ...
    @property
    def time_remaining(self) -> float | None: ...
    def send(self, message: bytes) -> Sent:
        """Queue one message; never blocks.  The queue is bounded (FULL)."""
        ...

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call back once when a stream that was FULL takes messages again."""
        ...

    def end(self) -> None:
        """Close with status OK after what is queued."""
        ...

    def fail(self, code: str, message: str) -> None: ...
    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call back once when the client is gone."""
        ...


UnaryHandler = Callable[[Call], None]
StreamHandler = Callable[[Stream], None]


class Transport(Protocol):
    """A gRPC server on one address."""

    async def start(self) -> int:
        """Listen; returns the bound port.  Raises: PortInUseError."""
        ...

    async def stop(self, grace: float) -> None:
        """Stop listening, let calls under way finish for ``grace`` seconds, then close."""
        ...


class Limits(Protocol):
    """What a transport enforces before a handler sees a call."""

    max_receive_bytes: int
    max_send_bytes: int
    max_concurrent_streams: int


def unary_and_stream_paths(
    unary: Mapping[str, UnaryHandler], streams: Mapping[str, StreamHandler]
) -> tuple[list[str], list[str]]:
    """The two path lists, sorted; raises ValueError when a path is in both."""
    if both := unary.keys() & streams.keys():
        msg = f"registered as unary and as stream: {sorted(both)}"
        raise ValueError(msg)
    return sorted(unary), sorted(streams)
