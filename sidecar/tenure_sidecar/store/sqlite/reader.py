"""Reads: each in one snapshot, on a connection of its own.  Lives in the reader lane's thread.

A read never waits for a write and never sees half of one (law W14): SQLite's log gives every
transaction the database as it was when the transaction began.
"""

# ruff: noqa: S608 - texts are built from constants, values are always bound

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tenure_sidecar.engine.codec import decode_events, decode_head, decode_item
from tenure_sidecar.engine.turn import RETENTION, Timer
from tenure_sidecar.store.listing import pack_cursor, successor
from tenure_sidecar.store.port import Document, Loaded, Page
from tenure_sidecar.store.sqlite.cells import RUNNABLE
from tenure_sidecar.store.sqlite.faults import translate
from tenure_sidecar.store.sqlite.judge import version_of
from tenure_sidecar.store.sqlite.schema import connect
from tenure_sidecar.store.sqlite.seal import unseal
from tenure_sidecar.store.sqlite.selection import count_of, page_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from tenure_sidecar.engine.events import Event
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.store.port import Query

_ONE = "SELECT life, version, head FROM instances WHERE id = ?"
_HISTORY = "SELECT seq, batch FROM history WHERE life = ? ORDER BY seq"
_INBOX = "SELECT key, item FROM inbox WHERE life = ? ORDER BY seq"
_INPUT = "SELECT input FROM inputs WHERE life = ?"
_CHILDREN = "SELECT id FROM instances WHERE parent = ? ORDER BY id"
_DUE = (
    "SELECT t.due, i.id, t.timer_id, t.kind, t.generation FROM timers t JOIN instances i"
    f" USING (life) WHERE t.due BETWEEN ? AND ? AND t.kind <> {RETENTION}"
    "{} ORDER BY t.due LIMIT ?"
)
_EXPIRED = (
    "SELECT t.due, i.id, t.timer_id, t.kind, t.generation FROM timers t"
    " INDEXED BY timers_retention JOIN instances i USING (life)"
    f" WHERE t.kind = {RETENTION} AND t.due <= ?"
    "{} ORDER BY t.due LIMIT ?"
)
_DOCUMENTS = "SELECT key, version, body FROM documents WHERE key >= ?{} ORDER BY key"
_ACTIVE = (
    "SELECT i.id FROM runnable r JOIN instances i USING (life)"
    f" WHERE {RUNNABLE}"
    "{} AND i.id > ? ORDER BY i.id LIMIT ?"
)
_COUNTS = {
    "instances": "SELECT count(*) FROM instances",
    "history_events": "SELECT coalesce(sum(events), 0) FROM history",
    "inbox_items": "SELECT count(*) FROM inbox",
    "timers": "SELECT count(*) FROM timers",
}


