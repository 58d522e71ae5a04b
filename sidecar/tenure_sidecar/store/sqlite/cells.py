"""What the writer must know of an instance to judge an op on it, kept in memory.

A ``Cell`` mirrors rows that are durable, or will be when the present transaction is.  Nobody else
writes to the database, so a cell stays true; after a failed transaction all cells are forgotten and
read again.

``Cells`` holds the recently used ones, bounded by weight, and reads missing ones for a whole batch
at once.  It also keeps the table ``runnable``: the lives that ``active()`` must look at.  That
table is a superset.  A row is added in the very transaction that gives an instance work, but taken
away only when many can go together: an instance that alternates between waiting and working, as all
do, costs nothing.
"""

# ruff: noqa: S608 - texts are built from constants, values are always bound

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.turn import START
from tenure_sidecar.store.sqlite.bulk import select_in

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from tenure_sidecar.engine.head import Head

WEIGHT_MAX = 200_000  # instances, inbox items and timers together: some 60 MB at most
LULL_MAX = 512

Place = tuple[int, int, int]  # due, timer id, kind

_SELECT = (
    "SELECT i.life, i.id, i.partition, i.version, i.status, i.pending, i.turns,"
    " EXISTS (SELECT 1 FROM runnable r WHERE r.life = i.life),"
    " EXISTS (SELECT 1 FROM tags t WHERE t.life = i.life)"
    " FROM instances i WHERE i.id IN "
)
_INBOX = "SELECT life, seq, key FROM inbox WHERE life IN "
_TIMERS = "SELECT life, due, timer_id, kind FROM timers WHERE life IN "


_ENDED = ", ".join(str(int(status)) for status in Status if status.terminal)

# ``Cell.runnable`` in SQL, of the row ``i`` of instances.
RUNNABLE = (
    "(EXISTS (SELECT 1 FROM inbox b WHERE b.life = i.life)"
    f" OR (i.pending > 0 AND i.status NOT IN ({_ENDED})))"
    f" AND NOT EXISTS (SELECT 1 FROM timers t WHERE t.life = i.life AND t.kind = {START})"
)


class Cell:
    """One instance, as the writer sees it."""

    __slots__ = (
        "flagged",
        "head",
        "high",
        "id",
        "inbox",
        "life",
        "low",
        "partition",
        "pending",
        "status",
        "stored",
        "tagged",
        "timers",
        "turns",
        "version",
        "weight",
    )

    def __init__(  # noqa: PLR0913 - a row's columns
        self,
        life: int,
        id: str,  # noqa: A002 - the column's name
        partition: int,
        *,
        version: int = 0,
        status: Status = Status.PENDING,
        pending: int = 0,
        turns: int = 0,
        flagged: bool = False,
        tagged: bool = False,
        stored: bool = False,
    ) -> None:
        self.life = life
        self.id = id
        self.partition = partition
        self.version = version  # within this life
        self.status = status
        self.pending = pending  # activities scheduled and not resolved
        self.turns = turns  # rows of history
        self.inbox: dict[str, int] = {}  # key -> seq
        self.low = 0  # every seq is in [low, high)
        self.high = 0
        self.timers: set[Place] = set()
        self.flagged = flagged  # the table ``runnable`` has it
        self.tagged = tagged
        self.stored = stored  # the table ``instances`` has it
        self.head: Head | None = None  # only while it waits for the transaction
        self.weight = 1

    @property
    def waiting(self) -> bool:
        """Whether the scheduled start is still to come."""
        return any(kind == START for _, _, kind in self.timers)

    @property
    def runnable(self) -> bool:
        """Whether a new owner must resume it."""
        return (bool(self.inbox) or (self.pending > 0 and not self.status.terminal)) and not (
            self.timers and self.waiting
        )


class Cells:
    """The cells in memory, least recently used first."""

    def __init__(self, *, weight_max: int = WEIGHT_MAX, lull_max: int = LULL_MAX) -> None:
        self._cells: OrderedDict[str, Cell] = OrderedDict()
        self._weight = 0
        self._weight_max = weight_max
        self._lull: dict[int, Cell] = {}  # flagged, and not runnable any more
        self._lull_max = lull_max

    def forget(self) -> None:
        """Drop everything: memory may differ from the database."""
        self._cells.clear()
        self._lull.clear()
        self._weight = 0

    def get(self, connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, Cell]:
        """The cells of ``ids``; an id without an instance has none."""
        found: dict[str, Cell] = {}
        missing: list[str] = []
        for instance_id in ids:
            cell = self._cells.get(instance_id)
            if cell is None:
                missing.append(instance_id)
            else:
                self._cells.move_to_end(instance_id)
                found[instance_id] = cell
        if missing:
            found.update(self._read(connection, missing))
        return found

    def _read(self, connection: sqlite3.Connection, ids: list[str]) -> dict[str, Cell]:
        read: dict[int, Cell] = {}
        for row in select_in(connection, _SELECT, ids):
            life, instance_id, partition, version, status, pending, turns, flagged, tagged = row
            read[life] = Cell(
                life,
                instance_id,
                partition,
                version=version,
                status=Status(status),
                pending=pending,
                turns=turns,
                flagged=bool(flagged),
                tagged=bool(tagged),
                stored=True,
            )
        if read:
            lives = list(read)
            for life, seq, key in select_in(connection, _INBOX, lives):
                cell = read[life]
                cell.inbox[key] = seq
                cell.low = min(cell.low, seq)
                cell.high = max(cell.high, seq + 1)
            for life, due, timer_id, kind in select_in(connection, _TIMERS, lives):
                read[life].timers.add((due, timer_id, kind))
        return {cell.id: cell for cell in read.values()}

    # --- after a transaction --------------------------------------------------------------------

    def keep(self, cells: Mapping[str, Cell | None]) -> None:
        """The transaction is durable: remember what it left (None = the instance is gone)."""
        for instance_id, cell in cells.items():
            before = self._cells.get(instance_id)
            if before is not None:
                self._weight -= before.weight
            if cell is None:
                self._cells.pop(instance_id, None)
                continue
            cell.head = None
            cell.stored = True
            cell.weight = 1 + len(cell.inbox) + len(cell.timers)
            self._weight += cell.weight
            self._cells[instance_id] = cell
        while self._weight > self._weight_max and self._cells:
            _, oldest = self._cells.popitem(last=False)
            self._weight -= oldest.weight

    def settle(self, cells: Iterable[Cell]) -> tuple[list[int], list[int]]:
        """Lives to add to ``runnable`` and to take from it, in the transaction under way."""
        added: list[int] = []
        lull = self._lull
        for cell in cells:
            if cell.runnable:
                lull.pop(cell.life, None)
                if not cell.flagged:
                    cell.flagged = True
                    added.append(cell.life)
            elif cell.flagged:
                lull[cell.life] = cell
        gone: list[int] = []
        if len(lull) > self._lull_max:
            for life in list(lull)[: len(lull) // 2]:
                lull.pop(life).flagged = False
                gone.append(life)
        return added, gone

    def gone(self, life: int) -> None:
        """The life ended: whatever ``runnable`` says of it goes with its other rows."""
        self._lull.pop(life, None)

    def take_lull(self) -> list[int]:
        """Every life that ``runnable`` lists in vain; they are not flagged any more."""
        lives = list(self._lull)
        for cell in self._lull.values():
            cell.flagged = False
        self._lull.clear()
        return lives
