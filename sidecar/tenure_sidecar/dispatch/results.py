"""What becomes of an activity's result: it is kept until it is durable, or nobody wants it.

It reaches the copy of the instance that waits for it: that which scheduled the activity, or the one
that took its place here, or, through the store, whichever other process has the instance by now.

A write may fail, be refused because the instance moved, or have an unknown outcome.  The work is done
all the same, so the result is sent again, to whoever waits for it by then, with growing pauses while
the store is away; and as soon as a new copy of the instance would run the activity once more.  Its
inbox key names the execution and the task, so to write it again is harmless.  Results that wait for
their next try are bounded (``KEPT_MAX``, ``KEPT_BYTES``): beyond that the activity runs again.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import (
    NotOwnerError,
    OutcomeUnknownError,
    StoreFullError,
    StoreUnavailableError,
)
from tenure_sidecar.engine.events import TaskCompleted, TaskFailed
from tenure_sidecar.engine.turn import InboxItem

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure_sidecar.actors.instance import Ack, Instance
    from tenure_sidecar.actors.port import ActivityKey, Clock
    from tenure_sidecar.dispatch.items import Task
    from tenure_sidecar.engine.events import TaskScheduled
    from tenure_sidecar.store.port import Delivery
    from tenure_sidecar.wire.codec import ActivityResult

KEPT_MAX = 1_000
KEPT_BYTES = 16 << 20
_PAUSE_MIN, _PAUSE_MAX = 0.05, 2.0  # seconds between tries
# After these the result may not be in the store, and it can be written again.
_PASSES = (NotOwnerError, OutcomeUnknownError, StoreFullError, StoreUnavailableError)

_log = structlog.get_logger(__name__)


class Result:
    """One result on its way."""

    __slots__ = ("ack", "item", "size", "task", "tries", "waiting")

    def __init__(self, task: Task, item: InboxItem, ack: Ack, size: int) -> None:
        self.task = task
        self.item = item
        self.ack = ack
        self.size = size  # bytes
        self.tries = 0  # that failed
        self.waiting: asyncio.TimerHandle | None = None  # for the next one


class Results:
    """See the module docstring.

    Args:
        clock: wall clock, nanoseconds since the Unix epoch.
        offer: as ``Work.offer_tasks``; gets an activity back whose result could not be kept.
    """

    def __init__(self, *, clock: Clock, offer: Callable[..., None]) -> None:
        self._clock = clock
        self._offer = offer
        self._loop = asyncio.get_running_loop()
        self._open: dict[ActivityKey, Result] = {}
        self._bytes = 0  # of those that wait
        self.waiting = 0  # for another try

    def settle(self, task: Task, answer: ActivityResult, ack: Ack) -> None:
        """Give the result to whoever waits for it; ``ack`` is told when it is durable or not wanted,
        or with an error when it was not kept."""
        item = _outcome(task, answer, self._clock())
        result = Result(task, item, ack, len(answer.result or ""))
        self._open.setdefault(task.key, result)  # of two the first is kept, and either will do
        self._send(result)

    def holds(self, instance: Instance, scheduled: TaskScheduled, execution_id: str) -> bool:
        """Whether the activity need not run again: its result is on its way to ``instance``."""
        result = self._open.get((instance.id, execution_id, scheduled.task_id))
        if result is None or result.task.scheduled != scheduled:
            return False
        if result.waiting is not None:  # the store answers again, or there would be no new copy
            result.waiting.cancel()
            result.waiting = self._loop.call_later(0, self._retry, result)
        return True

    def leave(
        self, instance: Instance, task_id: int, ended: Callable[[ActivityKey], None]
    ) -> ActivityKey | None:
        """The instance goes to another process: which of its activities that is whose result is on
        its way, if it is.  ``ended`` is called when it is stored."""
        key = (instance.id, instance.state.head.execution_id, task_id)
        result = self._open.get(key)
        if result is None:
            return None
        result.task.ended = ended
        return key

    # --- sending ------------------------------------------------------------------------------

    def _send(self, result: Result) -> None:
        task, told = result.task, partial(self._told, result)
        if task.instance.closed:
            _find_copy(task, result.item, told)
        elif task.wanted:
            task.instance.receive(result.item, ack=told)
        else:
            told(None)

    def _retry(self, result: Result) -> None:
        result.waiting = None
        self.waiting -= 1
        self._bytes -= result.size
        self._send(result)

    def _told(self, result: Result, error: BaseException | None) -> None:
        first = self._open.get(result.task.key) is result
        if isinstance(error, _PASSES) and first and self._room(result):
            if not result.tries:
                _log.warning(
                    "the result of an activity could not be stored yet, keeping it",
                    instance=result.task.instance.id,
                    task=result.task.scheduled.name,
                    error=str(error),
                )
            pause = min(_PAUSE_MIN * 2.0 ** min(result.tries, 10), _PAUSE_MAX)
            result.tries += 1
            self.waiting += 1
            self._bytes += result.size
            result.waiting = self._loop.call_later(pause, self._retry, result)
            return
        if first:
            del self._open[result.task.key]
        result.ack(error)
        result.task.tell_ended()
        if error is not None and first and not result.task.instance.host.stopping:
            self._run_again(result.task)

    def _run_again(self, task: Task) -> None:
        """The result was lost here, and a copy of the instance may wait for it."""
        former, scheduled = task.instance, task.scheduled
        copy = former.host.resident(former.id)
        if copy is not None and copy.task_pending(scheduled.task_id, task.execution_id) is not None:
            self._offer(copy, (scheduled,), execution_id=task.execution_id)

    def _room(self, result: Result) -> bool:
        if result.task.instance.host.stopping:
            return False
        return self.waiting < KEPT_MAX and self._bytes + result.size <= KEPT_BYTES


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
