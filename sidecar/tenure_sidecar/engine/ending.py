"""The end of an instance: the last event, no reminders left, and the parent told.

A child that completed gives its parent ``ChildCompleted``; one that failed or was terminated gives
``ChildFailed``, because code that waits for a child must not mistake an early end for a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure_sidecar.engine.events import (
    ChildCompleted,
    ChildFailed,
    ExecutionCompleted,
    Failure,
    Status,
)
from tenure_sidecar.engine.turn import InboxItem, Message

if TYPE_CHECKING:
    from tenure_sidecar.engine.draft import Draft

TERMINATED = "Terminated"  # error type that a parent sees


def end(
    draft: Draft,
    status: Status,
    *,
    task_id: int = -1,
    result: str | None = None,
    failure: Failure | None = None,
) -> dict[str, Any]:
    """End the instance in ``draft`` with a terminal ``status``; returns the head's new fields."""
    draft.events.append(
        ExecutionCompleted(draft.at, task_id=task_id, status=status, result=result, failure=failure)
    )
    draft.clear_all_timers()
    _tell_parent(draft, status, result=result, failure=failure)
    return {
        "status": status,
        "output": result,
        "failure": failure,
        "completed_at": draft.at,
        "pending": 0,
        "stall": None,
        "suspended": False,
    }


def _tell_parent(
    draft: Draft, status: Status, *, result: str | None, failure: Failure | None
) -> None:
    head = draft.head
    parent = head.parent
    if parent is None:
        return
    event: ChildCompleted | ChildFailed
    if status is Status.COMPLETED:
        event = ChildCompleted(draft.at, task_id=parent.task_id, result=result)
    else:
        if failure is None:
            failure = Failure(TERMINATED, f"child workflow '{head.instance_id}' was terminated")
        event = ChildFailed(draft.at, task_id=parent.task_id, failure=failure)
    key = f"child-{parent.task_id}-{head.execution_id}-{head.generation}"
    draft.messages.append(
        Message(parent.instance_id, InboxItem(key, event, execution_id=parent.execution_id))
    )
