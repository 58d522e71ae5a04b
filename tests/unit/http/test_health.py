"""Health, metadata and metrics: the answers that SDKs and probes poll for.

Out of scope: the server around them (test_server.py), what makes an engine ready.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from support.http_fakes import FakeEngine
from tenure_common.version import VERSION
from tenure_sidecar.dapr_api.metadata import MAX_ATTRIBUTES, MAX_LENGTH
from tenure_sidecar.http import health
from tenure_sidecar.http.middleware import errors

Client = TestClient[Request, Application]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def client(engine: FakeEngine) -> AsyncIterator[Client]:
    app = Application(middlewares=[errors])
    app.add_routes(health.routes(engine))
    async with TestClient(TestServer(app)) as connected:
        yield connected


@pytest.mark.parametrize("path", ["/v1.0/healthz", "/v1.0/healthz/outbound"])
async def test_ready_without_any_worker(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 204
    assert await answer.read() == b""


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("/v1.0/healthz", "ERR_HEALTH_NOT_READY", id="healthz"),
        pytest.param("/v1.0/healthz/outbound", "ERR_OUTBOUND_HEALTH_NOT_READY", id="outbound"),
    ],
)
async def test_not_ready_says_why(engine: FakeEngine, client: Client, path: str, code: str) -> None:
    engine.reasons = ["the store is not reachable", "starting"]
    answer = await client.get(path)
    assert answer.status == 500
    assert await answer.json() == {
        "errorCode": code,
        "message": "tenure is not ready: the store is not reachable; starting",
    }


async def test_readiness_is_asked_each_time(engine: FakeEngine, client: Client) -> None:
    assert (await client.get("/v1.0/healthz")).status == 204
    engine.reasons = ["stopping"]
    assert (await client.get("/v1.0/healthz")).status == 500


@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param("?appid=orders", 204, id="this-app"),
        pytest.param("?appid=other", 500, id="another-app"),
        pytest.param("?appid=", 500, id="no-app"),
    ],
)
async def test_health_of_an_app(client: Client, query: str, status: int) -> None:
    answer = await client.get(f"/v1.0/healthz{query}")
    assert answer.status == status
    if status == 500:
        body = await answer.json()
        assert body["errorCode"] == "ERR_HEALTH_APPID_NOT_MATCH"
        assert "orders" in body["message"]


async def test_metadata_in_daprs_shape(engine: FakeEngine, client: Client) -> None:
    engine.workers = 2
    engine.actors = {"workflow": 3, "activity": 1}
    actors = [{"type": "activity", "count": 1}, {"type": "workflow", "count": 3}]
    answer = await client.get("/v1.0/metadata")
    assert answer.status == 200
    assert await answer.json() == {
        "id": "orders",
        "runtimeVersion": VERSION,
        "enabledFeatures": [],
        "actors": actors,
        "actorRuntime": {"runtimeStatus": "RUNNING", "activeActors": actors, "hostReady": True},
        "components": [],
        "subscriptions": [],
        "httpEndpoints": [],
        "extended": {"runtime": "tenure", "tenureVersion": VERSION},
        "workflows": {"connectedWorkers": 2},
    }


async def test_metadata_while_starting(engine: FakeEngine, client: Client) -> None:
    engine.reasons = ["starting"]
    runtime = (await (await client.get("/v1.0/metadata")).json())["actorRuntime"]
    assert runtime["runtimeStatus"] == "INITIALIZING"
    assert runtime["hostReady"] is False


async def test_attributes_are_kept(client: Client) -> None:
    assert (await client.put("/v1.0/metadata/team", data="blue")).status == 204
    assert (await client.put("/v1.0/metadata/team", data="red")).status == 204
    extended = (await (await client.get("/v1.0/metadata")).json())["extended"]
    assert extended["team"] == "red"
    assert extended["runtime"] == "tenure"


@pytest.mark.parametrize(
    ("length", "status"),
    [
        pytest.param(MAX_LENGTH, 204, id="at-the-limit"),
        pytest.param(MAX_LENGTH + 1, 400, id="one-more"),
    ],
)
async def test_attributes_are_short(client: Client, length: int, status: int) -> None:
    assert (await client.put("/v1.0/metadata/k", data="x" * length)).status == status
    assert (await client.put(f"/v1.0/metadata/{'k' * length}", data="x")).status == status


async def test_attributes_are_few(client: Client) -> None:
    for number in range(MAX_ATTRIBUTES):
        assert (await client.put(f"/v1.0/metadata/k{number}", data="x")).status == 204
    assert (await client.put("/v1.0/metadata/k0", data="y")).status == 204
    answer = await client.put("/v1.0/metadata/one-more", data="x")
    assert answer.status == 400
    assert (await answer.json())["errorCode"] == "ERR_METADATA_TOO_MANY"


async def test_metrics(engine: FakeEngine, client: Client) -> None:
    engine.metrics.counter("tenure_store_commits_total", "Commits.", lambda: 42)
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "tenure_store_commits_total 42.0" in await answer.text()
