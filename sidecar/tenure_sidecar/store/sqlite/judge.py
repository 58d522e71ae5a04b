"""What becomes of each op: its result, and the rows that it changes.

Ops are judged one after the other against the cells, so a later op of a batch sees what an earlier
one did, exactly as if each had its own transaction.  Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.engine.codec import encode_events, encode_item
from tenure_sidecar.engine.events import ExecutionRewound, Status
from tenure_sidecar.engine.turn import RETENTION
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import (
    Commit,
    Committed,
    Conflict,
    Create,
    Created,
    Deliver,
    Delivery,
    Exists,
    same_origin,
)
from tenure_sidecar.store.sqlite.cells import Cell
from tenure_sidecar.store.sqlite.rows import Rows
from tenure_sidecar.store.sqlite.seal import seal

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import Creation, InboxItem, Message, Timer, Turn
    from tenure_sidecar.store.port import Fence, Op, Purge, Result

# An instance's version is its life, then the number of its commits.  So a copy of an earlier life
# never has the version of a later one.
_LIFE_BITS = 32


def version_of(life: int, version: int) -> int:
    """The version that the port shows."""
    return (life << _LIFE_BITS) + version


def ids_of(ops: Sequence[Op]) -> Iterator[str]:
    """Every instance that the ops may read or change, with repeats."""
    for op in ops:
        if isinstance(op, Commit):
            turn = op.turn
            yield turn.head.instance_id
            for message in turn.messages:
                yield message.target
            for creation in turn.creations:
                yield creation.head.instance_id
                if creation.rejection is not None:
                    yield creation.rejection.target
        elif isinstance(op, Deliver):
            yield op.target
        elif isinstance(op, Create):
            yield op.creation.head.instance_id
        else:
            yield op.instance_id


class Judge:
    """Judges the ops of one transaction.

    Args:
        cells: of every instance in ``ids_of`` that exists.
        tokens: the valid fence of each owned partition.
        partitions: P.
        next_life: the first unused life.
        read_head: the durable head of a cell.
    """

    def __init__(
        self,
        cells: Mapping[str, Cell],
        *,
        tokens: Mapping[int, int],
        partitions: int,
        next_life: int,
        read_head: Callable[[Cell], Head],
    ) -> None:
        self.cells: dict[str, Cell | None] = dict(cells)
        self.rows = Rows()
        self.touched: dict[int, Cell] = {}  # whose place in ``runnable`` may have changed
        self.ended: list[int] = []
        self._tokens = tokens
        self._partitions = partitions
        self._next_life = next_life
        self._read_head = read_head

    def judge(self, op: Op) -> Result:
        """The result of ``op``; its rows are added to ``rows``."""
        if isinstance(op, Commit):
            return self._commit(op)
        if isinstance(op, Deliver):
            if op.fence is not None and not self._valid(op.fence, op.target):
                return Conflict(fenced=True)
            return self._put(op.target, op.item)
        if isinstance(op, Create):
            there = self.cells.get(op.creation.head.instance_id)
            if there is not None and there.status not in op.replace:
                return Exists(self._head(there))
            return self._insert(op.creation, op.input)
        return self._purge(op)

    def _valid(self, fence: Fence, instance_id: str) -> bool:
        return (
            partition_of(instance_id, self._partitions) == fence.partition
            and self._tokens.get(fence.partition) == fence.token
        )

    def _head(self, cell: Cell) -> Head:
        return cell.head or self._read_head(cell)

    # --- creating and ending ----------------------------------------------------------------------

    def _insert(self, creation: Creation, given: str | None) -> Created:
        head = creation.head
        before = self.cells.get(head.instance_id)
        if before is not None:
            generation = self._head(before).generation + 1
            head = msgspec.structs.replace(head, generation=generation)
            self._end(before)
        life = self._next_life
        self._next_life += 1
        self.rows.next_life = self._next_life
        cell = Cell(
            life,
            head.instance_id,
            partition_of(head.instance_id, self._partitions),
            status=head.status,
            pending=head.pending,
        )
        cell.head = head
        self.cells[cell.id] = cell
        self.rows.changed(cell)
        self.touched[life] = cell
        if given is not None:
            self.rows.inputs[life] = given
        self._tag(cell, head)
        self._put(cell.id, creation.item)
        if creation.timer is not None:
            timer = creation.timer
            self.rows.arm(cell, timer.due, timer.timer_id, timer.kind, head.generation)
        return Created(head, version_of(life, 0))

    def _end(self, cell: Cell) -> None:
        self.rows.wipe(cell)
        self.touched.pop(cell.life, None)
        self.ended.append(cell.life)
        self.cells[cell.id] = None

    def _purge(self, op: Purge) -> Delivery:
        cell = self.cells.get(op.instance_id)
        if cell is None:
            return Delivery.MISSING
        if op.only is not None and cell.status not in op.only:
            return Delivery.REFUSED
        if op.generation is not None and op.generation != self._head(cell).generation:
            return Delivery.REFUSED
        self._end(cell)
        return Delivery.DELIVERED

    def _tag(self, cell: Cell, head: Head) -> None:
        if cell.tagged or head.tags:
            self.rows.tags[cell.life] = head
            cell.tagged = bool(head.tags)

    # --- inboxes ----------------------------------------------------------------------------------

    def _put(self, target: str, item: InboxItem) -> Delivery:
        cell = self.cells.get(target)
        if cell is None:
            return Delivery.MISSING
        if cell.status.terminal and not (
            cell.status is Status.FAILED and isinstance(item.event, ExecutionRewound)
        ):
            return Delivery.REFUSED
        if item.key in cell.inbox:
            return Delivery.DUPLICATE
        self.rows.append_item(cell, item.key, seal(encode_item(item), cell.life))
        self.touched[cell.life] = cell
        return Delivery.DELIVERED

    # --- turns ------------------------------------------------------------------------------------

    def _commit(self, op: Commit) -> Committed | Conflict:
        turn = op.turn
        instance_id = turn.head.instance_id
        if not self._valid(op.fence, instance_id):
            return Conflict(fenced=True)
        cell = self.cells.get(instance_id)
        if cell is None or version_of(cell.life, cell.version) != op.version:
            return Conflict(fenced=False)
        self._turn(cell, turn)
        creations = tuple([self._spawn(creation) for creation in turn.creations])
        messages = tuple([self._send(message) for message in turn.messages])
        return Committed(op.version + 1, creations, messages)

    def _turn(self, cell: Cell, turn: Turn) -> None:
        rows = self.rows
        head = turn.head
        if head.status is not cell.status or head.status.terminal or turn.restart:
            rows.moved.add(cell.life)
        cell.version += 1
        cell.head = head
        cell.status = head.status
        cell.pending = head.pending
        rows.changed(cell)
        self.touched[cell.life] = cell
        if turn.restart:
            rows.cut_history(cell)
            rows.inputs[cell.life] = turn.input
            self._tag(cell, head)
        if turn.append:
            rows.append_events(cell, len(turn.append), encode_events(turn.append))
        for key in turn.consumed:
            rows.take(cell, key)
        if turn.carryover:
            self._carry(cell, turn.carryover)
        for timer in turn.timers_cleared:
            self._own(cell, timer)
            rows.disarm(cell, timer.due, timer.timer_id, timer.kind)
        for timer in turn.timers_set:
            self._own(cell, timer)
            rows.arm(cell, timer.due, timer.timer_id, timer.kind, timer.generation)
        if head.status.terminal:
            self._finish(cell)

    def _carry(self, cell: Cell, items: Sequence[InboxItem]) -> None:
        fresh = {item.key: item for item in items if item.key not in cell.inbox}
        sealed = [(key, seal(encode_item(item), cell.life)) for key, item in fresh.items()]
        self.rows.prepend_items(cell, sealed)

    def _finish(self, cell: Cell) -> None:
        """What a terminal instance does not need any more goes with it."""
        for key in tuple(cell.inbox):
            self.rows.take(cell, key)
        for due, timer_id, kind in tuple(cell.timers):
            if kind != RETENTION:
                self.rows.disarm(cell, due, timer_id, kind)

    @staticmethod
    def _own(cell: Cell, timer: Timer) -> None:
        if timer.instance_id != cell.id:
            message = f"a turn of '{cell.id}' names a timer of '{timer.instance_id}'"
            raise ValueError(message)

    def _spawn(self, creation: Creation) -> Created | Exists:
        there = self.cells.get(creation.head.instance_id)
        if there is None:
            return self._insert(creation, creation.start.input)
        head = self._head(there)
        mine = same_origin(head, creation.head)
        if there.status is Status.FAILED and mine and creation.rewind is not None:
            self._put(there.id, creation.rewind)
        elif there.status.terminal:
            return self._insert(creation, creation.start.input)
        elif creation.rejection is not None and not mine:
            self._send(creation.rejection)
        return Exists(head)

    def _send(self, message: Message) -> Delivery:
        return self._put(message.target, message.item)
