"""The order app of ``tests/cluster/apps``, its load, and what must be true of both in the end.

``effects.log`` is the outside world: a line for each executed activity, which nothing takes back.
``judge`` compares it with what the load was told, whatever ran the orders and whatever happened
meanwhile.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from conformance.sdks import SDKS
from support.sdks import environment

APPS = Path(__file__).resolve().parents[1] / "cluster" / "apps"
STEPS = 10  # activities of one order
AT_ONCE = 5  # most activities of one order that are under way together
BRIEF, LONG = 100, 1500  # milliseconds of an order's timer: the machine is busy, it has room
PROGRESS_WITHIN = 120.0  # seconds without a new effect: stuck

Report = Mapping[str, Sequence[str]]  # order -> status, output or why it failed


class Effect(NamedTuple):
    """One executed activity: which, by whose app, when (nanoseconds since the Unix epoch)."""

    key: str
    app: str
    at: int


class Window(NamedTuple):
    """A time in which activities may run again: nanoseconds since the Unix epoch."""

    begin: int
    end: int


def python() -> str:
    """The interpreter with the Microsoft SDK."""
    sdk = next(one for one in SDKS if one.key == "ms-py")
    return environment(sdk).command[0]


class Effects:
    """The log of all apps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def count(self) -> int:
        """Lines so far."""
        return self.path.read_bytes().count(b"\n")

    def read(self) -> list[Effect]:
        """All, in the order in which they were written."""
        rows = [line.split() for line in self.path.read_text().splitlines()]
        return [Effect(key, app, int(at)) for key, app, at in rows]

    def wait(
        self, more: int, *, tail: Callable[[], str], over: Callable[[], bool] = lambda: False
    ) -> None:
        """Until there are ``more`` lines, or there is nothing more to do.

        Raises: AssertionError with ``tail`` when nothing comes.
        """
        last, since = self.count(), time.monotonic()
        wanted = last + more
        while last < wanted and not over():
            now = self.count()
            if now != last:
                last, since = now, time.monotonic()
            assert time.monotonic() - since < PROGRESS_WITHIN, f"no effects\n{tail()}"
            time.sleep(0.005)  # a poll of other processes' file


class App:
    """A process of the app, at one engine."""

    def __init__(
        self,
        address: str,
        effects: Effects,
        *,
        name: str,
        log: Path,
        program: Sequence[str] = ("worker.py",),
    ) -> None:
        command = [python(), str(APPS / program[0]), address, str(effects.path), name]
        command += program[1:]
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "working"

    def pause(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Load:
    """Keeps ``width`` orders in flight at the engines, ``count`` in all (0 = until it is ended).

    ``pause``: milliseconds of an order's timer, which decide how much the load costs.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        width: int,
        log: Path,
        count: int = 0,
        pause: int = BRIEF,
    ) -> None:
        self.width = width
        self._report = log.with_suffix(".json")  # it may be more than a pipe holds
        with log.open("w") as errors, self._report.open("w") as report:
            self._process = subprocess.Popen(
                [
                    *(python(), str(APPS / "load.py"), ",".join(addresses)),
                    *(str(number) for number in (width, count, pause)),
                ],
                stdin=subprocess.PIPE,
                stdout=report,
                stderr=errors,
                text=True,
            )

    @property
    def over(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def end(self, *, within: float = 240.0) -> Report:
        """Start no more orders, wait for those under way; what became of all."""
        self._process.communicate(None if self.over else "stop\n", timeout=within)
        report: Report = json.loads(self._report.read_text())
        return report

    def kill(self) -> None:
        """End it in any case."""
        if not self.over:
            self._process.kill()
            self._process.communicate()


def keys_of(order: str) -> list[str]:
    """The activities of an order, as its output has them."""
    keys = [f"{order}/chain-{i}" for i in range(3)]
    keys += [f"{order}/fan-{i}" for i in range(5)]
    return keys + [f"{order}/ship-{i}" for i in range(2)]


def repeats(effects: Sequence[Effect]) -> list[Effect]:
    """Every execution of an activity but its first."""
    seen: set[str] = set()
    found: list[Effect] = []
    for one in effects:
        if one.key in seen:
            found.append(one)
        seen.add(one.key)
    return found


def early(effects: Sequence[Effect], due: Mapping[str, int]) -> list[str]:
    """Activities that ran before the timer that they come after: one sentence each.

    ``due``: when the timer of each order was, in nanoseconds since the Unix epoch.
    """
    found: list[str] = []
    for one in effects:
        order, _, step = one.key.partition("/")
        wait = due.get(order, 0) - one.at
        if step.startswith("ship-") and wait > 0:
            found.append(f"{one.key} ran {wait / 1e6:.0f} ms before its timer was due")
    return found


def judge(
    report: Report,
    effects: Sequence[Effect],
    *,
    width: int,
    faults: int,
    windows: Sequence[Window] | None = None,
) -> list[str]:
    """What is wrong, one sentence each: orders that are lost, stuck or wrong, effects without a
    cause, and repeated effects beyond what the faults explain.

    Args:
        report: of the load.
        effects: of all apps.
        width: orders that were in flight.
        faults: how often something was killed, stopped or cut off.
        windows: when that was; None = it is not known.
    """
    wrong: list[str] = []
    times: dict[str, int] = defaultdict(int)
    for one in effects:
        times[one.key] += 1
    for order, (status, output) in report.items():
        expected = keys_of(order)
        if status != "COMPLETED":
            wrong.append(f"{order} is {status}" + (f" ({output})" if output else ""))
        elif json.loads(output) != expected:
            wrong.append(f"{order} returned {output}")
        wrong += [f"{key} was never executed" for key in expected if not times[key]]
    known = {key for order in report for key in keys_of(order)}
    wrong += [f"{key} was executed and belongs to no order" for key in times if key not in known]
    again = repeats(effects)
    if len(again) > faults * width * AT_ONCE:
        wrong.append(f"{len(again)} activities ran again, in {faults} faults")
    if windows is not None:
        wrong += [
            f"{one.key} ran again at {one.at}, outside of every fault"
            for one in again
            if not any(window.begin <= one.at <= window.end for window in windows)
        ]
    if len(report) <= width:
        wrong.append(f"only {len(report)} orders: too little for the run to mean anything")
    return wrong
