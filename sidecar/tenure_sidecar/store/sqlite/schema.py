"""Opening a database: connect, recognise, migrate, refuse.

A file is ours when its application id says so.  The table ``schema_version`` has one row per
applied migration; a version above the newest that this program knows is refused, because writing
to it would lose what the newer program knows.  Migrations only go forward, each in a transaction of
its own.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from tenure_common.errors import (
    ConfigConflictError,
    StoreCorruptError,
    StoreNewerError,
    StoreUnavailableError,
)
from tenure_sidecar.store.partition import DEFAULT_PARTITIONS
from tenure_sidecar.store.sqlite.faults import translate
from tenure_sidecar.store.sqlite.log import refuse_damaged
from tenure_sidecar.store.sqlite.migrations import MIGRATIONS

APPLICATION_ID = 0x54656E75  # "Tenu"
VERSION = len(MIGRATIONS)

_BUSY_SECONDS = 5.0
_STATEMENTS_KEPT = 512
# KiB of pages that a connection keeps.  Only the reader's fills up while an engine does little: with
# 12 MiB, 100,000 dormant instances take 18 MB, with 16 it was 23; with 8, long lists took 20 ms more.
_READER_CACHE = 12_288
_WRITER_CACHE = 16_384
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection for the calling thread.  Raises: StoreError."""
    try:
        connection = sqlite3.connect(
            path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            cached_statements=_STATEMENTS_KEPT,
        )
    except sqlite3.Error as error:
        raise translate(error, path) from error
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        cache = _READER_CACHE if read_only else _WRITER_CACHE
        connection.execute(f"PRAGMA cache_size = -{cache}")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        connection.close()
        raise translate(error, path) from error
    return connection


def create_file(path: Path) -> None:
    """Make the database file, readable by its owner alone; nothing when it is there.

    Raises: StoreUnavailableError.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        message = (
            f"cannot open or create the database '{path}': {error.strerror}; check that it is a "
            "file and that it and its directory are writable for this user"
        )
        raise StoreUnavailableError(message) from error


def look(path: Path) -> sqlite3.Connection:
    """A connection that cannot change the file, nor its log when it is closed.

    Raises: StoreError.
    """
    try:
        return sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
        )
    except sqlite3.Error as error:
        raise translate(error, path) from error


def inspect(path: Path) -> None:
    """Refuse a file that will not do, before anything is changed in it.

    Raises: StoreNewerError, StoreCorruptError, StoreError.
    """
    connection = look(path)
    try:
        recognise(connection, path)
        refuse_damaged(path)
    except sqlite3.Error as error:
        raise translate(error, path) from error
    finally:
        connection.close()


def prepare(connection: sqlite3.Connection, path: Path, *, partitions: int | None) -> int:
    """Bring the database to the present schema; returns its partition count.

    Args:
        connection: in autocommit mode.
        path: for messages.
        partitions: wanted by the settings; None takes what the database has.

    Raises: StoreNewerError, StoreCorruptError, ConfigConflictError, StoreError.
    """
    try:
        version = recognise(connection, path)
        for number in range(version + 1, VERSION + 1):
            _migrate(connection, number)
        return _partitions(connection, path, partitions)
    except sqlite3.Error as error:
        raise translate(error, path) from error


def recognise(connection: sqlite3.Connection, path: Path) -> int:
    """The database's schema version; 0 for a new file.

    Raises: StoreCorruptError, StoreNewerError.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        return 0
    if application != APPLICATION_ID:
        message = (
            f"'{path}' is an SQLite database, but not one of Tenure's; nothing was changed; "
            "give Tenure a file of its own"
        )
        raise StoreCorruptError(message)
    (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    if version > VERSION:
        message = (
            f"'{path}' has schema version {version}, this program knows up to {VERSION}; "
            "nothing was changed; use the newer version of Tenure that wrote it"
        )
        raise StoreNewerError(message)
    return int(version)


def _migrate(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if number == 1:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("CREATE TABLE schema_version (version INTEGER PRIMARY KEY)")
        MIGRATIONS[number - 1](connection)
        connection.execute("INSERT INTO schema_version (version) VALUES (?)", (number,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _partitions(connection: sqlite3.Connection, path: Path, wanted: int | None) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = 'partitions'").fetchone()
    if row is None:
        count = wanted or DEFAULT_PARTITIONS
        connection.execute("INSERT INTO meta (key, value) VALUES ('partitions', ?)", (count,))
        return count
    count = int(row[0])
    if wanted is not None and wanted != count:
        message = (
            f"'{path}' was created with {count} partitions, the settings say {wanted}; the count "
            f"is fixed for the life of a task hub: set it back to {count}"
        )
        raise ConfigConflictError(message)
    return count
