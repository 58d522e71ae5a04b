"""A terminal instance and its inbox: everything is dropped, except that a FAILED instance may be
rewound.

Rewind puts the instance back before its failures: failed activities leave the history together with
their schedule, so the code schedules them again; failures of children leave it and the children are
rewound in turn; results that are there stay.  The engine does this itself, in one turn and without
a worker, by the rules that the Microsoft SDKs' workers have for it.

The execution keeps its id (so children still under way stay its own), the generation counts on (so
reminders and messages of before are not mistaken for those of after).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.engine.draft import Draft
from tenure_sidecar.engine.events import (
    ChildFailed,
    Event,
    ExecutionCompleted,
    ExecutionRewound,
    ExecutionStarted,
    Status,
    TaskFailed,
    TaskScheduled,
    WorkflowStarted,
)
from tenure_sidecar.engine.relaunch import relaunch
from tenure_sidecar.engine.state import State
from tenure_sidecar.engine.turn import InboxItem, Turn

if TYPE_CHECKING:
    from tenure_sidecar.engine.ids import Ids


def terminal(state: State, inbox: Sequence[InboxItem], *, now: int, ids: Ids) -> Turn:
    """Drop all of ``inbox``, rewinding first if it asks for it and the instance has failed."""
    draft = Draft(state, now=now, ids=ids)
    consumed = tuple(item.key for item in inbox)
    if state.head.status is Status.FAILED:
        for item in inbox:
            if isinstance(item.event, ExecutionRewound):
                return _rewind(draft, item.event, consumed=consumed)
    return draft.turn(consumed=consumed, quiet=True)


def _rewind(draft: Draft, request: ExecutionRewound, *, consumed: tuple[str, ...]) -> Turn:
    state, head = draft.state, draft.head
    generation = head.generation + 1
    parent = head.parent
    if parent is not None and request.parent_execution_id:
        parent = msgspec.structs.replace(parent, execution_id=request.parent_execution_id)
    history = [
        msgspec.structs.replace(event, parent=parent)
        if isinstance(event, ExecutionStarted)
        else event
        for event in before_failures(state.history)
    ]
    history += [
        WorkflowStarted(draft.at),
        ExecutionRewound(draft.at, reason=request.reason),
    ]
    draft.events += history
    pending = relaunch(draft, State.fold(head, history), generation=generation, rewound=True)
    # The history has no new event for the code, but the code must run: it has work to schedule.
    draft.carryover.append(InboxItem(f"rewound-{generation}", WorkflowStarted(draft.at)))
    return draft.turn(
        consumed=consumed,
        restart=True,
        input=state.started.input if state.started is not None else None,
        status=Status.RUNNING,
        generation=generation,
        parent=parent,
        output=None,
        failure=None,
        completed_at=0,
        pending=pending,
    )


def before_failures(history: Sequence[Event]) -> list[Event]:
    """The history without what failed: failed activities and their schedules, failures of children
    (their creations stay), and the end."""
    failed = {event.task_id for event in history if isinstance(event, TaskFailed)}
    return [
        event
        for event in history
        if not (
            isinstance(event, TaskFailed | ChildFailed | ExecutionCompleted)
            or (isinstance(event, TaskScheduled) and event.task_id in failed)
        )
    ]
