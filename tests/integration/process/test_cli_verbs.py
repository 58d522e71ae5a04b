"""The verbs of ``tenure`` against a real engine process, with a worker that is played by hand.

In scope: what each verb does, shows and returns.  Out of scope: the story's words and contexts
(unit/cli), the API's own rules (unit/http/manage).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.by_wire import Client, Worker
from support.engine import EngineProcess


class Shell:
    """``tenure`` as a user runs it."""

    def __init__(self, server: str, home: Path) -> None:
        self._env = {
            **os.environ,
            "TENURE_SERVER": server,
            "XDG_CONFIG_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }

    def __call__(self, *words: str, stdin: str = "", code: int = 0) -> str:
        """What it printed; the exit code is asserted."""
        return self.run(*words, stdin=stdin, code=code).stdout

    def run(self, *words: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            [sys.executable, "-m", "tenure_cli", *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=self._env,
            timeout=60,
            check=False,
        )
        assert ran.returncode == code, ran.stderr + ran.stdout
        assert "Traceback" not in ran.stderr
        return ran

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "-o", "json"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path_factory.mktemp("cli"))
    engine.start()
    yield engine
    engine.close()


@pytest.fixture
def tenure(engine: EngineProcess, tmp_path: Path) -> Iterator[Shell]:
    """The command, on an engine without instances."""
    shell = Shell(engine.http_url, tmp_path)
    yield shell
    shell("purge", "--all", "--force", "--yes")


@pytest.fixture
def worker(engine: EngineProcess) -> Iterator[Worker]:
    with Client(engine.taskhub_address) as client, Worker(client) as worker:
        yield worker


def test_run_get_and_list(tenure: Shell, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"item": "book"}')
    said = tenure(
        "run", "Order", "--id", "o-1", "--input", f"@{tmp_path}/input.json", "--tag", "a=b"
    )
    assert said.split() == ["o-1", "PENDING"]
    assert (
        tenure("run", "Order", "--id", "o-2", "-o", "name", "--input", "-", stdin="[1]") == "o-2\n"
    )
    one = tenure.json("get", "o-1")
    assert (one["input"], one["tags"], one["status"]) == ({"item": "book"}, {"a": "b"}, "PENDING")
    shown = tenure("get", "o-1")
    assert '{"item": "book"}' in shown
    assert "a=b" in shown
    assert tenure("list", "-o", "name").split() == ["o-2", "o-1"]
    heads, *rows = tenure("list", "--tag", "a=b").splitlines()
    assert heads.split()[:3] == ["ID", "WORKFLOW", "STATUS"]
    assert [row.split()[0] for row in rows] == ["o-1"]
    assert "no instances" in tenure("list", "--status", "FAILED")
    assert tenure.json("list", "--count")["byStatus"] == {"PENDING": 2}
    assert "kind" not in tenure("list", "-o", "yaml")
    limited = tenure.run("list", "--limit", "1")
    assert "--all shows more" in limited.stderr


def test_a_repeat_with_the_same_key_starts_nothing(tenure: Shell) -> None:
    first = tenure("run", "Order", "--key", "k", "-o", "name")
    assert tenure("run", "Order", "--key", "k", "-o", "name") == first
    assert tenure.json("list", "--count")["total"] == 1


def test_wait_and_history(tenure: Shell, worker: Worker) -> None:
    tenure("run", "Order", "--id", "w", "--input", "1")
    worker.complete(worker.turn("w"), '"done"')
    assert tenure.json("wait", "w")["output"] == "done"
    assert tenure("wait", "w", "--for", "started", "-o", "name") == "w\n"
    told = tenure("history", "w")
    assert "started Order(1)" in told
    assert 'completed with "done"' in told
    kinds = [event["type"] for event in tenure.json("history", "w")["events"]]
    assert kinds == ["WorkflowStarted", "ExecutionStarted", "ExecutionCompleted"]


def test_wait_tells_scripts_how_it_ended(tenure: Shell) -> None:
    tenure("run", "Order", "--id", "w")
    late = tenure.run("wait", "w", "--timeout", "50ms", code=8)
    assert "'w' is PENDING after 50ms" in late.stderr
    tenure("terminate", "w", "--output", '"enough"')
    assert '"enough"' in tenure("wait", "w", code=7)
    tenure("wait", "nobody", code=3)


def test_run_can_wait(tenure: Shell) -> None:
    late = tenure.run("run", "Order", "--id", "w", "--wait", "--timeout", "50ms", code=8)
    assert "'w' is PENDING" in late.stderr
    tenure.run("run", "Order", "--timeout", "1s", code=2)


def test_control(tenure: Shell) -> None:
    tenure("run", "Order", "--id", "c")
    assert "SUSPENDED" in tenure("suspend", "c", "--reason", "stock is counted")
    assert "nothing has happened yet" in tenure("history", "c")  # no worker has run it
    assert "PENDING" in tenure("resume", "c")
    assert "raised" in tenure("raise", "c", "Approve", "--data", "true")
    assert "TERMINATED" in tenure("terminate", "c")
    tenure("raise", "c", "Approve", code=4)
    assert "PENDING" in tenure("restart", "c")
    tenure("purge", "c", code=4)
    assert "deleted" in tenure("purge", "c", "--force")
    tenure("get", "c", code=3)


def test_rerun_runs_from_an_event_on(tenure: Shell, worker: Worker) -> None:
    tenure("run", "Order", "--id", "r")
    worker.complete(worker.turn("r"), '"done"')
    tenure("wait", "r")
    refused = tenure.run("rerun", "r", "--from-event", "7", code=3)
    assert "TN0105" in refused.stderr


def test_many_at_once(tenure: Shell) -> None:
    for number in range(3):
        tenure("run", "Order", "--id", f"m-{number}")
    tenure("run", "Other", "--id", "other")
    nothing = tenure.run("terminate", code=2)
    assert "filters" in nothing.stderr
    both = tenure.run("terminate", "m-0", "--workflow", "Order", code=2)
    assert "not both" in both.stderr
    unasked = tenure.run("terminate", "--workflow", "Order", code=2)
    assert "terminate of 3 instances (3 PENDING); say --yes" in unasked.stderr
    planned = tenure.json("terminate", "--workflow", "Order", "--dry-run")
    assert planned["matched"] == 3
    assert tenure.json("list", "--count")["byStatus"] == {"PENDING": 4}
    assert "3 of 3 done" in tenure("terminate", "--workflow", "Order", "--yes")
    assert tenure.json("list", "--count")["byStatus"] == {"PENDING": 1, "TERMINATED": 3}
    assert tenure.json("purge", "--older-than", "1h", "--dry-run")["matched"] == 0
    assert "3 of 3 done" in tenure("purge", "--older-than", "0s", "--yes")
    assert tenure("list", "-o", "name").split() == ["other"]


def test_watch_follows_one_to_its_end(tenure: Shell, worker: Worker) -> None:
    tenure("run", "Order", "--id", "w")
    worker.complete(worker.turn("w"), '"done"')
    lines = [json.loads(line) for line in tenure("watch", "w", "-o", "json").splitlines()]
    assert lines[-1]["instance"]["status"] == "COMPLETED"
    assert "COMPLETED" in tenure("watch", "w")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "Order", "--input", "{"), 2, "--input: '{' is not JSON"),
        (("run", "Order", "--input", "@/no/such/file"), 2, "cannot read '/no/such/file'"),
        (("run", "Order", "--tag", "a"), 2, "--tag 'a' is not KEY=VALUE"),
        (("list", "--status", "GONE"), 2, "GONE"),
        (("list", "--created-from", "soon"), 2, "TN0004"),
        (("get", "nobody"), 3, "TN0101"),
        (("get", "x", "--app", "other"), 3, "TN0109"),
        (("get", "x", "--context", "nope"), 2, "no context 'nope'"),
        (("get", "x", "--server", "http://127.0.0.1:1"), 5, "is `tenure dev` running there?"),
        (("get", "x", "--server", "nonsense"), 5, "TN0503"),
    ],
    ids=lambda one: " ".join(one[:3]) if isinstance(one, tuple) else "",
)
def test_what_is_wrong_is_said(tenure: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in tenure.run(*words, code=code).stderr


def test_a_token_is_sent(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, args=["--api-token=secret"])
    engine.start()
    try:
        shell = Shell(engine.http_url, tmp_path)
        assert "TN0712" in shell.run("list", code=6).stderr
        folder = tmp_path / "tenure"
        folder.mkdir()
        (tmp_path / "token").write_text("secret")
        (folder / "contexts.toml").write_text(
            f'[contexts.here]\nserver = "{engine.http_url}"\ntoken-file = "{tmp_path}/token"\n'
        )
        assert "no instances" in shell("list", "--context", "here")
    finally:
        engine.close()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(tenure: Shell, shell: str) -> None:
    assert "_TENURE_COMPLETE" in tenure("completion", shell)
