"""Values inside requests, from generated messages to records.

The only thing that a request can be wrong in is its bytes (``parse``): every message that parses
has a meaning.  Times outside of what a Timestamp may hold (some SDKs do not check) are moved to the
nearest one that it may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from tenure_common.errors import BadRequestError
from tenure_sidecar.engine.events import NANOS, Failure, Instant, Parent, Status, TraceContext
from tenure_sidecar.wire._generated import common_pb2

_FIRST = -62_135_596_800  # 0001-01-01T00:00:00Z, the range of google.protobuf.Timestamp
_LAST = 253_402_300_799  # 9999-12-31T23:59:59Z
_AT_LAST = (1 << 63) - 1  # event times are stored in 64 bits

STATUSES = {status.value: status for status in Status}

M = TypeVar("M", bound=Message)


def parse(kind: type[M], data: bytes, *, method: str) -> M:
    """The request ``data`` of ``method``.  Raises: BadRequestError."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        message = f"{method}: the request is not a {kind.DESCRIPTOR.name} message: {error}"
        raise BadRequestError(message) from None


def text(value: StringValue) -> str | None:
    """A wrapped string for which absent and empty mean the same: None."""
    return value.value or None


def instant(value: Timestamp) -> Instant:
    """The time exactly as sent, if it is one."""
    seconds, nanos = value.seconds, value.nanos
    if not 0 <= nanos < NANOS:
        carry, nanos = divmod(nanos, NANOS)
        seconds += carry
    if seconds < _FIRST:
        return Instant(_FIRST, 0)
    if seconds > _LAST:
        return Instant(_LAST, NANOS - 1)
    return Instant(seconds, nanos)


def moment(value: Timestamp) -> int:
    """An event's time in nanoseconds since the epoch, 0 when absent."""
    return min(max(value.seconds * NANOS + value.nanos, 0), _AT_LAST)


def trace(value: common_pb2.TraceContext) -> TraceContext | None:
    """A trace context; None when it has no trace."""
    if not value.trace_parent:
        return None
    return TraceContext(
        value.trace_parent,
        value.span_id,
        value.trace_state.value if value.HasField("trace_state") else None,
    )


def failure(value: common_pb2.Failure) -> Failure:
    """Failure details with their causes."""
    return Failure(
        value.error_type,
        value.error_message,
        value.stack_trace.value if value.HasField("stack_trace") else None,
        failure(value.inner_failure) if value.HasField("inner_failure") else None,
        value.is_non_retriable,
        {key: item.SerializeToString() for key, item in value.properties.items()},
    )


def parent(value: common_pb2.Parent) -> Parent:
    """The instance that waits."""
    return Parent(
        instance_id=value.instance.instance_id,
        execution_id=value.instance.execution_id.value,
        task_id=value.task_scheduled_id,
        name=value.name.value,
        version=text(value.version),
        app_id=value.app_id or None,
        namespace=value.app_namespace or None,
    )


def strings(value: Mapping[str, str]) -> dict[str, str]:
    """A map of strings to strings."""
    return dict(value)
