"""Values inside events and requests, from records to bytes: traces, failures, parents.

Each function gives a complete field: its tag, its length and its body.
"""

from __future__ import annotations

from tenure_sidecar.engine.events import Failure, Instant, Parent, TraceContext
from tenure_sidecar.wire.frame import delimited, integer, string, timestamp, wrapped


def instant(tag: bytes, value: Instant | None) -> bytes:
    """A Timestamp, exactly as the app sent it."""
    return b"" if value is None else tag + timestamp(*value)


def instance(tag: bytes, instance_id: str, execution_id: str) -> bytes:
    """An Instance: id and execution id."""
    return delimited(tag, string(b"\x0a", instance_id) + wrapped(b"\x12", execution_id))


def trace(tag: bytes, value: TraceContext | None) -> bytes:
    """A TraceContext."""
    if value is None:
        return b""
    return delimited(
        tag,
        string(b"\x0a", value.traceparent)
        + string(b"\x12", value.span_id)
        + wrapped(b"\x1a", value.tracestate),
    )


def failure(tag: bytes, value: Failure | None) -> bytes:
    """A Failure with its causes.  ``properties`` is Microsoft's; others skip it."""
    if value is None:
        return b""
    body = (
        string(b"\x0a", value.error_type)
        + string(b"\x12", value.message)
        + wrapped(b"\x1a", value.stack_trace)
        + failure(b"\x22", value.inner)
        + integer(b"\x28", value.non_retriable)
    )
    for name, data in value.properties.items():
        body += delimited(b"\x32", delimited(b"\x0a", name.encode()) + delimited(b"\x12", data))
    return delimited(tag, body)


def parent(tag: bytes, value: Parent | None, *, app: bytes = b"") -> bytes:
    """A Parent; ``app`` is what the flavour adds to it."""
    if value is None:
        return b""
    return delimited(
        tag,
        integer(b"\x08", value.task_id)
        + wrapped(b"\x12", value.name)
        + wrapped(b"\x1a", value.version)
        + instance(b"\x22", value.instance_id, value.execution_id)
        + app,
    )


def continued(value: TraceContext | None, span_id: str) -> TraceContext | None:
    """The same trace, under the span ``span_id`` (16 hex digits); None without a valid trace.

    The form is version-trace-span-flags (W3C Trace Context).
    """
    if value is None:
        return None
    parts = value.traceparent.split("-")
    if len(parts) != 4:  # noqa: PLR2004 - see the docstring
        return None
    version, trace_id, _, flags = parts
    return TraceContext(f"{version}-{trace_id}-{span_id}-{flags}", span_id, value.tracestate)
