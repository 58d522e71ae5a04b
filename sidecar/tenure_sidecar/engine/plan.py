"""What to do next with an instance and its inbox: nothing, a turn without app code, or a turn with.

Read top to bottom, ``plan`` is the order of precedence:

1. a terminal instance drops everything (a FAILED one may be rewound);
2. terminate beats whatever else is in the inbox;
3. suspend and resume take effect in the order they came in, before any event;
4. while suspended, everything else keeps its place;
5. before the start nothing else is given to the code, and a delayed start waits for its time;
6. otherwise the events go to the worker, in order, without those that can never match.

Nothing is decided twice: what a batch or turn does not consume stays in the inbox as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.engine import control, revive, seeding
from tenure_sidecar.engine.draft import Draft, start_due
from tenure_sidecar.engine.events import (
    ChildCompleted,
    ChildFailed,
    Event,
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    TaskCompleted,
    TaskFailed,
    TimerFired,
    WorkflowStarted,
)
from tenure_sidecar.engine.turn import InboxItem, Turn

if TYPE_CHECKING:
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.limits import Limits
    from tenure_sidecar.engine.state import State


class Idle(msgspec.Struct, frozen=True):
    """Nothing to do, before ``until`` (nanoseconds; None: before something new comes in)."""

    until: int | None = None


class Batch(msgspec.Struct, frozen=True):
    """A turn for a worker.

    ``events`` is what the worker gets as new events, beginning with ``started``; ``keys`` are the
    inbox keys of the events after that, in order; ``consumed`` are those plus the keys of the items
    that are dropped on the way.  ``base`` is the commit that the batch was planned on.
    """

    started: WorkflowStarted
    events: tuple[Event, ...]
    consumed: tuple[str, ...]
    keys: tuple[str, ...] = ()
    base: str = ""


_SUSPENSION = frozenset({ExecutionSuspended, ExecutionResumed})


def plan(  # noqa: PLR0911 - one return for each rule of the module docstring
    state: State, inbox: Sequence[InboxItem], *, now: int, ids: Ids, limits: Limits
) -> Idle | Turn | Batch:
    """The next step of an instance.

    Args:
        state: the instance; not changed.
        inbox: its inbox, in order, carried-over items first.
        now: wall clock, nanoseconds since the epoch.
        ids: for the turns that are computed here.
        limits: ``max_batch_events`` bounds a batch.
    """
    if not inbox:
        return Idle()
    if state.head.status.terminal:
        return revive.terminal(state, inbox, now=now, ids=ids)
    kinds = {type(item.event) for item in inbox}
    if ExecutionTerminated in kinds:
        return control.terminate(state, inbox, now=now, ids=ids)
    if not kinds.isdisjoint(_SUSPENSION):
        return control.suspend_resume(state, inbox, now=now, ids=ids)
    if state.head.suspended:
        return Idle()
    if state.started is None:
        return _begin(state, inbox, now=now, ids=ids, limits=limits)
    return _go_on(state, inbox, first=None, now=now, ids=ids, limits=limits)


def _begin(
    state: State, inbox: Sequence[InboxItem], *, now: int, ids: Ids, limits: Limits
) -> Idle | Turn | Batch:
    """The first turn of a generation: the start comes first, whatever arrived before it."""
    first = next((item for item in inbox if type(item.event) is ExecutionStarted), None)
    if first is None:
        return Idle()
    due = start_due(state.head)
    if due is not None and due > now:
        return Idle(until=due)
    if first.seed:
        return seeding.seed(state, first, now=now, ids=ids)
    return _go_on(state, inbox, first=first, now=now, ids=ids, limits=limits)


def _go_on(  # noqa: PLR0913 - the arguments of plan
    state: State,
    inbox: Sequence[InboxItem],
    *,
    first: InboxItem | None,
    now: int,
    ids: Ids,
    limits: Limits,
) -> Idle | Turn | Batch:
    """What the code gets next: ``first``, then every item that matches, in order."""
    taken: list[InboxItem] = [] if first is None else [first]
    dropped: list[str] = []
    nudged = False
    seen: set[int] = set()
    for item in inbox:
        if item is first:
            continue
        if type(item.event) is WorkflowStarted:
            nudged = True
            dropped.append(item.key)
            continue
        verdict = _judge(state, item, seen)
        if verdict is False:
            dropped.append(item.key)
        elif verdict:
            if len(taken) >= limits.max_batch_events:
                break
            taken.append(item)
    if taken or nudged:
        return _batch(state, taken, tuple(dropped), now=now)
    if dropped:
        return Draft(state, now=now, ids=ids).turn(consumed=tuple(dropped), quiet=True)
    return Idle()


def _batch(
    state: State, taken: Sequence[InboxItem], dropped: tuple[str, ...], *, now: int
) -> Batch:
    at = max(now, state.head.clock)
    for item in taken:
        # The clock may have gone back since a timer fired; the code must not see it fire early.
        if isinstance(item.event, TimerFired):
            at = max(at, item.event.fire_at.nanoseconds)
    started = WorkflowStarted(at)
    replace = msgspec.structs.replace
    keys = tuple(item.key for item in taken)
    return Batch(
        started=started,
        events=(started, *[replace(item.event, at=at) for item in taken]),
        consumed=keys + dropped,
        keys=keys,
        base=state.head.commit_id,
    )


def _judge(state: State, item: InboxItem, seen: set[int]) -> bool | None:
    """Whether the code gets the item's event.

    True: yes.  False: it matches nothing and never will, drop it.  None: its task is not scheduled
    yet, keep it.  ``seen`` are the task ids that the batch resolves already.
    """
    if item.execution_id and item.execution_id != state.head.execution_id:
        return False
    event = item.event
    waiting: Collection[int]
    kind = type(event)
    if isinstance(event, EventRaised):
        return event.key not in state.raised
    if isinstance(event, TimerFired):
        task_id, waiting = event.timer_id, state.timers
    elif isinstance(event, TaskCompleted | TaskFailed):
        task_id, waiting = event.task_id, state.tasks
    elif isinstance(event, ChildCompleted | ChildFailed):
        task_id, waiting = event.task_id, state.children
    else:
        return False  # a second start, a rewind of something that has not failed
    if task_id in waiting and task_id not in seen:
        seen.add(task_id)
        return True
    if task_id in state.known or kind is TimerFired:
        return False
    return None
