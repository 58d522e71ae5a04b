"""A turn as one plan: what it does to its own instance, and what it sends to others.

The comparisons are the fence (the owner key's revision), the instance's version (its head key's
revision) and, for each child whose creation depends on what is there, the child's keys.  Messages
need no comparison: each is a part that etcd decides on for itself.

A turn may name an instance several times, and itself: what it has already done in this plan counts,
so creations and messages look at ``_Sent`` first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.engine.codec import encode_events
from tenure_sidecar.engine.events import ExecutionRewound, Status
from tenure_sidecar.engine.turn import RETENTION
from tenure_sidecar.etcd import absent, txn_of
from tenure_sidecar.store.etcd.birth import (
    delayed,
    insert,
    listed,
    place_of,
    put_head,
    put_input,
    state_of,
)
from tenure_sidecar.store.etcd.cells import Cell
from tenure_sidecar.store.etcd.plan import delivery
from tenure_sidecar.store.etcd.values import FAILED, Book, TurnValue, pack
from tenure_sidecar.store.port import Created, Delivery, Exists, same_origin

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import Creation, InboxItem, Turn
    from tenure_sidecar.store.etcd.plan import Answer, Draft

# The answer of a part is turned into what became of it.
_Fate = Callable[["Answer"], Delivery]


class Sending:
    """Creations and messages of one plan.

    Args:
        draft: the plan.
        known: cells of instances that a creation may meet, None for those that are not there;
            an id that is missing is taken for free, and compared.
    """

    def __init__(self, draft: Draft, known: Mapping[str, Cell | None]) -> None:
        self._draft = draft
        self._known = known
        self._cells: dict[str, Cell] = {}  # of instances that this plan writes
        self._keys: dict[str, set[str]] = {}  # items of theirs that it puts
        self._fates: dict[tuple[str, str], _Fate] = {}  # of items sent to anybody

    @property
    def cells(self) -> Mapping[str, Cell]:
        """Instances that the plan writes, as they will be, without revisions."""
        return self._cells

    def begin(self, cell: Cell, keys: set[str]) -> None:
        """The plan has written this instance, and put ``keys`` into its inbox."""
        self._cells[cell.head.instance_id] = cell
        self._keys[cell.head.instance_id] = keys

    def create(self, creation: Creation) -> Created | Exists:
        """Create a child, or tell its parent that it cannot be."""
        instance_id = creation.head.instance_id
        mine = self._cells.get(instance_id)
        there = self._known.get(instance_id) if mine is None else mine
        if there is None:
            self._draft.compare.append(absent(self._draft.keys.state(instance_id)))
        else:
            status = there.head.status
            again = same_origin(there.head, creation.head)
            if status is Status.FAILED and again and creation.rewind is not None:
                if mine is None:
                    self._draft.guard(there)
                self.send(instance_id, creation.rewind)
                return Exists(there.head)
            if not status.terminal:
                if creation.rejection is not None and not again:
                    self.send(creation.rejection.target, creation.rejection.item)
                return Exists(there.head)
            if mine is None:
                self._draft.guard(there)
        cell = insert(self._draft, creation, creation.start.input, before=there)
        self.begin(cell, {creation.item.key})
        return Created(cell.head, cell.book.version)

    def send(self, target: str, item: InboxItem) -> _Fate:
        """Put an item into somebody's inbox; says later what became of it."""
        earlier = self._fates.get((target, item.key))
        if earlier is not None:
            return _second(earlier)
        fate = (
            self._to_mine(target, item) if target in self._cells else self._to_other(target, item)
        )
        self._fates[target, item.key] = fate
        return fate

    def _to_other(self, target: str, item: InboxItem) -> _Fate:
        part = self._draft.send(target, item)

        def fate(answer: Answer) -> Delivery:
            return delivery(answer.parts[part]) or Delivery.MISSING

        return fate

    def _to_mine(self, target: str, item: InboxItem) -> _Fate:
        cell = self._cells[target]
        if cell.head.status.terminal and not (
            cell.state == FAILED and isinstance(item.event, ExecutionRewound)
        ):
            return _always(Delivery.REFUSED)
        if item.key in self._keys[target]:
            return _always(Delivery.DUPLICATE)
        puts = self._draft.item(target, item)
        self._keys[target].add(item.key)
        if cell.head_revision and not self._draft.effects.deletes(puts[0].key):
            part = self._draft.put_unless_there(target, item, puts)

            def fate(answer: Answer) -> Delivery:
                there = txn_of(answer.parts[part])
                return Delivery.DELIVERED if there.succeeded else Delivery.DUPLICATE

            return fate
        self._draft.put(puts)
        return _always(Delivery.DELIVERED)


