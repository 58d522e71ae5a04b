"""Opening, closing, reopening: persistence, the lock, schema versions, files that are no database.

In scope: every way in which ``open`` says no, with its code, the file's name and the way out, and
that the file is as it was.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.store.samples import RETENTION, START, Hub, a_timer, events, parent_of
from tenure_common.errors import (
    ConfigConflictError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreNewerError,
    StoreUnavailableError,
)
from tenure_sidecar.store.port import Conflict, Query
from tenure_sidecar.store.sqlite import SqliteStore, check
from tenure_sidecar.store.sqlite.schema import VERSION


async def opened(path: Path, **fields: int) -> Hub:
    store = SqliteStore(path, **fields)
    await store.open()
    hub = Hub(store)
    await hub.own()
    return hub


async def filled(path: Path) -> Hub:
    """A database with rows of every kind."""
    hub = await opened(path)
    await hub.create("a", input="in", tags={"t": "1"}, parent=parent_of("p"))
    await hub.commit(
        "a",
        append=events("x"),
        tags={"t": "1"},
        parent=parent_of("p"),
        pending=1,
        timers_set=(a_timer("a", 10, 1), a_timer("a", 20, 2, kind=RETENTION)),
    )
    await hub.deliver("a", "k")
    await hub.create("later", timer=a_timer("later", 30, kind=START))
    await hub.running("idle")
    await hub.running("done")
    await hub.finish("done", append=events("end"))
    return hub


IDS = ["a", "later", "idle", "done"]


# --- persistence --------------------------------------------------------------------------------


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    hub = await filled(tmp_path / "t.db")
    before = await hub.dump(IDS), await hub.due(), await hub.counts(), await hub.active()
    await hub.store.close()
    again = SqliteStore(tmp_path / "t.db")
    await again.open()
    hub = Hub(again)
    assert (await hub.dump(IDS), await hub.due(), await hub.counts(), await hub.active()) == before
    assert await hub.store.children("p") == ("a",)
    assert await hub.store.count(Query(tags={"t": "1"})) == 1
    await again.close()


async def test_tokens_grow_over_restarts_and_old_fences_are_refused(tmp_path: Path) -> None:
    hub = await filled(tmp_path / "t.db")
    old = dict(hub.fences)
    await hub.store.close()
    next_hub = await opened(tmp_path / "t.db")
    assert all(next_hub.fences[p].token > old[p].token for p in old)
    loaded = await next_hub.loaded("a")
    next_hub.fences, current = old, next_hub.fences
    assert await next_hub.commit("a", version=loaded.version) == Conflict(fenced=True)
    next_hub.fences = current
    assert not isinstance(await next_hub.commit("a", version=loaded.version), Conflict)
    await next_hub.store.close()


async def test_lives_are_never_given_twice_over_restarts(tmp_path: Path) -> None:
    """Not even when the newest instance was purged: a copy of it must never fit another."""
    hub = await opened(tmp_path / "t.db")
    created = await hub.create("a")
    await hub.purge("a")
    await hub.store.close()
    hub = await opened(tmp_path / "t.db")
    again = await hub.create("a")
    assert getattr(again, "version", 0) > getattr(created, "version", 1 << 62)
    await hub.store.close()


async def test_an_open_store_can_be_closed_twice_and_opened_again(tmp_path: Path) -> None:
    hub = await filled(tmp_path / "t.db")
    await hub.store.close()
    await hub.store.close()
    await hub.store.open()
    await hub.own()
    assert await hub.inbox("a") == ["start", "k"]
    await hub.store.close()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    hub = await filled(tmp_path / "t.db")
    await hub.store.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        await hub.store.load("a")
    with pytest.raises(StoreUnavailableError, match="closed"):
        await hub.create("b")


async def test_close_finishes_the_writes_under_way(tmp_path: Path) -> None:
    hub = await opened(tmp_path / "t.db")
    writes = [asyncio.ensure_future(hub.create(f"i{n}")) for n in range(20)]
    await asyncio.sleep(0)  # handed over, not done
    await hub.store.close()
    await asyncio.gather(*writes)
    hub = await opened(tmp_path / "t.db")
    assert len(await hub.active()) == 20
    await hub.store.close()


async def test_a_closed_database_is_one_file(tmp_path: Path) -> None:
    hub = await filled(tmp_path / "t.db")
    await hub.store.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["t.db", "t.db.lock"]


async def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    hub = await filled(tmp_path / "t.db")
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name
    await hub.store.close()


async def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=memory#%20é.db"
    hub = await filled(path)
    await hub.store.close()
    assert path.exists()
    assert check(path) == []
    await (await opened(path)).store.close()


# --- lock -----------------------------------------------------------------------------------------


async def test_a_second_store_is_refused(tmp_path: Path) -> None:
    hub = await opened(tmp_path / "t.db")
    with pytest.raises(StoreLockedError, match=f"in use by process {os.getpid()};"):
        await SqliteStore(tmp_path / "t.db").open()
    await hub.create("a")
    await hub.store.close()
    await (await opened(tmp_path / "t.db")).store.close()


async def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    program = (
        "import sys, signal\n"
        "from pathlib import Path\n"
        "from tenure_sidecar.store.sqlite.lock import FileLock\n"
        "FileLock(Path(sys.argv[1])).take()\n"
        "print('locked', flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(StoreLockedError, match=str(holder.pid)) as caught:
            await SqliteStore(path).open()
        assert caught.value.code == "TN0401"
        assert str(path) in str(caught.value)
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
    await (await opened(path)).store.close()


async def test_a_lock_does_not_pass_to_children(tmp_path: Path) -> None:
    """``tenure dev -- COMMAND`` starts the app: it must not hold the database of a dead engine."""
    hub = await opened(tmp_path / "t.db")
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        await hub.store.close()
        await (await opened(tmp_path / "t.db")).store.close()
        child.kill()


async def test_a_refused_open_releases_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(StoreCorruptError):
        await SqliteStore(path).open()
    path.unlink()
    await (await opened(path)).store.close()


# --- what the settings say ------------------------------------------------------------------------


async def test_the_partition_count_is_fixed(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    hub = await opened(path, partitions=16)
    assert hub.store.partitions == 16
    await hub.store.close()
    with pytest.raises(
        ConfigConflictError, match="created with 16 partitions, the settings say 32"
    ):
        await SqliteStore(path, partitions=32).open()
    for given in ({}, {"partitions": 16}):
        hub = await opened(path, **given)
        assert hub.store.partitions == 16
        await hub.store.close()


async def test_the_default_is_64(tmp_path: Path) -> None:
    hub = await opened(tmp_path / "t.db")
    assert hub.store.partitions == 64
    await hub.store.close()


# --- files that will not do -----------------------------------------------------------------------


def sql(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def newer(path: Path) -> None:
    sql(path, f"INSERT INTO schema_version (version) VALUES ({VERSION + 1})")


def foreign(path: Path) -> None:
    path.unlink()
    sql(path, "CREATE TABLE customers (name TEXT)", "INSERT INTO customers VALUES ('mine')")


def header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0:16] = b"SQLite format 9\0"
    path.write_bytes(data)


def page_size(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[16:18] = b"\x00\x03"
    path.write_bytes(data)


def text(path: Path) -> None:
    path.write_text("Dear diary, " * 400)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9_000])


def first_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:4096] = bytes(3996)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (newer, StoreNewerError, f"schema version {VERSION + 1}, this program knows up to"),
        (foreign, StoreCorruptError, "not one of Tenure's"),
        (header, StoreCorruptError, "not a database"),
        (page_size, StoreCorruptError, "not a database"),
        (text, StoreCorruptError, "not a database"),
        (cut, StoreCorruptError, "malformed"),
        (first_page, StoreCorruptError, "malformed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_file_that_will_not_do_is_refused_and_left_alone(
    tmp_path: Path, spoil: Callable[[Path], None], error: type[StoreError], says: str
) -> None:
    path = tmp_path / "t.db"
    hub = await filled(path)
    await hub.store.close()
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(error, match=says) as caught:
        await SqliteStore(path).open()
    assert str(path) in str(caught.value)
    assert str(caught.value).startswith(error.code)
    assert path.read_bytes() == before


async def test_the_newer_database_still_opens_with_the_newer_program(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    hub = await filled(path)
    await hub.store.close()
    newer(path)
    with pytest.raises(StoreNewerError):
        await SqliteStore(path).open()
    sql(path, f"DELETE FROM schema_version WHERE version = {VERSION + 1}")
    await (await opened(path)).store.close()


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.touch()
    hub = await filled(path)
    await hub.store.close()
    assert check(path) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [("missing/t.db", "directory exists"), ("file/t.db", "directory"), ("", "directory")],
    ids=["no directory", "a file for a directory", "a directory for a file"],
)
async def test_a_place_that_will_not_do(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dir.db").mkdir()
    path = tmp_path / (name or "dir.db")
    with pytest.raises(StoreUnavailableError, match=says) as caught:
        await SqliteStore(path).open()
    assert "TN0405" in str(caught.value)
    assert str(path) in str(caught.value)


AS_NOBODY = """
import asyncio, os, sys
from pathlib import Path
from tenure_common.errors import StoreError
from tenure_sidecar.store.sqlite import SqliteStore
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    asyncio.run(SqliteStore(Path(sys.argv[1])).open())
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("which", ["directory", "file"])
async def test_a_place_without_permission(tmp_path: Path, which: str) -> None:
    for parent in (tmp_path, *list(tmp_path.parents)[:2]):
        parent.chmod(0o755)
    place = tmp_path / "place"
    place.mkdir()
    path = place / "t.db"
    if which == "file":
        await (await opened(path)).store.close()
        path.chmod(0o444)
        Path(f"{path}.lock").chmod(0o666)
        place.chmod(0o777)
    else:
        place.chmod(0o555)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        AS_NOBODY,
        str(path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    said, _ = await process.communicate()
    assert said.startswith(b"TN0405: cannot ")
    assert str(place).encode() in said
    assert b"writable" in said
