"""The workflow API of Dapr through the released, unmodified clients that use it, on both transports.

In scope: @dapr/dapr's DaprClient, every workflow call over HTTP (it has none over gRPC: the SDK says
so itself), metadata and health over HTTP and gRPC; every workflow call of Go's client, over gRPC;
Java's DaprClient, DaprWorkflowClient and worker, as an app has them; what is left in Python's
DaprClient: health, metadata, the end of the sidecar.  Out of scope: workflow
clients that speak to the task hub (test_conformance), each row of the error table
(integration/dapr_api).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.sdks import BY_KEY, DAPR_GO, DAPR_JAVA
from support.engine import EngineProcess
from support.sdks import DRIVERS, environment

pytestmark = pytest.mark.timeout(900)  # an environment may have to be built first

TOKEN = "not-a-secret"


@pytest.fixture(params=["native", "grpcio"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineProcess]:
    args = [f"--transport={request.param}", f"--api-token={TOKEN}"]
    engine = EngineProcess(tmp_path, args=args, app_id="shop")
    engine.start()
    yield engine
    engine.close()


def drive(
    engine: EngineProcess, *command: str, token: str = TOKEN, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a script of calls against the engine, as its app."""
    return subprocess.run(
        command,
        env={
            **os.environ,
            "DAPR_GRPC_PORT": str(engine.grpc_port),
            "DAPR_HTTP_PORT": str(engine.http_port),
            "DAPR_API_TOKEN": token,
            **env,
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def seen(engine: EngineProcess, *command: str, begins: str = "{", **env: str) -> dict[str, Any]:
    """What the script saw."""
    ran = drive(engine, *command, **env)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{engine.tail()}"
    found: dict[str, Any] = json.loads(ran.stdout[ran.stdout.index(begins) :])
    return found


def test_dapr_client_of_javascript(engine: EngineProcess) -> None:
    made = environment(BY_KEY["dapr-js"])
    script = str(DRIVERS / "js" / "dapr_client.js")
    ports = (str(engine.http_port), str(engine.grpc_port))
    found = seen(engine, made.command[0], script, *ports, begins='{"started"', **made.variables)
    assert found["started"] == "one"
    assert found["running"]["workflowName"] == "ask"
    assert json.loads(found["running"]["properties"]["dapr.workflow.input"]) == {"item": "book"}
    assert (found["paused"], found["resumed"]) == ("SUSPENDED", "RUNNING")
    assert found["healthy"] == [True, True]
    assert found["metadata"]["id"] == found["grpcMetadata"]["id"] == "shop"
    assert json.loads(found["completed"]["properties"]["dapr.workflow.output"]) == {
        "given": {"item": "book"},
        "answer": {"approved": True},
    }
    assert found["gone"]["errorCode"] == "ERR_INSTANCE_ID_NOT_FOUND"
    assert found["terminated"] == "TERMINATED"
    assert found["nobody"]["errorCode"]


def test_client_of_go(engine: EngineProcess) -> None:
    (driver,) = environment(DAPR_GO).command
    found = seen(engine, driver)
    for name, status, code in (
        ("again", "AlreadyExists", "ERR_START_WORKFLOW"),
        ("early", "Internal", "ERR_PURGE_WORKFLOW"),
        ("gone", "NotFound", "ERR_INSTANCE_ID_NOT_FOUND"),
    ):
        told = found.pop(name)
        assert f"code = {status} " in told
        assert told.endswith(f"[{code}]")
    assert found == {
        "started": "one",
        "name": "order",
        "pending": "PENDING",
        "input": '{"item":"book"}',
        "dated": True,
        "paused": "SUSPENDED",
        "resumed": "PENDING",  # no worker has begun
        "terminated": "TERMINATED",
        "id": "shop",
        "team": "blue",
    }


def test_clients_of_java(engine: EngineProcess) -> None:
    found = seen(engine, *environment(DAPR_JAVA).command)
    for name, status, code in (
        ("again", "ALREADY_EXISTS", "TN0102"),
        ("early", "FAILED_PRECONDITION", "TN0103"),
        ("nobody", "NOT_FOUND", "TN0101"),
        ("state", "UNIMPLEMENTED", "TN0300"),
        ("shutdown", "UNIMPLEMENTED", "TN0300"),
    ):
        refused, told = found.pop(name)
        assert refused == status
        assert told.endswith(f"[{code}]")
    assert found == {
        "started": "one",
        "name": "ask",
        "input": "book",
        "suspended": "SUSPENDED",
        "resumed": "RUNNING",
        "completed": "COMPLETED",
        "output": ["book", "9 for book", True],
        "purged": [True, False],
        "gone": "",  # what the SDK shows of nothing
        "terminated": "TERMINATED",
        "because": "sold out",
        "failed": "FAILED",
        "failure": "no stock",
        "id": "shop",
        "components": 0,
    }


@pytest.mark.parametrize("key", ["dapr-py-1.19", "dapr-py-1.18"])
def test_dapr_client_of_python(engine: EngineProcess, key: str) -> None:
    python = environment(BY_KEY[key]).command[0]
    found = seen(engine, python, str(DRIVERS / "python" / "dapr_client.py"))
    assert found["id"] == "shop"
    assert found["actors"] == {}  # no worker
    assert found["components"] == []
    assert found["extended"]["team"] == "blue"
    for name, method in (("state", "GetState"), ("shutdown", "Shutdown")):
        status, message = found[name]
        assert status == "UNIMPLEMENTED"
        assert f"{method}: of Dapr's runtime, Tenure serves workflows alone [TN0300]" in message


@pytest.mark.parametrize("language", ["go", "java", "python"])
def test_clients_without_the_token_are_not_let_in(engine: EngineProcess, language: str) -> None:
    if language != "python":
        command = [*environment(DAPR_GO if language == "go" else DAPR_JAVA).command]
    else:
        python = environment(BY_KEY["dapr-py-1.19"]).command[0]
        command = [python, str(DRIVERS / "python" / "dapr_client.py")]
    ran = drive(engine, *command, token="wrong")
    assert ran.returncode != 0
    assert "[TN0712]" in ran.stderr
