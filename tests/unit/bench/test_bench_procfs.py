"""Reading the kernel's counters, from a copy of its files and from a real process.

Not in scope: what the counters mean on other kernels.
"""

from __future__ import annotations

import os
from pathlib import Path

import procfs
import pytest

TICK = 1 / os.sysconf("SC_CLK_TCK")

STATUS = """Name:\tpython
VmHWM:\t   20480 kB
VmRSS:\t   10240 kB
Threads:\t2
voluntary_ctxt_switches:\t{switches}
nonvoluntary_ctxt_switches:\t999
"""
IO = "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n"


def stat_line(name: str, *, user: int, system: int) -> str:
    before = "S 1 2 3 4 5 6 7 8 9 10"
    return f"77 ({name}) {before} {user} {system} 500 600 20 0 2 0 1 1 1"


def fake(folder: Path, *, name: str = "python", switches: tuple[int, ...] = (7, 5)) -> Path:
    process = folder / "77"
    (process / "task").mkdir(parents=True)
    (process / "stat").write_text(stat_line(name, user=30, system=12))
    (process / "status").write_text(STATUS.format(switches=1))
    (process / "io").write_text(IO)
    for number, count in enumerate(switches):
        task = process / "task" / str(77 + number)
        task.mkdir()
        (task / "status").write_text(STATUS.format(switches=count))
    return folder


def test_reading(tmp_path: Path) -> None:
    reading = procfs.read(77, proc=fake(tmp_path))
    assert reading.cpu == pytest.approx(42 * TICK)
    assert reading.switches == 12
    assert reading.written == 4096
    assert reading.rss == 10_240 * 1024
    assert reading.peak == 20_480 * 1024


def test_a_thread_that_ends_meanwhile_counts_nothing(tmp_path: Path) -> None:
    fake(tmp_path)
    (tmp_path / "77" / "task" / "78" / "status").unlink()
    assert procfs.read(77, proc=tmp_path).switches == 7


@pytest.mark.parametrize("name", ["python", "a b", "x) S 9 9 9", "(()"])
def test_cpu_survives_any_process_name(name: str) -> None:
    assert procfs.cpu_seconds(stat_line(name, user=3, system=4)) == pytest.approx(7 * TICK)


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        procfs.read(12345, proc=tmp_path)


def test_busy_leaves_out_idle_and_waiting(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  10 20 30 4000 500 6 7 0 0 0\ncpu0 1 1 1 1 1 1 1\n")
    assert procfs.machine_busy(proc=tmp_path) == pytest.approx((10 + 20 + 30 + 6 + 7) * TICK)


def test_forgetting_the_peak_writes_the_kernel_s_command(tmp_path: Path) -> None:
    (tmp_path / "77").mkdir()
    procfs.forget_peak(77, proc=tmp_path)
    assert (tmp_path / "77" / "clear_refs").read_text() == "5"


def test_this_very_process() -> None:
    reading = procfs.read(os.getpid())
    assert reading.cpu > 0
    assert 0 < reading.rss <= reading.peak
