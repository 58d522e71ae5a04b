"""The workflow API of Dapr through the released, unmodified DaprClient, on both transports.

In scope: @dapr/dapr's DaprClient, every workflow call over HTTP (it has none over gRPC: the SDK says
so itself), metadata and health over HTTP and gRPC.  Out of scope: workflow clients that speak to the
task hub (test_conformance), each row of the error table (integration/dapr_api).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance.sdks import BY_KEY
from support.engine import EngineProcess
from support.sdks import DRIVERS, environment


def drive(engine: EngineProcess) -> dict[str, Any]:
    """Run the script of calls against the engine; what it saw."""
    made = environment(BY_KEY["dapr-js"])
    ran = subprocess.run(
        [
            made.command[0],
            str(DRIVERS / "js" / "dapr_client.js"),
            str(engine.http_port),
            str(engine.grpc_port),
        ],
        env={**os.environ, **made.variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{engine.tail()}"
    seen: dict[str, Any] = json.loads(ran.stdout[ran.stdout.index('{"started"') :])
    return seen


@pytest.mark.parametrize("transport", ["native", "grpcio"])
def test_dapr_client_of_javascript(tmp_path: Path, transport: str) -> None:
    engine = EngineProcess(tmp_path, args=[f"--transport={transport}"], app_id="shop")
    engine.start()
    try:
        seen = drive(engine)
    finally:
        engine.close()
    assert seen["started"] == "one"
    assert seen["running"]["workflowName"] == "ask"
    assert json.loads(seen["running"]["properties"]["dapr.workflow.input"]) == {"item": "book"}
    assert (seen["paused"], seen["resumed"]) == ("SUSPENDED", "RUNNING")
    assert seen["healthy"] == [True, True]
    assert seen["metadata"]["id"] == seen["grpcMetadata"]["id"] == "shop"
    assert json.loads(seen["completed"]["properties"]["dapr.workflow.output"]) == {
        "given": {"item": "book"},
        "answer": {"approved": True},
    }
    assert seen["gone"]["errorCode"] == "ERR_INSTANCE_ID_NOT_FOUND"
    assert seen["terminated"] == "TERMINATED"
    assert seen["nobody"]["errorCode"]
