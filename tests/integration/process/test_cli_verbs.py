"""The verbs of ``tenure`` against a real engine process, with a worker that is played by hand.

In scope: what each verb does, shows and returns.  Out of scope: the story's words and contexts
(unit/cli), the API's own rules (unit/http/manage).
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from support.by_wire import Client, Worker
from support.engine import EngineProcess
from support.shell import Shell


@contextlib.contextmanager
def answering(
    text: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    heard: list[str] | None = None,
) -> Iterator[str]:
    """A server that answers everything with ``text``; ``heard`` gets the paths that it was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if heard is not None:
                heard.append(self.path)
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path_factory.mktemp("cli"))
    engine.start()
    yield engine
    engine.close()


def empty(engine: EngineProcess) -> None:
    """Delete all instances, without a process of the command for it."""
    instances = f"{engine.http_url}/v1alpha1/apps/{engine.app_id}/instances"
    while True:
        with urllib.request.urlopen(instances) as answer:  # noqa: S310 - our own
            found = json.load(answer)["instances"]
        if not found:
            return
        for one in found:
            where = f"{instances}/{quote(one['instanceId'], safe='')}/purge"
            body = json.dumps({"force": True, "recursive": True}).encode()
            with contextlib.suppress(urllib.error.HTTPError):  # it went with its parent
                urllib.request.urlopen(urllib.request.Request(where, body)).close()  # noqa: S310


@pytest.fixture
def tenure(engine: EngineProcess, tmp_path: Path) -> Iterator[Shell]:
    """The command, on an engine without instances."""
    yield Shell(engine.http_url, tmp_path)
    empty(engine)


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
    for form in ("table", "json", "yaml", "name"):
        limited = tenure.run("list", "--limit", "1", "-o", form)
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


def test_an_event_can_start_and_is_raised_once_under_its_key(tenure: Shell) -> None:
    words = ("raise", "e", "Go", "--data", "1", "--key", "k", "--start", "Order", "--input", "[2]")
    for _ in range(2):
        assert tenure(*words) == "Go raised on e\n"
    one = tenure.json("get", "e")
    assert (one["workflow"], one["input"]) == ("Order", [2])
    refused = tenure.run("raise", "e", "Go", "--input", "1", code=2)
    assert "--input belongs to --start" in refused.stderr


def test_the_server_may_stand_in_front_of_the_verb(tenure: Shell, engine: EngineProcess) -> None:
    tenure("run", "Order", "--id", "front")
    nobody = "http://127.0.0.1:1"
    assert tenure("--server", engine.http_url, "list", "-o", "name") == "front\n"
    tenure("--server", nobody, "list", "--server", engine.http_url)  # the nearest counts
    tenure("--server", nobody, "list", code=5)
    said = tenure.run("--server", engine.http_url, "doctor", code=2).stderr
    assert "doctor" in said
    assert "--server" in said


@pytest.mark.parametrize(
    ("form", "told"),
    [("name", "asked\n"), ("table", "Approve raised on asked\n"), ("json", None), ("yaml", None)],
)
def test_raise_answers_in_each_form(tenure: Shell, form: str, told: str | None) -> None:
    words = ("raise", "asked", "Approve", "--start", "Order", "-o", form)
    said = tenure(*words)
    if told is not None:
        assert said == told
    else:
        answer = yaml.safe_load(said)  # JSON is YAML
        assert (answer["created"], answer["instance"]["instanceId"]) == (True, "asked")


@pytest.mark.parametrize(
    ("data", "said"),
    [(b'"\xff"', "is not UTF-8"), (b"[" * 100_000 + b"]" * 100_000, "is nested too deeply")],
    ids=["bytes", "deep"],
)
def test_a_file_that_is_no_json_is_told(
    tenure: Shell, tmp_path: Path, data: bytes, said: str
) -> None:
    (tmp_path / "input.json").write_bytes(data)
    refused = tenure.run("run", "Order", "--input", f"@{tmp_path}/input.json", code=2)
    assert said in refused.stderr
    assert "no instances" in tenure("list")


