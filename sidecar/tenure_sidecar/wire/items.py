"""Work items, put together from bytes that are there already, and the answers that both flavours
write alike."""

from __future__ import annotations

from collections.abc import Sequence

from tenure_sidecar.engine.events import TaskScheduled
from tenure_sidecar.engine.head import Head
from tenure_sidecar.wire._generated import common_pb2
from tenure_sidecar.wire.codec import ActivityResult
from tenure_sidecar.wire.frame import delimited, integer, string, varint, wrapped
from tenure_sidecar.wire.values_in import failure, parse
from tenure_sidecar.wire.values_out import instance, trace

_PAST, _NEW = b"\x1a", b"\x22"  # tags of a request's events


def turn(
    head: Head, *, past: Sequence[bytes], new: Sequence[bytes], token: str, tail: bytes
) -> bytes:
    """A WorkItem with an orchestrator request.

    Args:
        past, new: events with their lengths before them.
        tail: the request's fields behind the events, the flavour's own.
    """
    start = string(b"\x0a", head.instance_id) + wrapped(b"\x12", head.execution_id)
    before = _PAST + _PAST.join(past) if past else b""
    after = _NEW + _NEW.join(new) if new else b""
    size = len(start) + len(before) + len(after) + len(tail)
    return b"".join(
        (b"\x0a", varint(size), start, before, after, tail, string(b"\x52", token)),
    )


def activity(head: Head, task: TaskScheduled, *, token: str, tail: bytes) -> bytes:
    """A WorkItem with an activity request; ``tail`` is the request's field 7, the flavour's own."""
    body = (
        string(b"\x0a", task.name)
        + wrapped(b"\x12", task.version)
        + wrapped(b"\x1a", task.input)
        + instance(b"\x22", head.instance_id, head.execution_id)
        + integer(b"\x28", task.task_id)
        + trace(b"\x32", task.trace)
        + tail
    )
    return delimited(b"\x12", body) + string(b"\x52", token)


def activity_result(request: bytes) -> ActivityResult:
    """Decode an activity's answer.  Raises: BadRequestError."""
    r = parse(common_pb2.ActivityResponse, request, method="CompleteActivityTask")
    return ActivityResult(
        instance_id=r.instance_id,
        task_id=r.task_id,
        token=r.completion_token,
        result=r.result.value if r.HasField("result") else None,
        failure=failure(r.failure) if r.HasField("failure") else None,
    )
