"""History events as JSON for people and programs.

One flat object per event: ``type`` (the name that the Dapr history has for it), ``timestamp``,
``eventId`` (the action that created it, or -1), and the fields of that type.  Fields that are
absent or empty are left out.  What resolves an earlier event names it: ``taskScheduledId``, ``timerId``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import msgspec

from tenure_common.times import format_time
from tenure_sidecar.engine import events as e
from tenure_sidecar.http.manage.views import FailureView, Json, ParentView, failure, payload

Rest = dict[str, Any]
Text = Callable[[str | None], Json]  # a payload's view

NAMES: dict[type[e.Event], str] = {
    e.ExecutionStarted: "ExecutionStarted",
    e.ExecutionCompleted: "ExecutionCompleted",
    e.ExecutionTerminated: "ExecutionTerminated",
    e.TaskScheduled: "TaskScheduled",
    e.TaskCompleted: "TaskCompleted",
    e.TaskFailed: "TaskFailed",
    e.ChildCreated: "ChildWorkflowInstanceCreated",
    e.ChildCompleted: "ChildWorkflowInstanceCompleted",
    e.ChildFailed: "ChildWorkflowInstanceFailed",
    e.TimerCreated: "TimerCreated",
    e.TimerFired: "TimerFired",
    e.WorkflowStarted: "WorkflowStarted",
    e.EventSent: "EventSent",
    e.EventRaised: "EventRaised",
    e.ExecutionSuspended: "ExecutionSuspended",
    e.ExecutionResumed: "ExecutionResumed",
    e.ExecutionRewound: "ExecutionRewound",
    e.ExecutionStalled: "ExecutionStalled",
    e.DetachedCreated: "DetachedWorkflowInstanceCreated",
}

_ORIGINS = {
    e.ORIGIN_TIMER: "timer",
    e.ORIGIN_EXTERNAL_EVENT: "externalEvent",
    e.ORIGIN_ACTIVITY_RETRY: "activityRetry",
    e.ORIGIN_CHILD_RETRY: "childWorkflowRetry",
}

Time = Annotated[str, msgspec.Meta(description="RFC 3339")]


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One event; which fields are there depends on ``type``."""

    event_id: int
    type: str
    timestamp: Time
    name: str | None = None
    version: str | None = None
    instance_id: str | None = None
    execution_id: str | None = None
    input: Json = msgspec.UNSET
    output: Json = msgspec.UNSET  # result of a workflow or activity, of a terminate request
    status: str | None = None
    failure: FailureView | None = None
    task_scheduled_id: int | None = None  # the event that this one resolves
    task_execution_id: str | None = None  # idempotency key of an activity
    timer_id: int | None = None
    fire_at: Time | None = None
    origin: str | None = None  # why the timer was set
    origin_of: str | None = None  # event name, activity key or child id that the timer is about
    parent: ParentView | None = None
    scheduled_start: Time | None = None
    reason: str | None = None
    recursive: bool | None = None
    patches: tuple[str, ...] = ()
    rerun_of: str | None = None
    tags: dict[str, str] = {}
    trace_parent: str | None = None


def event_view(event: e.Event, *, raw: bool = False) -> HistoryEvent:
    """The view of one event; ``raw`` gives payloads as the texts that are stored."""
    return HistoryEvent(
        event_id=event.event_id,
        type=NAMES[type(event)],
        timestamp=format_time(event.at),
        **_RESTS[type(event)](event, partial(payload, raw=raw)),
    )


def _trace(trace: e.TraceContext | None) -> str | None:
    return trace.traceparent if trace else None


def _started(event: e.ExecutionStarted, text: Text) -> Rest:
    start, parent = event.scheduled_start, event.parent
    return {
        "name": event.name,
        "version": event.version,
        "instance_id": event.instance_id,
        "execution_id": event.execution_id,
        "input": text(event.input),
        "parent": ParentView(parent.instance_id, parent.task_id, parent.name) if parent else None,
        "scheduled_start": format_time(start.nanoseconds) if start else None,
        "tags": event.tags,
        "trace_parent": _trace(event.trace),
    }


