"""Many rows in few statements.

Every step of a statement costs the binding a round through the interpreter lock, so N rows are
written with about log2(N) statements of 2^k rows each instead of N of one.  Sizes are powers of two
so that few texts occur and SQLite's prepared statements are used again.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

_CHUNK = 256  # rows; times the widest row it stays far below SQLite's 32,766 parameters


class Verb(NamedTuple):
    """A statement over rows: ``before`` + rows joined by commas + ``after``."""

    before: str
    row: str
    after: str = ""


def insert(table: str, *columns: str, replace: bool = False) -> Verb:
    """Insert rows; ``replace`` puts them in the place of rows with the same primary key."""
    verb = "REPLACE" if replace else "INSERT"
    row = f"({','.join('?' * len(columns))})"
    return Verb(f"{verb} INTO {table} ({','.join(columns)}) VALUES ", row)


def update(table: str, key: str, *columns: str) -> Verb:
    """Update ``columns`` of the rows whose ``key`` is the first value."""
    sets = ",".join(f"{name} = v.column{i}" for i, name in enumerate(columns, start=2))
    row = f"({','.join('?' * (len(columns) + 1))})"
    end = f") AS v WHERE {table}.{key} = v.column1"
    return Verb(f"UPDATE {table} SET {sets} FROM (VALUES ", row, end)  # noqa: S608 - constants


def delete(table: str, *keys: str) -> Verb:
    """Delete the rows whose ``keys`` have the given values."""
    if len(keys) == 1:
        return Verb(f"DELETE FROM {table} WHERE {keys[0]} IN (", "?", ")")  # noqa: S608 - constants
    row = f"({','.join('?' * len(keys))})"
    before = f"DELETE FROM {table} WHERE ({','.join(keys)}) IN (VALUES "  # noqa: S608 - constants
    return Verb(before, row, ")")


@lru_cache(maxsize=1024)
def _text(verb: Verb, rows: int) -> str:
    return verb.before + ",".join([verb.row] * rows) + verb.after


def _sizes(rows: int) -> Iterator[tuple[int, int]]:
    """Slices that cover ``rows``, each as long as a power of two."""
    start = 0
    while start < rows:
        size = min(_CHUNK, 1 << ((rows - start).bit_length() - 1))
        yield start, size
        start += size


def apply(connection: sqlite3.Connection, verb: Verb, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run ``verb`` over ``rows``."""
    execute = connection.execute
    for start, size in _sizes(len(rows)):
        if size == 1:
            execute(_text(verb, 1), rows[start])
        else:
            values = list(chain.from_iterable(rows[start : start + size]))
            execute(_text(verb, size), values)


def select_in(
    connection: sqlite3.Connection, before: str, values: Sequence[Any]
) -> Iterator[tuple[Any, ...]]:
    """Rows of ``before`` + a list of ``values``; short lists are filled up with their last value,
    which changes nothing."""
    for start in range(0, len(values), _CHUNK):
        part = list(values[start : start + _CHUNK])
        size = 1 << (len(part) - 1).bit_length()
        part += [part[-1]] * (size - len(part))
        yield from connection.execute(_text(Verb(before + "(", "?", ")"), size), part).fetchall()
