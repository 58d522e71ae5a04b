"""The timers of one instance: which are set for a copy, and what one that fires puts in its inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.events import TimerFired
from tenure_sidecar.engine.turn import START, TIMER, InboxItem, Timer

if TYPE_CHECKING:
    from tenure_sidecar.engine.state import State


def armed(state: State) -> list[Timer]:
    """What a loaded copy waits for: its timers, and the time of its start."""
    head = state.head
    timers = [
        Timer(
            due=timer.fire_at.nanoseconds,
            instance_id=head.instance_id,
            timer_id=timer_id,
            kind=TIMER,
            generation=head.generation,
        )
        for timer_id, timer in state.timers.items()
    ]
    if head.scheduled_start is not None and head.started_at == 0:
        timers.append(
            Timer(
                due=head.scheduled_start.nanoseconds,
                instance_id=head.instance_id,
                timer_id=0,
                kind=START,
                generation=head.generation,
            )
        )
    return timers


def fired(state: State, timer: Timer, *, now: int) -> InboxItem | None:
    """The inbox item of a due timer; None when the instance does not wait for it any more.

    Args:
        now: wall clock, nanoseconds since the epoch.
    """
    created = state.timers.get(timer.timer_id)
    if created is None or state.head.generation != timer.generation:
        return None
    if timer.due < created.fire_at.nanoseconds:  # of an instance that had the id before
        return None
    event = TimerFired(at=now, timer_id=timer.timer_id, fire_at=created.fire_at)
    return InboxItem(f"timer-{timer.generation}-{timer.timer_id}", event)
