"""The rows that one transaction changes, net of what its ops do and undo among themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.store.sqlite.bulk import apply, delete, insert, update
from tenure_sidecar.store.sqlite.seal import seal

if TYPE_CHECKING:
    import sqlite3

    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.store.sqlite.cells import Cell

from tenure_sidecar.engine.codec import encode_head

_OF_LIFE = ("instances", "inputs", "history", "inbox", "timers", "tags", "runnable")
_WIPE = tuple(delete(table, "life") for table in _OF_LIFE)
_CUT = delete("history", "life")
_FORGET_INPUT = delete("inputs", "life")
_UNTAG = delete("tags", "life")
_TAKE = delete("inbox", "life", "seq")
_DISARM = delete("timers", "due", "life", "timer_id", "kind")
_CALM = delete("runnable", "life")

_BORN = insert(
    "instances",
    *("life", "id", "partition", "version", "status", "pending", "turns"),
    *("name", "created", "completed", "parent", "head"),
)
_TURN = update("instances", "life", "version", "pending", "turns", "head")
_MOVE = update(
    "instances",
    "life",
    *("version", "pending", "turns", "head"),
    *("status", "name", "created", "completed", "parent"),
)
_INPUT = insert("inputs", "life", "input", replace=True)
_APPEND = insert("history", "life", "seq", "events", "batch")
_PUT = insert("inbox", "life", "seq", "key", "item")
_ARM = insert("timers", "due", "life", "timer_id", "kind", "generation", "partition")
_TAG = insert("tags", "life", "key", "value", "id")
_FLAG = insert("runnable", "life")
_LIVES = "UPDATE meta SET value = ? WHERE key = 'next_life'"


class Rows:
    """Changes, grouped by what is done with them.  Deletes come before inserts."""

    def __init__(self) -> None:
        self.cells: dict[int, Cell] = {}  # changed, by life
        self.moved: set[int] = set()  # lives whose listing columns may have changed
        self.wiped: list[int] = []  # lives that end
        self.cut: list[int] = []  # lives whose history is replaced
        self.history: dict[int, list[tuple[int, int, int, bytes]]] = {}
        self.inputs: dict[int, str | None] = {}
        self.tags: dict[int, Head] = {}
        self.taken: list[tuple[int, int]] = []
        self.put: dict[tuple[int, int], tuple[str, bytes]] = {}
        self.disarmed: list[tuple[int, int, int, int]] = []
        self.armed: dict[tuple[int, int, int, int], tuple[int, int]] = {}
        self.next_life = 0  # 0 = as it was

    # --- changes to one life ----------------------------------------------------------------------

    def changed(self, cell: Cell) -> None:
        """The head is another one."""
        self.cells[cell.life] = cell

    def take(self, cell: Cell, key: str) -> None:
        """An inbox item goes; nothing when it is not there."""
        seq = cell.inbox.pop(key, None)
        if seq is None:
            return
        if self.put.pop((cell.life, seq), None) is None:
            self.taken.append((cell.life, seq))
        if not cell.inbox:
            cell.low = cell.high = 0

    def append_item(self, cell: Cell, key: str, item: bytes) -> None:
        """An inbox item comes, behind the others."""
        seq = cell.high
        cell.high += 1
        cell.inbox[key] = seq
        self.put[cell.life, seq] = (key, item)

    def prepend_items(self, cell: Cell, items: list[tuple[str, bytes]]) -> None:
        """Inbox items come, before the others."""
        cell.low -= len(items)
        for seq, (key, item) in enumerate(items, start=cell.low):
            cell.inbox[key] = seq
            self.put[cell.life, seq] = (key, item)

    def arm(self, cell: Cell, due: int, timer_id: int, kind: int, generation: int) -> None:
        """A timer is set, in place of the one at the same place."""
        self.disarm(cell, due, timer_id, kind)
        cell.timers.add((due, timer_id, kind))
        self.armed[due, cell.life, timer_id, kind] = (generation, cell.partition)

    def disarm(self, cell: Cell, due: int, timer_id: int, kind: int) -> None:
        """A timer goes; nothing when it is not there."""
        place = (due, timer_id, kind)
        if place not in cell.timers:
            return
        cell.timers.discard(place)
        key = (due, cell.life, timer_id, kind)
        if self.armed.pop(key, None) is None:
            self.disarmed.append(key)

    def append_events(self, cell: Cell, count: int, batch: bytes) -> None:
        """The history grows by one turn of ``count`` events."""
        row = (cell.life, cell.turns, count, seal(batch, cell.life))
        self.history.setdefault(cell.life, []).append(row)
        cell.turns += 1

    def cut_history(self, cell: Cell) -> None:
        """The history so far goes."""
        if cell.turns:
            self.history.pop(cell.life, None)
            self.cut.append(cell.life)
            cell.turns = 0

    def wipe(self, cell: Cell) -> None:
        """Everything of this life goes, what was to come of it too."""
        life = cell.life
        for key in tuple(cell.inbox):
            self.put.pop((life, cell.inbox[key]), None)
        for due, timer_id, kind in cell.timers:
            self.armed.pop((due, life, timer_id, kind), None)
        self.history.pop(life, None)
        self.inputs.pop(life, None)
        self.tags.pop(life, None)
        self.cells.pop(life, None)
        if cell.stored:
            self.wiped.append(life)

    # --- the transaction --------------------------------------------------------------------------

    def write(self, db: sqlite3.Connection, added: list[int], gone: list[int]) -> None:
        """All changes, inside the caller's transaction.

        Args:
            db: the writer's connection.
            added: lives to list in ``runnable``.
            gone: lives to take from it.
        """
        for verb in _WIPE if self.wiped else ():
            apply(db, verb, [(life,) for life in self.wiped])
        apply(db, _CUT, [(life,) for life in self.cut])
        apply(db, _TAKE, self.taken)
        apply(db, _DISARM, self.disarmed)
        self._write_heads(db)
        self._write_inputs(db)
        self._write_tags(db)
        apply(db, _APPEND, [row for rows in self.history.values() for row in rows])
        apply(db, _PUT, [(*place, *item) for place, item in self.put.items()])
        apply(db, _ARM, [(*place, *rest) for place, rest in self.armed.items()])
        apply(db, _CALM, [(life,) for life in gone])
        apply(db, _FLAG, [(life,) for life in added])
        if self.next_life:
            db.execute(_LIVES, (self.next_life,))

    def _write_heads(self, db: sqlite3.Connection) -> None:
        born: list[tuple[object, ...]] = []
        turns: list[tuple[object, ...]] = []
        moves: list[tuple[object, ...]] = []
        for life, cell in self.cells.items():
            head = cell.head
            if head is None:
                continue
            blob = seal(encode_head(head), life)
            parent = None if head.parent is None else head.parent.instance_id
            listed = (head.name, head.created_at, head.completed_at, parent)
            state = (cell.version, int(cell.status))
            if not cell.stored:
                row = (life, cell.id, cell.partition, *state, cell.pending, cell.turns)
                born.append((*row, *listed, blob))
            elif life in self.moved:
                hot = (life, cell.version, cell.pending, cell.turns, blob)
                moves.append((*hot, int(cell.status), *listed))
            else:
                turns.append((life, cell.version, cell.pending, cell.turns, blob))
        apply(db, _BORN, born)
        apply(db, _TURN, turns)
        apply(db, _MOVE, moves)

    def _write_inputs(self, db: sqlite3.Connection) -> None:
        apply(db, _FORGET_INPUT, [(life,) for life, text in self.inputs.items() if text is None])
        apply(
            db,
            _INPUT,
            [
                (life, seal(text.encode(), life))
                for life, text in self.inputs.items()
                if text is not None
            ],
        )

    def _write_tags(self, db: sqlite3.Connection) -> None:
        if not self.tags:
            return
        apply(db, _UNTAG, [(life,) for life in self.tags])
        rows = [
            (life, key, value, head.instance_id)
            for life, head in self.tags.items()
            for key, value in head.tags.items()
        ]
        apply(db, _TAG, rows)
