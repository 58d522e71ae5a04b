"""The embedded store: one SQLite file, one process, two threads.

::

    event loop ── store.py ──┬─ writer lane ── judge.py (what becomes of each op, in memory)
                             │                 apply.py (all rows of a write, one transaction)
                             └─ reader lane ── reads.py (snapshots and listings)

The cost of a write is not the disk alone: Python's binding gives up the interpreter lock at every
step of a statement and must win it back from a busy event loop.  So the rows of a whole batch go
into a handful of multi-row statements, and the versions, keys and timers that ops are judged by are
kept in memory (``cells.py``): the file lock (``lock.py``) makes this process the only writer.
"""

from tenure_sidecar.store.sqlite.check import check
from tenure_sidecar.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "check"]
