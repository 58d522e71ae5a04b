"""How many bytes of a SQLite database an instance takes: ``python bench/sqlite_size.py``.

The kinds of instances and their payloads are those of ``etcd_size.py``; each kind is run through the
real engine (with a worker in this process) on a database of its own.  It prints for each kind:

* *rows*: rows of one instance when it has come to rest, of all tables;
* *file*: bytes by which the database grew, its log folded in, free pages left out.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

import structlog
from etcd_size import KINDS, fill

from tenure_sidecar.store.sqlite import SqliteStore


def sizes(path: Path) -> tuple[int, int]:
    """Rows of all tables, and bytes of the pages in use.  The database is closed."""
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        rows = sum(
            database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - ours
            for (name,) in tables
        )
        page, pages, free = (
            database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
    database.close()
    return rows, page * (pages - free)


async def run(path: Path, workflow: Any, given: str, count: int) -> None:
    """Open the database, and with ``count`` > 0 run instances in it."""
    store = SqliteStore(path)
    await store.open()
    if count:
        await fill(store, workflow, given, count)
    await store.close()


def measure_all(count: int) -> None:
    """Measure every kind in a fresh database each, and print a table."""
    print("| an instance that | rows | file |")
    print("|---|---|---|")
    for name, workflow, given in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tenure.db"
            asyncio.run(run(path, workflow, given, 0))
            before = sizes(path)
            asyncio.run(run(path, workflow, given, count))
            rows, file = ((b - a) / count for a, b in zip(before, sizes(path), strict=True))
        print(f"| {name} | {rows:.0f} | {file:,.0f} B |", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="How many bytes of SQLite an instance takes.")
    parser.add_argument("--count", type=int, default=1_000, help="instances of each kind")
    count = parser.parse_args().count
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    measure_all(count)


if __name__ == "__main__":
    main()
