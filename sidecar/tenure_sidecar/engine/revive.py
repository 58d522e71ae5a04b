"""A terminal instance and its inbox: everything is dropped, except that a FAILED instance may be
rewound.

Rewind puts the instance back before its failures: failed activities leave the history together with
their schedule, so the code schedules them again; failures of children leave it and the children are
rewound in turn; results that are there stay.  The engine does this itself, in one turn and without
a worker, by the rules that the Microsoft SDKs' workers have for it; unlike those it keeps the
attempts before the last, so that calls under a retry policy can be rewound too.

The execution keeps its id (so children still under way stay its own), the generation counts on (so
reminders and messages of before are not mistaken for those of after).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.engine.draft import Draft
from tenure_sidecar.engine.events import (
    ChildCreated,
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
    """The history without its last failures, and without its end.

    Of each call that failed for good, the last attempt leaves: an activity's schedule with its
    failure, a child's failure alone.  Attempts that a retry policy followed up stay, with the
    retry's timer, so that the code comes to the last attempt again the way it came to it before.
    Attempts of one call have the task execution id (or the first child's instance id) in common.
    """
    calls: dict[int, tuple[int, str]] = {}  # open task id -> position of its creation, call
    failures: dict[str, tuple[int, ...]] = {}  # call -> positions of its last attempt, if failed
    for position, event in enumerate(history):
        if isinstance(event, TaskScheduled | ChildCreated):
            call = _call(event)
            calls[event.task_id] = (position, call)
            failures.pop(call, None)
        elif isinstance(event, TaskFailed):
            created, call = calls[event.task_id]
            failures[call] = (created, position)
        elif isinstance(event, ChildFailed):
            failures[calls[event.task_id][1]] = (position,)
    gone = {position for positions in failures.values() for position in positions}
    return [
        event
        for position, event in enumerate(history)
        if position not in gone and not isinstance(event, ExecutionCompleted)
    ]


def _call(event: TaskScheduled | ChildCreated) -> str:
    """What the attempts of one call have in common."""
    if isinstance(event, TaskScheduled):
        return f"task {event.task_execution_id}"
    return f"child {event.retry_parent or event.instance_id}"
