"""What is sent to a worker, and whether it fits.

The limit is on the message as it is sent, to the byte: a client drops its whole stream for one byte
too many.  So the message is made first and measured; only what is too large already by its events
alone is not made at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tenure_sidecar.actors.instance import Instance
    from tenure_sidecar.dispatch.stream import WorkerStream
    from tenure_sidecar.engine.plan import Batch


class Encoded(msgspec.Struct, frozen=True):
    """A turn for one stream.

    ``item`` is the message, None when it is too large; ``size`` is its length in bytes or, when it
    was not made, a number that it exceeds.  ``past`` counts all events of the history; ``whole``:
    the worker gets all of them and needs none of its cache.
    """

    item: bytes | None
    size: int
    past: int
    whole: bool


def turn(stream: WorkerStream, instance: Instance, batch: Batch, token: str) -> Encoded:
    """The message that gives ``batch`` to the stream's worker."""
    codec = stream.codec
    head = instance.state.head
    limit = stream.caps.message_bytes
    past = instance.encoded(codec)
    total = len(past)
    cached = stream.cached(instance.id, head.execution_id, total)
    if cached:
        past = past[cached:]
    new = [e for e in map(codec.event, batch.events) if e]
    size = sum(map(len, new)) + sum(map(len, past))
    if size <= limit:
        item = codec.turn_item(head, past=past, new=new, token=token, cached=cached or None)
        size = len(item)
        if size <= limit:
            return Encoded(item, size, total, whole=not cached)
    if stream.hello.history_streaming:
        item = codec.turn_item(
            head, past=past, new=new, token=token, cached=cached or None, stream_history=True
        )
        size = len(item)
        if size <= limit:
            return Encoded(item, size, total, whole=not cached)
    return Encoded(None, size, total, whole=not cached)
