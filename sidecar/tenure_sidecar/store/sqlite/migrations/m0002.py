"""Version 2: documents (bulk jobs), and an index of their own for the reminders of retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.turn import RETENTION

if TYPE_CHECKING:
    import sqlite3

_STATEMENTS = (
    """CREATE TABLE documents (
        key TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        body BLOB NOT NULL
    ) WITHOUT ROWID""",
    # Partial: the timers of workflows, which come and go all the time, are not in it.
    f"CREATE INDEX timers_retention ON timers (due, life) WHERE kind = {RETENTION}",
)


def migrate(connection: sqlite3.Connection) -> None:
    """Add the table and the index, inside the caller's transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)
