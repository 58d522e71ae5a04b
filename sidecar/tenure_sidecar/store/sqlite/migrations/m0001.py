"""Version 1: the first schema.  docs/reference/storage.md describes it.

``life`` numbers instances: an id that is used again is another life, and no number is ever given
twice.  Whole-instance deletes and the fence of stale copies rest on that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_STATEMENTS = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE owners (
        partition INTEGER PRIMARY KEY,
        token INTEGER NOT NULL,
        owner TEXT
    )""",
    """CREATE TABLE instances (
        life INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        partition INTEGER NOT NULL,
        version INTEGER NOT NULL,
        status INTEGER NOT NULL,
        pending INTEGER NOT NULL,
        turns INTEGER NOT NULL,
        name TEXT NOT NULL,
        created INTEGER NOT NULL,
        completed INTEGER NOT NULL,
        parent TEXT,
        head BLOB NOT NULL
    )""",
    "CREATE UNIQUE INDEX instances_id ON instances (id)",
    "CREATE INDEX instances_status ON instances (status, id)",
    "CREATE INDEX instances_name ON instances (name, status, id)",
    "CREATE INDEX instances_created ON instances (created, id)",
    "CREATE INDEX instances_completed ON instances (completed, id) WHERE completed > 0",
    "CREATE INDEX instances_parent ON instances (parent, id) WHERE parent IS NOT NULL",
    "CREATE TABLE inputs (life INTEGER PRIMARY KEY, input BLOB NOT NULL)",
    """CREATE TABLE history (
        life INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        events INTEGER NOT NULL,
        batch BLOB NOT NULL,
        PRIMARY KEY (life, seq)
    ) WITHOUT ROWID""",
    """CREATE TABLE inbox (
        life INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        key TEXT NOT NULL,
        item BLOB NOT NULL,
        PRIMARY KEY (life, seq)
    ) WITHOUT ROWID""",
    """CREATE TABLE timers (
        due INTEGER NOT NULL,
        life INTEGER NOT NULL,
        timer_id INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        PRIMARY KEY (due, life, timer_id, kind)
    ) WITHOUT ROWID""",
    "CREATE INDEX timers_life ON timers (life, kind)",
    """CREATE TABLE tags (
        life INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        id TEXT NOT NULL,
        PRIMARY KEY (life, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX tags_value ON tags (key, value, id)",
    "CREATE TABLE runnable (life INTEGER PRIMARY KEY)",
)


def migrate(connection: sqlite3.Connection) -> None:
    """Create the tables, inside the caller's transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)
