"""SIGKILL: what was acknowledged is there, a turn is there whole or not at all.

Real processes, killed between and during writes.  Also: a log that was cut off at any byte, which
is what a crash of the machine may leave behind the last sync.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from integration.store.samples import Hub, a_turn, an_item, events, keys
from tenure_common.errors import StoreCorruptError
from tenure_sidecar.engine.turn import Message
from tenure_sidecar.store.port import Committed, Loaded
from tenure_sidecar.store.sqlite import SqliteStore, check

WRITER = Path(__file__).with_name("child_writer.py")
DEADLINE = 30.0


async def killed_writer(path: Path, *, lines: int, instances: int = 3) -> int:
    """Run the writer, kill it right after line ``lines``; returns the last turn it acknowledged."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(WRITER),
        str(path),
        str(instances),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert child.stdout is not None
    async with asyncio.timeout(DEADLINE):
        for _ in range(lines):
            assert await child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        rest = await child.stdout.read()
        assert await child.wait() == -signal.SIGKILL
    # Lines that were in the pipe when it died were acknowledged too.
    return lines + rest.count(b"\n")


def whole(loaded: Loaded | None, *, turns: int) -> None:
    """The instance is exactly as after turn ``turns`` of the writer."""
    assert loaded is not None
    assert loaded.head.history_length == turns
    expected = tuple(event for n in range(1, turns + 1) for event in events(f"e{n}"))
    assert loaded.history == expected
    assert keys(loaded) == ([f"t{turns}"] if turns else ["start"])


async def turns_of(path: Path, instances: int = 3) -> int:
    """Reopen, check everything, return the number of the last whole turn."""
    assert check(path) == []
    store = SqliteStore(path)
    await store.open()
    try:
        hub = Hub(store)
        await hub.own()
        loaded = [await hub.loaded(f"i{n}") for n in range(instances)]
        turns = loaded[0].head.history_length
        for one in loaded:
            whole(one, turns=turns)  # one write is one transaction: all are equally far
        # ... and the store goes on from there.
        hub.versions["i0"] = loaded[0].version
        assert isinstance(await hub.commit("i0", append=events("after")), Committed)
        assert await hub.active() == sorted(f"i{n}" for n in range(instances))
    finally:
        await store.close()
    return turns


@pytest.mark.parametrize("lines", [1, 2, 3, 10, 60])
async def test_what_was_acknowledged_is_there(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "t.db"
    acknowledged = await killed_writer(path, lines=lines)
    assert acknowledged <= await turns_of(path) <= acknowledged + 1


async def test_killed_again_and_again(tmp_path: Path) -> None:
    """Big writes, so that the signal often comes in the middle of one."""
    for round_ in range(4):
        path = tmp_path / f"{round_}.db"
        acknowledged = await killed_writer(path, lines=3 + round_, instances=150)
        assert acknowledged <= await turns_of(path, 150) <= acknowledged + 1


async def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    await killed_writer(path, lines=1)
    store = SqliteStore(path)
    await store.open()
    (fence,) = await store.own([0], "next")
    assert fence.token > 1
    await store.close()


async def history_of_writes(path: Path, turns: int) -> None:
    """Five turns in five writes, and a copy of the files before a close tidies them up."""
    store = SqliteStore(path)
    await store.open()
    hub = Hub(store)
    await hub.own()
    await hub.create("i0")
    await hub.create("i1")
    for turn in range(1, turns + 1):
        done = (f"t{turn - 1}",) if turn > 1 else ("start",)
        sent = (Message("i1", an_item(f"t{turn}")), Message("i0", an_item(f"t{turn}")))
        one = a_turn("i0", append=events(f"e{turn}"), history_length=turn, consumed=done)
        await hub.write(hub.commit_of(one))
        two = a_turn("i1", custom_status=str(turn), messages=sent)
        await hub.write(hub.commit_of(two))
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", f"{path}.copy{end}")
    await store.close()


async def test_a_log_cut_off_anywhere_is_a_log_of_whole_turns(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    await history_of_writes(path, turns=5)
    copy = Path(f"{path}.copy")
    log = Path(f"{copy}-wal").read_bytes()
    seen: list[tuple[int, str | None]] = []
    # Every frame boundary (24 bytes of header and a page each), and places inside of frames.
    frame = 4096 + 24
    cuts = [32 + n * frame for n in range((len(log) - 32) // frame + 1)]
    for cut in sorted({*cuts, *(cut + 1_000 for cut in cuts), *(cut - 7 for cut in cuts[1:])}):
        torn = tmp_path / "torn.db"
        for end in ("-shm", "-wal"):
            Path(f"{torn}{end}").unlink(missing_ok=True)
        shutil.copy(copy, torn)
        Path(f"{torn}-wal").write_bytes(log[:cut])
        assert check(torn) == []
        store = SqliteStore(torn)
        await store.open()
        zero, one = await store.load("i0"), await store.load("i1")
        await store.close()
        if zero is None or one is None:
            seen.append((0, None))
            continue
        turns = zero.head.history_length
        expected = tuple(event for n in range(1, turns + 1) for event in events(f"e{n}"))
        assert zero.history == expected
        told = int(one.head.custom_status or 0)
        assert told in (turns, turns - 1)
        assert keys(zero) == ([] if told < turns else [f"t{turns}"] if turns else ["start"])
        seen.append((turns, one.head.custom_status))
    assert seen == sorted(seen, key=lambda pair: (pair[0], int(pair[1] or 0)))
    assert seen[-1] == (5, "5")
    assert len(set(seen)) >= 11


async def test_garbage_behind_the_log_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    await history_of_writes(path, turns=3)
    copy = Path(f"{path}.copy")
    with Path(f"{copy}-wal").open("ab") as log:
        log.write(os.urandom(30_000))
    store = SqliteStore(copy)
    await store.open()
    loaded = await store.load("i0")
    assert loaded is not None
    assert loaded.head.history_length == 3
    await store.close()
    assert check(copy) == []


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7])
async def test_a_flipped_byte_in_the_log_is_noticed(tmp_path: Path, share: float) -> None:
    """SQLite takes it for the end of the log, and would drop what comes behind without a word."""
    path = tmp_path / "t.db"
    await history_of_writes(path, turns=4)
    copy = Path(f"{path}.copy")
    log = bytearray(Path(f"{copy}-wal").read_bytes())
    log[int(len(log) * share)] ^= 0x10
    Path(f"{copy}-wal").write_bytes(log)
    store = SqliteStore(copy)
    with pytest.raises(StoreCorruptError, match="damaged in the middle: [0-9]+ committed"):
        await store.open()
    assert Path(f"{copy}-wal").read_bytes() == bytes(log)


async def test_the_way_out_that_the_message_names_works(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    await history_of_writes(path, turns=4)
    copy = Path(f"{path}.copy")
    log = bytearray(Path(f"{copy}-wal").read_bytes())
    log[len(log) // 2] ^= 0x10
    Path(f"{copy}-wal").write_bytes(log)
    db = sqlite3.connect(copy)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    assert check(copy) == []
    store = SqliteStore(copy)
    await store.open()
    loaded = await store.load("i0")
    await store.close()
    assert loaded is None or loaded.head.history_length < 4
