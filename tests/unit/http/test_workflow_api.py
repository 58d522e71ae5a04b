"""Dapr's workflow API over HTTP: paths, bodies, statuses and error texts.

Out of scope: the engine behind it (a fake), the guard and limits (test_server.py), the released
JavaScript client (the conformance suite drives it).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from support.http_fakes import FakeEngine, FakeWorkflows, broken, head
from tenure_common.errors import (
    BadRequestError,
    InstanceExistsError,
    NotTerminalError,
    StalledError,
    TenureError,
)
from tenure_sidecar.engine.events import Failure, Instant, StallReason, Status
from tenure_sidecar.engine.head import Stall
from tenure_sidecar.http import workflows
from tenure_sidecar.http.server import HttpServer

BASE = "/v1.0/workflows/dapr"


class Client:
    """Calls on one server: status and parsed JSON (None when there is no body)."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, object]:
        url = URL(self._url + path, encoded=True)
        async with self._session.request(method, url, data=body) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw) if raw else None

    async def get(self, path: str) -> tuple[int, object]:
        return await self.call("GET", path)

    async def post(self, path: str, body: bytes | None = None) -> tuple[int, object]:
        return await self.call("POST", path, body)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def fake(engine: FakeEngine) -> FakeWorkflows:
    engine.workflows.instances["i1"] = (head("i1"), None)
    return engine.workflows


@pytest.fixture
async def client(engine: FakeEngine) -> AsyncIterator[Client]:
    # The real server, so that errors take the same way as in the engine.
    server = HttpServer(engine, host="127.0.0.1", port=0)
    port = await server.start()
    async with aiohttp.ClientSession() as session:
        yield Client(f"http://127.0.0.1:{port}", session)
    await server.stop()


async def test_a_slash_at_the_end_changes_nothing(fake: FakeWorkflows, client: Client) -> None:
    assert (await client.get(f"{BASE}/i1/"))[0] == 200
    assert (await client.post(f"{BASE}/Order/start/?instanceID=o-1")) == (
        202,
        {"instanceID": "o-1"},
    )
    for verb in ("pause", "resume", "raiseEvent/Approve", "terminate", "purge"):
        assert await client.post(f"{BASE}/i1/{verb}/") == (202, None)
    assert [call[0] for call in fake.calls] == [
        "state",
        "start",
        "suspend",
        "resume",
        "raise",
        "terminate",
        "purge",
    ]


# --- start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", workflows.VERSIONS)
async def test_start(fake: FakeWorkflows, client: Client, version: str) -> None:
    answer = await client.post(f"/{version}/workflows/dapr/Order/start?instanceID=o-1", b'{"a": 1}')
    assert answer == (202, {"instanceID": "o-1"})
    assert fake.calls == [("start", "Order", "o-1", '{"a": 1}', None)]


async def test_start_lets_the_engine_choose_the_id(fake: FakeWorkflows, client: Client) -> None:
    assert await client.post(f"{BASE}/Order/start") == (202, {"instanceID": "made-up"})
    assert await client.post(f"{BASE}/Order/start?instanceID=") == (202, {"instanceID": "made-up"})
    assert fake.calls == [("start", "Order", None, None, None)] * 2


async def test_component_is_ignored(fake: FakeWorkflows, client: Client) -> None:
    assert (await client.post("/v1.0/workflows/whatever/Order/start"))[0] == 202
    assert fake.calls[0][1] == "Order"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("My.Order_2", "My.Order_2", id="plain"),
        pytest.param("caf%C3%A9", "café", id="unicode"),
        pytest.param("a%2Fb", "a/b", id="encoded-slash"),
        pytest.param("a%3Fb%23c", "a?b#c", id="encoded-marks"),
    ],
)
async def test_start_takes_any_name(
    fake: FakeWorkflows, client: Client, path: str, name: str
) -> None:
    assert (await client.post(f"{BASE}/{path}/start"))[0] == 202
    assert fake.calls[0][1] == name


@pytest.mark.parametrize(
    ("instance_id", "code"),
    [
        pytest.param("a" * 64, None, id="longest"),
        pytest.param("a" * 65, "ERR_INSTANCE_ID_TOO_LONG", id="too-long"),
        pytest.param("a-b_C9", None, id="dash-and-underscore"),
        pytest.param("a.b", "ERR_INSTANCE_ID_INVALID", id="dot"),
        pytest.param("a%20b", "ERR_INSTANCE_ID_INVALID", id="blank"),
        pytest.param("a%0A", "ERR_INSTANCE_ID_INVALID", id="newline-at-the-end"),
        pytest.param("%C3%A9", "ERR_INSTANCE_ID_INVALID", id="not-ascii"),
        pytest.param("..%2Fx", "ERR_INSTANCE_ID_INVALID", id="path"),
    ],
)
async def test_start_checks_the_id(
    fake: FakeWorkflows, client: Client, instance_id: str, code: str | None
) -> None:
    status, body = await client.post(f"{BASE}/Order/start?instanceID={instance_id}")
    assert status == (400 if code else 202)
    if code:
        assert isinstance(body, dict)
        assert body["errorCode"] == code
        assert not fake.calls


