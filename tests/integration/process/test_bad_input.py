"""What a real engine process says to bad input, and that nobody else is harmed by it.

In scope: one case for each way in which a client, a worker or whoever starts the process gets it
wrong, with the coded answer, and a workflow that runs to its end afterwards.  Out of scope: hostile
HTTP/2 (transport/test_transport_hostile), rotten database files (store/test_sqlite_disk).

Messages are those of the Durable Task SDK's own descriptors, sent as raw bytes.
"""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from support.by_wire import Client, Worker
from support.engine import EngineProcess
from tenure_sidecar.store.sqlite.schema import VERSION

FAULTY_DISK = Path(__file__).parents[1] / "store" / "faulty_disk.c"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One for all: whatever was done to it, the next one finds it sound."""
    engine = EngineProcess(tmp_path_factory.mktemp("engine"))
    engine.start()
    yield engine
    engine.close()


@pytest.fixture
def client(engine: EngineProcess) -> Iterator[Client]:
    with Client(engine.taskhub_address) as client:
        yield client


def unique(name: str) -> str:
    """An instance id that no other test uses."""
    return f"{name}-{uuid.uuid4().hex}"


def refused(client: Client, method: str, request: bytes) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        client.call(method, request)
    error = caught.value
    assert isinstance(error, grpc.Call)
    return error.code(), error.details() or ""


def fetched(engine: EngineProcess, path: str) -> bytes:
    with urllib.request.urlopen(engine.http_url + path) as answer:  # noqa: S310 - our own server
        return bytes(answer.read())


def shown(engine: EngineProcess, instance_id: str) -> dict[str, Any]:
    """The instance, as the management API shows it."""
    path = f"/v1alpha1/apps/{engine.app_id}/instances/{instance_id}"
    return dict(json.loads(fetched(engine, path)))


def works(client: Client) -> None:
    """A workflow runs to its end."""
    instance_id = unique("sound")
    with Worker(client) as worker:
        client.start(instance_id)
        worker.complete(worker.turn(instance_id), "fine")
        assert client.output(instance_id) == "fine"


# --- clients --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["StartInstance", "GetInstance", "RaiseEvent", "CompleteOrchestratorTask"]
)
def test_malformed_protobuf(client: Client, method: str) -> None:
    code, details = refused(client, method, b"\x0a\xff\xff\xff\xff\x0f")
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.endswith("[TN0004]")
    works(client)


def test_an_unknown_method(client: Client) -> None:
    code, details = refused(client, "NoSuchMethod", b"")
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "not found" in details
    works(client)


def test_a_wrong_path(engine: EngineProcess, client: Client) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetched(engine, "/v1.0/no/such/path")
    assert caught.value.code == 404
    answer = json.load(caught.value)
    assert answer["errorCode"] == "ERR_NOT_FOUND"
    assert "/v1.0/no/such/path" in answer["message"]
    works(client)


def test_a_message_over_the_limit(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, args=["--max-message-bytes=100000"])
    engine.start()
    try:
        with Client(engine.taskhub_address) as client:
            with pytest.raises(grpc.RpcError) as caught:
                client.start("large", "x" * 200_000)
            assert isinstance(caught.value, grpc.Call)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "100000" in (caught.value.details() or "")
            assert client.state("large") is None
            works(client)
    finally:
        engine.close()


def test_a_history_over_a_workers_limit_stalls_its_workflow_alone(
    engine: EngineProcess, client: Client
) -> None:
    with Worker(client):
        client.start("large", "x" * 5_000_000)
        while (head := shown(engine, "large"))["status"] != "STALLED":
            continue
        assert f"limit {4 << 20} bytes" in head["stall"]["description"]
    works(client)
    assert shown(engine, "large")["status"] == "STALLED"


# --- workers --------------------------------------------------------------------------------------


def test_an_answer_with_an_unknown_token_is_ignored(client: Client) -> None:
    workflow = unique("w")
    with Worker(client) as worker:
        client.start(workflow)
        item = worker.turn(workflow)
        worker.complete(item, "no", token="of nobody")
        worker.complete(item, "yes")
        assert client.output(workflow) == "yes"
    works(client)


def test_an_answer_that_comes_twice_counts_once(client: Client) -> None:
    workflow = unique("w")
    with Worker(client) as worker:
        client.start(workflow)
        item = worker.turn(workflow)
        worker.complete(item, "first")
        worker.complete(item, "second")
        assert client.output(workflow) == "first"
    works(client)


def test_an_answer_that_makes_no_sense_is_refused_and_the_turn_runs_again(client: Client) -> None:
    workflow = unique("w")
    with Worker(client) as worker:
        client.start(workflow)
        worker.rewind(worker.turn(workflow))
        worker.complete(worker.turn(workflow), "yes")
        assert client.output(workflow) == "yes"
    works(client)


# --- whoever starts it ----------------------------------------------------------------------------


def started(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """``tenure dev`` that is expected to give up."""
    return subprocess.run(
        [sys.executable, "-m", "tenure_sidecar", "dev", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


FREE = ("--grpc-port=0", "--taskhub-port=0", "--http-port=0")


def test_a_second_process_on_the_database(engine: EngineProcess, client: Client) -> None:
    second = started(engine.folder, f"--store=sqlite:{engine.database}", *FREE)
    assert second.returncode == 5
    assert "TN0401" in second.stderr
    assert str(engine.database) in second.stderr
    assert "Traceback" not in second.stderr
    works(client)


def test_a_database_from_a_newer_version(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path)
    engine.start()
    assert engine.stop() == 0
    database = sqlite3.connect(engine.database)
    with database:
        database.execute("INSERT INTO schema_version (version) VALUES (?)", (VERSION + 1,))
    database.close()
    before = engine.database.read_bytes()
    ended = started(tmp_path, f"--store=sqlite:{engine.database}", *FREE)
    assert ended.returncode == 5
    assert "TN0402" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert engine.database.read_bytes() == before


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = started(tmp_path, *FREE[:2], f"--http-port={port}")
    assert ended.returncode == 5
    assert "TN0006" in ended.stderr
    assert str(port) in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        ("--no-such-flag=1", "TN0003"),
        ("--grpc-port=99999", "TN0003"),
        ("--grpc-port=many", "TN0003"),
        ("--transport=pigeon", "TN0003"),
        ("--store=paper:x", "TN0003"),
        ("--retention=soon", "TN0003"),
    ],
)
def test_a_bad_flag(tmp_path: Path, flag: str, code: str) -> None:
    ended = started(tmp_path, *FREE, flag)
    assert ended.returncode == 2
    assert code in ended.stderr
    assert flag.partition("=")[0].lstrip("-") in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


# --- the disk -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faulty_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("shim") / "faulty_disk.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(FAULTY_DISK), "-ldl"]
    subprocess.run(command, check=True)
    return library


def test_a_full_disk(faulty_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = tmp_path / "order"
    monkeypatch.setenv("LD_PRELOAD", str(faulty_disk))
    monkeypatch.setenv("FAULT_FILE", str(order))
    monkeypatch.setenv("FAULT_PATH", "tenure.db")
    engine = EngineProcess(tmp_path)
    engine.start()
    monkeypatch.undo()
    try:
        with Client(engine.taskhub_address) as client, Worker(client) as worker:
            client.start("before")
            item = worker.turn("before")
            order.write_text("full")
            with pytest.raises(grpc.RpcError) as caught:
                client.start("refused")
            assert isinstance(caught.value, grpc.Call)
            assert "TN040" in (caught.value.details() or "")
            order.unlink()
            assert client.state("refused") is None
            worker.complete(item, "kept")
            assert client.output("before") == "kept"
        with Client(engine.taskhub_address) as client:
            works(client)
    finally:
        engine.close()
