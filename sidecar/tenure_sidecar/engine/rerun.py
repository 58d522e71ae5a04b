"""Rerun from event: a new instance takes a finished one's history over, up to an event, and runs on
from there.

The event must be one that an action created and something resolves: an activity, a timer, a child.
What came before it is copied; the event itself, and whatever before it had no result yet, is run
anew and says so (``rerun_parent``).  The copy keeps its times, so the code replays to the same
point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tenure_common.errors import BadRerunError, NoSuchEventError
from tenure_sidecar.engine import birth
from tenure_sidecar.engine.events import (
    ChildCreated,
    DetachedCreated,
    Event,
    ExecutionStarted,
    TaskScheduled,
    TimerCreated,
)
from tenure_sidecar.engine.kinds.child import default_id
from tenure_sidecar.engine.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.turn import Creation

Rerunnable = TaskScheduled | TimerCreated | ChildCreated


def rerun_from_event(  # noqa: PLR0913 - what the request has
    head: Head,
    history: Sequence[Event],
    *,
    event_id: int,
    instance_id: str = "",
    overwrite_input: bool = False,
    input: str | None = None,  # noqa: A002 - the protocol's word
    child_id: str = "",
    now: int,
    ids: Ids,
) -> Creation:
    """The creation of the new instance; its history is the creation's ``seed``.

    Args:
        head, history: the source.
        event_id: task id of the event to run from.
        instance_id: of the new instance; empty = the engine's choice.
        overwrite_input: give the event ``input`` (which may be None) instead of what it had.
        child_id: instance id of the new child, when the event is a child's.

    Raises: BadRerunError, NoSuchEventError.
    """
    source = head.instance_id
    if head.parent is not None:
        message = f"'{source}': cannot rerun from child-workflows; rerun its parent"
        raise BadRerunError(message)
    if not head.status.terminal:
        message = f"'{source}' is not in a terminal state"
        raise BadRerunError(message)
    instance_id = instance_id or ids.instance_id()
    if instance_id == source:
        message = f"'{source}': the new instance needs an id that differs from the source's"
        raise BadRerunError(message)
    position, event = _find(history, event_id, source=source)
    event = msgspec.structs.replace(event, at=max(now, event.at))
    if overwrite_input:
        if isinstance(event, TimerCreated):
            message = f"'{source}': event {event_id} is a timer; a timer has no input to overwrite"
            raise BadRerunError(message)
        event = msgspec.structs.replace(event, input=input)
    if child_id:
        if not isinstance(event, ChildCreated):
            message = f"'{source}': event {event_id} is not a child workflow; it takes no child id"
            raise BadRerunError(message)
        event = msgspec.structs.replace(event, instance_id=child_id)

    past = history[:position]
    started = next((e for e in past if isinstance(e, ExecutionStarted)), None)
    creation = birth.creation(
        head.name,
        instance_id=instance_id,
        input=started.input if started is not None else None,
        version=started.version if started is not None else head.version,
        tags=head.tags,
        rerun_of=source,
        now=now,
        ids=ids,
    )
    opened = State.fold(head, past)
    again = {id(e) for e in (*opened.tasks.values(), *opened.timers.values(), event)}
    again |= {id(e) for e in opened.children.values()}
    seed = [
        _taken_over(e, creation=creation, again=id(e) in again, source=source, child_id=child_id)
        for e in (*past, event)
    ]
    return msgspec.structs.replace(creation, seed=tuple(seed))


def _find(history: Sequence[Event], event_id: int, *, source: str) -> tuple[int, Rerunnable]:
    for position, event in enumerate(history):
        if event.event_id != event_id or event_id < 0:
            continue
        if isinstance(event, TaskScheduled | TimerCreated | ChildCreated):
            return position, event
        if isinstance(event, DetachedCreated):
            message = f"'{source}': event {event_id} is a detached workflow; rerun that instead"
            raise BadRerunError(message)
        message = (
            f"'{source}': event {event_id} is a {type(event).__name__}; only activities, timers "
            "and child workflows can be rerun from"
        )
        raise NoSuchEventError(message)
    message = f"'{source}' has no history event with ID '{event_id}'"
    raise NoSuchEventError(message)


def _taken_over(
    event: Event, *, creation: Creation, again: bool, source: str, child_id: str
) -> Event:
    """The event as the new instance's own."""
    start = creation.start
    if isinstance(event, ExecutionStarted):
        return msgspec.structs.replace(
            event,
            instance_id=start.instance_id,
            execution_id=start.execution_id,
            span_id=start.span_id,
            scheduled_start=None,
        )
    if again and isinstance(event, TaskScheduled | TimerCreated | ChildCreated):
        if isinstance(event, ChildCreated) and event.instance_id != child_id:
            # The old child's id is taken; a child may only be its own parent's.
            event = msgspec.structs.replace(
                event, instance_id=default_id(start.instance_id, event.task_id)
            )
        if isinstance(event, TaskScheduled):
            # A run of its own needs an idempotency key of its own: with the old one, an app that
            # remembers what it has done would do nothing.
            event = msgspec.structs.replace(
                event, task_execution_id=f"{start.execution_id}:{event.task_id}"
            )
        return msgspec.structs.replace(event, rerun_parent=source)
    return event