async def test_start_later(fake: FakeWorkflows, client: Client) -> None:
    query = "dapr.workflow.start_time=2025-11-25T12:00:00.5Z"
    assert (await client.post(f"{BASE}/Order/start?{query}"))[0] == 202
    assert fake.calls[0][4] == Instant(1_764_072_000, 500_000_000)


async def test_start_at_nonsense(fake: FakeWorkflows, client: Client) -> None:
    status, body = await client.post(f"{BASE}/Order/start?dapr.workflow.start_time=tomorrow")
    assert status == 400
    assert isinstance(body, dict)
    assert body["errorCode"] == "ERR_START_WORKFLOW"
    assert "tomorrow" in body["message"]
    assert not fake.calls


async def test_start_on_an_id_in_use(fake: FakeWorkflows, client: Client) -> None:
    fake.failing = InstanceExistsError("an active workflow with ID 'i1' already exists")
    assert await client.post(f"{BASE}/Order/start?instanceID=i1") == (
        409,
        {
            "errorCode": "ERR_START_WORKFLOW",
            "message": "error starting workflow 'Order': "
            "an active workflow with ID 'i1' already exists",
        },
    )


async def test_start_with_a_bad_request(fake: FakeWorkflows, client: Client) -> None:
    fake.failing = BadRequestError("the workflow name has 600 characters")
    status, body = await client.post(f"{BASE}/Order/start")
    assert status == 400
    assert body == {
        "errorCode": "ERR_START_WORKFLOW",
        "message": "the workflow name has 600 characters",
    }


async def test_body_that_is_no_text(fake: FakeWorkflows, client: Client) -> None:
    for path in ("Order/start", "i1/raiseEvent/go"):
        status, body = await client.post(f"{BASE}/{path}", b"ab\xff")
        assert status == 400
        assert isinstance(body, dict)
        assert "UTF-8 at byte 2" in body["message"]
    assert not fake.calls


# --- get ------------------------------------------------------------------------------------------


async def test_get(fake: FakeWorkflows, client: Client) -> None:
    fake.instances["i2"] = (
        head("i2", Status.COMPLETED, output='"done"', custom_status='"step 3"'),
        '{"a": 1}',
    )
    assert await client.get(f"{BASE}/i2") == (
        200,
        {
            "instanceID": "i2",
            "workflowName": "Order",
            "createdAt": "2025-11-25T12:00:00.000000001Z",
            "lastUpdatedAt": "2025-11-25T12:00:01.500000000Z",
            "runtimeStatus": "COMPLETED",
            "properties": {
                "dapr.workflow.input": '{"a": 1}',
                "dapr.workflow.custom_status": '"step 3"',
                "dapr.workflow.output": '"done"',
            },
        },
    )


async def test_get_failed(fake: FakeWorkflows, client: Client) -> None:
    failure = Failure("ValueError", "no stock", "at line 3")
    fake.instances["i2"] = (head("i2", Status.FAILED, output="x", failure=failure), None)
    _, body = await client.get(f"{BASE}/i2")
    assert isinstance(body, dict)
    assert body["properties"] == {
        "dapr.workflow.failure.error_type": "ValueError",
        "dapr.workflow.failure.error_message": "no stock",
        "dapr.workflow.failure.stack_trace": "at line 3",
    }


@pytest.mark.parametrize(
    ("stall", "says"),
    [
        pytest.param(
            Stall(StallReason.PATCH_MISMATCH, "patch p1 is missing"),
            "PATCH_MISMATCH: patch p1 is missing",
            id="described",
        ),
        pytest.param(Stall(StallReason.VERSION_NOT_AVAILABLE), "VERSION_NOT_AVAILABLE", id="bare"),
    ],
)
async def test_get_stalled(fake: FakeWorkflows, client: Client, stall: Stall, says: str) -> None:
    fake.instances["i2"] = (head("i2", Status.STALLED, stall=stall), None)
    _, body = await client.get(f"{BASE}/i2")
    assert isinstance(body, dict)
    assert body["runtimeStatus"] == "UNKNOWN"
    assert body["properties"] == {"tenure.workflow.stalled": says}


async def test_an_old_stall_is_not_shown(fake: FakeWorkflows, client: Client) -> None:
    stall = Stall(StallReason.PATCH_MISMATCH)
    fake.instances["i2"] = (head("i2", Status.RUNNING, stall=stall), None)
    _, body = await client.get(f"{BASE}/i2")
    assert isinstance(body, dict)
    assert body["properties"] == {}


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.STALLED])
async def test_status_names(fake: FakeWorkflows, client: Client, status: Status) -> None:
    fake.instances["i2"] = (head("i2", status), None)
    _, body = await client.get(f"{BASE}/i2")
    assert isinstance(body, dict)
    assert body["runtimeStatus"] == status.name


