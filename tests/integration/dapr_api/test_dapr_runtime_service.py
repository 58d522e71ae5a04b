"""Dapr's runtime service and the API token, on a whole engine process.

In scope: each workflow method of ``dapr.proto.runtime.v1.Dapr`` doing what it says, the metadata, and
who may call when a token is set.  Out of scope: errors (test_dapr_error_table).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from support.by_wire import Client, Worker
from support.engine import EngineProcess
from support.peers import RUNTIME, peer
from tenure_sidecar.rpc.servers import KINDS

TOKEN = "s3cret"


class Dapr:
    """Calls of the runtime service with the released SDK's message types."""

    def __init__(self, address: str, *, token: str = "") -> None:
        self._channel = grpc.insecure_channel(address)
        self._metadata = [("dapr-api-token", token)] if token else []

    def call(self, method: str, kind: str, **fields: Any) -> bytes:
        unary = self._channel.unary_unary(f"/dapr.proto.runtime.v1.Dapr/{method}")
        request = peer(RUNTIME).new(kind, **fields).SerializeToString()
        return bytes(unary(request, timeout=60, metadata=self._metadata))

    def workflow(self, verb: str, stage: str = "Beta1", **fields: Any) -> bytes:
        return self.call(f"{verb}Workflow{stage}", f"{verb}WorkflowRequest", **fields)

    def state(self, instance_id: str) -> dict[str, Any]:
        answer = self.workflow("Get", instance_id=instance_id, workflow_component="dapr")
        return peer(RUNTIME).read("GetWorkflowResponse", answer)

    def until(self, instance_id: str, status: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while (state := self.state(instance_id)).get("runtime_status") != status:
            assert time.monotonic() < deadline, state
            time.sleep(0.02)
        return state

    def metadata(self) -> dict[str, Any]:
        answer = self.call("GetMetadata", "GetWorkflowRequest")
        return peer(RUNTIME).read("GetMetadataResponse", answer)

    def close(self) -> None:
        self._channel.close()


@pytest.fixture(scope="module", params=KINDS)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineProcess]:
    args = [f"--transport={request.param}"]
    engine = EngineProcess(tmp_path_factory.mktemp("engine"), args=args)
    engine.start()
    yield engine
    engine.close()


@pytest.fixture
def dapr(engine: EngineProcess) -> Iterator[Dapr]:
    dapr = Dapr(engine.grpc_address)
    yield dapr
    dapr.close()


@pytest.mark.parametrize("stage", ["Alpha1", "Beta1"])
def test_the_life_of_a_workflow(engine: EngineProcess, dapr: Dapr, stage: str) -> None:
    answer = dapr.workflow("Start", stage, workflow_name="flow", input=b'"hello"')
    chosen = peer(RUNTIME).read("StartWorkflowResponse", answer)["instance_id"]
    assert dapr.state(chosen)["runtime_status"] == "PENDING"

    dapr.workflow("Start", stage, workflow_name="flow", instance_id="o-1", input=b"7")
    state = dapr.state("o-1")
    assert state["workflow_name"] == "flow"
    assert state["properties"] == {"dapr.workflow.input": "7"}
    dapr.workflow("Pause", stage, instance_id="o-1")
    dapr.until("o-1", "SUSPENDED")
    dapr.workflow("RaiseEvent", stage, instance_id="o-1", event_name="go", event_data=b"1")
    dapr.workflow("Resume", stage, instance_id="o-1")
    dapr.workflow("Terminate", stage, instance_id="o-1")
    dapr.until("o-1", "TERMINATED")
    dapr.workflow("Purge", stage, instance_id="o-1")
    assert dapr.state("o-1") == {}
    with Client(engine.taskhub_address) as client:
        assert client.state("o-1") is None
        assert client.state(chosen) is not None


def test_a_start_at_a_time(dapr: Dapr) -> None:
    options = {"dapr.workflow.start_time": "2199-01-01T00:00:00Z"}
    dapr.workflow("Start", workflow_name="flow", instance_id="later", options=options)
    assert dapr.state("later")["runtime_status"] == "PENDING"
    with pytest.raises(grpc.RpcError) as caught:
        dapr.workflow(
            "Start", workflow_name="flow", options={"dapr.workflow.start_time": "tomorrow"}
        )
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_metadata(engine: EngineProcess, dapr: Dapr) -> None:
    found = dapr.metadata()
    assert found["id"] == "test"
    assert found["actor_runtime"] == {"runtime_status": 2, "host_ready": 1}
    assert found["workflows"] == {}
    dapr.call("SetMetadata", "SetMetadataRequest", key="team", value="blue")
    assert dapr.metadata()["extended_metadata"]["team"] == "blue"
    with Client(engine.taskhub_address) as client, Worker(client):
        deadline = time.monotonic() + 60
        while not engine.workers():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        found = dapr.metadata()
    assert found["workflows"] == {"connected_workers": 1}
    kinds = [one["type"] for one in found["active_actors_count"]]
    assert kinds == ["dapr.internal.default.test.activity", "dapr.internal.default.test.workflow"]


# --- the token ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=KINDS)
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineProcess]:
    args = [f"--transport={request.param}", f"--api-token={TOKEN}"]
    engine = EngineProcess(tmp_path_factory.mktemp("guarded"), args=args)
    engine.start()
    yield engine
    engine.close()


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x"])
def test_without_the_token_nobody_gets_in(guarded: EngineProcess, token: str) -> None:
    metadata = [("dapr-api-token", token)] if token else None
    for address in (guarded.grpc_address, guarded.taskhub_address):
        with grpc.insecure_channel(address) as channel:
            unary = channel.unary_unary("/TaskHubSidecarService/Hello")
            stream = channel.unary_stream("/TaskHubSidecarService/GetWorkItems")
            for call in (
                lambda unary=unary: unary(b"", timeout=60, metadata=metadata),
                lambda stream=stream: next(stream(b"", timeout=60, metadata=metadata)),
            ):
                with pytest.raises(grpc.RpcError) as caught:
                    call()
                error = caught.value
                assert isinstance(error, grpc.Call)
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
                assert "[TN0712]" in (error.details() or "")
    dapr = Dapr(guarded.grpc_address, token=token)
    with pytest.raises(grpc.RpcError) as caught:
        dapr.metadata()
    dapr.close()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]


def test_with_the_token_everybody_does(guarded: EngineProcess) -> None:
    dapr = Dapr(guarded.grpc_address, token=TOKEN)
    dapr.workflow("Start", workflow_name="flow", instance_id="o-1")
    assert dapr.state("o-1")["runtime_status"] == "PENDING"
    dapr.close()
    with grpc.insecure_channel(guarded.taskhub_address) as channel:
        hello = channel.unary_unary("/TaskHubSidecarService/Hello")
        assert hello(b"", timeout=60, metadata=[("dapr-api-token", TOKEN)]) == b""


def test_the_app_of_dev_gets_the_token(tmp_path: Path) -> None:
    app = "import os; print(os.environ.get('DAPR_API_TOKEN'))"
    ports = ("--grpc-port=0", "--taskhub-port=0", "--http-port=0")
    command = [sys.executable, "-m", "tenure_sidecar", "dev", *ports]
    command += ["--store=sqlite:t.db", f"--api-token={TOKEN}", "--", sys.executable, "-c", app]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert ran.stdout.splitlines()[-1] == TOKEN


def test_health_needs_no_token(guarded: EngineProcess) -> None:
    with urllib.request.urlopen(f"{guarded.http_url}/v1.0/healthz") as answer:  # noqa: S310
        assert answer.status == 204
