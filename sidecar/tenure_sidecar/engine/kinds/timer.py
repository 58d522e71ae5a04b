"""CreateTimer: a reminder, set in the turn's own transaction.

The instant is kept exactly as the SDK sent it (SDKs compare it on replay).  One that is due already
fires at once; one that 64-bit nanoseconds cannot hold means "never" and gets no reminder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.draft import reminder
from tenure_sidecar.engine.events import TimerCreated

if TYPE_CHECKING:
    from tenure_sidecar.engine.actions import CreateTimer
    from tenure_sidecar.engine.draft import Draft


def create(draft: Draft, action: CreateTimer) -> None:
    """Add ``TimerCreated`` to the history and its reminder to the turn."""
    draft.claim(action.task_id)
    event = TimerCreated(
        draft.at,
        action.task_id,
        fire_at=action.fire_at,
        name=action.name,
        origin=action.origin,
    )
    draft.events.append(event)
    armed = reminder(event, instance_id=draft.head.instance_id, generation=draft.head.generation)
    if armed is not None:
        draft.timers_set.append(armed)
