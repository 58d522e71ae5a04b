"""Disks that are full, fail or lie, and values that rotted on them.

In scope: which coded error, that nothing acknowledged is lost and nothing is half there, that the
same store goes on once the disk is well again, and that damage is found and named.

The failing disk is a real process under ``faulty_disk.c`` (LD_PRELOAD; these cases need ``cc``).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from integration.store.samples import Hub, a_creation, events
from tenure_common.errors import (
    OutcomeUnknownError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from tenure_sidecar.store.port import Committed, Create, Delivery
from tenure_sidecar.store.sqlite import SqliteStore, check

HERE = Path(__file__).parent
CC = shutil.which("cc")


async def opened(path: Path) -> Hub:
    store = SqliteStore(path)
    await store.open()
    hub = Hub(store)
    await hub.own()
    return hub


# --- a failing disk -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if CC is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("shim") / "faulty_disk.so"
    source = HERE / "faulty_disk.c"
    command = [CC, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


async def trial(shim: Path, path: Path, kind: str, *, end: str = "heal") -> tuple[list[str], str]:
    """What the child said, line by line, and its error texts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "child_faulty.py"),
        str(path),
        kind,
        end,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "LD_PRELOAD": str(shim),
            "FAULT_FILE": str(path.with_name("order")),
            "FAULT_PATH": path.name,
        },
    )
    async with asyncio.timeout(60):
        said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return said.decode().splitlines(), errors.decode()


async def turns_of(path: Path) -> int:
    """Reopen on a healthy disk; how many turns there are, each of them whole."""
    assert check(path) == []
    hub = await opened(path)
    loaded = await hub.loaded("a")
    await hub.store.close()
    turns = loaded.head.history_length
    expected = tuple(e for n in range(1, turns + 1) for e in events(f"e{n}", "x" * 50_000))
    assert loaded.history == expected
    assert loaded.head.commit_id == str(turns)
    return turns


async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(
    shim: Path, tmp_path: Path
) -> None:
    path = tmp_path / "t.db"
    said, errors = await trial(shim, path, "full")
    assert said[:3] == ["ok 1", "ok 2", "TN0404"]
    # The handle is opened anew, for which SQLite needs room too, and calls its lack an I/O error.
    assert said[3] in ("TN0404", "TN0405")
    assert said[4:] == ["ok 3", "ok 4"]
    assert f"no room left for the database '{path}'" in errors
    assert "nothing was changed" in errors
    assert await turns_of(path) == 4


