"""SIGKILL at a random moment under load: the engine twenty times in a row, the app as often.

Real parts only: ``tenure dev`` on SQLite, a stock SDK app, a client that keeps orders in flight.
Moments are chosen by progress (lines in the effect log), never by sleeping.  In scope: F1, F2 and the
app's half of F13, with invariants I1, I2, I5 and I6.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.engine import EngineProcess
from support.orders import App, Effects, Load, judge

KILLS = 20
WIDTH = 12

pytestmark = pytest.mark.timeout(600)


class Rig:
    """Engine, app and load around one folder."""

    def __init__(self, folder: Path) -> None:
        self.engine = EngineProcess(folder)
        self.effects = Effects(folder / "effects.log")
        self._folder = folder
        self._app: App | None = None
        self._load: Load | None = None

    def start_app(self) -> None:
        log = self._folder / "app.log"
        self._app = App(self.engine.taskhub_address, self.effects, name="app", log=log)

    def kill_app(self) -> None:
        assert self._app is not None
        self._app.kill()
        self._app = None

    def start(self) -> None:
        self.engine.start()
        self.start_app()
        log = self._folder / "load.log"
        self._load = Load([self.engine.taskhub_address], width=WIDTH, log=log)

    def progress(self, effects: int) -> None:
        self.effects.wait(effects, tail=self.engine.tail)

    def check(self) -> None:
        """Nothing lost, stuck or resolved twice; repeated effects only around the faults."""
        assert self._load is not None
        self.progress(30)
        report = self._load.end()
        wrong = judge(report, self.effects.read(), width=WIDTH, faults=KILLS)
        assert not wrong, f"{wrong}\n{self.engine.tail()}"

    def close(self) -> None:
        if self._load is not None:
            self._load.kill()
        if self._app is not None:
            self.kill_app()
        self.engine.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_the_engine_is_killed_twenty_times(rig: Rig) -> None:
    moments = random.Random(20260101)
    rig.start()
    for _ in range(KILLS):
        rig.progress(moments.randrange(1, 60))
        rig.engine.kill()
        rig.engine.start()
    rig.check()


def test_the_app_is_killed_twenty_times(rig: Rig) -> None:
    moments = random.Random(20260102)
    rig.start()
    for _ in range(KILLS):
        rig.progress(moments.randrange(1, 60))
        rig.kill_app()
        rig.start_app()
    rig.check()
