"""Dapr's error table, row by row, as real HTTP and as real gRPC on both transports.

In scope: code, status and text of every row, and that both APIs say the same.  Out of scope: when
the engine raises what (a fake raises here), the happy paths (test_dapr_runtime_service).

Requests and answers of gRPC are of the message types of the released Dapr SDK.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest

from support.http_fakes import FakeEngine, broken, head
from support.peers import RUNTIME, peer
from tenure_common.errors import BadRequestError, InstanceExistsError
from tenure_sidecar.dapr_api.errors import STATUSES
from tenure_sidecar.dapr_api.metadata import MAX_ATTRIBUTES
from tenure_sidecar.http.server import HttpServer
from tenure_sidecar.rpc.runtime import runtime_service
from tenure_sidecar.rpc.servers import KINDS, make

BASE = "/v1.0/workflows/dapr"
LONG = "a" * 65
GONE = "the disk is gone"


class Sites:
    """One engine behind both servers."""

    def __init__(
        self,
        engine: FakeEngine,
        url: str,
        session: aiohttp.ClientSession,
        channel: grpc.aio.Channel,
    ) -> None:
        self.engine = engine
        self._url = url
        self._session = session
        self._channel = channel

    async def http(self, call: str) -> tuple[int, str, str]:
        """Status, code and message of ``METHOD path [body]``."""
        method, path, *body = call.split(" ", 2)
        data = body[0].encode("latin-1") if body else None
        async with self._session.request(method, self._url + path, data=data) as answer:
            found = json.loads(await answer.read())
            return answer.status, found["errorCode"], found["message"]

    async def grpc(self, method: str, kind: str, **fields: Any) -> tuple[str, str]:
        """Status and message of a call."""
        request = peer(RUNTIME).new(kind, **fields).SerializeToString()
        call = self._channel.unary_unary(f"/dapr.proto.runtime.v1.Dapr/{method}")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request, timeout=60)
        return caught.value.code().name, caught.value.details() or ""


@pytest.fixture(params=KINDS)
async def sites(request: pytest.FixtureRequest) -> AsyncIterator[Sites]:
    engine = FakeEngine()
    engine.workflows.instances["i1"] = (head("i1"), None)
    http = HttpServer(engine, host="127.0.0.1", port=0)
    rpc = make(request.param, host="127.0.0.1", port=0, unary=runtime_service(engine), streams={})
    url, address = f"http://127.0.0.1:{await http.start()}", f"127.0.0.1:{await rpc.start()}"
    async with aiohttp.ClientSession() as session, grpc.aio.insecure_channel(address) as channel:
        yield Sites(engine, url, session, channel)
    await rpc.stop(0)
    await http.stop()


def start(**fields: Any) -> tuple[str, dict[str, Any]]:
    return "StartWorkflowRequest", fields


def one(kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return f"{kind}Request", fields


# Code, HTTP call (None: this API cannot be asked so), gRPC method and request, both statuses, text.
Row = tuple[str, str | None, str, tuple[str, dict[str, Any]], tuple[int, str], str]
ROWS: list[Row] = [
    (
        "ERR_WORKFLOW_NAME_MISSING",
        f"POST {BASE}//start",
        "StartWorkflow",
        start(instance_id="x"),
        (400, "INVALID_ARGUMENT"),
        "workflow name is not configured",
    ),
    (
        "ERR_INSTANCE_ID_TOO_LONG",
        f"POST {BASE}/Order/start?instanceID={LONG}",
        "StartWorkflow",
        start(workflow_name="Order", instance_id=LONG),
        (400, "INVALID_ARGUMENT"),
        "workflow instance ID exceeds the max length of 64 characters",
    ),
    (
        "ERR_INSTANCE_ID_INVALID",
        f"POST {BASE}/Order/start?instanceID=a.b",
        "StartWorkflow",
        start(workflow_name="Order", instance_id="a.b"),
        (400, "INVALID_ARGUMENT"),
        (
            "workflow instance ID 'a.b' is invalid: only alphanumeric and underscore characters are "
            "allowed (dash is allowed too)"
        ),
    ),
    (
        "ERR_WORKFLOW_APP_ID_INVALID",
        f"GET {BASE}/i1?appID=billing",
        "GetWorkflow",
        one("GetWorkflow", instance_id="i1", app_id="billing"),
        (400, "INVALID_ARGUMENT"),
        "workflow app ID 'billing' is invalid",
    ),
    (
        "ERR_WORKFLOW_EVENT_NAME_MISSING",
        f"POST {BASE}/i1/raiseEvent/",
        "RaiseEventWorkflow",
        one("RaiseEventWorkflow", instance_id="i1"),
        (400, "INVALID_ARGUMENT"),
        "missing workflow event name",
    ),
    *(
        (
            "ERR_INSTANCE_ID_PROVIDED_MISSING",
            call,
            f"{verb}Workflow",
            one(f"{verb}Workflow"),
            (400, "INVALID_ARGUMENT"),
            "no instance ID was provided",
        )
        for verb, call in (
            ("Get", f"GET {BASE}/"),
            ("RaiseEvent", f"POST {BASE}//raiseEvent/x"),
            ("Pause", f"POST {BASE}//pause"),
            ("Resume", f"POST {BASE}//resume"),
            ("Terminate", f"POST {BASE}//terminate"),
            ("Purge", f"POST {BASE}//purge"),
        )
    ),
    *(
        (
            "ERR_INSTANCE_ID_NOT_FOUND",
            f"POST {BASE}/gone/{path}",
            f"{verb}Workflow",
            one(f"{verb}Workflow", instance_id="gone", **more),
            (404, "NOT_FOUND"),
            "unable to find workflow with the provided instance ID: gone",
        )
        for verb, path, more in (
            ("Pause", "pause", {}),
            ("Resume", "resume", {}),
            ("Terminate", "terminate", {}),
            ("Purge", "purge", {}),
            ("RaiseEvent", "raiseEvent/go", {"event_name": "go"}),
        )
    ),
    (
        "ERR_ACTOR_TYPE_RESERVED",
        "POST /v1.0/actors/dapr.internal.default.orders.workflow/i1/method/x",
        "InvokeActor",
        # InvokeActorRequest has the actor's type where this one has the instance's id.
        one("GetWorkflow", instance_id="dapr.internal.default.orders.workflow"),
        (403, "PERMISSION_DENIED"),
        "is reserved for the workflow runtime",
    ),
    (
        "ERR_METADATA_TOO_LONG",
        f"PUT /v1.0/metadata/{'k' * 1025} v",
        "SetMetadata",
        one("SetMetadata", key="k" * 1025, value="v"),
        (400, "INVALID_ARGUMENT"),
        "at most 1024 characters",
    ),
]
# The same calls, when the store fails.
FAILING: list[Row] = [
    (
        "ERR_START_WORKFLOW",
        f"POST {BASE}/Order/start",
        "StartWorkflow",
        start(workflow_name="Order"),
        (500, "INTERNAL"),
        f"error starting workflow 'Order': {GONE}",
    ),
    (
        "ERR_GET_WORKFLOW",
        f"GET {BASE}/i1",
        "GetWorkflow",
        one("GetWorkflow", instance_id="i1"),
        (500, "INTERNAL"),
        f"error while getting workflow info on instance 'i1': {GONE} [TN0405]",
    ),
    *(
        (
            f"ERR_{name}_WORKFLOW",
            f"POST {BASE}/i1/{path}",
            f"{verb}Workflow",
            one(f"{verb}Workflow", instance_id="i1", **more),
            (500, "INTERNAL"),
            f"{GONE} [TN0405]",
        )
        for name, verb, path, more in (
            ("PAUSE", "Pause", "pause", {}),
            ("RESUME", "Resume", "resume", {}),
            ("TERMINATE", "Terminate", "terminate", {}),
            ("PURGE", "Purge", "purge", {}),
            ("RAISE_EVENT", "RaiseEvent", "raiseEvent/go", {"event_name": "go"}),
        )
    ),
]


async def both(sites: Sites, row: Row) -> None:
    code, call, method, (kind, fields), (status, name), says = row
    if call is not None:
        assert (await sites.http(call))[:2] == (status, code)
        assert says in (await sites.http(call))[2]
    single = method in ("InvokeActor", "SetMetadata")
    for stage in ("",) if single else ("Alpha1", "Beta1"):
        found, message = await sites.grpc(method + stage, kind, **fields)
        assert found == name
        assert says in message
        assert message.endswith(f"[{code}]")


def title(row: Row) -> str:
    return f"{row[0]}-{row[2]}"


@pytest.mark.parametrize("row", ROWS, ids=title)
async def test_row(sites: Sites, row: Row) -> None:
    await both(sites, row)
    assert not [call for call in sites.engine.workflows.calls if call[0] == "start"]


@pytest.mark.parametrize("row", FAILING, ids=title)
async def test_row_of_a_failing_engine(sites: Sites, row: Row) -> None:
    sites.engine.workflows.failing = broken(GONE)
    await both(sites, row)


async def test_a_start_on_an_id_in_use(sites: Sites) -> None:
    sites.engine.workflows.failing = InstanceExistsError("an active workflow with ID 'i1' exists")
    assert (await sites.http(f"POST {BASE}/Order/start?instanceID=i1"))[:2] == (
        409,
        "ERR_START_WORKFLOW",
    )
    found, message = await sites.grpc(
        "StartWorkflowBeta1", "StartWorkflowRequest", workflow_name="Order", instance_id="i1"
    )
    assert found == "ALREADY_EXISTS"
    assert "an active workflow with ID 'i1' exists" in message


async def test_a_failure_that_is_the_callers(sites: Sites) -> None:
    sites.engine.workflows.failing = BadRequestError("the name has 600 characters")
    assert (await sites.http(f"POST {BASE}/Order/start"))[:2] == (400, "ERR_START_WORKFLOW")
    found, message = await sites.grpc(
        "StartWorkflowBeta1", "StartWorkflowRequest", workflow_name="Order"
    )
    assert found == "INVALID_ARGUMENT"
    assert "600 characters" in message


async def test_one_attribute_too_many(sites: Sites) -> None:
    for number in range(MAX_ATTRIBUTES):
        sites.engine.attributes.set(f"k{number}", "v")
    assert (await sites.http("PUT /v1.0/metadata/more v"))[:2] == (400, "ERR_METADATA_TOO_MANY")
    found, message = await sites.grpc("SetMetadata", "SetMetadataRequest", key="more", value="v")
    assert found == "INVALID_ARGUMENT"
    assert message.endswith("[ERR_METADATA_TOO_MANY]")


async def test_what_is_not_served_says_so(sites: Sites) -> None:
    for method in ("InvokeActor", "PublishEvent"):
        found, message = await sites.grpc(method, "GetWorkflowRequest", instance_id="Cart")
        assert found == "UNIMPLEMENTED"
        assert message == (f"{method}: of Dapr's runtime, Tenure serves workflows alone [TN0300]")
    found, _ = await sites.grpc("NoSuchMethod", "GetWorkflowRequest")
    assert found == "UNIMPLEMENTED"


async def test_a_message_that_is_none(sites: Sites) -> None:
    call = sites._channel.unary_unary("/dapr.proto.runtime.v1.Dapr/StartWorkflowBeta1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff", timeout=60)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_every_row_is_here() -> None:
    shown = {row[0] for row in (*ROWS, *FAILING)} | {"ERR_METADATA_TOO_MANY"}
    assert shown == set(STATUSES)
