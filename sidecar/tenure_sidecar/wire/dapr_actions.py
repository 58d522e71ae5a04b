"""What a Dapr workflow asks for at the end of a turn.

An action may carry a router: the app that it is meant for.  (Up to 1.18 there were routers inside
of the actions too, which nobody ever read.)
"""

from __future__ import annotations

from collections.abc import Callable

from tenure_sidecar.engine.actions import (
    Action,
    Complete,
    CreateChild,
    CreateDetached,
    CreateTimer,
    ScheduleTask,
    SendEvent,
    Terminate,
    Unsupported,
    VersionNotAvailable,
)
from tenure_sidecar.engine.events import Event, Status
from tenure_sidecar.wire._generated import dapr_pb2
from tenure_sidecar.wire.events_in import DAPR, decode
from tenure_sidecar.wire.origins import timer_origin
from tenure_sidecar.wire.values_in import STATUSES, failure, instant, strings, text, trace


def _target(action: dapr_pb2.WorkflowAction) -> str | None:
    return action.router.target_app_id or None if action.HasField("router") else None


def _schedule(action: dapr_pb2.WorkflowAction) -> Action:
    a = action.schedule_task
    return ScheduleTask(
        action.id,
        a.name,
        version=text(a.version),
        input=a.input.value if a.HasField("input") else None,
        task_execution_id=a.task_execution_id,
        propagation=a.propagation if a.HasField("propagation") else None,
        target_app=_target(action),
    )


def _child(action: dapr_pb2.WorkflowAction) -> Action:
    a = action.create_child
    return CreateChild(
        action.id,
        a.name,
        instance_id=a.instance_id,
        version=text(a.version),
        input=a.input.value if a.HasField("input") else None,
        propagation=a.propagation if a.HasField("propagation") else None,
        retry_parent=a.retry_parent.instance_id if a.HasField("retry_parent") else None,
        target_app=_target(action),
    )


def _timer(action: dapr_pb2.WorkflowAction) -> Action:
    a = action.create_timer
    return CreateTimer(
        action.id,
        instant(a.fire_at),
        name=a.name if a.HasField("name") else None,
        origin=timer_origin(a),
    )


def _send(action: dapr_pb2.WorkflowAction) -> Action:
    a = action.send_event
    return SendEvent(
        action.id,
        a.instance.instance_id,
        a.name,
        input=a.data.value if a.HasField("data") else None,
    )


def _complete(action: dapr_pb2.WorkflowAction) -> Action:
    a = action.complete
    status = STATUSES.get(a.status)
    if status is None:
        return Unsupported(action.id, f"ending a workflow with status number {a.status}")
    if status is Status.STALLED:
        # What Dapr's Java SDK before 1.18 answers when it does not have the version.
        return VersionNotAvailable(action.id)
    carried: list[Event] = []
    for sent in a.carryover_events:
        event = decode(sent, DAPR)
        if isinstance(event, str):
            return Unsupported(action.id, f"carrying over {event}")
        carried.append(event)
    return Complete(
        action.id,
        status,
        result=a.result.value if a.HasField("result") else None,
        details=a.details.value if a.HasField("details") else None,
        new_version=text(a.new_version),
        carryover=tuple(carried),
        failure=failure(a.failure) if a.HasField("failure") else None,
    )


def _terminate(action: dapr_pb2.WorkflowAction) -> Action:
    a = action.terminate
    return Terminate(
        action.id,
        a.instance_id,
        reason=a.reason.value if a.HasField("reason") else None,
        recurse=a.recurse,
    )


def _version(action: dapr_pb2.WorkflowAction) -> Action:
    return VersionNotAvailable(action.id)


def _detached(action: dapr_pb2.WorkflowAction) -> Action:
    a = action.create_detached
    return CreateDetached(
        action.id,
        a.name,
        a.instance_id,
        version=text(a.version),
        input=a.input.value if a.HasField("input") else None,
        scheduled_start=instant(a.scheduled_start) if a.HasField("scheduled_start") else None,
        execution_id=text(a.execution_id),
        tags=strings(a.tags),
        trace=trace(a.parent_trace) if a.HasField("parent_trace") else None,
        target_app=_target(action),
    )


_DECODERS: dict[str, Callable[[dapr_pb2.WorkflowAction], Action]] = {
    "schedule_task": _schedule,
    "create_child": _child,
    "create_timer": _timer,
    "send_event": _send,
    "complete": _complete,
    "terminate": _terminate,
    "version_not_available": _version,
    "create_detached": _detached,
}


def dapr_action(action: dapr_pb2.WorkflowAction) -> Action:
    """The action; ``Unsupported`` when it is one that this flavour does not have."""
    name = action.WhichOneof("action")
    if name is None:
        return Unsupported(action.id, "an action of a type that is not in the Dapr protocol")
    return _DECODERS[name](action)