def born_at(fate: Created | Exists, revision: int) -> Created | Exists:
    """What became of a creation whose plan is done."""
    return msgspec.structs.replace(fate, at=revision) if isinstance(fate, Created) else fate


def _always(what: Delivery) -> _Fate:
    return lambda _: what


def _second(first: _Fate) -> _Fate:
    def fate(answer: Answer) -> Delivery:
        became = first(answer)
        return Delivery.DUPLICATE if became is Delivery.DELIVERED else became

    return fate


def own_turn(draft: Draft, turn: Turn, cell: Cell) -> tuple[Cell, set[str]]:
    """What a turn does to its own instance; its cell afterwards, and the items carried over.

    The cell's revisions are those of before, but 0 for a key that is written.
    """
    head = turn.head
    book = _history(draft, turn, cell.book)
    book = _timers(draft, turn, book)
    carried = _inbox(draft, turn, book.low)
    if carried:
        book = msgspec.structs.replace(book, low=book.low + 1)
    state, revision = state_of(head.status), cell.state_revision
    if state != cell.state:
        draft.effects.put(draft.keys.state(head.instance_id), state)
        revision = 0
    _indexes(draft, cell, head)
    book = put_head(draft, head, msgspec.structs.replace(book, count=book.count + 1))
    return Cell(head, book, state, cell.head_revision, revision), carried


def _history(draft: Draft, turn: Turn, book: Book) -> Book:
    """Events and input."""
    keys, effects, instance_id = draft.keys, draft.effects, turn.head.instance_id
    if turn.restart:
        if book.turns:
            effects.clear(keys.history(instance_id, book.run))
            effects.clear(keys.blobs(instance_id, _run(book.run)))
        book = msgspec.structs.replace(book, run=book.run + 1, turns=0, events=0)
        book = put_input(draft, instance_id, book, turn.input)
    if turn.append:
        body = draft.stage(instance_id, _run(book.run), encode_events(turn.append))
        key = keys.turn(instance_id, book.run, book.turns)
        effects.put(key, pack(key, TurnValue(body)))
        events = book.events + len(turn.append)
        book = msgspec.structs.replace(book, turns=book.turns + 1, events=events)
    return book


def _run(run: int) -> str:
    return f"h/{run:08x}"


def _timers(draft: Draft, turn: Turn, book: Book) -> Book:
    """Reminders: those of the turn, and at the end none but retention."""
    instance_id = turn.head.instance_id
    for timer in (*turn.timers_cleared, *turn.timers_set):
        if timer.instance_id != instance_id:
            message = f"a turn of '{instance_id}' names a timer of '{timer.instance_id}'"
            raise ValueError(message)
    places = dict.fromkeys(book.timers)
    for timer in turn.timers_cleared:
        place = place_of(timer)
        if place in places:
            del places[place]
            draft.effects.delete(draft.keys.timer(timer))
    for timer in turn.timers_set:
        places[place_of(timer)] = None
        draft.effects.put(draft.keys.timer(timer), b"%d" % timer.generation)
    if turn.head.status.terminal:
        for place in [place for place in places if place[2] != RETENTION]:
            del places[place]
            draft.effects.delete(draft.keys.place(instance_id, place))
    timers = tuple(places)
    was, now = delayed(book.timers), delayed(timers)
    if now and not was:
        draft.effects.put(draft.keys.delayed(instance_id), b"")
    elif was and not now:
        draft.effects.delete(draft.keys.delayed(instance_id))
    return book if timers == book.timers else msgspec.structs.replace(book, timers=timers)


def _inbox(draft: Draft, turn: Turn, low: int) -> set[str]:
    """Items that go, and items that are carried over; keys of the latter."""
    instance_id = turn.head.instance_id
    if turn.head.status.terminal:
        for own in (False, True):
            draft.effects.clear(draft.keys.inbox(instance_id, own=own))
        draft.effects.clear(draft.keys.blobs(instance_id, "i/"))
        return set()
    for key in turn.consumed:
        draft.take(instance_id, key)
    gone = set(turn.consumed)
    carried = {item.key: item for item in turn.carryover}
    for key, item in carried.items():
        puts = draft.item(instance_id, item, rank=-low - 1)
        if key in gone:
            draft.put(puts)
        else:
            draft.put_unless_there(instance_id, item, puts)
    return set(carried)


def _indexes(draft: Draft, cell: Cell, head: Head) -> None:
    """What listings and a new owner look at."""
    before, after = listed(draft.keys, cell.head), listed(draft.keys, head)
    for key in before:
        if key not in after:
            draft.effects.delete(key)
    for key in after:
        if key not in before:
            draft.effects.put(key, b"")
