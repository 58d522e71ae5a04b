"""What this process remembers of instances, so that most ops need no read.

A cell is a hint, never the truth: every op is guarded by a comparison with what the cell says, and
when that fails, the cell is read again and the op judged anew.  Losing cells costs reads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from tenure_sidecar.engine.head import Head
from tenure_sidecar.store.etcd.values import Book

CELLS_MAX = 20_000


class Cell(msgspec.Struct, frozen=True):
    """One instance as of revision ``head_revision`` of its head key, ``state_revision`` of its
    state key."""

    head: Head
    book: Book
    state: bytes  # see ``values``
    head_revision: int
    state_revision: int


class Cells:
    """The cells in memory, least recently used first."""

    def __init__(self, *, limit: int = CELLS_MAX) -> None:
        self._cells: OrderedDict[str, Cell] = OrderedDict()
        self._limit = limit
        self._large: dict[str, set[str]] = {}  # inbox items whose value is staged

    def __len__(self) -> int:
        return len(self._cells)

    def get(self, instance_id: str) -> Cell | None:
        """The cell, if it is remembered."""
        cell = self._cells.get(instance_id)
        if cell is not None:
            self._cells.move_to_end(instance_id)
        return cell

    def keep(self, instance_id: str, cell: Cell | None) -> None:
        """Remember what is there now; None = nothing."""
        if cell is None:
            self.forget(instance_id)
            return
        self._cells[instance_id] = cell
        self._cells.move_to_end(instance_id)
        while len(self._cells) > self._limit:
            oldest, _ = self._cells.popitem(last=False)
            self._large.pop(oldest, None)

    def forget(self, instance_id: str) -> None:
        """It may have changed."""
        self._cells.pop(instance_id, None)
        self._large.pop(instance_id, None)

    def large(self, instance_id: str, keys: Iterable[str]) -> None:
        """The values of these items are staged, so they must be deleted with them."""
        if instance_id in self._cells and (more := set(keys)):
            self._large.setdefault(instance_id, set()).update(more)

    def is_large(self, instance_id: str, key: str) -> bool:
        """Whether the item's value is staged."""
        return key in self._large.get(instance_id, ())
