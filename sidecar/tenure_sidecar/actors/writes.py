"""What is written for instances and clients, and what follows when it is durable.

Every write goes through the group writer and is told of by a callback on the loop.  What leaves an
instance (messages, children, timers) leaves here, after the commit and never before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tenure_common.errors import InstanceExistsError, NotOwnerError, OutcomeUnknownError
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.group import LINGER
from tenure_sidecar.store.port import (
    Committed,
    Conflict,
    Create,
    Created,
    Deliver,
    Delivery,
    Exists,
    same_origin,
)

if TYPE_CHECKING:
    from tenure_sidecar.actors.host import Host
    from tenure_sidecar.actors.instance import Ack, Entry, Instance
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import InboxItem, Turn
    from tenure_sidecar.store.group import Done, GroupWriter, Ticket
    from tenure_sidecar.store.port import Commit, Fence, Result

TURN_SOON = 0.005  # seconds that a result waits for the turn that will consume it at once


class Writes:
    """See the module docstring."""

    def __init__(self, host: Host, writer: GroupWriter) -> None:
        self._host = host
        self._writer = writer
        self.completed: dict[str, int] = {}  # finished instances by status name, since start

    def create(
        self, op: Create, done: Callable[[Created | None, BaseException | None], None]
    ) -> None:
        """Create an instance for a client; ``done`` is called when it is durable.

        The error is InstanceExistsError when the id is taken, or what the store raised.
        """
        instance_id = op.creation.head.instance_id

        def written(result: Result | BaseException) -> None:
            if isinstance(result, Created):
                done(result, None)
                self._host.adopt(result, op.creation, op.input)
            elif isinstance(result, Exists):
                # A repeated start sees to it that the first one is not forgotten.
                self._host.wake(instance_id)
                # The text is matched by SDKs.
                message = f"an active workflow with ID '{instance_id}' already exists"
                done(None, InstanceExistsError(message))
            elif isinstance(result, BaseException):
                if isinstance(result, OutcomeUnknownError):
                    self._host.inflow.refresh_soon(instance_id)
                done(None, result)

        self._writer.submit(op, written, instance_id=instance_id)

    def deliver(self, instance: Instance, entry: Entry, *, turn_soon: bool) -> Ticket:
        """Write an inbox row.

        When a turn follows at once (``turn_soon``), the row waits for it a little longer: it is
        never written if the turn is committed first, and a turn need not wait for its write.
        """

        def written(result: Result | BaseException) -> None:
            if isinstance(result, BaseException):
                instance.delivered(entry, result)
            elif result in (Delivery.DELIVERED, Delivery.DUPLICATE):
                self._host.mended(instance.id)
                instance.delivered(entry, None)
                if instance.closed:
                    # The copy was dropped meanwhile; the one that took its place may have been
                    # read before this row was written.
                    self._host.inflow.inform(instance.id, entry.item)
            elif isinstance(result, Conflict):
                self._host.doubt()
                instance.delivered(entry, _refusal(instance, result))
            else:
                message = f"'{instance.id}' took no more messages ({result})"
                instance.delivered(entry, NotOwnerError(message))

        return self._writer.submit(
            Deliver(instance.id, entry.item, fence=instance.fence),
            written,
            instance_id=instance.id,
            linger=TURN_SOON if turn_soon else LINGER,
            hold=True,
        )

    def post(
        self,
        instance_id: str,
        item: InboxItem,
        done: Callable[[Delivery | BaseException], None],
        *,
        hold: bool = False,
    ) -> None:
        """Put a result into the inbox of an instance that another process owns."""

        def written(result: Result | BaseException) -> None:
            self._host.inflow.refresh(instance_id)  # if it is ours by now
            done(result if isinstance(result, Delivery | BaseException) else Delivery.REFUSED)

        self._writer.submit(Deliver(instance_id, item), written, instance_id=instance_id, hold=hold)

    def tell(
        self, instance_id: str, item: InboxItem, done: Callable[[Delivery | BaseException], None]
    ) -> None:
        """Put what a client sends into an inbox that several processes write to: whoever owns the
        instance hears of it by his watch.

        In a partition of ours the write names the fence: so it may wait for a store that takes
        nothing, and be repeated when nobody knows what became of it.
        """

        def written(result: Result | BaseException) -> None:
            if isinstance(result, Conflict):  # it is another's by now, and nothing was written
                self._host.doubt()
                self._tell(instance_id, item, None, written)
            else:
                done(result if isinstance(result, Delivery | BaseException) else Delivery.REFUSED)

        fence = self._host.fence(instance_id) if self._host.holds(instance_id) else None
        self._tell(instance_id, item, fence, written)

    def _tell(self, instance_id: str, item: InboxItem, fence: Fence | None, written: Done) -> None:
        op = Deliver(instance_id, item, fence)
        self._writer.submit(op, written, instance_id=instance_id, hold=fence is not None)

    def commit(
        self, instance: Instance, op: Commit, ack: Ack | None, consumed: Sequence[Entry]
    ) -> None:
        """Write a turn."""

        def written(result: Result | BaseException) -> None:
            if instance.commits:
                instance.commits.popleft()
            if isinstance(result, Committed):
                self._host.mended(instance.id)
                instance.committed(op.turn, result, ack, consumed)
                return
            error = result if isinstance(result, BaseException) else _refusal(instance, result)
            instance.writes -= 1
            if ack is not None:
                # A refused answer is not the worker's fault and must not come again: whoever holds
                # the instance now runs the turn.  Any other failure is answered, so that the
                # worker does not take the turn for done.
                ack(None if isinstance(error, NotOwnerError) else error)
            for entry in consumed:
                entry.tell(error)
            if isinstance(error, OutcomeUnknownError):
                self._host.inflow.refresh_targets(op.turn)
            if isinstance(result, Conflict) and result.fenced:
                self._host.doubt()
            self._host.drop(instance, error)

        ticket = self._writer.submit(op, written, instance_id=instance.id, hold=True)
        instance.commits.append((ticket, written))

    def after_commit(self, turn: Turn, result: Committed) -> None:
        """The effects of a durable turn on everything but its own activities."""
        if turn.timers_set:
            self._host.reminders.set(turn.timers_set)
        for creation, outcome in zip(turn.creations, result.creations, strict=True):
            if isinstance(outcome, Created):
                self._host.adopt(outcome, creation, creation.start.input)
            elif same_origin(outcome.head, creation.head):
                if creation.rewind is not None and outcome.head.status is Status.FAILED:
                    self._host.inflow.inform(outcome.head.instance_id, creation.rewind)
            elif creation.rejection is not None:
                self._host.inflow.inform(creation.rejection.target, creation.rejection.item)
        for message, delivery in zip(turn.messages, result.messages, strict=True):
            if delivery is Delivery.DELIVERED:
                self._host.inflow.inform(message.target, message.item)
        head = turn.head
        if head.status.terminal:
            self._ended(head)
        self._host.waiters.changed(head)

    def _ended(self, head: Head) -> None:
        self.completed[head.status.name] = self.completed.get(head.status.name, 0) + 1
        if head.expires_at:
            self._host.expiring(head.expires_at)


def _refusal(instance: Instance, result: Result) -> NotOwnerError:
    """Somebody else changed or owns the instance: our copy is wrong."""
    fenced = isinstance(result, Conflict) and result.fenced
    what = "another owner holds its partition" if fenced else "its version is another"
    return NotOwnerError(f"a commit of '{instance.id}' was refused: {what}")
