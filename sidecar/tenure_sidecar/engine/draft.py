"""A turn in the making: what the action kinds add to, and ``turn`` seals.

The state is not changed while a draft is under way; the draft knows what it adds on top of it.
Everything in one turn happens at one time, ``at``: the wall clock, but never before the newest
event of the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tenure_common.errors import BadTurnError, StaleTurnError
from tenure_sidecar.engine import codec, transitions
from tenure_sidecar.engine.events import (
    ChildCompleted,
    ChildFailed,
    EventRaised,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TraceContext,
)
from tenure_sidecar.engine.state import wait_key
from tenure_sidecar.engine.turn import START, TIMER, Creation, InboxItem, Message, Timer, Turn

if TYPE_CHECKING:
    from tenure_sidecar.engine.events import Event
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.state import State

NEVER = 2**63 - 1  # ns; instants beyond it (the SDKs' 9999-12-31 means "never") are not armed

_TRACEPARENT_PARTS = 4  # version-traceid-spanid-flags


def start_due(head: Head) -> int | None:
    """When a delayed start is due, ns; None when it was never delayed or has happened."""
    if head.scheduled_start is None or head.started_at:
        return None
    return head.scheduled_start.nanoseconds


def reminder(timer: TimerCreated, *, instance_id: str, generation: int) -> Timer | None:
    """The reminder that fires ``timer``; None when it never fires."""
    due = timer.fire_at.nanoseconds
    if due > NEVER:
        return None
    return Timer(
        due=max(due, 0),
        instance_id=instance_id,
        timer_id=timer.task_id,
        kind=TIMER,
        generation=generation,
    )


class Draft:
    """See the module docstring.  Add to the lists, then call ``turn`` once."""

    __slots__ = (
        "activities",
        "app_id",
        "at",
        "carryover",
        "cleared",
        "closed",
        "creations",
        "events",
        "head",
        "ids",
        "messages",
        "resolved",
        "state",
        "timers_cleared",
        "timers_set",
        "used",
    )

    def __init__(self, state: State, *, now: int, ids: Ids, app_id: str | None = None) -> None:
        self.state = state
        self.head = state.head
        self.at = max(now, state.head.clock)
        self.ids = ids
        self.app_id = app_id
        self.events: list[Event] = []
        self.activities: list[TaskScheduled] = []
        self.timers_set: list[Timer] = []
        self.timers_cleared: list[Timer] = []
        self.messages: list[Message] = []
        self.creations: list[Creation] = []
        self.carryover: list[InboxItem] = []
        self.used: set[int] = set()  # task ids of this turn's actions
        self.cleared: set[int] = set()  # timer ids of ``timers_cleared``
        self.closed: set[int] = set()  # ids of what this turn's events resolve
        self.resolved = 0  # of those, activities

    # --- ids and traces -----------------------------------------------------------------------

    def claim(self, task_id: int) -> None:
        """Take an id for a created event.

        An id whose task is resolved may be taken again: the Python SDK of Durable Task gives every
        attempt of a retried activity or child the id of the first.

        Raises: StaleTurnError when the history has it open (the answer belongs to an older state),
            BadTurnError when this answer used it already.
        """
        state = self.state
        opened = task_id in state.tasks or task_id in state.timers or task_id in state.children
        if (opened and task_id not in self.closed) or task_id in state.sent:
            message = (
                f"'{self.head.instance_id}': action {task_id} is in the history already; the "
                "answer belongs to an earlier turn and was not applied"
            )
            raise StaleTurnError(message)
        if task_id in self.used:
            message = (
                f"'{self.head.instance_id}': two actions of one answer have the id {task_id}; "
                "the worker's SDK must number them"
            )
            raise BadTurnError(message)
        self.used.add(task_id)

    def trace(self) -> TraceContext | None:
        """The context for what this workflow causes: its own span in the trace it runs in."""
        head = self.head
        if head.trace is None or not head.span_id:
            return None
        parts = head.trace.traceparent.split("-")
        if len(parts) != _TRACEPARENT_PARTS:
            return None  # whatever the client sent, it is not a context that one can go on from
        version, trace_id, _, flags = parts
        return TraceContext(
            traceparent=f"{version}-{trace_id}-{head.span_id}-{flags}",
            span_id=head.span_id,
            tracestate=head.trace.tracestate,
        )

    # --- timers -------------------------------------------------------------------------------

    def clear_timer(self, timer: TimerCreated) -> None:
        """Take a timer's reminder back; more than once is once."""
        if timer.task_id in self.cleared:
            return
        self.cleared.add(timer.task_id)
        armed = reminder(timer, instance_id=self.head.instance_id, generation=self.head.generation)
        if armed is not None:
            self.timers_cleared.append(armed)

    def clear_all_timers(self) -> None:
        """The generation ends: no reminder of it is left, not even of this turn."""
        self.timers_set.clear()
        for timer in self.state.timers.values():
            self.clear_timer(timer)

    def clear_start(self) -> None:
        """The first turn takes the reminder of a delayed start back."""
        due = start_due(self.head)
        if due is not None:
            self.timers_cleared.append(
                Timer(
                    due=due,
                    instance_id=self.head.instance_id,
                    timer_id=0,
                    kind=START,
                    generation=self.head.generation,
                )
            )

    # --- received events ------------------------------------------------------------------------

    def receive(self, events: Sequence[Event]) -> None:
        """The events that the code got in this turn: they enter the history, and the reminders that
        they end are taken back."""
        self.events.extend(events)
        timers = self.state.timers
        waits = self.state.waits
        for event in events:
            if isinstance(event, TaskCompleted | TaskFailed):
                self.resolved += 1
                self.closed.add(event.task_id)
            elif isinstance(event, ChildCompleted | ChildFailed):
                self.closed.add(event.task_id)
            elif isinstance(event, TimerFired):
                self.closed.add(event.timer_id)
                timer = timers.get(event.timer_id)
                if timer is not None:
                    self.clear_timer(timer)
            elif waits and isinstance(event, EventRaised):
                for timer_id in waits.get(wait_key(event.name), ()):
                    if timer_id not in self.cleared:
                        self.clear_timer(timers[timer_id])
                        break

    # --- sealing ------------------------------------------------------------------------------

    def turn(
        self,
        *,
        consumed: tuple[str, ...] = (),
        restart: bool = False,
        input: str | None = None,  # noqa: A002 - the protocol's word
        quiet: bool = False,
        **head: Any,  # noqa: ANN401 - fields of Head
    ) -> Turn:
        """Seal the draft.

        Args:
            consumed: inbox keys that are done with.
            restart: the history is replaced by this turn's events; ``input`` is the new input.
            quiet: nothing that a client can see has changed (only messages were dropped).
            head: fields of the new head that differ from the old one.

        Raises: IllegalTransitionError.
        """
        old = self.head
        if not quiet:
            head["updated_at"] = self.at
            head["clock"] = self.at
        if self.events or restart:
            appended = codec.size(self.events)
            length = len(self.events)
            if not restart:
                length += old.history_length
                appended += old.history_bytes
            head["history_length"] = length
            head["history_bytes"] = appended
        head["commit_id"] = self.ids.commit_id()
        new = msgspec.structs.replace(old, **head)
        transitions.check(old.status, new.status, instance_id=old.instance_id)
        return Turn(
            head=new,
            append=tuple(self.events),
            restart=restart,
            input=input,
            consumed=consumed,
            carryover=tuple(self.carryover),
            timers_set=tuple(self.timers_set),
            timers_cleared=tuple(self.timers_cleared),
            messages=tuple(self.messages),
            creations=tuple(self.creations),
            activities=tuple(self.activities),
        )
