"""Version 3: listings by status or name in order of time, which is how people list, are index walks.

The indexes of version 1 had ids behind the status, so that the newest of a status were found by
looking at everything newer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_STATEMENTS = (
    "DROP INDEX instances_status",
    "DROP INDEX instances_name",
    "CREATE INDEX instances_status ON instances (status, created, id)",
    "CREATE INDEX instances_name ON instances (name, status, created, id)",
)


def migrate(connection: sqlite3.Connection) -> None:
    """Replace the indexes, inside the caller's transaction."""
    for statement in _STATEMENTS:
        connection.execute(statement)