def test_a_body_that_is_too_large_is_the_callers_to_mend(tenure: Shell, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text(json.dumps("x" * 5_000_000))
    refused = tenure.run("run", "Order", "--input", f"@{tmp_path}/input.json", code=2)
    assert "TN0201" in refused.stderr


def test_jobs_are_listed_and_told(tenure: Shell) -> None:
    tenure("run", "Order", "--id", "j")
    job = tenure("terminate", "--id-prefix", "j", "--yes", "-o", "name").strip()
    assert tenure("jobs", "-o", "name").split()[0] == job
    heads, first, *_ = tenure("jobs").splitlines()
    assert heads.split() == ["JOB", "ACTION", "STATE", "DONE", "FAILED", "CREATED"]
    assert first.split()[:6] == [job, "terminate", "COMPLETED", "1", "of", "1"]
    assert tenure.json("jobs", job)["progress"]["done"] == 1
    assert "terminate: 1 of 1 done" in tenure("jobs", job, "--wait")
    assert "COMPLETED" in tenure("jobs", job, "--cancel")  # too late
    tenure("jobs", "nothing", code=3)
    assert "which job?" in tenure.run("jobs", "--cancel", code=2).stderr


def test_colours_are_for_terminals_that_want_them(tenure: Shell) -> None:
    tenure("run", "Order", "--id", "c", "--input", '"' + "x" * 300 + '"')
    assert "\x1b[" not in tenure("list")
    on_terminal = tenure.on_terminal("list")
    assert "\x1b[" in on_terminal
    assert "\x1b[" not in tenure.on_terminal("list", NO_COLOR="1")
    assert "\x1b[" in tenure.on_terminal("list", NO_COLOR="")
    assert "\x1b[" not in tenure.on_terminal("list", "-o", "json")


def test_a_wait_shows_that_it_waits(tenure: Shell, engine: EngineProcess) -> None:
    tenure("run", "Order", "--id", "w")
    shown = tenure.on_terminal("wait", "w", "--timeout", "50ms")
    assert "'w' is PENDING after 50ms" in shown
    assert "w is PENDING, " not in tenure.run("wait", "w", "--timeout", "50ms", code=8).stderr
    with tenure.open("wait", "w", terminal=True) as waiting:
        waiting.until("w is PENDING, ")
        tenure("terminate", "w")
        waiting.until("TERMINATED")
    assert waiting.code == 7


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path)
    engine.start()
    yield engine
    engine.close()


def test_wait_and_watch_outlive_the_server(mortal: EngineProcess, tmp_path: Path) -> None:
    tenure = Shell(mortal.http_url, tmp_path)
    tenure("run", "Order", "--id", "w")
    with (
        tenure.open("wait", "w", terminal=True) as waiting,
        tenure.open("watch", "-o", "json") as watching,
    ):
        waiting.until("w is PENDING, ")
        watching.until('"SYNCED"')
        mortal.kill()
        waiting.until("trying again")
        mortal.start()
        watching.until('"RESET"')
        tenure("terminate", "w")
        waiting.until("TERMINATED")
        watching.until('"TERMINATED"')
    assert waiting.code == 7
    mortal.kill()
    mortal.start()  # which has not read it yet
    tenure("wait", "w", "--timeout", "0s", code=7)
    tenure.run("wait", "w", "--server", "http://127.0.0.1:1", code=5)  # never was there


def test_a_job_outlives_the_server(mortal: EngineProcess, tmp_path: Path) -> None:
    tenure = Shell(mortal.http_url, tmp_path)
    count = 300
    with Client(mortal.taskhub_address) as client:
        for number in range(count):
            client.start(f"m-{number:03}")
    with tenure.open("terminate", "--all", "--yes", "-o", "json") as ending:
        while '"action"' not in tenure("jobs", "-o", "json"):
            assert ending.running
        mortal.kill()  # in the middle, or just after it
        mortal.start()
        ending.until('"COMPLETED"')
    assert ending.code == 0
    assert tenure.json("list", "--count") == {"total": count, "byStatus": {"TERMINATED": count}}
    (job,) = tenure.json("jobs")["jobs"]
    assert job["progress"]["matched"] == count
    assert job["progress"]["done"] + job["progress"]["skipped"] == count


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Programs that are started can be interrupted, though the tests themselves may not be: a shell has
    what it runs in the background ignore SIGINT, and that is inherited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_who_stops_looking_at_a_job_is_told_that_it_goes_on(tenure: Shell) -> None:
    job = {
        "id": "j-1",
        "action": "purge",
        "state": "RUNNING",
        "progress": {"matched": 3, "done": 1, "skipped": 0, "failed": 0},
    }
    with (
        answering(json.dumps(job)) as url,
        tenure.open("jobs", "j-1", "--wait", "--server", url, terminal=True) as asking,
    ):
        asking.until("purge: 1 of 3 done")
        asking.interrupt()
        asking.until("the server goes on with it: tenure jobs j-1")
    assert asking.code == 130


def test_a_server_of_another_kind_is_told(tenure: Shell) -> None:
    with answering("<html>welcome") as url:
        for words in (("list",), ("watch",), ("run", "Order")):
            refused = tenure.run(*words, "--server", url, code=5)
            assert "does not answer as Tenure does" in refused.stderr


