"""What a page of a listing costs in SQLite, counted in steps of its virtual machine, not in time.

Law: a page costs what it holds and not what the table holds.  Each kind of query is run on a small
table and on one ten times as large; the work may not grow with it.  In scope: the plans of every
order and filter.  Out of scope: which rows come (test_store_listing), milliseconds
(bench/listing.py).
"""

from __future__ import annotations

import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.port import Order, Query
from tenure_sidecar.store.sqlite import selection
from tenure_sidecar.store.sqlite.migrations import MIGRATIONS

SMALL = 3_000
TIMES = 10
PAGE = 50
COUNTING = selection.FEW // 2  # steps, in tens, to count that something is not rare
OLD = 60  # the oldest ones are the rare ones: the worst place for the newest first

S = Status
C = frozenset({S.COMPLETED})
QUERIES = {
    "all": {},
    "status": {"statuses": C},
    "rare status": {"statuses": frozenset({S.FAILED})},
    "statuses": {"statuses": frozenset({S.FAILED, S.TERMINATED, S.RUNNING})},
    "name": {"name": "flow"},
    "rare name": {"name": "rare"},
    "name and status": {"name": "rare", "statuses": C},
    "no such name": {"name": "none"},
    "tag": {"tags": {"kind": "usual"}},
    "rare tag": {"tags": {"kind": "rare"}},
    "tags": {"tags": {"kind": "rare", "old": "yes"}},
    "prefix": {"id_prefix": "rare-"},
    "parent": {"parent": "family"},
    "created": {"created_from": 10, "created_to": 100},
    "completed": {"completed_from": 10, "completed_to": 100},
    "rare and created": {"tags": {"kind": "rare"}, "created_from": 10, "statuses": C},
}


def table(path: Path, rows: int) -> sqlite3.Connection:
    """The present schema, with instances as rows: heads are not looked at here."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN")
    for migrate in MIGRATIONS:
        migrate(db)
    for n in range(rows):
        old = n < OLD
        name, status = ("rare", S.FAILED) if old else ("flow", S.COMPLETED)
        instance_id = f"{name}-{n * 7919 % 1_000_003:06}"
        row = (n, instance_id, 0, 1, int(status), 0, 1, name, n + 1, n + 1, None, b"")
        if old:
            row = (*row[:10], "family", b"")
        db.execute(f"INSERT INTO instances VALUES ({','.join('?' * 12)})", row)
        tags = [("kind", "rare" if old else "usual"), ("old", "yes" if old else "no")]
        db.executemany(
            "INSERT INTO tags VALUES (?,?,?,?)", [(n, *tag, instance_id) for tag in tags]
        )
    db.execute("COMMIT")
    return db


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[sqlite3.Connection]]:
    """A small and a large one."""
    folder = tmp_path_factory.mktemp("plans")
    made = [table(folder / f"{rows}.db", rows) for rows in (SMALL, SMALL * TIMES)]
    yield made
    for db in made:
        db.close()


def steps(db: sqlite3.Connection, query: Query, cursor: str | None = None) -> int:
    """Steps of the machine for a page, in tens."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    db.set_progress_handler(step, 10)
    try:
        selection.page_of(db, query, limit=PAGE, cursor=cursor)
    finally:
        db.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize("order", [Order.NEWEST, Order.CREATED], ids=lambda order: order.value)
@pytest.mark.parametrize("name", QUERIES)
def test_a_page_by_time_costs_what_it_holds(
    tables: list[sqlite3.Connection], name: str, order: Order
) -> None:
    small, large = (steps(db, Query(**QUERIES[name], order=order)) for db in tables)
    assert large <= small * 2 + COUNTING, (small, large)


@pytest.mark.parametrize("order", [Order.ID, Order.COMPLETED], ids=lambda order: order.value)
@pytest.mark.parametrize(
    "name", [name for name in QUERIES if name not in ("statuses", "name and status")]
)
def test_a_page_in_another_order_costs_what_it_holds(
    tables: list[sqlite3.Connection], name: str, order: Order
) -> None:
    small, large = (steps(db, Query(**QUERIES[name], order=order)) for db in tables)
    assert large <= small * 2 + COUNTING, (small, large)


@pytest.mark.parametrize("name", ["all", "status", "name", "tag"])
def test_a_deep_page_costs_what_the_first_one_does(
    tables: list[sqlite3.Connection], name: str
) -> None:
    query = Query(**QUERIES[name], order=Order.NEWEST)
    large = tables[1]
    first = steps(large, query)
    (row,) = large.execute(
        "SELECT created, id FROM instances ORDER BY created LIMIT 1 OFFSET ?", (SMALL,)
    ).fetchall()
    deep = selection.Cursor(query.order.value, *row)
    assert steps(large, query, packed(deep)) <= first * 2 + 100


def packed(cursor: selection.Cursor) -> str:
    """A cursor as callers have it."""
    return urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


@pytest.mark.parametrize("order", list(Order), ids=lambda order: order.value)
@pytest.mark.parametrize("name", QUERIES)
def test_every_plan_is_an_index_read(
    tables: list[sqlite3.Connection], name: str, order: Order
) -> None:
    texts: list[str] = []
    db = tables[1]
    db.set_trace_callback(texts.append)
    try:
        selection.page_of(db, Query(**QUERIES[name], order=order), limit=PAGE, cursor=None)
    finally:
        db.set_trace_callback(None)
    for text in texts:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {text}")]
        for line in plan:
            if line.startswith("SCAN") and "SCAN (subquery" not in line:
                assert "USING" in line, (text, plan)
        collected = "tags t" in text or "instances_parent" in text
        sorts = any("TEMP B-TREE" in line for line in plan)
        walked = {Order.ID: "id", Order.COMPLETED: "completed"}.get(order, "created")
        if sorts and not collected:
            assert f"INDEXED BY instances_{walked} " not in text, (text, plan)
