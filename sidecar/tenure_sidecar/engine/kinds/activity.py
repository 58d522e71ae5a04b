"""ScheduleTask: an activity to run once the turn is durable.

The task execution id is the activity's idempotency key.  SDKs that have the notion choose it (and
keep it over retries); for the others it is derived from the execution and the task, so that a
redelivery after any crash carries the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.events import TaskScheduled

if TYPE_CHECKING:
    from tenure_sidecar.engine.actions import ScheduleTask
    from tenure_sidecar.engine.draft import Draft


def schedule(draft: Draft, action: ScheduleTask) -> None:
    """Add ``TaskScheduled`` to the history and to the work to dispatch."""
    draft.claim(action.task_id)
    event = TaskScheduled(
        draft.at,
        action.task_id,
        name=action.name,
        version=action.version,
        input=action.input,
        task_execution_id=action.task_execution_id or f"{draft.head.execution_id}:{action.task_id}",
        trace=action.trace or draft.trace(),
        tags=action.tags,
        propagation=action.propagation,
    )
    draft.events.append(event)
    draft.activities.append(event)
