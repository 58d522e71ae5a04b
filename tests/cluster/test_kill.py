"""SIGKILL at a random moment under load: the engine twenty times in a row, the app as often.

Real parts only: ``tenure dev`` on SQLite, a stock SDK app, a client that keeps orders in flight.
Moments are chosen by progress (lines in the effect log), never by sleeping.  In scope: F1, F2 and the
app's half of F13, with invariants I1, I2, I5 and I6.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.sdks import SDKS
from support.engine import EngineProcess
from support.sdks import environment

APPS = Path(__file__).parent / "apps"
KILLS = 20
WIDTH = 12
STEPS = 10  # activities of one order
PROGRESS_WITHIN = 60.0  # seconds without a new effect: stuck

pytestmark = pytest.mark.timeout(600)


def python() -> str:
    """The interpreter with the Microsoft SDK."""
    sdk = next(one for one in SDKS if one.key == "ms-py")
    return environment(sdk).command[0]


class Rig:
    """Engine, app and load around one folder."""

    def __init__(self, folder: Path) -> None:
        self.engine = EngineProcess(folder)
        self.effects = folder / "effects.log"
        self.effects.touch()
        self._app: subprocess.Popen[str] | None = None
        self._app_log = (folder / "app.log").open("w")

    def start_app(self) -> None:
        command = [python(), str(APPS / "worker.py"), self.engine.taskhub_address]
        self._app = subprocess.Popen(
            [*command, str(self.effects)],
            stdout=subprocess.PIPE,
            stderr=self._app_log,
            text=True,
        )
        assert self._app.stdout is not None
        assert self._app.stdout.readline().strip() == "working"

    def kill_app(self) -> None:
        assert self._app is not None
        self._app.kill()
        self._app.wait()
        assert self._app.stdout is not None
        self._app.stdout.close()

    def start_load(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [python(), str(APPS / "load.py"), self.engine.taskhub_address, str(WIDTH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def executed(self) -> int:
        return self.effects.read_bytes().count(b"\n")

    def wait_for_effects(self, count: int) -> None:
        """Until the log has ``count`` lines."""
        last, since = self.executed(), time.monotonic()
        while last < count:
            now = self.executed()
            if now != last:
                last, since = now, time.monotonic()
            assert time.monotonic() - since < PROGRESS_WITHIN, self.engine.tail()
            time.sleep(0.002)  # a poll of another process's file

    def close(self) -> None:
        if self._app is not None and self._app.poll() is None:
            self.kill_app()
        self._app_log.close()
        self.engine.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    try:
        yield made
    finally:
        made.close()


def finish(load: subprocess.Popen[str]) -> dict[str, list[str]]:
    """Stop the load and take its report."""
    out, _ = load.communicate("stop\n", timeout=240)
    report: dict[str, list[str]] = json.loads(out)
    return report


def check(rig: Rig, report: dict[str, list[str]], *, faults: int) -> None:
    """Nothing lost, stuck or resolved twice; repeated effects only around the faults."""
    wrong = {i: r for i, r in report.items() if r[0] != "COMPLETED"}
    assert not wrong, f"{wrong}\n{rig.engine.tail()}"
    executions = Counter(rig.effects.read_text().split())
    for instance_id, (_, output) in report.items():
        keys = json.loads(output)
        expected = [f"{instance_id}/chain-{i}" for i in range(3)]
        expected += [f"{instance_id}/fan-{i}" for i in range(5)]
        expected += [f"{instance_id}/ship-{i}" for i in range(2)]
        assert keys == expected
        assert all(executions[key] >= 1 for key in expected)
    assert len(executions) == STEPS * len(report), "an effect without an order"
    repeated = sum(executions.values()) - len(executions)
    assert repeated <= faults * WIDTH * 5
    assert len(report) > WIDTH, "too little load for the run to mean anything"


def test_the_engine_is_killed_twenty_times(rig: Rig) -> None:
    moments = random.Random(20260101)
    rig.engine.start()
    rig.start_app()
    load = rig.start_load()
    try:
        for _ in range(KILLS):
            rig.wait_for_effects(rig.executed() + moments.randrange(1, 60))
            rig.engine.kill()
            rig.engine.start()
        rig.wait_for_effects(rig.executed() + 30)
        report = finish(load)
    finally:
        load.kill()
    check(rig, report, faults=KILLS)


def test_the_app_is_killed_twenty_times(rig: Rig) -> None:
    moments = random.Random(20260102)
    rig.engine.start()
    rig.start_app()
    load = rig.start_load()
    try:
        for _ in range(KILLS):
            rig.wait_for_effects(rig.executed() + moments.randrange(1, 60))
            rig.kill_app()
            rig.start_app()
        rig.wait_for_effects(rig.executed() + 30)
        report = finish(load)
    finally:
        load.kill()
    check(rig, report, faults=KILLS)