async def test_empty_payloads_are_not_absent(fake: FakeWorkflows, client: Client) -> None:
    fake.instances["i2"] = (head("i2", Status.COMPLETED, output=""), "")
    _, body = await client.get(f"{BASE}/i2")
    assert isinstance(body, dict)
    assert body["properties"] == {"dapr.workflow.input": "", "dapr.workflow.output": ""}


# --- verbs ----------------------------------------------------------------------------------------

VERBS = [
    pytest.param("pause", ("suspend", "i1", None), "ERR_PAUSE_WORKFLOW", id="pause"),
    pytest.param("resume", ("resume", "i1", None), "ERR_RESUME_WORKFLOW", id="resume"),
    pytest.param(
        "terminate", ("terminate", "i1", None, True), "ERR_TERMINATE_WORKFLOW", id="terminate"
    ),
    pytest.param("purge", ("purge", "i1", True), "ERR_PURGE_WORKFLOW", id="purge"),
    pytest.param(
        "raiseEvent/go", ("raise", "i1", "go", None), "ERR_RAISE_EVENT_WORKFLOW", id="raise"
    ),
]


@pytest.mark.parametrize(("verb", "call", "code"), VERBS)
async def test_verb(
    fake: FakeWorkflows, client: Client, verb: str, call: tuple[object, ...], code: str
) -> None:
    assert await client.post(f"{BASE}/i1/{verb}") == (202, None)
    assert fake.calls == [call]


@pytest.mark.parametrize(("verb", "call", "code"), VERBS)
async def test_verb_on_nothing(
    fake: FakeWorkflows, client: Client, verb: str, call: tuple[object, ...], code: str
) -> None:
    assert await client.post(f"{BASE}/gone/{verb}") == (
        404,
        {
            "errorCode": "ERR_INSTANCE_ID_NOT_FOUND",
            "message": "unable to find workflow with the provided instance ID: gone",
        },
    )


@pytest.mark.parametrize(
    ("cause", "status", "says"),
    [
        pytest.param(broken(), 500, "the disk is gone [TN0405]", id="store"),
        pytest.param(StalledError("workflow is stalled"), 500, "is stalled [TN0106]", id="state"),
        pytest.param(
            NotTerminalError("orchestration has not yet completed"),
            500,
            "orchestration has not yet completed [TN0103]",
            id="running",
        ),
        pytest.param(BadRequestError("an event needs a name"), 400, "needs a name", id="request"),
    ],
)
@pytest.mark.parametrize(("verb", "call", "code"), VERBS)
async def test_verb_that_fails(
    fake: FakeWorkflows,
    client: Client,
    verb: str,
    call: tuple[object, ...],
    code: str,
    cause: TenureError,
    status: int,
    says: str,
) -> None:
    fake.failing = cause
    found, body = await client.post(f"{BASE}/i1/{verb}")
    assert found == status
    assert isinstance(body, dict)
    assert body["errorCode"] == code
    assert body["message"].endswith(says)


async def test_event_data_is_kept_as_it_is(fake: FakeWorkflows, client: Client) -> None:
    assert (await client.post(f"{BASE}/i1/raiseEvent/Go%20on", ' {"é":1}\n'.encode()))[0] == 202
    assert fake.calls == [("raise", "i1", "Go on", ' {"é":1}\n')]


async def test_get_nothing(fake: FakeWorkflows, client: Client) -> None:
    status, body = await client.get(f"{BASE}/gone")
    assert status == 404
    assert isinstance(body, dict)
    assert body["errorCode"] == "ERR_INSTANCE_ID_NOT_FOUND"
    assert fake.calls == [("state", "gone")]


async def test_get_that_fails(fake: FakeWorkflows, client: Client) -> None:
    fake.failing = broken()
    assert await client.get(f"{BASE}/i1") == (
        500,
        {
            "errorCode": "ERR_GET_WORKFLOW",
            "message": "error while getting workflow info on instance 'i1': "
            "the disk is gone [TN0405]",
        },
    )


# --- the rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "i1", id="get"),
        pytest.param("POST", "Order/start", id="start"),
        pytest.param("POST", "i1/terminate", id="terminate"),
    ],
)
async def test_workflows_of_another_app(
    fake: FakeWorkflows, client: Client, method: str, path: str
) -> None:
    status, body = await client.call(method, f"{BASE}/{path}?appID=billing")
    assert status == 400
    assert isinstance(body, dict)
    assert body["errorCode"] == "ERR_WORKFLOW_APP_ID_INVALID"
    assert not fake.calls
    assert (await client.call(method, f"{BASE}/{path}?appID=orders"))[0] in {200, 202}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", f"{BASE}/i1/cancel", 404, id="unknown-verb"),
        pytest.param("GET", f"{BASE}/i1/start", 405, id="wrong-method"),
        pytest.param("POST", "/v2.0/workflows/dapr/i1/pause", 404, id="unknown-version"),
    ],
)
async def test_what_is_not_there(
    fake: FakeWorkflows, client: Client, method: str, path: str, status: int
) -> None:
    assert (await client.call(method, path))[0] == status
    assert not fake.calls
