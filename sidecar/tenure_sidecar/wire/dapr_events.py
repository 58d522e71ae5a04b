"""Events as workers of the Dapr flavour read them.

They fail on EventSent, and read field 30 (Microsoft's ExecutionRewound) as a router.
"""

from __future__ import annotations

from tenure_sidecar.engine.events import (
    ChildCreated,
    DetachedCreated,
    EventSent,
    ExecutionRewound,
    ExecutionStalled,
    ExecutionStarted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
    VersionInfo,
    WorkflowStarted,
)
from tenure_sidecar.wire.events_out import (
    ENCODERS,
    Encoders,
    created,
    happened,
    hidden,
    started,
)
from tenure_sidecar.wire.frame import delimited, integer, string, varint, wrapped
from tenure_sidecar.wire.values_out import failure, instant, trace


def encoders(*, app_id: str, namespace: str, router: bytes) -> Encoders:
    """The flavour's table for one app.

    Args:
        router: the app's TaskRouter, a message without tag and length; the SDKs take the app id
            that workflow code sees from it.
    """
    tail = delimited(b"\xf2\x01", router)

    def execution_started(event: ExecutionStarted) -> bytes:
        parent = event.parent
        if parent is None:
            return started(event, tail=tail)
        app = string(b"\x2a", parent.app_id or app_id) + string(
            b"\x32", parent.namespace or namespace
        )
        return started(event, app=app, tail=tail)

    return {
        **ENCODERS,
        ExecutionStarted: execution_started,
        TaskScheduled: _task_scheduled,
        TaskCompleted: _task_completed,
        TaskFailed: _task_failed,
        ChildCreated: _child_created,
        TimerCreated: _timer_created,
        WorkflowStarted: _workflow_started,
        ExecutionStalled: _stalled,
        DetachedCreated: _detached_created,
        EventSent: hidden,
        ExecutionRewound: hidden,
    }


def _task_scheduled(event: TaskScheduled) -> bytes:
    body = (
        string(b"\x0a", event.name)
        + wrapped(b"\x12", event.version)
        + wrapped(b"\x1a", event.input)
        + trace(b"\x22", event.trace)
        + string(b"\x2a", event.task_execution_id)
        + _id(b"\x32", event.rerun_parent)
        + _optional(b"\x38", event.propagation)
    )
    return created(event.at, event.task_id, b"\x32", body)


def _task_completed(event: TaskCompleted) -> bytes:
    body = (
        integer(b"\x08", event.task_id)
        + wrapped(b"\x12", event.result)
        + string(b"\x1a", event.task_execution_id)
    )
    return happened(event.at, b"\x3a", body)


def _task_failed(event: TaskFailed) -> bytes:
    body = (
        integer(b"\x08", event.task_id)
        + failure(b"\x12", event.failure)
        + string(b"\x1a", event.task_execution_id)
    )
    return happened(event.at, b"\x42", body)


def _child_created(event: ChildCreated) -> bytes:
    body = (
        string(b"\x0a", event.instance_id)
        + string(b"\x12", event.name)
        + wrapped(b"\x1a", event.version)
        + wrapped(b"\x22", event.input)
        + trace(b"\x2a", event.trace)
        + _id(b"\x32", event.rerun_parent)
        + _optional(b"\x38", event.propagation)
        + _id(b"\x42", event.retry_parent)
    )
    return created(event.at, event.task_id, b"\x4a", body)


def _timer_created(event: TimerCreated) -> bytes:
    body = (
        instant(b"\x0a", event.fire_at)
        + _optional_string(b"\x12", event.name)
        + _id(b"\x1a", event.rerun_parent)
        + origin(event.origin, first=4)
    )
    return created(event.at, event.task_id, b"\x62", body)


def _workflow_started(event: WorkflowStarted) -> bytes:
    version = event.version
    body = b"" if version is None else delimited(b"\x0a", version_info(version))
    return happened(event.at, b"\x72", body)


def _stalled(event: ExecutionStalled) -> bytes:
    body = integer(b"\x08", event.reason) + _optional_string(b"\x12", event.description)
    return happened(event.at, b"\xfa\x01", body)


def _detached_created(event: DetachedCreated) -> bytes:
    return created(event.at, event.task_id, b"\x82\x02", string(b"\x0a", event.instance_id))


def version_info(version: VersionInfo) -> bytes:
    """A WorkflowVersion, without tag and length."""
    patches = b"".join(delimited(b"\x0a", patch.encode()) for patch in version.patches)
    return patches + _optional_string(b"\x12", version.name)


def origin(value: TimerOrigin | None, *, first: int) -> bytes:
    """The origin of a timer; ``first`` is the field number of the first kind."""
    if value is None:
        return b""
    number = first - 1 + value.kind
    return delimited(varint(number << 3 | 2), string(b"\x0a", value.value))


def _id(tag: bytes, instance_id: str | None) -> bytes:
    """A message of nothing but an instance id."""
    return b"" if instance_id is None else delimited(tag, string(b"\x0a", instance_id))


def _optional(tag: bytes, number: int | None) -> bytes:
    return b"" if number is None else tag + varint(number)


def _optional_string(tag: bytes, text: str | None) -> bytes:
    return b"" if text is None else delimited(tag, text.encode())
