"""SQL for listings.

A page must cost what the page holds, not what the table holds.  There are two ways to get one:

* *walk* an index that has the wanted order, from the cursor on, and check the other conditions row
  by row.  By time there is one such index for each of status and name; statuses are few, so a query
  for several of them is one walk per status, merged here (SQLite would sort everything).
* *collect* what a selective condition (parent, tag, prefix, a range of the other time) leaves, by its
  own index, and sort that.

A walk finds what is frequent soon, collecting is cheap for what is rare.  Which it is, is counted in
the index, up to ``FEW`` and no further.  SQLite's planner would have to guess it from statistics that
nobody gathers here, so every statement names its index.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.listing import Cursor, successor, unpack_cursor
from tenure_sidecar.store.port import Order, Query

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

Row = tuple[int, str, bytes]  # life, id, head

FEW: Final = 5_000  # rows that are collected and sorted in about 5 ms

_SORT = {
    Order.ID: "i.id",
    Order.CREATED: "i.created",
    Order.NEWEST: "i.created",
    Order.COMPLETED: "i.completed",
}
_WALKED = {
    Order.ID: "instances_id",
    Order.CREATED: "instances_created",
    Order.NEWEST: "instances_created",
    Order.COMPLETED: "instances_completed",
}
_TAGGED: Final = "EXISTS (SELECT 1 FROM tags o WHERE o.life = i.life AND o.key = ? AND o.value = ?)"
_BY_CREATION: Final = (Order.CREATED, Order.NEWEST)


class _Source(NamedTuple):
    """An index, and the part of the query that it answers."""

    table: str
    terms: tuple[str, ...]
    values: tuple[Any, ...]


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


def count_of(db: sqlite3.Connection, query: Query) -> int:
    """How many instances match."""
    where = _conditions(query)
    (count,) = db.execute(
        f"SELECT count(*) FROM instances i{where.text}",  # noqa: S608 - built from constants
        where.values,
    ).fetchone()
    return int(count)


def page_of(db: sqlite3.Connection, query: Query, *, limit: int, cursor: str | None) -> list[Row]:
    """Up to ``limit`` rows after ``cursor``.  Raises: BadCursorError."""
    few = _fewest(db, query)
    where = _conditions(query, answered=() if few is None else few.values)
    if cursor is not None:
        _continue(where, query.order, unpack_cursor(query, cursor))
    if few is not None:
        where.terms += few.terms
        where.values += few.values
        return [row[:3] for row in _rows(db, query.order, few.table, where, limit)]
    if query.order not in _BY_CREATION or not (query.statuses or query.name is not None):
        source = f"instances i INDEXED BY {_WALKED[query.order]}"
        return [row[:3] for row in _rows(db, query.order, source, where, limit)]
    index = "instances_status" if query.name is None else "instances_name"
    walks: list[list[tuple[int, str, bytes, int]]] = []
    for status in sorted(query.statuses or set(Status)):
        own = _Where()
        own.terms, own.values = [*where.terms, "i.status = ?"], [*where.values, int(status)]
        source = f"instances i INDEXED BY {index}"
        walks.append(_rows(db, query.order, source, own, limit))
    backward = query.order is Order.NEWEST
    merged = heapq.merge(*walks, key=lambda row: (row[3], row[1]), reverse=backward)
    return [row[:3] for row, _ in zip(merged, range(limit), strict=False)]


def _rows(
    db: sqlite3.Connection, order: Order, source: str, where: _Where, limit: int
) -> list[tuple[int, str, bytes, int]]:
    """Rows in order, with the time that they are sorted by."""
    direction = " DESC" if order is Order.NEWEST else ""
    sort = _SORT[order]
    by = f"{sort}{direction}" + ("" if order is Order.ID else f", i.id{direction}")
    time = "0" if order is Order.ID else sort
    text = (
        f"SELECT i.life, i.id, i.head, {time} FROM {source}"  # noqa: S608 - built from constants
        f"{where.text} ORDER BY {by} LIMIT ?"
    )
    return db.execute(text, (*where.values, limit)).fetchall()


# --- which way ------------------------------------------------------------------------------------


def _fewest(db: sqlite3.Connection, query: Query) -> _Source | None:
    """The source that leaves the fewest rows; None when the best one leaves more than ``FEW``."""
    best: tuple[int, _Source] | None = None
    for source in _selective(query):
        (count,) = db.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM {_alone(source)}"  # noqa: S608 - constants
            f" WHERE {' AND '.join(source.terms)} LIMIT ?)",
            (*source.values, FEW + 1),
        ).fetchone()
        if count <= FEW and (best is None or count < best[0]):
            best = count, source
    return None if best is None else best[1]


def _alone(source: _Source) -> str:
    """The source without what it is joined with."""
    return source.table.partition(" CROSS JOIN ")[0]


def _selective(query: Query) -> list[_Source]:
    """Conditions with an index of their own that the walk in the query's order does not use."""
    found: list[_Source] = []
    by_creation = query.order in _BY_CREATION
    if query.parent is not None:
        found.append(_source("parent", ("i.parent = ?", query.parent)))
    for key, value in query.tags.items():
        found.append(
            _Source(
                "tags t INDEXED BY tags_value CROSS JOIN instances i USING (life)",
                ("t.key = ?", "t.value = ?"),
                (key, value),
            )
        )
    if query.id_prefix and query.order is not Order.ID:
        found.append(_source("id", *_prefix(query.id_prefix)))
    if not by_creation:
        if query.name is not None:
            found.append(_source("name", ("i.name = ?", query.name)))
        elif len(query.statuses) == 1:
            found.append(_source("status", *(("i.status = ?", int(s)) for s in query.statuses)))
        found += _range("created", query.created_from, query.created_to)
    if query.order is not Order.COMPLETED:
        found += _range("completed", query.completed_from, query.completed_to)
    return found


