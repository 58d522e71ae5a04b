"""SQL for listings.

A page must cost what the page holds, not what the table holds.  Statuses are few and come first in
the indexes, so a query for several of them is one ordered walk per status, and the walks are merged
here; SQLite would sort everything instead.  Conditions that no index covers are checked row by row
along the walk.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.listing import Cursor, successor, unpack_cursor
from tenure_sidecar.store.port import Order, Query

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

Row = tuple[int, str, bytes]  # life, id, head

_SORT = {
    Order.ID: "i.id",
    Order.CREATED: "i.created",
    Order.NEWEST: "i.created",
    Order.COMPLETED: "i.completed",
}
_INDEX = {
    Order.CREATED: "instances_created",
    Order.NEWEST: "instances_created",
    Order.COMPLETED: "instances_completed",
}


class _Where:
    """Conditions joined by AND, with their parameters."""

    def __init__(self) -> None:
        self.terms: list[str] = []
        self.values: list[Any] = []

    def add(self, term: str, *values: object) -> None:
        self.terms.append(term)
        self.values += values

    @property
    def text(self) -> str:
        return " WHERE " + " AND ".join(self.terms) if self.terms else ""


def _conditions(query: Query) -> _Where:
    """Everything but the statuses."""
    where = _Where()
    if query.order is Order.COMPLETED:
        where.add("i.completed > 0")
    if query.name is not None:
        where.add("i.name = ?", query.name)
    if query.id_prefix:
        where.add("i.id >= ?", query.id_prefix)
        end = successor(query.id_prefix)
        if end is not None:
            where.add("i.id < ?", end)
    if query.parent is not None:
        where.add("i.parent = ?", query.parent)
    for key, value in query.tags.items():
        where.add(
            "EXISTS (SELECT 1 FROM tags t WHERE t.life = i.life AND t.key = ? AND t.value = ?)",
            key,
            value,
        )
    bounds = (
        ("i.created >= ?", query.created_from),
        ("i.created < ?", query.created_to),
        ("i.completed >= ?", query.completed_from),
        ("i.completed < ?", query.completed_to),
    )
    for term, bound in bounds:
        if bound is not None:
            where.add(term, bound)
    if query.completed_from is not None or query.completed_to is not None:
        where.add("i.completed > 0")
    return where


def count_of(db: sqlite3.Connection, query: Query) -> int:
    """How many instances match."""
    where = _conditions(query)
    if query.statuses:
        where.add(f"i.status IN ({_numbers(query.statuses)})")
    (count,) = db.execute(
        f"SELECT count(*) FROM instances i{where.text}",  # noqa: S608 - built from constants
        where.values,
    ).fetchone()
    return int(count)


def page_of(db: sqlite3.Connection, query: Query, *, limit: int, cursor: str | None) -> list[Row]:
    """Up to ``limit`` rows after ``cursor``.  Raises: BadCursorError."""
    where = _conditions(query)
    if cursor is not None:
        _continue(where, query.order, unpack_cursor(query, cursor))
    if query.order is Order.ID and (query.statuses or query.name is not None):
        statuses = sorted(query.statuses or set(Status))
        walks = [_walk(db, query, where, limit=limit, status=status) for status in statuses]
        merged = heapq.merge(*walks, key=lambda row: row[1])
        return [row for row, _ in zip(merged, range(limit), strict=False)]
    if query.statuses:
        where.add(f"i.status IN ({_numbers(query.statuses)})")
    return _walk(db, query, where, limit=limit, status=None)


def _walk(
    db: sqlite3.Connection, query: Query, where: _Where, *, limit: int, status: Status | None
) -> list[Row]:
    own = _Where()
    own.terms, own.values = list(where.terms), list(where.values)
    if status is not None:
        own.add("i.status = ?", int(status))
    direction = " DESC" if query.order is Order.NEWEST else ""
    sort = _SORT[query.order]
    order = f"{sort}{direction}" + ("" if query.order is Order.ID else f", i.id{direction}")
    index = _INDEX.get(query.order)
    hint = f" INDEXED BY {index}" if index is not None and query.parent is None else ""
    text = (
        f"SELECT i.life, i.id, i.head FROM instances i{hint}"  # noqa: S608 - built from constants
        f"{own.text} ORDER BY {order} LIMIT ?"
    )
    return db.execute(text, (*own.values, limit)).fetchall()


def _continue(where: _Where, order: Order, cursor: Cursor) -> None:
    if order is Order.ID:
        where.add("i.id > ?", cursor.instance_id)
    else:
        sign = "<" if order is Order.NEWEST else ">"
        where.add(f"({_SORT[order]}, i.id) {sign} (?, ?)", cursor.value, cursor.instance_id)


def _numbers(statuses: Iterable[Status]) -> str:
    return ",".join(str(int(status)) for status in sorted(statuses))