@pytest.mark.parametrize("kind", ["fsync", "eio"])
async def test_an_io_error_leaves_the_outcome_open_and_the_store_goes_on(
    shim: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "t.db"
    said, _ = await trial(shim, path, kind)
    assert said[:2] == ["ok 1", "ok 2"]
    # The first failing commit is neither a success nor a failure; afterwards the handle was opened
    # anew, and what is there is what counts.
    assert said[2] == "TN0406"
    assert said[3] in ("TN0406", "TN0405")
    assert [line.split()[0] for line in said[4:]] == ["ok", "ok"]
    last = int(said[-1].split()[1])
    assert int(said[-2].split()[1]) == last - 1
    assert last >= 4
    assert await turns_of(path) == last


@pytest.mark.parametrize("kind", ["fsync", "eio", "full"])
async def test_dying_with_a_failing_disk_loses_nothing_acknowledged(
    shim: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "t.db"
    said, _ = await trial(shim, path, kind, end="quit")
    assert said[:2] == ["ok 1", "ok 2"]
    assert await turns_of(path) >= 2


async def test_a_failed_sync_on_opening(shim: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    (tmp_path / "order").write_text("full")
    with pytest.raises(AssertionError, match="TN0404"):
        await trial(shim, path, "full")
    (tmp_path / "order").unlink()
    said, _ = await trial(shim, path, "full")
    assert said[-1] == "ok 4"


# --- a full disk, without a compiler --------------------------------------------------------------


async def limit_pages(store: SqliteStore, pages: int) -> None:
    query = f"PRAGMA max_page_count = {pages}"
    await store._writes.run(lambda: store._writer._db.execute(query).fetchone())


async def test_no_room_for_one_write_is_room_for_a_smaller_one(tmp_path: Path) -> None:
    hub = await opened(tmp_path / "t.db")
    store = hub.store
    assert isinstance(store, SqliteStore)
    await hub.running("a", "b")
    before = await hub.dump(["a", "b", "c"]), await hub.counts(), await hub.due()
    await limit_pages(store, 1)  # as small as it is
    big = [Create(a_creation(f"i{n}"), "x" * 9_000) for n in range(100)]
    for _ in range(3):
        with pytest.raises(StoreFullError, match="TN0404.*free disk space"):
            await hub.write(*big)
        assert (await hub.dump(["a", "b", "c"]), await hub.counts(), await hub.due()) == before
    assert isinstance(await hub.commit("a", custom_status="fits"), Committed)
    await limit_pages(store, 1 << 30)
    await hub.write(*big)
    assert (await hub.counts())["instances"] == 102
    assert await hub.deliver("a", "k") is Delivery.DELIVERED
    await store.close()
    assert check(tmp_path / "t.db") == []


async def test_a_full_disk_forgets_nothing_that_memory_knew(tmp_path: Path) -> None:
    """The refused write gave an item to an inbox, in memory: it must be as if it had not."""
    hub = await opened(tmp_path / "t.db")
    store = hub.store
    assert isinstance(store, SqliteStore)
    await hub.running("a")
    await limit_pages(store, 1)
    with pytest.raises(StoreFullError):
        await hub.deliver("a", "k", input="x" * 300_000)
    assert await hub.active() == []
    assert await hub.deliver("a", "k") is Delivery.DELIVERED
    assert await hub.active() == ["a"]
    await store.close()


# --- faults that only SQLite's codes tell ---------------------------------------------------------


class Failing:
    """A connection that fails at one statement with one of SQLite's codes."""

    def __init__(self, db: sqlite3.Connection, at: str, code: int) -> None:
        self._db = db
        self._at = at
        self._code = code

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, text: str, *values: object) -> sqlite3.Cursor:
        if text.startswith(self._at):
            error = sqlite3.OperationalError("planted")
            error.sqlite_errorcode = self._code  # type: ignore[misc]
            error.sqlite_errorname = f"SQLITE_{self._code}"  # type: ignore[misc]
            raise error
        return self._db.execute(text, *values)

    def close(self) -> None:
        self._db.close()


FSYNC = sqlite3.SQLITE_IOERR | (4 << 8)
READ = sqlite3.SQLITE_IOERR | (1 << 8)


@pytest.mark.parametrize(
    ("at", "code", "error", "anew"),
    [
        ("BEGIN", sqlite3.SQLITE_BUSY, StoreUnavailableError, False),
        ("BEGIN", READ, StoreUnavailableError, True),
        ("UPDATE", READ, StoreUnavailableError, True),
        ("UPDATE", sqlite3.SQLITE_FULL, StoreFullError, False),
        ("UPDATE", sqlite3.SQLITE_CORRUPT, StoreCorruptError, True),
        ("UPDATE", sqlite3.SQLITE_READONLY, StoreUnavailableError, False),
        ("COMMIT", FSYNC, OutcomeUnknownError, True),
        ("COMMIT", sqlite3.SQLITE_NOMEM, OutcomeUnknownError, True),
        ("COMMIT", sqlite3.SQLITE_FULL, StoreFullError, True),
    ],
    ids=lambda value: getattr(value, "code", str(value)),
)
async def test_what_a_code_means(
    tmp_path: Path, at: str, code: int, error: type[StoreError], anew: bool
) -> None:
    hub = await opened(tmp_path / "t.db")
    store = hub.store
    assert isinstance(store, SqliteStore)
    await hub.running("a")
    before = await hub.loaded("a")
    handle = store._writer._db
    store._writer._db = Failing(handle, at, code)  # type: ignore[assignment]
    with pytest.raises(error) as caught:
        await hub.commit("a", append=events("x"))
    assert type(caught.value) is error
    assert str(tmp_path / "t.db") in str(caught.value)
    if not anew:
        store._writer._db = handle
    assert await hub.loaded("a") == before
    assert isinstance(await hub.commit("a", append=events("x")), Committed)
    # A handle that may have lost data is not used again.
    assert (store._writer._db is not handle) == anew
    assert not isinstance(store._writer._db, Failing)
    await store.close()


async def test_while_it_cannot_be_opened_anew_everything_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    hub = await opened(path)
    store = hub.store
    assert isinstance(store, SqliteStore)
    await hub.running("a")
    store._writer._db = Failing(store._writer._db, "COMMIT", FSYNC)  # type: ignore[assignment]
    with pytest.raises(OutcomeUnknownError):
        await hub.commit("a")
    path.rename(tmp_path / "away.db")
    path.mkdir()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            await hub.commit("a")
        with pytest.raises(StoreUnavailableError):
            await hub.store.load("a")
    path.rmdir()
    (tmp_path / "away.db").rename(path)
    assert isinstance(await hub.commit("a"), Committed)
    await store.close()


async def test_a_lock_held_by_a_stranger_is_waited_for_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.db"
    hub = await opened(path)
    store = hub.store
    assert isinstance(store, SqliteStore)
    await hub.running("a")
    await store._writes.run(lambda: store._writer._db.execute("PRAGMA busy_timeout = 10"))
    browser = sqlite3.connect(path, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="another program keeps a lock"):
        await hub.commit("a")
    browser.execute("ROLLBACK")
    browser.close()
    assert isinstance(await hub.commit("a"), Committed)
    await store.close()


async def test_an_op_that_makes_no_sense_changes_nothing(tmp_path: Path) -> None:
    """A bug of the caller: it must not leave a transaction open, nor half a batch in memory."""
    from integration.store.samples import a_timer, a_turn

    hub = await opened(tmp_path / "t.db")
    await hub.running("a", "b")
    before = await hub.dump(["a", "b"])
    good = hub.commit_of(a_turn("a", append=events("x")))
    bad = hub.commit_of(a_turn("b", timers_set=(a_timer("someone else", 1),)))
    with pytest.raises(ValueError, match="names a timer of 'someone else'"):
        await hub.store.write([good, bad])
    assert await hub.dump(["a", "b"]) == before
    assert isinstance(await hub.one(good), Committed)
    await hub.store.close()


# --- rot ------------------------------------------------------------------------------------------


def rot(query: str, path: Path) -> None:
    """Flip a bit in the middle of one stored value."""
    db = sqlite3.connect(path)
    table, column = query.split(".")
    ((key, value),) = db.execute(f"SELECT rowid, {column} FROM {table}").fetchall()[:1]
    data = bytearray(value)
    data[len(data) // 2] ^= 1
    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (bytes(data), key))
    db.commit()
    db.close()


def rot_by_life(query: str, path: Path) -> None:
    """The same in a table that has no rowid."""
    db = sqlite3.connect(path)
    table, column = query.split(".")
    life, seq, value = db.execute(f"SELECT life, seq, {column} FROM {table}").fetchone()
    data = bytearray(value)
    data[-6] ^= 1
    where = "WHERE life = ? AND seq = ?"
    db.execute(f"UPDATE {table} SET {column} = ? {where}", (bytes(data), life, seq))
    db.commit()
    db.close()


def statement(text: str, path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute(text)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (partial(rot, "instances.head"), "the head of 'a'"),
        (partial(rot, "inputs.input"), "the input of 'a'"),
        (partial(rot_by_life, "history.batch"), "turn 0 in the history of 'a'"),
        (partial(rot_by_life, "inbox.item"), "inbox item 'k' of 'a'"),
    ],
    ids=["head", "input", "history", "inbox"],
)
async def test_a_flipped_bit_is_found_and_named(
    tmp_path: Path, spoil: Callable[[Path], None], names: str
) -> None:
    path = tmp_path / "t.db"
    hub = await opened(path)
    await hub.create("a", input="precious")
    await hub.commit("a", append=events("x"), consumed=("start",))
    await hub.deliver("a", "k")
    await hub.running("b")
    await hub.store.close()
    spoil(path)
    hub = await opened(path)
    with pytest.raises(StoreCorruptError, match=f"TN0403: {names} is damaged"):
        await hub.store.load("a")
    assert (await hub.loaded("b")).history == events("first")  # only this one is hit
    assert await hub.purge("a") is Delivery.DELIVERED  # and there is a way out
    await hub.store.close()
    assert check(path) == []


async def test_a_value_of_another_instance_does_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    hub = await opened(path)
    await hub.running("a", "b")
    await hub.store.close()
    statement(
        "UPDATE instances SET head = (SELECT head FROM instances WHERE id = 'b') WHERE id = 'a'",
        path,
    )
    hub = await opened(path)
    with pytest.raises(StoreCorruptError, match="the head of 'a'"):
        await hub.store.head("a")
    await hub.store.close()


@pytest.mark.parametrize(
    ("spoil", "finds"),
    [
        (partial(rot, "instances.head"), "the head of 'a' is damaged"),
        (partial(rot, "inputs.input"), "input"),
        (partial(rot_by_life, "history.batch"), "turn 0 in the history of 'a' is damaged"),
        (partial(rot_by_life, "inbox.item"), "inbox item 'k' of 'a' is damaged"),
        (partial(statement, "DELETE FROM history"), "the history of 'a' has 0 of 1 turns"),
        (partial(statement, "UPDATE history SET events = 9"), "has 2 events, not 9"),
        (partial(statement, "UPDATE history SET seq = 7"), "is one more than its 1 turns"),
        (partial(statement, "UPDATE instances SET status = 1"), "listed with other values"),
        (partial(statement, "UPDATE instances SET partition = 99"), "wrong partition (99)"),
        (partial(statement, "UPDATE instances SET name = 'x'"), "listed with other values"),
        (partial(statement, "UPDATE inbox SET key = 'other'"), "says that it is 'k'"),
        (partial(statement, "DELETE FROM runnable"), "'a' has work, and would not be resumed"),
        (partial(statement, "UPDATE timers SET life = 99"), "timers: 1 rows belong to no instance"),
        (partial(statement, "DELETE FROM instances"), "history: 1 rows belong to no instance"),
        (
            partial(statement, "DELETE FROM tags"),
            "tags: 'a' is listed with others than its head has",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value.args[0]),
)
async def test_the_check_finds(tmp_path: Path, spoil: Callable[[Path], None], finds: str) -> None:
    from integration.store.samples import a_timer

    path = tmp_path / "t.db"
    hub = await opened(path)
    await hub.create("a", input="precious", tags={"t": "1"})
    await hub.commit(
        "a",
        append=events("x"),
        consumed=("start",),
        tags={"t": "1"},
        timers_set=(a_timer("a", 9),),
    )
    await hub.deliver("a", "k")
    await hub.store.close()
    assert check(path) == []
    spoil(path)
    problems = check(path)
    assert any(finds in problem for problem in problems), problems


async def test_the_check_finds_a_damaged_page(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    hub = await opened(path)
    for n in range(200):
        await hub.create(f"i{n}", input="x" * 500)
    await hub.store.close()
    data = bytearray(path.read_bytes())
    for page in range(20, len(data) // 4096, 5):
        data[page * 4096 : page * 4096 + 200] = os.urandom(200)
    path.write_bytes(data)
    try:
        problems = check(path)
    except StoreCorruptError as error:
        problems = [str(error)]
    assert problems


async def test_the_check_works_beside_a_running_store(tmp_path: Path) -> None:
    hub = await opened(tmp_path / "t.db")
    await hub.running("a")
    assert check(tmp_path / "t.db") == []
    await hub.deliver("a", "k")
    assert check(tmp_path / "t.db") == []
    await hub.store.close()


async def test_the_check_of_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        check(tmp_path / "t.db")
