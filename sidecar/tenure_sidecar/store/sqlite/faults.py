"""What went wrong in SQLite, in Tenure's words.

The question that matters after a failed write is whether it happened.

* Before COMMIT nothing has happened: the transaction is rolled back.
* A full disk during COMMIT: the last frame of the transaction did not get into the log, so it is
  not there, after a crash either.
* Any other error during COMMIT, above all of ``fsync``: the frames may or may not be on the disk,
  and a later recovery may find them whole.  The outcome is unknown, and the handle is not used
  again: after a failed ``fsync`` the kernel may take lost pages for clean ones.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tenure_common.errors import (
    OutcomeUnknownError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_DENIED = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
}


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 when the error did not come from SQLite."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def translate(error: sqlite3.Error, path: Path, *, committing: bool = False) -> StoreError:
    """The coded error for what SQLite raised.

    Args:
        error: from the ``sqlite3`` module.
        path: the database file.
        committing: whether the statement that failed was COMMIT.
    """
    code = primary_code(error)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    detail = f"{error} ({name})"
    if code == sqlite3.SQLITE_FULL:
        return StoreFullError(
            f"no room left for the database '{path}': {detail}; nothing was changed; "
            "free disk space, and the work goes on by itself"
        )
    if code in _CORRUPT:
        return StoreCorruptError(
            f"'{path}' is damaged or not a database: {detail}; run `tenure doctor`, "
            "restore a backup, or move the file away to start anew"
        )
    if code in _BUSY:
        return StoreUnavailableError(
            f"another program keeps a lock on '{path}': {detail}; nothing was changed; close that "
            "program (a database browser?)"
        )
    if committing:
        return OutcomeUnknownError(
            f"committing to '{path}' failed: {detail}; the write may or may not have happened"
        )
    if code in _DENIED:
        return StoreUnavailableError(
            f"cannot open or write '{path}': {detail}; check that the file and its directory "
            "exist and are writable for this user; nothing was changed"
        )
    return StoreUnavailableError(f"'{path}' failed: {detail}; nothing was changed")