@pytest.mark.parametrize("text", ["{}", '{"instances": [{}], "jobs": [{}]}'])
def test_a_server_that_answers_without_what_was_asked_for_is_told(tenure: Shell, text: str) -> None:
    verbs = (("list",), ("get", "x"), ("history", "x"), ("wait", "x"), ("jobs",), ("run", "Order"))
    with answering(text) as url:
        for words in (*verbs, ("list", "--count"), ("purge", "--all", "--yes"), ("watch",)):
            refused = tenure.run(*words, "--server", url, code=5)
            assert "does not answer as Tenure does" in refused.stderr


@pytest.mark.parametrize("status", [404, 502])
def test_a_page_of_another_server_is_no_error_of_ours(tenure: Shell, status: int) -> None:
    with answering("<html>no such page", status=status) as url:
        refused = tenure.run("list", "--server", url, code=5)
    assert "does not answer as Tenure does" in refused.stderr
    assert f"({status} " in refused.stderr


def test_nobody_is_sent_elsewhere_with_the_token(tenure: Shell, tmp_path: Path) -> None:
    heard: list[str] = []
    with answering('{"instances": []}', heard=heard) as other:
        moved = {"Location": f"{other}/v1alpha1/apps/-/instances"}
        with answering("", status=302, headers=moved) as url:
            refused = tenure.run("list", "--server", url, code=5)
    assert "does not answer as Tenure does" in refused.stderr
    assert heard == []


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (401, 6), (404, 3), (409, 4), (500, 1), (503, 5)]
)
def test_an_error_of_a_newer_server_is_told_as_it_is(tenure: Shell, status: int, code: int) -> None:
    view = {"code": "TN0999", "message": "something new", "docs": "", "more": 1}
    with answering(json.dumps(view), status=status) as url:
        refused = tenure.run("list", "--server", url, code=code)
    assert refused.stderr == "tenure: TN0999: something new\n"


def test_watch_takes_an_id_or_filters(tenure: Shell) -> None:
    assert "not both" in tenure.run("watch", "w", "--status", "FAILED", code=2).stderr
    assert "not both" in tenure.run("watch", "w", "--new", code=2).stderr
    assert "No such option" in tenure.run("watch", "--created-from", "1d", code=2).stderr


def test_watch_says_that_there_is_nothing_yet(tenure: Shell, worker: Worker) -> None:
    with tenure.open("watch", "late", terminal=True) as watching:
        watching.until("there is no 'late' yet: waiting for it")
        tenure("run", "Order", "--id", "late")
        worker.complete(worker.turn("late"), '"done"')
        watching.until("COMPLETED")
        watching.rest()
    assert watching.code == 0


@pytest.mark.parametrize("words", [("list",), ("list", "-o", "json"), ("watch", "w2")])
def test_what_cannot_be_written_is_said(tenure: Shell, words: tuple[str, ...]) -> None:
    tenure("run", "Order", "--id", "w2")
    tenure("terminate", "w2")
    ran = tenure.run(*words, code=1, stdout="/dev/full")
    assert ran.stderr == "tenure: cannot write: No space left on device\n"


def test_a_bad_timeout_starts_nothing(tenure: Shell) -> None:
    tenure.run("run", "Order", "--id", "untimed", "--wait", "--timeout", "soon", code=2)
    tenure.run("get", "untimed", code=3)


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
        (("get", "x", "--server", "127.0.0.1:3500"), 2, "write it as http://127.0.0.1:3500"),
        (("get", "x", "--server", "ftp://here"), 2, "'ftp://here' is not the address of a server"),
        (("get", "x", "--server", "http://"), 2, "'http://' is not the address of a server"),
        (("get", ""), 2, "ID is empty"),
        (("purge", ""), 2, "ID is empty"),
        (("raise", "x", ""), 2, "EVENT is empty"),
        (("run", ""), 2, "WORKFLOW is empty"),
        (("run", "Order", "--id", ""), 2, "--id is empty"),
        (("purge", "--status", "FAILED", "--id-prefix", "", "--yes"), 2, "--id-prefix is empty"),
        (("purge", "--status", "FAILED", "--completed-to", "", "--yes"), 2, "--completed-to is"),
        (("list", "--tag", ""), 2, "--tag is empty"),
        (("list", "--server", ""), 2, "--server is empty"),
        (("--server", "", "list"), 2, "--server is empty"),
        (("run", "Order", "--wait", "--timeout", "soon"), 2, "--timeout: 'soon' is not a duration"),
        (("wait", "x", "--timeout", "soon"), 2, "--timeout: 'soon' is not a duration"),
        (("purge", "--older-than", "1d", "--completed-to", "2d", "--dry-run"), 2, "not both"),
        (("list", "--created-from", "2026-11-27"), 2, "neither a time"),
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
