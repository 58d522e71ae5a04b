"""An instance in memory: its head, its history, and what follows from them.

``State`` is a fold over the history, and nothing in it is anything else: applying a turn gives the
same state as reading back what the turn stored (tests assert this after every step).  It is the
only mutable thing in the engine, changed by ``apply`` alone.

``tasks``, ``timers`` and ``children`` are what the execution waits for; ``known`` are all ids that
its actions have used, so that an id in ``known`` and in none of the three is resolved.  A resolved
id may be taken again: the Durable Task SDK for Python numbers every attempt of a retried activity or
child like the first.

``raised`` are the keys of the events that it got; a repeat of one is dropped.

``waits`` are the timers of timed waits for external events, by case-folded event name, oldest
first.  SDKs hand an event to the oldest waiter, so an event ends the oldest timer of its name; that
timer leaves ``timers`` without having fired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tenure_sidecar.engine.events import (
    ORIGIN_EXTERNAL_EVENT,
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    DetachedCreated,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)

if TYPE_CHECKING:
    from tenure_sidecar.engine.events import Event
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import Turn


class State:
    """See the module docstring.  Read the attributes, change them through ``apply`` only."""

    __slots__ = (
        "children",
        "head",
        "history",
        "known",
        "raised",
        "sent",
        "started",
        "tasks",
        "timers",
        "waits",
    )

    def __init__(self, head: Head) -> None:
        self.head = head
        self._reset()

    def _reset(self) -> None:
        self.history: list[Event] = []
        self.tasks: dict[int, TaskScheduled] = {}
        self.timers: dict[int, TimerCreated] = {}
        self.children: dict[int, ChildCreated] = {}
        self.waits: dict[str, list[int]] = {}
        self.raised: dict[str, None] = dict.fromkeys(self.head.raised)  # keys, oldest first
        self.known: set[int] = set()
        self.sent: set[int] = set()  # of ``known``, the external events sent
        self.started: ExecutionStarted | None = None  # None until this generation's first turn

    @classmethod
    def fold(cls, head: Head, history: Sequence[Event]) -> State:
        """The state that ``head`` and the whole ``history`` of its generation describe."""
        state = cls(head)
        state._extend(history)
        return state

    def apply(self, turn: Turn) -> None:
        """Make a turn true; costs O(turn)."""
        self.head = turn.head
        if turn.restart:
            self._reset()
        self._extend(turn.append)

    def _extend(self, events: Sequence[Event]) -> None:
        self.history.extend(events)
        effects = _EFFECTS
        for event in events:
            effect = effects.get(type(event))
            if effect is not None:
                effect(self, event)


def wait_key(name: str) -> str:
    """Event names are matched without regard to case (SDKs use casefold)."""
    return name.casefold()


def _start(state: State, event: ExecutionStarted) -> None:
    state.started = event


def _complete(state: State, _event: ExecutionCompleted) -> None:
    """Nothing is waited for any more; late results match nothing."""
    state.tasks.clear()
    state.timers.clear()
    state.children.clear()
    state.waits.clear()


def _schedule(state: State, event: TaskScheduled) -> None:
    state.tasks[event.task_id] = event
    state.known.add(event.task_id)


def _resolve_task(state: State, event: TaskCompleted | TaskFailed) -> None:
    state.tasks.pop(event.task_id, None)


def _create_timer(state: State, event: TimerCreated) -> None:
    state.timers[event.task_id] = event
    state.known.add(event.task_id)
    origin = event.origin
    if origin is not None and origin.kind == ORIGIN_EXTERNAL_EVENT:
        state.waits.setdefault(wait_key(origin.value), []).append(event.task_id)


def _fire(state: State, event: TimerFired) -> None:
    timer = state.timers.pop(event.timer_id, None)
    if timer is None or timer.origin is None or timer.origin.kind != ORIGIN_EXTERNAL_EVENT:
        return
    key = wait_key(timer.origin.value)
    waiting = state.waits[key]
    waiting.remove(event.timer_id)
    if not waiting:
        del state.waits[key]


def _raise(state: State, event: EventRaised) -> None:
    if event.key:
        state.raised[event.key] = None
    if not state.waits:
        return
    key = wait_key(event.name)
    waiting = state.waits.get(key)
    if waiting is None:
        return
    del state.timers[waiting.pop(0)]
    if not waiting:
        del state.waits[key]


def _create_child(state: State, event: ChildCreated) -> None:
    state.children[event.task_id] = event
    state.known.add(event.task_id)


def _resolve_child(state: State, event: ChildCompleted | ChildFailed) -> None:
    state.children.pop(event.task_id, None)


def _send(state: State, event: EventSent) -> None:
    state.sent.add(event.task_id)
    state.known.add(event.task_id)


def _detach(state: State, event: DetachedCreated) -> None:
    state.known.add(event.task_id)


_EFFECTS: dict[type, Callable[[State, Any], None]] = {
    ExecutionStarted: _start,
    ExecutionCompleted: _complete,
    TaskScheduled: _schedule,
    TaskCompleted: _resolve_task,
    TaskFailed: _resolve_task,
    TimerCreated: _create_timer,
    TimerFired: _fire,
    EventRaised: _raise,
    ChildCreated: _create_child,
    ChildCompleted: _resolve_child,
    ChildFailed: _resolve_child,
    EventSent: _send,
    DetachedCreated: _detach,
}