def _rewound(event: e.ExecutionRewound, _text: Text) -> Rest:
    return {"reason": event.reason, "name": event.name, "version": event.version}


def _completed(event: e.ExecutionCompleted, text: Text) -> Rest:
    return {
        "status": event.status.name,
        "output": text(event.result),
        "failure": failure(event.failure),
    }


def _terminated(event: e.ExecutionTerminated, text: Text) -> Rest:
    return {"output": text(event.output), "recursive": event.recurse}


def _scheduled(event: e.TaskScheduled, text: Text) -> Rest:
    return {
        "name": event.name,
        "version": event.version,
        "input": text(event.input),
        "task_execution_id": event.task_execution_id or None,
        "tags": event.tags,
        "rerun_of": event.rerun_parent,
        "trace_parent": _trace(event.trace),
    }


def _task_done(event: e.TaskCompleted, text: Text) -> Rest:
    return {
        "task_scheduled_id": event.task_id,
        "output": text(event.result),
        "task_execution_id": event.task_execution_id or None,
    }


def _task_failed(event: e.TaskFailed, _text: Text) -> Rest:
    return {
        "task_scheduled_id": event.task_id,
        "failure": failure(event.failure),
        "task_execution_id": event.task_execution_id or None,
    }


def _child(event: e.ChildCreated, text: Text) -> Rest:
    return {
        "name": event.name,
        "version": event.version,
        "instance_id": event.instance_id,
        "input": text(event.input),
        "tags": event.tags,
        "rerun_of": event.rerun_parent,
        "trace_parent": _trace(event.trace),
    }


def _child_done(event: e.ChildCompleted, text: Text) -> Rest:
    return {"task_scheduled_id": event.task_id, "output": text(event.result)}


def _child_failed(event: e.ChildFailed, _text: Text) -> Rest:
    return {"task_scheduled_id": event.task_id, "failure": failure(event.failure)}


def _timer(event: e.TimerCreated, _text: Text) -> Rest:
    origin = event.origin
    return {
        "name": event.name,
        "fire_at": format_time(event.fire_at.nanoseconds),
        "origin": _ORIGINS.get(origin.kind) if origin else None,
        "origin_of": (origin.value or None) if origin else None,
        "rerun_of": event.rerun_parent,
    }


def _fired(event: e.TimerFired, _text: Text) -> Rest:
    return {"timer_id": event.timer_id, "fire_at": format_time(event.fire_at.nanoseconds)}


def _turn(event: e.WorkflowStarted, _text: Text) -> Rest:
    version = event.version
    if version is None:
        return {}
    return {"version": version.name, "patches": version.patches}


def _sent(event: e.EventSent, text: Text) -> Rest:
    return {
        "name": event.name,
        "instance_id": event.instance_id,
        "input": text(event.input),
    }


def _raised(event: e.EventRaised, text: Text) -> Rest:
    return {"name": event.name, "input": text(event.input)}


def _reason(event: e.ExecutionSuspended | e.ExecutionResumed, _text: Text) -> Rest:
    return {"reason": event.reason}


def _stalled(event: e.ExecutionStalled, _text: Text) -> Rest:
    reason = event.reason.name
    return {"reason": f"{reason}: {event.description}" if event.description else reason}


def _detached(event: e.DetachedCreated, _text: Text) -> Rest:
    return {"instance_id": event.instance_id}


_RESTS: dict[type[e.Event], Callable[[Any, Text], Rest]] = {
    e.ExecutionStarted: _started,
    e.ExecutionCompleted: _completed,
    e.ExecutionTerminated: _terminated,
    e.TaskScheduled: _scheduled,
    e.TaskCompleted: _task_done,
    e.TaskFailed: _task_failed,
    e.ChildCreated: _child,
    e.ChildCompleted: _child_done,
    e.ChildFailed: _child_failed,
    e.TimerCreated: _timer,
    e.TimerFired: _fired,
    e.WorkflowStarted: _turn,
    e.EventSent: _sent,
    e.EventRaised: _raised,
    e.ExecutionSuspended: _reason,
    e.ExecutionResumed: _reason,
    e.ExecutionRewound: _rewound,
    e.ExecutionStalled: _stalled,
    e.DetachedCreated: _detached,
}