def _source(index: str, *terms: tuple[str, object]) -> _Source:
    table = f"instances i INDEXED BY instances_{index}"
    return _Source(table, tuple(term for term, _ in terms), tuple(value for _, value in terms))


def _range(column: str, lower: int | None, upper: int | None) -> list[_Source]:
    terms = _bounds(column, lower, upper)
    if not terms:
        return []
    source = _source(column, *terms)
    if column == "completed":  # what its index says of itself, word by word: else SQLite refuses it
        source = source._replace(terms=(*source.terms, "i.completed > 0"))
    return [source]


# --- conditions -----------------------------------------------------------------------------------


def _conditions(query: Query, *, answered: tuple[Any, ...] = ()) -> _Where:
    """All of them, but for the tag (key and value) that a source has ``answered``."""
    where = _Where()
    if query.statuses:
        where.add(f"i.status IN ({_numbers(query.statuses)})")
    if query.name is not None:
        where.add("i.name = ?", query.name)
    if query.parent is not None:
        where.add("i.parent = ?", query.parent)
    for tag in query.tags.items():
        if tag != answered:
            where.add(_TAGGED, *tag)
    ended = _bounds("completed", query.completed_from, query.completed_to)
    created = _bounds("created", query.created_from, query.created_to)
    prefix = _prefix(query.id_prefix) if query.id_prefix else []
    for term, value in (*prefix, *created, *ended):
        where.add(term, value)
    if ended or query.order is Order.COMPLETED:
        where.add("i.completed > 0")
    return where


def _prefix(prefix: str) -> list[tuple[str, object]]:
    end = successor(prefix)
    return [("i.id >= ?", prefix), *([] if end is None else [("i.id < ?", end)])]


def _bounds(column: str, lower: int | None, upper: int | None) -> list[tuple[str, object]]:
    both = ((f"i.{column} >= ?", lower), (f"i.{column} < ?", upper))
    return [(term, bound) for term, bound in both if bound is not None]


def _continue(where: _Where, order: Order, cursor: Cursor) -> None:
    if order is Order.ID:
        where.add("i.id > ?", cursor.instance_id)
    else:
        sign = "<" if order is Order.NEWEST else ">"
        where.add(f"({_SORT[order]}, i.id) {sign} (?, ?)", cursor.value, cursor.instance_id)


def _numbers(statuses: Iterable[Status]) -> str:
    return ",".join(str(int(status)) for status in sorted(statuses))
