"""Is a database sound?  For ``tenure doctor``: looks at everything, changes nothing.

Three questions, from the bottom up: are the pages right (SQLite's own check), do rows belong
together, and can every value be read?
"""

# ruff: noqa: S608 - texts are built from constants, values are always bound

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tenure_common.errors import StoreError
from tenure_sidecar.engine.codec import decode_events, decode_head, decode_item
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.sqlite.cells import RUNNABLE
from tenure_sidecar.store.sqlite.faults import translate
from tenure_sidecar.store.sqlite.log import commits_behind_end
from tenure_sidecar.store.sqlite.schema import look, recognise
from tenure_sidecar.store.sqlite.seal import unseal

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head

_PAGE_PROBLEMS = 20
_ORPHANS = ("inputs", "history", "inbox", "timers", "tags")
_MISSED = (
    f"SELECT i.id FROM instances i WHERE {RUNNABLE}"
    " AND NOT EXISTS (SELECT 1 FROM runnable r WHERE r.life = i.life)"
)


def check(path: Path) -> list[str]:
    """Every problem found, one sentence each; empty when the database is sound.

    Works beside a running engine, and on a database that the engine refuses to open.

    Raises: StoreError when the file cannot be read at all, is no database of Tenure's, or is newer.
    """
    if not path.exists():
        message = f"there is no database '{path}'"
        raise StoreError(message)
    db = look(path)
    try:
        version = recognise(db, path)
        db.execute("BEGIN")
        problems = [f"page: {row[0]}" for row in _pages(db) if row[0] != "ok"]
        lost = commits_behind_end(path)
        if lost > 1:
            problems.append(f"log: {lost} committed transactions behind a damaged frame are lost")
        if version:
            problems += _rows(db)
    except sqlite3.Error as error:
        raise translate(error, path) from error
    finally:
        db.close()
    return problems


def _pages(db: sqlite3.Connection) -> list[tuple[str]]:
    return db.execute(f"PRAGMA integrity_check({_PAGE_PROBLEMS})").fetchall()


def _rows(db: sqlite3.Connection) -> Iterator[str]:
    for table in _ORPHANS:
        query = (
            f"SELECT count(*) FROM {table} t"
            " WHERE NOT EXISTS (SELECT 1 FROM instances i WHERE i.life = t.life)"
        )
        (count,) = db.execute(query).fetchone()
        if count:
            yield f"{table}: {count} rows belong to no instance"
    for (instance_id,) in db.execute(_MISSED):
        yield f"instance '{instance_id}' has work, and would not be resumed"
    row = db.execute("SELECT value FROM meta WHERE key = 'partitions'").fetchone()
    if row is not None:  # absent when the process died while it created the database
        yield from _heads(db, row[0])
    yield from _histories(db)
    yield from _inboxes(db)
    for life, given in db.execute("SELECT life, input FROM inputs"):
        yield from _problem(unseal, given, life, f"the input of instance {life}")


def _heads(db: sqlite3.Connection, partitions: int) -> Iterator[str]:
    columns = "life, id, partition, status, pending, name, created, completed, parent"
    tags: dict[int, dict[str, str]] = {}
    for life, key, value in db.execute("SELECT life, key, value FROM tags"):
        tags.setdefault(life, {})[key] = value
    for life, instance_id, partition, *listed, blob in db.execute(
        f"SELECT {columns}, head FROM instances"
    ):
        if partition != partition_of(instance_id, partitions):
            yield f"instance '{instance_id}' is in the wrong partition ({partition})"
        try:
            head = decode_head(unseal(blob, life, f"the head of '{instance_id}'"))
        except StoreError as error:
            yield error.message
            continue
        if [instance_id, *listed] != _listed(head):
            yield f"instance '{instance_id}' is listed with other values than its head has"
        if tags.get(life, {}) != head.tags:
            yield f"tags: '{instance_id}' is listed with others than its head has"


def _listed(head: Head) -> list[object]:
    parent = None if head.parent is None else head.parent.instance_id
    values = (int(head.status), head.pending, head.name, head.created_at, head.completed_at)
    return [head.instance_id, *values, parent]


def _histories(db: sqlite3.Connection) -> Iterator[str]:
    query = (
        "SELECT h.life, i.id, i.turns, h.seq, h.events, h.batch"
        " FROM history h JOIN instances i USING (life) ORDER BY h.life, h.seq"
    )
    for life, instance_id, turns, seq, events, blob in db.execute(query):
        what = f"turn {seq} in the history of '{instance_id}'"
        if seq >= turns:
            yield f"{what} is one more than its {turns} turns"
        try:
            count = len(decode_events(unseal(blob, life, what)))
        except StoreError as error:
            yield error.message
            continue
        if count != events:
            yield f"{what} has {count} events, not {events}"
    gaps = (
        "SELECT i.id, i.turns, count(h.seq) FROM instances i LEFT JOIN history h USING (life)"
        " GROUP BY i.life HAVING count(h.seq) < i.turns"
    )
    for instance_id, turns, count in db.execute(gaps):
        yield f"the history of '{instance_id}' has {count} of {turns} turns"


def _inboxes(db: sqlite3.Connection) -> Iterator[str]:
    query = "SELECT b.life, i.id, b.key, b.item FROM inbox b JOIN instances i USING (life)"
    for life, instance_id, key, blob in db.execute(query):
        what = f"inbox item '{key}' of '{instance_id}'"
        try:
            item = decode_item(unseal(blob, life, what))
        except StoreError as error:
            yield error.message
            continue
        if item.key != key:
            yield f"{what} says that it is '{item.key}'"


def _problem(call: Callable[..., object], *args: object) -> Iterator[str]:
    try:
        call(*args)
    except StoreError as error:
        yield error.message
