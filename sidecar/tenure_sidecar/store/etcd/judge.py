"""From ops to plans: what must be read first, and what can be said without asking etcd.

An op is judged by cells.  The first time it takes those that are remembered, and takes the ids that
it creates for free; when etcd refuses the plan, everything that the op depends on is read, and it
is judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.etcd import Get, absent, range_of, unchanged
from tenure_sidecar.store.etcd.birth import insert, wipe
from tenure_sidecar.store.etcd.outbox import pack_outbox
from tenure_sidecar.store.etcd.plan import Answer, Draft, Plan, delivery, remember
from tenure_sidecar.store.etcd.turns import Sending, born_at, own_turn
from tenure_sidecar.store.port import (
    Commit,
    Committed,
    Conflict,
    Create,
    Created,
    Deliver,
    Delivery,
    Exists,
    Purge,
)

if TYPE_CHECKING:
    from tenure_sidecar.store.etcd.cells import Cell
    from tenure_sidecar.store.etcd.plan import Site
    from tenure_sidecar.store.port import Fence, Op, Result

OP_BYTES = 900 << 10  # of one request; etcd takes 1.5 MiB
GUARDS_MAX = 60  # comparisons of one op; etcd takes 128 along any path
_SMALLER = (16 << 10, 1 << 10)  # from how many bytes on values are staged, until the op fits


class Known(msgspec.Struct, frozen=True):
    """What was read for an op: cells (None = no such instance) and the owner keys' revisions."""

    cells: Mapping[str, Cell | None] = {}
    owners: Mapping[int, int] = {}


NOTHING = Known()


def instance_of(op: Op) -> str:
    """The instance that the op is about."""
    if isinstance(op, Commit):
        return op.turn.head.instance_id
    if isinstance(op, Create):
        return op.creation.head.instance_id
    return op.target if isinstance(op, Deliver) else op.instance_id


def others_of(op: Op) -> Iterable[str]:
    """Other instances that the op may write to, with repeats."""
    if isinstance(op, Commit):
        for creation in op.turn.creations:
            yield creation.head.instance_id
            if creation.rejection is not None:
                yield creation.rejection.target
        for message in op.turn.messages:
            yield message.target


