"""What the kernel counted for a process: CPU time, memory, switches, bytes written.

Linux only.  Everything is a counter since the start of the process; a measurement is a difference
of two readings.  A reading includes all threads, but no child processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Reading:
    """Counters of one process at one moment."""

    cpu: float  # seconds, user and system, all threads
    switches: int  # voluntary context switches of the threads that live now: times it went to sleep
    written: int  # bytes that it caused to be sent to the disk
    rss: int  # bytes now
    peak: int  # bytes, highest since the start or the last ``forget_peak``


def read(pid: int, *, proc: Path = _PROC) -> Reading:
    """Counters of ``pid``.  Raises FileNotFoundError when it is gone."""
    folder = proc / str(pid)
    status = _fields((folder / "status").read_text())
    io = _fields((folder / "io").read_text())
    return Reading(
        cpu=cpu_seconds((folder / "stat").read_text()),
        switches=sum(_switches(task) for task in (folder / "task").iterdir()),
        written=int(io["write_bytes"]),
        rss=_bytes(status["VmRSS"]),
        peak=_bytes(status["VmHWM"]),
    )


def cpu_seconds(stat: str) -> float:
    """User and system seconds of a ``/proc/<pid>/stat`` line; the name in it may hold anything."""
    after_name = stat.rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) * _TICK


def forget_peak(pid: int, *, proc: Path = _PROC) -> None:
    """Let the peak memory of ``pid`` begin anew."""
    (proc / str(pid) / "clear_refs").write_text("5")


def machine_busy(*, proc: Path = _PROC) -> float:
    """CPU seconds that all processes of the machine have used, all cores together."""
    first = (proc / "stat").read_text().splitlines()[0].split()
    user, nice, system, _idle, _iowait, irq, softirq = (int(value) for value in first[1:8])
    return (user + nice + system + irq + softirq) * _TICK


def _switches(task: Path) -> int:
    try:
        return int(_fields((task / "status").read_text())["voluntary_ctxt_switches"])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # the thread ended meanwhile


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _bytes(kilobytes: str) -> int:
    return int(kilobytes.removesuffix("kB")) * 1024
