"""Events as workers of the Microsoft flavour read them.

Every field here that has the same number as another one in the Dapr flavour would end their work
stream with a decoding error, and they fail on ExecutionStalled.
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
    WorkflowStarted,
)
from tenure_sidecar.wire.events_out import (
    ENCODERS,
    Encoders,
    created,
    event_sent,
    happened,
    hidden,
    started,
)
from tenure_sidecar.wire.frame import integer, string, strings, wrapped
from tenure_sidecar.wire.values_out import failure, instant, parent, trace


def _task_scheduled(event: TaskScheduled) -> bytes:
    body = (
        string(b"\x0a", event.name)
        + wrapped(b"\x12", event.version)
        + wrapped(b"\x1a", event.input)
        + trace(b"\x22", event.trace)
        + strings(b"\x2a", event.tags)
    )
    return created(event.at, event.task_id, b"\x32", body)


def _task_completed(event: TaskCompleted) -> bytes:
    body = integer(b"\x08", event.task_id) + wrapped(b"\x12", event.result)
    return happened(event.at, b"\x3a", body)


def _task_failed(event: TaskFailed) -> bytes:
    body = integer(b"\x08", event.task_id) + failure(b"\x12", event.failure)
    return happened(event.at, b"\x42", body)


def _child_created(event: ChildCreated) -> bytes:
    body = (
        string(b"\x0a", event.instance_id)
        + string(b"\x12", event.name)
        + wrapped(b"\x1a", event.version)
        + wrapped(b"\x22", event.input)
        + trace(b"\x2a", event.trace)
        + strings(b"\x32", event.tags)
    )
    return created(event.at, event.task_id, b"\x4a", body)


def _timer_created(event: TimerCreated) -> bytes:
    return created(event.at, event.task_id, b"\x62", instant(b"\x0a", event.fire_at))


def _workflow_started(event: WorkflowStarted) -> bytes:
    return happened(event.at, b"\x72", b"")


def _rewound(event: ExecutionRewound) -> bytes:
    body = (
        wrapped(b"\x0a", event.reason)
        + wrapped(b"\x12", event.parent_execution_id)
        + wrapped(b"\x1a", event.instance_id)
        + trace(b"\x22", event.trace)
        + wrapped(b"\x2a", event.name)
        + wrapped(b"\x32", event.version)
        + wrapped(b"\x3a", event.input)
        + parent(b"\x42", event.parent)
        + strings(b"\x4a", event.tags)
    )
    return happened(event.at, b"\xf2\x01", body)


MICROSOFT_ENCODERS: Encoders = {
    **ENCODERS,
    ExecutionStarted: started,
    TaskScheduled: _task_scheduled,
    TaskCompleted: _task_completed,
    TaskFailed: _task_failed,
    ChildCreated: _child_created,
    TimerCreated: _timer_created,
    WorkflowStarted: _workflow_started,
    EventSent: event_sent,
    ExecutionRewound: _rewound,
    ExecutionStalled: hidden,
    DetachedCreated: hidden,
}