class Reader:
    """Reads the database at ``path``; ``partitions`` is P."""

    def __init__(self, path: Path, *, partitions: int) -> None:
        self._path = path
        self._partitions = partitions
        self._db: sqlite3.Connection

    def open(self) -> None:
        """Connect.  Raises: StoreError."""
        self._db = connect(self._path, read_only=True)

    def close(self) -> None:
        """Disconnect."""
        self._db.close()

    @contextmanager
    def _snapshot(self) -> Generator[sqlite3.Connection, None, None]:
        """One transaction, so that all of its queries see the same database."""
        db = self._db
        try:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise translate(error, self._path) from error

    def load(self, instance_id: str) -> Loaded | None:
        """See ``Store.load``."""
        with self._snapshot() as db:
            row = db.execute(_ONE, (instance_id,)).fetchone()
            if row is None:
                return None
            life, version, head = row
            batches = db.execute(_HISTORY, (life,)).fetchall()
            items = db.execute(_INBOX, (life,)).fetchall()
            given = db.execute(_INPUT, (life,)).fetchone()
        history: list[Event] = []
        for seq, batch in batches:
            what = f"turn {seq} in the history of '{instance_id}'"
            history += decode_events(unseal(batch, life, what))
        return Loaded(
            head=_head(head, life, instance_id),
            version=version_of(life, version),
            history=tuple(history),
            inbox=tuple(
                [
                    decode_item(unseal(item, life, f"inbox item '{key}' of '{instance_id}'"))
                    for key, item in items
                ]
            ),
            input=_input(given, life, instance_id),
        )

    def head(self, instance_id: str) -> Head | None:
        """See ``Store.head``."""
        with self._snapshot() as db:
            row = db.execute(_ONE, (instance_id,)).fetchone()
        return None if row is None else _head(row[2], row[0], instance_id)

    def input(self, instance_id: str) -> str | None:
        """See ``Store.input``."""
        with self._snapshot() as db:
            row = db.execute(_ONE, (instance_id,)).fetchone()
            given = None if row is None else db.execute(_INPUT, (row[0],)).fetchone()
        return None if row is None else _input(given, row[0], instance_id)

    def heads(self, query: Query, limit: int, cursor: str | None) -> Page:
        """See ``Store.heads``."""
        with self._snapshot() as db:
            rows = page_of(db, query, limit=limit + 1, cursor=cursor)
        heads = tuple([_head(blob, life, instance_id) for life, instance_id, blob in rows[:limit]])
        more = len(rows) > limit and heads
        return Page(heads, pack_cursor(query, heads[-1]) if more else None)

    def count(self, query: Query) -> int:
        """See ``Store.count``."""
        with self._snapshot() as db:
            return count_of(db, query)

    def children(self, instance_id: str) -> tuple[str, ...]:
        """See ``Store.children``."""
        with self._snapshot() as db:
            return tuple([row[0] for row in db.execute(_CHILDREN, (instance_id,))])

    def due(self, partitions: Sequence[int], until: int, limit: int, since: int) -> list[Timer]:
        """See ``Store.due``."""
        query = _DUE.format(self._only("t", partitions))
        with self._snapshot() as db:
            rows = db.execute(query, (since, until, limit)).fetchall()
        return [Timer(*row) for row in rows]

    def expired(self, partitions: Sequence[int], until: int, limit: int) -> list[Timer]:
        """See ``Store.expired``."""
        query = _EXPIRED.format(self._only("t", partitions))
        with self._snapshot() as db:
            rows = db.execute(query, (until, limit)).fetchall()
        return [Timer(*row) for row in rows]

    def documents(self, prefix: str) -> list[Document]:
        """See ``Store.documents``."""
        end = successor(prefix)
        query = _DOCUMENTS.format("" if end is None else " AND key < ?")
        with self._snapshot() as db:
            rows = db.execute(query, (prefix,) if end is None else (prefix, end)).fetchall()
        return [Document(*row) for row in rows]

    def active(self, partitions: Sequence[int], after: str | None, limit: int) -> list[str]:
        """See ``Store.active``."""
        query = _ACTIVE.format(self._only("i", partitions))
        with self._snapshot() as db:
            return [row[0] for row in db.execute(query, (after or "", limit))]

    def _only(self, table: str, partitions: Sequence[int]) -> str:
        """The condition that keeps to ``partitions``; none when these are all."""
        wanted = set(partitions)
        if wanted.issuperset(range(self._partitions)):
            return ""
        return f" AND {table}.partition IN ({','.join(str(int(p)) for p in sorted(wanted))})"

    def stats(self) -> dict[str, int]:
        """See ``Store.stats``, without the writer's part."""
        with self._snapshot() as db:
            return {name: int(db.execute(query).fetchone()[0]) for name, query in _COUNTS.items()}


def _head(blob: bytes, life: int, instance_id: str) -> Head:
    return decode_head(unseal(blob, life, f"the head of '{instance_id}'"))


def _input(row: tuple[bytes] | None, life: int, instance_id: str) -> str | None:
    if row is None:
        return None
    return unseal(row[0], life, f"the input of '{instance_id}'").decode()
