"""The writer: one transaction for each batch of ops.  Lives in the writer lane's thread."""

# ruff: noqa: S608 - texts are built from constants, values are always bound

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from tenure_common.errors import StoreError
from tenure_sidecar.engine.codec import decode_head
from tenure_sidecar.store.port import Fence
from tenure_sidecar.store.sqlite.bulk import apply, delete, insert
from tenure_sidecar.store.sqlite.cells import RUNNABLE, Cells
from tenure_sidecar.store.sqlite.faults import translate
from tenure_sidecar.store.sqlite.judge import Judge, ids_of
from tenure_sidecar.store.sqlite.schema import connect, create_file, inspect, prepare
from tenure_sidecar.store.sqlite.seal import unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.store.port import Op, Result
    from tenure_sidecar.store.sqlite.cells import Cell

_CALM = delete("runnable", "life")
_OWN = insert("owners", "partition", "token", "owner", replace=True)

_NEXT_DOCUMENT = """INSERT INTO meta (key, value) VALUES ('next_document', 1)
    ON CONFLICT (key) DO UPDATE SET value = value + 1 RETURNING value"""

# Rows of ``runnable`` whose instance has nothing to do (or is gone): what the last process had not
# got round to taking away.
_SWEEP = f"""DELETE FROM runnable WHERE NOT EXISTS (
    SELECT 1 FROM instances i WHERE i.life = runnable.life AND {RUNNABLE}
)"""


class BrokenHandleError(Exception):
    """A write failed so that the connection must not be used again; ``error`` is for its caller."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(str(error))
        self.error = error


class Writer:
    """The only writer of the database at ``path``."""

    def __init__(self, path: Path, *, partitions: int | None) -> None:
        self._path = path
        self._wanted = partitions
        self.partitions = 0
        self.commits = 0
        self._db: sqlite3.Connection
        self._cells = Cells()
        self._tokens: dict[int, int] = {}
        self._next_life = 0

    # --- life -------------------------------------------------------------------------------------

    def open(self) -> None:
        """Create or migrate the file and read what the writer keeps in memory.

        Raises: StoreError.
        """
        create_file(self._path)
        inspect(self._path)
        db = connect(self._path)
        try:
            self.partitions = prepare(db, self._path, partitions=self._wanted)
            db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('next_life', 1)")
            db.execute(_SWEEP)
            self._next_life = _value(db, "SELECT value FROM meta WHERE key = 'next_life'")
            owned = "SELECT partition, token FROM owners WHERE owner IS NOT NULL"
            self._tokens = dict(db.execute(owned).fetchall())
        except sqlite3.Error as error:
            db.close()
            raise translate(error, self._path) from error
        except StoreError:
            db.close()
            raise
        self._cells.forget()
        self._db = db

    def close(self) -> None:
        """Leave the file tidy and close it."""
        try:
            lives = self._cells.take_lull()
            if lives:
                self._transact(lambda db: apply(db, _CALM, [(life,) for life in lives]))
        except (StoreError, BrokenHandleError):
            pass  # the next ``open`` sweeps
        finally:
            self._db.close()

    def abandon(self) -> None:
        """Close a broken handle without another write."""
        self._db.close()

    # --- ops --------------------------------------------------------------------------------------

    def write(self, ops: Sequence[Op]) -> list[Result]:
        """See ``Store.write``.  Raises: StoreError, BrokenHandleError."""
        judged: list[tuple[Judge, list[Result]]] = []

        def work(db: sqlite3.Connection) -> None:
            judge = Judge(
                self._cells.get(db, dict.fromkeys(ids_of(ops))),
                tokens=self._tokens,
                partitions=self.partitions,
                next_life=self._next_life,
                read_head=self._read_head,
            )
            judged.append((judge, [judge.judge(op) for op in ops]))
            for life in judge.ended:
                self._cells.gone(life)
            added, gone = self._cells.settle(judge.touched.values())
            judge.rows.write(db, added, gone)

        self._transact(work)
        judge, results = judged[0]
        self._cells.keep(judge.cells)
        if judge.rows.next_life:
            self._next_life = judge.rows.next_life
        return results

    def _read_head(self, cell: Cell) -> Head:
        row = self._db.execute("SELECT head FROM instances WHERE life = ?", (cell.life,)).fetchone()
        return decode_head(unseal(row[0], cell.life, f"the head of '{cell.id}'"))

    # --- documents --------------------------------------------------------------------------------

    def put(self, key: str, body: bytes | None, version: int) -> int | None:
        """See ``Store.put``.  Raises: StoreError, BrokenHandleError."""
        outcome: list[int | None] = []

        def work(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT version FROM documents WHERE key = ?", (key,)).fetchone()
            if version != (0 if row is None else row[0]):
                outcome.append(None)
            elif body is None:
                db.execute("DELETE FROM documents WHERE key = ?", (key,))
                outcome.append(0)
            else:
                new = _value(db, _NEXT_DOCUMENT)
                db.execute("REPLACE INTO documents VALUES (?, ?, ?)", (key, new, body))
                outcome.append(new)

        self._transact(work)
        return outcome[0]

    # --- ownership --------------------------------------------------------------------------------

    def own(self, partitions: Sequence[int], owner: str) -> list[Fence]:
        """See ``Store.own``."""
        fences: list[Fence] = []

        def work(db: sqlite3.Connection) -> None:
            tokens = dict(db.execute("SELECT partition, token FROM owners").fetchall())
            fences.extend(Fence(p, tokens.get(p, 0) + 1) for p in dict.fromkeys(partitions))
            apply(db, _OWN, [(f.partition, f.token, owner) for f in fences])

        self._transact(work)
        self._tokens.update((fence.partition, fence.token) for fence in fences)
        return fences

    def release(self, fences: Sequence[Fence]) -> None:
        """See ``Store.release``."""
        current = [f for f in fences if self._tokens.get(f.partition) == f.token]
        if not current:
            return
        rows = [(f.partition, f.token, None) for f in current]
        self._transact(lambda db: apply(db, _OWN, rows))
        for fence in current:
            del self._tokens[fence.partition]

    # --- transactions -----------------------------------------------------------------------------

    def _transact(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run ``work`` in a transaction: all of it becomes durable, or none.

        Raises: StoreError when nothing was changed; BrokenHandleError when the connection must be
            opened anew, whether or not something was changed.
        """
        db = self._db
        committing = False
        try:
            db.execute("BEGIN IMMEDIATE")
            work(db)
            committing = True
            db.execute("COMMIT")
        except BaseException as error:
            self._cells.forget()
            self._undo(error, committing=committing)
            raise
        self.commits += 1

    def _undo(self, error: BaseException, *, committing: bool) -> None:
        """Roll back.  Raises: the coded error, when ``error`` is SQLite's."""
        broken = False
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            broken = True
        if not isinstance(error, sqlite3.Error):
            return
        coded = translate(error, self._path, committing=committing)
        if broken or committing or getattr(error, "sqlite_errorcode", 0) & 0xFF in _SUSPECT:
            raise BrokenHandleError(coded) from error
        raise coded from error


_SUSPECT = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _value(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
