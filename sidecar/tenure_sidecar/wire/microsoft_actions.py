"""What a Microsoft orchestrator asks for at the end of a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tenure_sidecar.engine.actions import (
    Action,
    Complete,
    CreateChild,
    CreateTimer,
    Rewind,
    ScheduleTask,
    SendEvent,
    Terminate,
    Unsupported,
)
from tenure_sidecar.engine.events import Event
from tenure_sidecar.wire._generated import microsoft_pb2
from tenure_sidecar.wire.events_in import MICROSOFT, decode
from tenure_sidecar.wire.values_in import STATUSES, failure, instant, strings, text, trace

_ENTITY = {
    "operation_signaled": "signalling an entity",
    "operation_called": "calling an entity",
    "lock_requested": "locking entities",
    "unlock_sent": "unlocking an entity",
}


def _schedule(action: microsoft_pb2.OrchestratorAction) -> Action:
    a = action.schedule_task
    return ScheduleTask(
        action.id,
        a.name,
        version=text(a.version),
        input=a.input.value if a.HasField("input") else None,
        trace=trace(a.parent_trace) if a.HasField("parent_trace") else None,
        tags=strings(a.tags),
    )


def _child(action: microsoft_pb2.OrchestratorAction) -> Action:
    a = action.create_child
    return CreateChild(
        action.id,
        a.name,
        instance_id=a.instance_id,
        version=text(a.version),
        input=a.input.value if a.HasField("input") else None,
        trace=trace(a.parent_trace) if a.HasField("parent_trace") else None,
        tags=strings(a.tags),
    )


def _timer(action: microsoft_pb2.OrchestratorAction) -> Action:
    return CreateTimer(action.id, instant(action.create_timer.fire_at))


def _send(action: microsoft_pb2.OrchestratorAction) -> Action:
    a = action.send_event
    return SendEvent(
        action.id,
        a.instance.instance_id,
        a.name,
        input=a.data.value if a.HasField("data") else None,
    )


def _complete(action: microsoft_pb2.OrchestratorAction) -> Action:
    a = action.complete
    status = STATUSES.get(a.status)
    if status is None:
        return Unsupported(action.id, f"ending a workflow with status number {a.status}")
    carried = _events(a.carryover_events)
    if isinstance(carried, str):
        return Unsupported(action.id, f"carrying over {carried}")
    return Complete(
        action.id,
        status,
        result=a.result.value if a.HasField("result") else None,
        details=a.details.value if a.HasField("details") else None,
        new_version=text(a.new_version),
        carryover=carried,
        failure=failure(a.failure) if a.HasField("failure") else None,
        tags=strings(a.tags),
    )


def _terminate(action: microsoft_pb2.OrchestratorAction) -> Action:
    a = action.terminate
    return Terminate(
        action.id,
        a.instance_id,
        reason=a.reason.value if a.HasField("reason") else None,
        recurse=a.recurse,
    )


def _entity(action: microsoft_pb2.OrchestratorAction) -> Action:
    name = action.send_entity_message.WhichOneof("message")
    return Unsupported(action.id, _ENTITY.get(name or "", "a message to an entity"))


def _rewind(action: microsoft_pb2.OrchestratorAction) -> Action:
    history = _events(action.rewind.new_history)
    if isinstance(history, str):
        return Unsupported(action.id, f"rewinding to a history with {history}")
    return Rewind(action.id, history)


def _events(sent: Iterable[microsoft_pb2.HistoryEvent]) -> tuple[Event, ...] | str:
    """The events, or what the first is for which there is no record."""
    events: list[Event] = []
    for message in sent:
        event = decode(message, MICROSOFT)
        if isinstance(event, str):
            return event
        events.append(event)
    return tuple(events)


_DECODERS: dict[str, Callable[[microsoft_pb2.OrchestratorAction], Action]] = {
    "schedule_task": _schedule,
    "create_child": _child,
    "create_timer": _timer,
    "send_event": _send,
    "complete": _complete,
    "terminate": _terminate,
    "send_entity_message": _entity,
    "rewind": _rewind,
}


def microsoft_action(action: microsoft_pb2.OrchestratorAction) -> Action:
    """The action; ``Unsupported`` when it is one that this flavour does not have."""
    name = action.WhichOneof("action")
    if name is None:
        return Unsupported(action.id, "an action of a type that is not in the protocol")
    return _DECODERS[name](action)
