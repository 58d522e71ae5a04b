"""Events that workers send back: carried over by continue-as-new, or a rewritten history.

A flavour is a table from the name of the field to a function of (time, event).  What has no record
(entities, events of other backends) is not in the table: the caller decides what that means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenure_sidecar.engine.events import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    DetachedCreated,
    Event,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    StallReason,
    Status,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    VersionInfo,
    WorkflowStarted,
)
from tenure_sidecar.wire._generated import common_pb2, dapr_pb2, microsoft_pb2
from tenure_sidecar.wire.origins import timer_origin
from tenure_sidecar.wire.values_in import (
    STATUSES,
    failure,
    instant,
    moment,
    parent,
    strings,
    text,
    trace,
)

AnyEvent = dapr_pb2.HistoryEvent | microsoft_pb2.HistoryEvent
# From field name to the decoder of its message; the last argument is the event's id.
Decoders = dict[str, Callable[[int, Any, int], Event | None]]


def decode(event: AnyEvent, decoders: Decoders) -> Event | str:
    """The event, or what it is when there is no record for it."""
    name = event.WhichOneof("event")
    if name is None:
        return "an event of unknown type"
    decoder = decoders.get(name)
    record = None
    if decoder is not None:
        record = decoder(moment(event.timestamp), getattr(event, name), event.event_id)
    return f"an event of type {name}" if record is None else record


def _started(at: int, e: common_pb2.ExecutionStartedEvent, event_id: int) -> Event:
    del event_id
    return ExecutionStarted(
        at,
        instance_id=e.instance.instance_id,
        execution_id=e.instance.execution_id.value,
        name=e.name,
        version=text(e.version),
        input=e.input.value if e.HasField("input") else None,
        parent=parent(e.parent) if e.HasField("parent") else None,
        scheduled_start=instant(e.scheduled_start) if e.HasField("scheduled_start") else None,
        trace=trace(e.parent_trace),
        span_id=text(e.span_id),
        tags=strings(e.tags),
    )


def _completed(at: int, e: common_pb2.ExecutionCompletedEvent, event_id: int) -> Event | None:
    status = STATUSES.get(e.status)
    if status is None:
        return None
    return ExecutionCompleted(
        at,
        event_id,
        status=Status(status),
        result=e.result.value if e.HasField("result") else None,
        failure=failure(e.failure) if e.HasField("failure") else None,
    )


def _terminated(at: int, e: common_pb2.ExecutionTerminatedEvent, event_id: int) -> Event:
    del event_id
    return ExecutionTerminated(
        at, output=e.input.value if e.HasField("input") else None, recurse=e.recurse
    )


def _timer_fired(at: int, e: common_pb2.TimerFiredEvent, event_id: int) -> Event:
    del event_id
    return TimerFired(at, timer_id=e.timer_id, fire_at=instant(e.fire_at))


def _event_sent(at: int, e: common_pb2.EventSentEvent, event_id: int) -> Event:
    return EventSent(
        at,
        event_id,
        instance_id=e.instance_id,
        name=e.name,
        input=e.input.value if e.HasField("input") else None,
    )


def _event_raised(at: int, e: common_pb2.EventRaisedEvent, event_id: int) -> Event:
    del event_id
    return EventRaised(at, name=e.name, input=e.input.value if e.HasField("input") else None)


def _suspended(at: int, e: common_pb2.ExecutionSuspendedEvent, event_id: int) -> Event:
    del event_id
    return ExecutionSuspended(at, reason=e.input.value if e.HasField("input") else None)


def _resumed(at: int, e: common_pb2.ExecutionResumedEvent, event_id: int) -> Event:
    del event_id
    return ExecutionResumed(at, reason=e.input.value if e.HasField("input") else None)


def _child_completed(
    at: int, e: dapr_pb2.ChildCompletedEvent | microsoft_pb2.ChildCompletedEvent, event_id: int
) -> Event:
    del event_id
    return ChildCompleted(
        at,
        task_id=e.task_scheduled_id,
        result=e.result.value if e.HasField("result") else None,
    )


def _child_failed(
    at: int, e: dapr_pb2.ChildFailedEvent | microsoft_pb2.ChildFailedEvent, event_id: int
) -> Event:
    del event_id
    return ChildFailed(at, task_id=e.task_scheduled_id, failure=failure(e.failure))


_COMMON: Decoders = {
    "execution_started": _started,
    "execution_completed": _completed,
    "execution_terminated": _terminated,
    "child_completed": _child_completed,
    "child_failed": _child_failed,
    "timer_fired": _timer_fired,
    "event_sent": _event_sent,
    "event_raised": _event_raised,
    "execution_suspended": _suspended,
    "execution_resumed": _resumed,
}


# --- Dapr ----------------------------------------------------------------------------------------


def _dapr_task_scheduled(at: int, e: dapr_pb2.TaskScheduledEvent, event_id: int) -> Event:
    return TaskScheduled(
        at,
        event_id,
        name=e.name,
        version=text(e.version),
        input=e.input.value if e.HasField("input") else None,
        task_execution_id=e.task_execution_id,
        trace=trace(e.parent_trace),
        rerun_parent=e.rerun_parent.instance_id if e.HasField("rerun_parent") else None,
        propagation=e.propagation if e.HasField("propagation") else None,
    )


def _dapr_task_completed(at: int, e: dapr_pb2.TaskCompletedEvent, event_id: int) -> Event:
    del event_id
    return TaskCompleted(
        at,
        task_id=e.task_scheduled_id,
        result=e.result.value if e.HasField("result") else None,
        task_execution_id=e.task_execution_id,
    )


def _dapr_task_failed(at: int, e: dapr_pb2.TaskFailedEvent, event_id: int) -> Event:
    del event_id
    return TaskFailed(
        at,
        task_id=e.task_scheduled_id,
        failure=failure(e.failure),
        task_execution_id=e.task_execution_id,
    )


def _dapr_child_created(at: int, e: dapr_pb2.ChildCreatedEvent, event_id: int) -> Event:
    return ChildCreated(
        at,
        event_id,
        instance_id=e.instance_id,
        name=e.name,
        version=text(e.version),
        input=e.input.value if e.HasField("input") else None,
        trace=trace(e.parent_trace),
        rerun_parent=e.rerun_parent.instance_id if e.HasField("rerun_parent") else None,
        propagation=e.propagation if e.HasField("propagation") else None,
        retry_parent=e.retry_parent.instance_id if e.HasField("retry_parent") else None,
    )


def _dapr_timer_created(at: int, e: dapr_pb2.TimerCreatedEvent, event_id: int) -> Event:
    return TimerCreated(
        at,
        event_id,
        fire_at=instant(e.fire_at),
        name=e.name if e.HasField("name") else None,
        origin=timer_origin(e),
        rerun_parent=e.rerun_parent.instance_id if e.HasField("rerun_parent") else None,
    )


def _dapr_workflow_started(at: int, e: dapr_pb2.WorkflowStartedEvent, event_id: int) -> Event:
    del event_id
    return WorkflowStarted(at, version=version_info(e.version) if e.HasField("version") else None)


def version_info(value: dapr_pb2.WorkflowVersion) -> VersionInfo:
    """Which code ran a turn."""
    return VersionInfo(value.name if value.HasField("name") else None, tuple(value.patches))


def _dapr_stalled(at: int, e: dapr_pb2.ExecutionStalledEvent, event_id: int) -> Event | None:
    del event_id
    try:
        reason = StallReason(e.reason)
    except ValueError:
        return None
    return ExecutionStalled(
        at, reason=reason, description=e.description if e.HasField("description") else None
    )


def _dapr_detached(at: int, e: dapr_pb2.DetachedCreatedEvent, event_id: int) -> Event:
    return DetachedCreated(at, event_id, instance_id=e.instance_id)


DAPR: Decoders = {
    **_COMMON,
    "task_scheduled": _dapr_task_scheduled,
    "task_completed": _dapr_task_completed,
    "task_failed": _dapr_task_failed,
    "child_created": _dapr_child_created,
    "timer_created": _dapr_timer_created,
    "workflow_started": _dapr_workflow_started,
    "execution_stalled": _dapr_stalled,
    "detached_created": _dapr_detached,
}


# --- Microsoft -----------------------------------------------------------------------------------


def _ms_task_scheduled(at: int, e: microsoft_pb2.TaskScheduledEvent, event_id: int) -> Event:
    return TaskScheduled(
        at,
        event_id,
        name=e.name,
        version=text(e.version),
        input=e.input.value if e.HasField("input") else None,
        trace=trace(e.parent_trace),
        tags=strings(e.tags),
    )


def _ms_task_completed(at: int, e: microsoft_pb2.TaskCompletedEvent, event_id: int) -> Event:
    del event_id
    return TaskCompleted(
        at,
        task_id=e.task_scheduled_id,
        result=e.result.value if e.HasField("result") else None,
    )


def _ms_task_failed(at: int, e: microsoft_pb2.TaskFailedEvent, event_id: int) -> Event:
    del event_id
    return TaskFailed(at, task_id=e.task_scheduled_id, failure=failure(e.failure))


def _ms_child_created(at: int, e: microsoft_pb2.ChildCreatedEvent, event_id: int) -> Event:
    return ChildCreated(
        at,
        event_id,
        instance_id=e.instance_id,
        name=e.name,
        version=text(e.version),
        input=e.input.value if e.HasField("input") else None,
        trace=trace(e.parent_trace),
        tags=strings(e.tags),
    )


def _ms_timer_created(at: int, e: microsoft_pb2.TimerCreatedEvent, event_id: int) -> Event:
    return TimerCreated(at, event_id, fire_at=instant(e.fire_at))


def _ms_workflow_started(at: int, e: microsoft_pb2.WorkflowStartedEvent, event_id: int) -> Event:
    del e, event_id
    return WorkflowStarted(at)


def _ms_rewound(at: int, e: microsoft_pb2.ExecutionRewoundEvent, event_id: int) -> Event:
    del event_id
    return ExecutionRewound(
        at,
        reason=e.reason.value if e.HasField("reason") else None,
        instance_id=e.instance_id.value if e.HasField("instance_id") else None,
        parent_execution_id=(
            e.parent_execution_id.value if e.HasField("parent_execution_id") else None
        ),
        name=e.name.value if e.HasField("name") else None,
        version=text(e.version),
        input=e.input.value if e.HasField("input") else None,
        parent=parent(e.parent) if e.HasField("parent") else None,
        trace=trace(e.parent_trace),
        tags=strings(e.tags),
    )


MICROSOFT: Decoders = {
    **_COMMON,
    "task_scheduled": _ms_task_scheduled,
    "task_completed": _ms_task_completed,
    "task_failed": _ms_task_failed,
    "child_created": _ms_child_created,
    "timer_created": _ms_timer_created,
    "workflow_started": _ms_workflow_started,
    "execution_rewound": _ms_rewound,
}
