"""What the actors need from above (dispatch) and beside them (the clock), as protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tenure_sidecar.actors.instance import Instance
    from tenure_sidecar.engine.events import TaskScheduled


# An activity of an execution of an instance: their ids.
ActivityKey = tuple[str, str, int]

LEFT = ""  # execution id of activities whose results nobody waits for


class Work(Protocol):
    """The way to the workers.  Plain calls on the event loop; none blocks or raises."""

    def offer_turn(self, instance: Instance) -> None:
        """The instance has a turn for a worker: call its ``take_batch`` when one has room."""
        ...

    def offer_tasks(
        self, instance: Instance, tasks: Sequence[TaskScheduled], *, execution_id: str
    ) -> None:
        """Run these activities of an execution of the instance (``LEFT``: of one that has ended)."""
        ...

    def withdraw_turn(self, instance: Instance) -> None:
        """Forget the turn that is queued or under way; a late answer is acknowledged, ignored."""
        ...

    def withdraw(self, instance: Instance) -> None:
        """Forget everything of the instance."""
        ...

    def unqueue(self, instance: Instance) -> None:
        """Forget what waits for a worker; what is at one stays there."""
        ...

    def turn_out(self, instance: Instance) -> bool:
        """Whether a turn of the instance is at a worker."""
        ...

    def leave(self, instance: Instance, ended: Callable[[ActivityKey], None]) -> list[ActivityKey]:
        """Another process will own the instance: its activities that are at workers, and stay there.
        ``ended`` is called with each once its result is stored, or when it is not there any more."""
        ...

    def flavours(self) -> set[str]:
        """Protocol flavours of the connected workers."""
        ...


class Clock(Protocol):
    """Wall clock, nanoseconds since the Unix epoch."""

    def __call__(self) -> int:
        """Now."""
        ...
