"""Loans: activities of other members that run at this process's workers.

Their owner stays responsible for them.  Here a loan is a slot that is taken until the worker answers,
and somebody to tell: no queue, no second try.  What cannot be sent at once is refused, so that nothing
waits here for a slot which another member may have free; what a worker lost, or has not answered within
the lease of activities, goes back.  When the lender is gone, its loans are nobody's: the workers are
still busy with them, and their answers are acknowledged and ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from tenure_sidecar.engine.events import Status, TaskScheduled
from tenure_sidecar.engine.head import Head
from tenure_sidecar.rpc.transport import Sent as Outcome

if TYPE_CHECKING:
    from tenure_sidecar.actors.instance import Ack
    from tenure_sidecar.dispatch.items import Sent
    from tenure_sidecar.dispatch.lanes import Lane, Lanes
    from tenure_sidecar.dispatch.stream import WorkerStream
    from tenure_sidecar.wire.codec import ActivityResult


_log = structlog.get_logger(__name__)


class Borrowed(msgspec.Struct, frozen=True, array_like=True):
    """An activity as its owner sends it; ``token`` is what the owner knows it by."""

    token: str
    instance_id: str
    execution_id: str
    task: TaskScheduled


class Lender(Protocol):
    """Whose activity it is.  Plain calls on the event loop; none raises."""

    def finished(self, token: str, result: ActivityResult, ack: Ack) -> None:
        """It was run; ``ack`` is to be told when the owner has made its result durable."""
        ...

    def refuse(self, token: str, *, size: int = 0) -> None:
        """It was not begun: there is no slot, or no worker takes its message of ``size`` bytes."""
        ...

    def lose(self, token: str) -> None:
        """It was begun, and its worker was lost or gave it up."""
        ...


class Loan:
    """One borrowed activity at a worker."""

    __slots__ = ("deadline", "key", "lender", "stream", "theirs", "token")

    def __init__(  # noqa: PLR0913 - one call site, by name
        self,
        token: str,
        *,
        theirs: str,
        key: tuple[str, int],
        stream: WorkerStream,
        lender: Lender,
        deadline: float,
    ) -> None:
        self.token = token  # between this process and its worker
        self.theirs = theirs  # the same between the owner and this process
        self.key = key  # instance id and task id
        self.stream = stream
        self.deadline = deadline  # loop time, seconds
        self.lender: Lender | None = lender  # None = it is gone


class Loans:
    """See the module docstring.

    Args:
        lanes: which of the workers takes what.
        own: the activities of this process's own at workers, by instance id and task id.
        token: a new completion token.
        lease: seconds that a loan may stay unanswered at a live worker; infinite = no limit.
        not_sent: told of a worker that could not be sent to.
        released: told the instance id and task id of a loan that its worker has done with.
    """

    def __init__(  # noqa: PLR0913 - one call site, by name
        self,
        lanes: Lanes,
        *,
        own: Mapping[tuple[str, int], Sent],
        token: Callable[[], str],
        lease: Callable[[], float],
        not_sent: Callable[[WorkerStream, Outcome], None],
        released: Callable[[tuple[str, int]], None],
    ) -> None:
        self._lanes = lanes
        self._own = own
        self._token = token
        self._lease = lease
        self._not_sent = not_sent
        self._released = released
        self._loans: dict[str, Loan] = {}
        self.keys: dict[tuple[str, int], Loan] = {}
        self.closed = False  # no more are taken
        self.taken = 0  # since start

    def __len__(self) -> int:
        return len(self._loans)

    # --- facts --------------------------------------------------------------------------------

    @property
    def workers(self) -> list[WorkerStream]:
        """Those whose slots are lent: this process's own."""
        return self._lanes.near

    def of(self, lender: Lender) -> int:
        """How many of the lender's are at workers."""
        return sum(loan.lender is lender for loan in self._loans.values())

    @property
    def owed(self) -> int:
        """Loans whose lenders wait for them."""
        return sum(loan.lender is not None for loan in self._loans.values())

    @property
    def free(self) -> int:
        """Slots for more: those that the app's own waiting activities leave."""
        if self.closed:
            return 0
        spare = sum(stream.spare for stream in self.workers)
        waiting = sum(
            len(lane.tasks) for lane in self._lanes.ring if any(not s.far for s in lane.streams)
        )
        return max(0, self._lanes.slots(spare) - waiting)

    def alike(self, key: tuple[str, int], stream: WorkerStream) -> bool:
        """Whether an activity, of this process's own or borrowed, that is sent to the worker could be
        taken for one that is out: an earlier generation's of that number, or another member's.

        One answer without a token is enough, whichever of the two workers it is that gives it.
        """
        there = (self._own.get(key), self.keys.get(key))
        return any(
            one is not None and not (stream.echoes_tokens and one.stream.echoes_tokens)
            for one in there
        )

    # --- coming and going ---------------------------------------------------------------------

    def take(self, lender: Lender, borrowed: Borrowed, *, now: float) -> None:
        """Send the activity to a worker, or refuse it."""
        theirs, task = borrowed.token, borrowed.task
        key = (borrowed.instance_id, task.task_id)
        stream = _roomiest(self._lanes.of_task(task)) if self._lanes.slots(1) else None
        if self.closed or stream is None or self.alike(key, stream):
            lender.refuse(theirs)
            return
        token = self._token()
        item = stream.codec.activity_item(_shown(borrowed), task, token=token)
        if len(item) > stream.caps.message_bytes:
            lender.refuse(theirs, size=len(item))
            return
        outcome = stream.send(item, now)
        if outcome is not Outcome.SENT:
            self._not_sent(stream, outcome)
            lender.refuse(theirs)
            return
        stream.activities += 1
        loan = Loan(
            token,
            theirs=theirs,
            key=key,
            stream=stream,
            lender=lender,
            deadline=now + self._lease(),
        )
        self._loans[token] = self.keys[key] = loan
        self.taken += 1

    def find(self, result: ActivityResult) -> Loan | None:
        """The loan that a worker answers; by its instance and number when it names no token."""
        if result.token:
            return self._loans.get(result.token)
        return self.keys.get((result.instance_id, result.task_id))

    def answer(self, loan: Loan, result: ActivityResult, ack: Ack) -> None:
        """The worker finished the activity."""
        if result.token:
            loan.stream.echoes_tokens = True
        loan.stream.answered()
        self._release(loan)
        if loan.lender is None:
            ack(None)
        else:
            loan.lender.finished(loan.theirs, result, ack)

    def abandon(self, token: str) -> bool:
        """The worker gives the activity back; False when it is no loan."""
        loan = self._loans.get(token)
        if loan is None:
            return False
        self._return(loan)
        return True

    def lose(self, stream: WorkerStream) -> None:
        """The worker is gone, and with it all that it had."""
        for loan in [loan for loan in self._loans.values() if loan.stream is stream]:
            self._return(loan)

    def expire(self, now: float) -> None:
        """Take back what was not answered in time: its worker hangs, and its stream lives."""
        for loan in [loan for loan in self._loans.values() if loan.deadline <= now]:
            _log.warning(
                "borrowed activity not answered in time, giving it back",
                instance=loan.key[0],
                worker=loan.stream.peer,
            )
            loan.stream.late = True
            self._return(loan)

    def orphan(self, lender: Lender) -> None:
        """The lender is gone: nobody waits for its activities."""
        for loan in self._loans.values():
            if loan.lender is lender:
                loan.lender = None

    def _return(self, loan: Loan) -> None:
        self._release(loan)
        if loan.lender is not None:
            loan.lender.lose(loan.theirs)

    def _release(self, loan: Loan) -> None:
        del self._loans[loan.token]
        loan.stream.activities -= 1
        if self.keys.get(loan.key) is loan:
            del self.keys[loan.key]
            self._released(loan.key)


def _roomiest(lane: Lane) -> WorkerStream | None:
    """The worker of this process's with most slots to lend; None when none has any."""
    best = max(lane.streams, key=lambda stream: stream.spare, default=None)
    return best if best is not None and best.spare > 0 else None


def _shown(borrowed: Borrowed) -> Head:
    """As much of an instance as an activity's message shows of it."""
    return Head(
        instance_id=borrowed.instance_id,
        name="",
        status=Status.RUNNING,
        execution_id=borrowed.execution_id,
        created_at=0,
        updated_at=0,
    )
