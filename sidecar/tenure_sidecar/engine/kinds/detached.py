"""CreateDetached: another instance that nobody waits for.

It has no parent, so it survives this one, is not terminated or purged with it, and on a taken id
nothing happens (there is nobody to tell).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine import birth
from tenure_sidecar.engine.events import DetachedCreated
from tenure_sidecar.engine.kinds.child import default_id

if TYPE_CHECKING:
    from tenure_sidecar.engine.actions import CreateDetached
    from tenure_sidecar.engine.draft import Draft


def create(draft: Draft, action: CreateDetached) -> None:
    """Add ``DetachedCreated`` to the history and the creation to the turn."""
    draft.claim(action.task_id)
    instance_id = action.instance_id or default_id(draft.head.instance_id, action.task_id)
    draft.events.append(DetachedCreated(draft.at, action.task_id, instance_id=instance_id))
    if instance_id == draft.head.instance_id:
        return  # taken, by the creator itself
    draft.creations.append(
        birth.creation(
            action.name,
            instance_id=instance_id,
            input=action.input,
            version=action.version,
            scheduled_start=action.scheduled_start,
            tags=action.tags,
            trace=action.trace or draft.trace(),
            execution_id=action.execution_id,
            now=draft.at,
            ids=draft.ids,
        )
    )
