"""``tenure selftest`` as the app of a real engine, and the command line that runs its workflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.engine import EngineProcess
from tenure_sidecar import selftest
from tenure_sidecar.wire._generated import common_pb2 as common
from tenure_sidecar.wire._generated import microsoft_pb2 as pb


def test_a_workflow_runs_and_the_app_outlives_its_engine(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path)
    engine.start()
    python = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}

    def run(given: str) -> object:
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "tenure_cli", "run", "Selftest", f"--input={given}"),
                *("--wait", "--timeout=60s", "-o", "json", "--server", engine.http_url),
            ],
            capture_output=True,
            text=True,
            check=True,
            env=python,
            timeout=90,
        )
        return json.loads(ran.stdout)["output"]

    app = subprocess.Popen(
        [
            *(sys.executable, "-m", "tenure_cli", "selftest"),
            f"--taskhub-port={engine.taskhub_port}",
        ],
        env=python,
    )
    try:
        assert run("21") == 42
        engine.kill()
        engine.start()
        assert run('"ha"') == "haha"
        app.send_signal(signal.SIGTERM)
        assert app.wait(30) == 0
    finally:
        app.kill()
        app.wait()
        engine.close()


@pytest.mark.parametrize(
    ("past", "new", "kinds"),
    [
        ((), ("execution_started",), ["schedule_task"]),
        (("execution_started", "task_scheduled"), ("execution_suspended",), []),
        (("execution_started", "task_scheduled"), ("task_completed",), ["complete"]),
        (("execution_started", "task_scheduled"), ("task_failed",), ["complete"]),
    ],
)
def test_turns(past: tuple[str, ...], new: tuple[str, ...], kinds: list[str]) -> None:
    def events(names: tuple[str, ...]) -> list[pb.HistoryEvent]:
        made = []
        for name in names:
            event = pb.HistoryEvent()
            getattr(event, name).SetInParent()
            made.append(event)
        return made

    request = pb.OrchestratorRequest(past_events=events(past), new_events=events(new))
    actions = selftest.turn(request)
    assert [one.WhichOneof("action") for one in actions] == kinds
    if new == ("task_failed",):
        assert actions[0].complete.status == common.STATUS_FAILED
