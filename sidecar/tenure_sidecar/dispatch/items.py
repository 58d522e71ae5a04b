"""Work items: a turn or an activity, queued or at a worker, and the token that answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.actors.port import LEFT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure_sidecar.actors.instance import Instance
    from tenure_sidecar.actors.port import ActivityKey
    from tenure_sidecar.dispatch.stream import WorkerStream
    from tenure_sidecar.engine.actions import Action
    from tenure_sidecar.engine.events import TaskScheduled


_REFUSAL_PAUSE = 0.02  # seconds, doubled with each further one
_REFUSAL_PAUSE_MAX = 2.0


def refusal_pause(refusals: int) -> float:
    """Seconds until an activity that another member had no slot for is offered again.

    What that member says it has room for is a guess about this activity, as its workers may take
    some only; so it must not come back as fast as it was refused.
    """
    return min(_REFUSAL_PAUSE * 2.0 ** (refusals - 1), _REFUSAL_PAUSE_MAX)


class Task:
    """An activity of one execution of an instance, wherever it is on its way."""

    __slots__ = (
        "ended",
        "execution_id",
        "failures",
        "instance",
        "least",
        "refusals",
        "scheduled",
    )

    def __init__(self, instance: Instance, scheduled: TaskScheduled, execution_id: str) -> None:
        self.instance = instance
        self.scheduled = scheduled
        self.execution_id = execution_id
        self.failures = 0  # how often it was lost at a worker
        self.refusals = 0  # how often another member gave it back that had no slot for it
        self.least = 0  # bytes that its message is known to need, when some worker takes fewer
        # Told when it is not at a worker of ours any more, if its instance went elsewhere meanwhile.
        self.ended: Callable[[ActivityKey], None] | None = None

    @property
    def key(self) -> ActivityKey:
        """Which it is."""
        return self.instance.id, self.execution_id, self.scheduled.task_id

    def tell_ended(self) -> None:
        """It is not at a worker of ours any more."""
        ended, self.ended = self.ended, None
        if ended is not None:
            ended(self.key)

    @property
    def wanted(self) -> bool:
        """Whether its result is still waited for."""
        return self.instance.task_pending(self.scheduled.task_id, self.execution_id) is not None

    @property
    def runs(self) -> bool:
        """Whether it is to be run: its result is waited for, or a generation left it behind."""
        return self.execution_id == LEFT or self.wanted


class Sent:
    """An item at a worker.  ``task`` is None for a turn.

    A turn that was withdrawn keeps its slot until it is answered: the worker is still busy with it.
    """

    __slots__ = (
        "chunks",
        "deadline",
        "instance",
        "stream",
        "task",
        "token",
        "whole",
        "withdrawn",
    )

    def __init__(  # noqa: PLR0913 - one call site for a turn, one for an activity
        self,
        token: str,
        *,
        stream: WorkerStream,
        instance: Instance,
        task: Task | None,
        deadline: float,
        whole: bool = True,
    ) -> None:
        self.token = token
        self.stream = stream
        self.instance = instance
        self.task = task
        self.deadline = deadline  # loop time; infinite = no lease
        self.whole = whole  # the turn came with all of the history
        self.withdrawn = False  # nobody waits for the answer any more
        self.chunks: list[Action] | None = None  # actions of a chunked answer so far

    def runs_for(self, instance: Instance, scheduled: TaskScheduled, execution_id: str) -> bool:
        """Whether this is that activity of that execution; its result is then for ``instance``."""
        task = self.task
        if task is None or task.execution_id != execution_id or execution_id == LEFT:
            return False
        if task.scheduled != scheduled:
            return False
        task.instance = self.instance = instance
        return True

    def leave(self, ended: Callable[[ActivityKey], None]) -> ActivityKey | None:
        """Which activity it is, when its result is waited for; ``ended`` is told of its end."""
        if self.task is None or not self.task.wanted:
            return None
        self.task.ended = ended
        return self.task.key
