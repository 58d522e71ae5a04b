"""What becomes of an activity's result: it reaches the copy of the instance that waits for it.

That is the copy which scheduled the activity, or the one that took its place here, or, through the
store, whichever other process has the instance by now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_common.errors import NotOwnerError
from tenure_sidecar.engine.events import TaskCompleted, TaskFailed
from tenure_sidecar.engine.turn import InboxItem

if TYPE_CHECKING:
    from tenure_sidecar.actors.instance import Ack, Instance
    from tenure_sidecar.dispatch.items import Task
    from tenure_sidecar.store.port import Delivery
    from tenure_sidecar.wire.codec import ActivityResult


def settle(task: Task, result: ActivityResult, ack: Ack, *, at: int) -> None:
    """Give the result to whoever waits for it; ``ack`` is told when it is durable, or not wanted.

    Args:
        task: what was run.
        result: what its worker answered.
        ack: as ``Instance.receive`` has it.
        at: now, nanoseconds since the Unix epoch.
    """
    if task.instance.closed:
        _find_copy(task, _outcome(task, result, at), ack)
    elif task.wanted:
        task.instance.receive(_outcome(task, result, at), ack=ack)
    else:
        ack(None)


def _outcome(task: Task, result: ActivityResult, at: int) -> InboxItem:
    scheduled = task.scheduled
    event: TaskCompleted | TaskFailed
    if result.failure is None:
        event = TaskCompleted(
            at=at,
            task_id=scheduled.task_id,
            result=result.result,
            task_execution_id=scheduled.task_execution_id,
        )
    else:
        event = TaskFailed(
            at=at,
            task_id=scheduled.task_id,
            failure=result.failure,
            task_execution_id=scheduled.task_execution_id,
        )
    # Of each generation its own: a late result of an earlier one must not hide a newer one's.
    key = f"task-{task.execution_id}-{scheduled.task_id}"
    return InboxItem(key, event, task.execution_id)


def _find_copy(task: Task, item: InboxItem, ack: Ack) -> None:
    """The copy that scheduled the activity was dropped: the result is for the next one."""
    former = task.instance
    head = former.durable
    if head.status.terminal or head.execution_id != task.execution_id:
        ack(None)  # it ended, and not only in memory
        return

    def posted(result: Delivery | BaseException) -> None:
        ack(result if isinstance(result, BaseException) else None)

    def reached(instance: Instance | None, error: BaseException | None) -> None:
        if isinstance(error, NotOwnerError):  # it goes to whoever has the instance now
            former.host.writes.post(former.id, item, posted, hold=True)
        elif instance is None:
            ack(error)
        elif instance.task_pending(task.scheduled.task_id, task.execution_id) is None:
            ack(None)
        else:
            instance.receive(item, ack=ack)

    former.host.reach(former.id, reached)
