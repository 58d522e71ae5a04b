"""Events, from records to bytes: what both flavours write alike.

A flavour is a table from event type to function (``ENCODERS`` and the flavour's own); each function
gives ``length + HistoryEvent``, ready to be put behind the tag of a repeated field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenure_sidecar.engine.events import (
    ChildCompleted,
    ChildFailed,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    TimerFired,
)
from tenure_sidecar.wire.frame import integer, string, strings, time, varint, wrapped
from tenure_sidecar.wire.values_out import failure, instance, instant, parent, trace

# From event type to its encoder; the argument of each is that very type.
Encoders = dict[type, Callable[[Any], bytes]]

# Event id -1 (what no action created) and the tag of the time.
_UNASKED = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12"


def happened(at: int, tag: bytes, body: bytes, tail: bytes = b"") -> bytes:
    """An event that no action created.  ``tail`` comes behind the body, outside of it."""
    message = _UNASKED + time(at) + tag + varint(len(body)) + body + tail
    return varint(len(message)) + message


def created(at: int, task_id: int, tag: bytes, body: bytes) -> bytes:
    """An event that the action ``task_id`` created."""
    message = integer(b"\x08", task_id) + b"\x12" + time(at) + tag + varint(len(body)) + body
    return varint(len(message)) + message


def started(event: ExecutionStarted, *, app: bytes = b"", tail: bytes = b"") -> bytes:
    """ExecutionStarted; ``app`` is what the flavour adds to the parent, ``tail`` to the event."""
    body = (
        string(b"\x0a", event.name)
        + wrapped(b"\x12", event.version)
        + wrapped(b"\x1a", event.input)
        + instance(b"\x22", event.instance_id, event.execution_id)
        + parent(b"\x2a", event.parent, app=app)
        + instant(b"\x32", event.scheduled_start)
        + trace(b"\x3a", event.trace)
        + wrapped(b"\x42", event.span_id)
        + strings(b"\x4a", event.tags)
    )
    return happened(event.at, b"\x1a", body, tail)


def _completed(event: ExecutionCompleted) -> bytes:
    body = (
        integer(b"\x08", event.status)
        + wrapped(b"\x12", event.result)
        + failure(b"\x1a", event.failure)
    )
    return created(event.at, event.task_id, b"\x22", body)


def _terminated(event: ExecutionTerminated) -> bytes:
    body = wrapped(b"\x0a", event.output) + integer(b"\x10", event.recurse)
    return happened(event.at, b"\x2a", body)


def _child_completed(event: ChildCompleted) -> bytes:
    body = integer(b"\x08", event.task_id) + wrapped(b"\x12", event.result)
    return happened(event.at, b"\x52", body)


def _child_failed(event: ChildFailed) -> bytes:
    body = integer(b"\x08", event.task_id) + failure(b"\x12", event.failure)
    return happened(event.at, b"\x5a", body)


def _timer_fired(event: TimerFired) -> bytes:
    body = instant(b"\x0a", event.fire_at) + integer(b"\x10", event.timer_id)
    return happened(event.at, b"\x6a", body)


def event_sent(event: EventSent) -> bytes:
    """EventSent, which not every flavour's workers may see."""
    body = (
        string(b"\x0a", event.instance_id)
        + string(b"\x12", event.name)
        + wrapped(b"\x1a", event.input)
    )
    return created(event.at, event.task_id, b"\x82\x01", body)


def _event_raised(event: EventRaised) -> bytes:
    body = string(b"\x0a", event.name) + wrapped(b"\x12", event.input)
    return happened(event.at, b"\x8a\x01", body)


def _suspended(event: ExecutionSuspended) -> bytes:
    return happened(event.at, b"\xaa\x01", wrapped(b"\x0a", event.reason))


def _resumed(event: ExecutionResumed) -> bytes:
    return happened(event.at, b"\xb2\x01", wrapped(b"\x0a", event.reason))


def hidden(event: object) -> bytes:
    """An event that the flavour's workers must not see."""
    del event
    return b""


ENCODERS: Encoders = {
    ExecutionCompleted: _completed,
    ExecutionTerminated: _terminated,
    ChildCompleted: _child_completed,
    ChildFailed: _child_failed,
    TimerFired: _timer_fired,
    EventRaised: _event_raised,
    ExecutionSuspended: _suspended,
    ExecutionResumed: _resumed,
}