class Judge:
    """Makes plans at ``site``; nothing here awaits anything."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def reads(self, op: Op, attempt: int) -> set[str]:
        """Instances that must be read before the op is planned."""
        cells = self._site.cells
        instance_id = instance_of(op)
        if isinstance(op, Deliver):
            return set()
        if isinstance(op, Create):
            return {instance_id} if attempt else set()
        if isinstance(op, Purge):
            return {instance_id}
        found: set[str] = set()
        cell = cells.get(instance_id)
        if attempt or cell is None or cell.book.version != op.version:
            found.add(instance_id)
        if attempt:
            found.update(one.head.instance_id for one in op.turn.creations)
        return found

    def plan(self, op: Op, known: Known, *, order: int) -> Plan | Result:
        """The op as a plan, or its result when that is known already.

        Args:
            op: what to do.
            known: what was read, for the ids that ``reads`` named.
            order: of the op among those of the same transaction.
        """
        if isinstance(op, Deliver):
            if op.fence is not None and op.fence.partition != self._site.keys.partition(op.target):
                return Conflict(fenced=True)
            return self._fit(lambda draft: self._deliver(draft, op), order)
        if isinstance(op, Create):
            return self._create(op, known, order)
        if isinstance(op, Purge):
            return self._purge(op, known, order)
        return self._commit(op, known, order)

    def _fit(self, make: Callable[[Draft], Plan], order: int) -> Plan:
        """The plan, with so much staged that it fits into a request."""
        plan = make(Draft(self._site, order=order))
        for large in _SMALLER:
            if plan.size <= OP_BYTES:
                break
            plan = make(Draft(self._site, large=large, order=order))
        return plan

    # --- ops of anybody ---------------------------------------------------------------------------

    def _deliver(self, draft: Draft, op: Deliver) -> Plan:
        fence = op.fence
        if fence is not None:
            draft.compare.append(unchanged(draft.keys.owner(fence.partition), fence.token))
        part = draft.send(op.target, op.item, own=fence is not None)

        def outcome(answer: Answer) -> Delivery | Conflict | None:
            if answer.held:
                return delivery(answer.parts[part])
            return None if fence is None else self._refused(fence, answer)

        if fence is None:
            return draft.plan(outcome)
        return draft.plan(outcome, otherwise=(self._look(fence),))

    def _look(self, fence: Fence) -> Get:
        """What tells, when a comparison did not hold, whether it was the fence's."""
        return Get(self._site.keys.owner(fence.partition), keys_only=True)

    def _refused(self, fence: Fence, answer: Answer) -> Conflict | None:
        found = range_of(answer.parts[0])
        if not found.kvs or found.kvs[0].mod_revision != fence.token:
            return Conflict(fenced=True)
        return None

    def _create(self, op: Create, known: Known, order: int) -> Plan | Result:
        instance_id = instance_of(op)
        there = known.cells.get(instance_id)
        if there is not None and there.head.status not in op.replace:
            return Exists(there.head)

        def make(draft: Draft) -> Plan:
            if there is None:
                draft.compare.append(absent(draft.keys.state(instance_id)))
            else:
                draft.guard(there)
            cell = insert(draft, op.creation, op.input, before=there)

            def outcome(answer: Answer) -> Created | None:
                if not answer.held:
                    return None
                remember(draft, (cell,), answer.revision)
                return Created(cell.head, cell.book.version, answer.revision)

            return draft.plan(outcome)

        return self._fit(make, order)

    def _purge(self, op: Purge, known: Known, order: int) -> Plan | Result:
        there = known.cells.get(op.instance_id)
        if there is None:
            return Delivery.MISSING
        if op.only is not None and there.head.status not in op.only:
            return Delivery.REFUSED
        if op.generation not in {None, there.head.generation}:
            return Delivery.REFUSED

        def make(draft: Draft) -> Plan:
            draft.guard(there)
            wipe(draft, there)

            def outcome(answer: Answer) -> Delivery | None:
                if not answer.held:
                    return None
                self._site.cells.forget(op.instance_id)
                return Delivery.DELIVERED

            return draft.plan(outcome)

        return self._fit(make, order)

    # --- turns ------------------------------------------------------------------------------------

    def _commit(self, op: Commit, known: Known, order: int) -> Plan | Result:
        instance_id = instance_of(op)
        partition = self._site.keys.partition(instance_id)
        if partition != op.fence.partition:
            return Conflict(fenced=True)
        if known.owners.get(partition, op.fence.token) != op.fence.token:
            return Conflict(fenced=True)
        cell = known.cells.get(instance_id)
        if instance_id not in known.cells:
            cell = self._site.cells.get(instance_id)
        if cell is None or cell.book.version != op.version:
            return Conflict(fenced=False)
        there = cell

        def make(draft: Draft, *, send: bool = True) -> Plan:
            return self._turn(draft, op, there, known, send=send)

        plan = self._fit(make, order)
        turn = op.turn
        fits = plan.size <= OP_BYTES and len(plan.txn.compare) <= GUARDS_MAX
        if fits or not (turn.creations or turn.messages):
            return plan
        return self._fit(lambda draft: make(draft, send=False), order)

    def _turn(self, draft: Draft, op: Commit, cell: Cell, known: Known, *, send: bool) -> Plan:
        keys, turn = draft.keys, op.turn
        instance_id = turn.head.instance_id
        owner, head = keys.owner(op.fence.partition), keys.head(instance_id)
        draft.compare += (
            unchanged(owner, op.fence.token),
            unchanged(head, cell.head_revision),
        )
        after, carried = own_turn(draft, turn, cell)
        sending = Sending(draft, known.cells)
        sending.begin(after, carried)
        creations = tuple([sending.create(one) for one in turn.creations] if send else ())
        fates = [sending.send(one.target, one.item) for one in turn.messages] if send else []
        if not send:
            pack_outbox(draft, instance_id, turn)

        def outcome(answer: Answer) -> Result | None:
            if answer.held:
                remember(draft, sending.cells.values(), answer.revision)
                became = tuple([fate(answer) for fate in fates])
                made = tuple([born_at(one, answer.revision) for one in creations])
                return Committed(op.version + 1, made, became)
            if (refused := self._refused(op.fence, answer)) is not None:
                return refused
            self._site.cells.forget(instance_id)
            return None

        return draft.plan(outcome, otherwise=(self._look(op.fence),), outbox=not send)
