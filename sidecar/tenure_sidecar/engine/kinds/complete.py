"""Complete: the end of the workflow, as its code decided it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure_sidecar.engine import ending
from tenure_sidecar.engine.events import Failure, Status

if TYPE_CHECKING:
    from tenure_sidecar.engine.actions import Complete
    from tenure_sidecar.engine.draft import Draft


def complete(draft: Draft, action: Complete) -> dict[str, Any]:
    """End the instance with the action's status; returns the head's new fields.

    A failure always has details: code that asks for them (a parent, a client) must get some.
    """
    failure = action.failure
    if action.status is Status.FAILED:
        if failure is None:
            text = action.details or action.result or "the workflow failed and gave no reason"
            failure = Failure("WorkflowFailed", text)
    else:
        failure = None
    return ending.end(
        draft, action.status, task_id=action.task_id, result=action.result, failure=failure
    )
