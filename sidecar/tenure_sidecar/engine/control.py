"""Suspend, resume and terminate: decided here, with no worker.

A suspend of a suspended instance and a resume of a running one are consumed without an event: SDKs
fail on an ``executionResumed`` that follows no suspension.  For the same reason an instance whose
code has not started yet keeps its suspension out of the history: the start must come first there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tenure_sidecar.engine import ending
from tenure_sidecar.engine.draft import Draft
from tenure_sidecar.engine.events import (
    Event,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    Status,
    WorkflowStarted,
)
from tenure_sidecar.engine.turn import InboxItem, Message, Turn

if TYPE_CHECKING:
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.state import State


def suspend_resume(state: State, inbox: Sequence[InboxItem], *, now: int, ids: Ids) -> Turn:
    """Carry out every suspend and resume in ``inbox``, in order."""
    draft = Draft(state, now=now, ids=ids)
    head = state.head
    suspended = head.suspended
    events: list[Event] = []
    consumed: list[str] = []
    changed = False
    for item in inbox:
        event = item.event
        if not isinstance(event, ExecutionSuspended | ExecutionResumed):
            continue
        consumed.append(item.key)
        wanted = isinstance(event, ExecutionSuspended)
        if wanted is not suspended:
            suspended = wanted
            changed = True
            events.append(msgspec.structs.replace(event, at=draft.at))
    if not changed:
        return draft.turn(consumed=tuple(consumed), quiet=True)
    if state.started is not None:
        draft.events += [WorkflowStarted(draft.at), *events]
    if suspended is head.suspended:  # there and back: the state is what it was, a stall included
        return draft.turn(consumed=tuple(consumed))
    resumed = Status.RUNNING if head.started_at else Status.PENDING
    status = Status.SUSPENDED if suspended else resumed
    return draft.turn(consumed=tuple(consumed), status=status, suspended=suspended, stall=None)


def terminate(state: State, inbox: Sequence[InboxItem], *, now: int, ids: Ids) -> Turn:
    """End the instance for the first terminate in ``inbox``; all of the inbox is done with.

    With ``recurse`` on any of the terminates, every child that still runs is told too, in the same
    transaction, so the cascade survives a crash at any point.
    """
    draft = Draft(state, now=now, ids=ids)
    requests = [item.event for item in inbox if isinstance(item.event, ExecutionTerminated)]
    output = requests[0].output
    recurse = any(request.recurse for request in requests)
    draft.clear_start()
    draft.events.append(WorkflowStarted(draft.at))
    if state.started is None:
        starts = [item.event for item in inbox if isinstance(item.event, ExecutionStarted)]
        draft.events += [msgspec.structs.replace(start, at=draft.at) for start in starts[:1]]
    draft.events.append(ExecutionTerminated(draft.at, output=output, recurse=recurse))
    if recurse:
        terminate_children(draft, output=output)
    fields: dict[str, Any] = ending.end(draft, Status.TERMINATED, result=output)
    if not state.head.started_at:
        fields["started_at"] = draft.at
    return draft.turn(consumed=tuple(item.key for item in inbox), **fields)


def terminate_children(draft: Draft, *, output: str | None) -> None:
    """Tell every unresolved child to terminate, and its children in turn."""
    head = draft.head
    for task_id, child in draft.state.children.items():
        event = ExecutionTerminated(draft.at, output=output, recurse=True)
        key = f"terminate-{head.execution_id}-{task_id}"
        draft.messages.append(Message(child.instance_id, InboxItem(key, event)))
