"""Client requests, as the SDKs' own message types write them.

In scope: every request with all and with no fields, in each flavour that has it; numbers that mean
two things; what SDKs send for "nothing"; bytes that are no request.  Out of scope: what the verbs do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.peers import D17, D18, D19, DAPR_PEERS, MS, peer
from tenure_common.errors import BadRequestError
from tenure_sidecar.engine.events import Status
from tenure_sidecar.wire import client
from tenure_sidecar.wire.requests import (
    GetRequest,
    HistoryRequest,
    ListRequest,
    PurgeFilter,
    PurgeRequest,
    QueryRequest,
    RaiseRequest,
    ReasonRequest,
    RerunRequest,
    RestartRequest,
    SkipTerminationRequest,
    TerminateRequest,
)

ALL = (MS, *DAPR_PEERS)


def sent(sdk: str, kind: str, **fields: Any) -> bytes:
    """What the SDK writes."""
    return peer(sdk).new(kind, **fields).SerializeToString()


# --- one instance --------------------------------------------------------------------------------

ROUTED = {"router": {"targetAppID": "bank"}}

REQUESTS: list[Any] = [
    pytest.param(
        client.get,
        "GetInstanceRequest",
        {"instanceId": "wf", "getInputsAndOutputs": True},
        GetRequest("wf", with_payloads=True),
        id="get",
    ),
    pytest.param(client.get, "GetInstanceRequest", {}, GetRequest(""), id="get, bare"),
    pytest.param(
        client.raise_event,
        "RaiseEventRequest",
        {"instanceId": "wf", "name": "Ping", "input": "1"},
        RaiseRequest("wf", "Ping", "1"),
        id="raise",
    ),
    pytest.param(
        client.raise_event,
        "RaiseEventRequest",
        {"instanceId": "wf", "name": "Ping"},
        RaiseRequest("wf", "Ping"),
        id="raise, bare",
    ),
    pytest.param(
        client.terminate,
        "TerminateRequest",
        {"instanceId": "wf", "output": '"bye"', "recursive": True},
        TerminateRequest("wf", '"bye"', recursive=True),
        id="terminate",
    ),
    pytest.param(
        client.terminate,
        "TerminateRequest",
        {"instanceId": "wf", "output": ""},
        TerminateRequest("wf", ""),
        id="terminate, empty output",
    ),
    pytest.param(
        client.suspend,
        "SuspendRequest",
        {"instanceId": "wf", "reason": "lunch"},
        ReasonRequest("wf", "lunch"),
        id="suspend",
    ),
    pytest.param(
        client.suspend,
        "SuspendRequest",
        {"instanceId": "wf"},
        ReasonRequest("wf"),
        id="suspend, bare",
    ),
    pytest.param(
        client.resume,
        "ResumeRequest",
        {"instanceId": "wf", "reason": "fed"},
        ReasonRequest("wf", "fed"),
        id="resume",
    ),
    pytest.param(
        client.purge,
        "PurgeInstancesRequest",
        {"instanceId": "wf", "recursive": True},
        PurgeRequest(instance_ids=("wf",), recursive=True),
        id="purge",
    ),
    pytest.param(
        client.purge,
        "PurgeInstancesRequest",
        {
            "purgeInstanceFilter": {
                "createdTimeFrom": (1, 2),
                "createdTimeTo": (3, 4),
                "runtimeStatus": [1, 3],
            }
        },
        PurgeRequest(
            filter=PurgeFilter(
                frozenset({Status.COMPLETED, Status.FAILED}), 1_000_000_002, 3_000_000_004
            )
        ),
        id="purge what matches",
    ),
    pytest.param(
        client.purge,
        "PurgeInstancesRequest",
        {"purgeInstanceFilter": {"createdTimeFrom": (0, 0), "createdTimeTo": (0, 0)}},
        PurgeRequest(filter=PurgeFilter()),
        id="purge all, times said to be the epoch",
    ),
]


@pytest.mark.parametrize("sdk", ALL)
@pytest.mark.parametrize(("decode", "kind", "fields", "expected"), REQUESTS)
def test_requests_that_all_sdks_have(
    sdk: str,
    decode: Callable[[bytes], object],
    kind: str,
    fields: dict[str, Any],
    expected: object,
) -> None:
    assert decode(sent(sdk, kind, **fields)) == expected


@pytest.mark.parametrize(
    ("decode", "kind", "fields"),
    [
        (client.get, "GetInstanceRequest", {}),
        (client.raise_event, "RaiseEventRequest", {}),
        (client.terminate, "TerminateRequest", {}),
        (client.suspend, "SuspendRequest", {}),
        (client.resume, "ResumeRequest", {}),
        (client.purge, "PurgeInstancesRequest", {"instanceId": "wf"}),
        (client.rerun, "RerunWorkflowFromEventRequest", {}),
    ],
    ids=["get", "raise", "terminate", "suspend", "resume", "purge", "rerun"],
)
def test_requests_that_mean_another_app(
    decode: Callable[[bytes], Any], kind: str, fields: dict[str, Any]
) -> None:
    assert decode(sent(D19, kind, **fields, **ROUTED)).target_app == "bank"
    own = {"router": {"sourceAppID": "shop"}}
    assert decode(sent(D19, kind, **fields, **own)).target_app is None


# --- the flavours' own ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sdk", "fields", "expected"),
    [
        pytest.param(
            MS,
            {"instanceBatch": {"instanceIds": ["a", "b"]}, "recursive": True},
            PurgeRequest(instance_ids=("a", "b"), recursive=True),
            id="a batch is not a force",
        ),
        pytest.param(MS, {"instanceBatch": {}}, PurgeRequest(), id="an empty batch is a batch"),
        pytest.param(
            MS,
            {"instanceId": "wf", "isOrchestration": True},
            PurgeRequest(instance_ids=("wf",)),
            id="is-orchestration is not a router",
        ),
        pytest.param(
            MS,
            {"purgeInstanceFilter": {"timeout": (1, 5)}},
            PurgeRequest(filter=PurgeFilter(timeout=1_000_000_005)),
            id="timeout",
        ),
        pytest.param(
            MS,
            {"purgeInstanceFilter": {"timeout": (-1, 0)}},
            PurgeRequest(filter=PurgeFilter()),
            id="negative timeout",
        ),
        pytest.param(
            D17,
            {"instanceId": "wf", "force": True},
            PurgeRequest(instance_ids=("wf",), force=True),
            id="a force is not a batch",
        ),
        pytest.param(
            D19,
            {"instanceId": "wf", "force": False},
            PurgeRequest(instance_ids=("wf",)),
            id="no force said aloud",
        ),
    ],
)
def test_purges_of_one_flavour(sdk: str, fields: dict[str, Any], expected: PurgeRequest) -> None:
    assert client.purge(sent(sdk, "PurgeInstancesRequest", **fields)) == expected


@pytest.mark.parametrize("fields", [{}, {"instanceId": ""}, {"recursive": True}], ids=str)
def test_a_purge_of_nothing_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError, match="PurgeInstances: neither an instance id"):
        client.purge(sent(MS, "PurgeInstancesRequest", **fields))


@pytest.mark.parametrize(
    ("sdk", "decode", "kind", "fields", "expected"),
    [
        pytest.param(
            MS,
            client.rewind,
            "RewindInstanceRequest",
            {"instanceId": "wf", "reason": "again"},
            ReasonRequest("wf", "again"),
            id="rewind",
        ),
        pytest.param(
            MS,
            client.restart,
            "RestartInstanceRequest",
            {"instanceId": "wf", "restartWithNewInstanceId": True},
            RestartRequest("wf", new_id=True),
            id="restart",
        ),
        pytest.param(
            MS,
            client.query,
            "QueryInstancesRequest",
            {
                "query": {
                    "runtimeStatus": [0, 7],
                    "createdTimeFrom": (1, 2),
                    "createdTimeTo": (3, 4),
                    "taskHubNames": ["hub"],
                    "maxInstanceCount": 50,
                    "continuationToken": "c-1",
                    "instanceIdPrefix": "wf-",
                    "fetchInputsAndOutputs": True,
                }
            },
            QueryRequest(
                statuses=frozenset({Status.RUNNING, Status.SUSPENDED}),
                created_from=1_000_000_002,
                created_to=3_000_000_004,
                id_prefix="wf-",
                limit=50,
                cursor="c-1",
                with_payloads=True,
            ),
            id="query",
        ),
        pytest.param(
            MS,
            client.query,
            "QueryInstancesRequest",
            {
                "query": {
                    "continuationToken": "",
                    "instanceIdPrefix": "",
                    "maxInstanceCount": -1,
                    "createdTimeFrom": (0, 0),
                }
            },
            QueryRequest(),
            id="query, nothing said aloud",
        ),
        pytest.param(MS, client.query, "QueryInstancesRequest", {}, QueryRequest(), id="query all"),
        pytest.param(
            MS,
            client.list_microsoft,
            "ListInstanceIdsRequest",
            {
                "runtimeStatus": [1],
                "completedTimeFrom": (1, 2),
                "completedTimeTo": (3, 4),
                "pageSize": 7,
                "lastInstanceKey": "k",
            },
            ListRequest(
                statuses=frozenset({Status.COMPLETED}),
                completed_from=1_000_000_002,
                completed_to=3_000_000_004,
                limit=7,
                cursor="k",
            ),
            id="list ids, Microsoft",
        ),
        pytest.param(
            MS,
            client.list_microsoft,
            "ListInstanceIdsRequest",
            {"pageSize": -1, "lastInstanceKey": ""},
            ListRequest(),
            id="list ids, Microsoft, nothing said aloud",
        ),
        pytest.param(
            D19,
            client.list_dapr,
            "ListInstanceIDsRequest",
            {"continuationToken": "k", "pageSize": 1024},
            ListRequest(limit=1024, cursor="k"),
            id="list ids, Dapr",
        ),
        pytest.param(
            D19,
            client.list_dapr,
            "ListInstanceIDsRequest",
            {"continuationToken": "", "pageSize": 0},
            ListRequest(),
            id="list ids, Dapr, nothing said aloud",
        ),
        pytest.param(
            D18,
            client.history_dapr,
            "GetInstanceHistoryRequest",
            {"instanceId": "wf"},
            HistoryRequest("wf"),
            id="history, Dapr",
        ),
        pytest.param(
            MS,
            client.history_microsoft,
            "StreamInstanceHistoryRequest",
            {"instanceId": "wf", "executionId": "e", "forWorkItemProcessing": True},
            HistoryRequest("wf", "e", for_work_item=True),
            id="history, Microsoft",
        ),
        pytest.param(
            MS,
            client.history_microsoft,
            "StreamInstanceHistoryRequest",
            {"instanceId": "wf", "executionId": ""},
            HistoryRequest("wf"),
            id="history of the present execution",
        ),
        pytest.param(
            D19,
            client.rerun,
            "RerunWorkflowFromEventRequest",
            {
                "sourceInstanceID": "wf",
                "eventID": 3,
                "newInstanceID": "wf-2",
                "input": "1",
                "overwriteInput": True,
                "newChildWorkflowInstanceID": "wf-2:c",
            },
            RerunRequest(
                source_id="wf",
                event_id=3,
                new_id="wf-2",
                input="1",
                overwrite_input=True,
                child_id="wf-2:c",
            ),
            id="rerun",
        ),
        pytest.param(
            D17,
            client.rerun,
            "RerunWorkflowFromEventRequest",
            {"sourceInstanceID": "wf"},
            RerunRequest(source_id="wf", event_id=0),
            id="rerun, bare",
        ),
        pytest.param(
            MS,
            client.skip_termination,
            "SkipGracefulOrchestrationTerminationsRequest",
            {"instanceBatch": {"instanceIds": ["a", "b"]}, "reason": "now"},
            SkipTerminationRequest(("a", "b"), "now"),
            id="skip terminations",
        ),
        pytest.param(
            MS,
            client.create_task_hub,
            "CreateTaskHubRequest",
            {"recreateIfExists": True},
            True,
            id="create hub anew",
        ),
        pytest.param(
            MS, client.create_task_hub, "CreateTaskHubRequest", {}, False, id="create hub"
        ),
    ],
)
def test_requests_of_one_flavour(
    sdk: str,
    decode: Callable[[bytes], object],
    kind: str,
    fields: dict[str, Any],
    expected: object,
) -> None:
    assert decode(sent(sdk, kind, **fields)) == expected


@pytest.mark.parametrize("kind", ["SignalEntityRequest", "GetEntityRequest"])
def test_entity_requests_name_their_entity(kind: str) -> None:
    data = sent(MS, kind, instanceId="@counter@a")
    assert client.entity_id(data, method="any") == "@counter@a"


@pytest.mark.parametrize(
    ("decode", "kind", "fields", "method"),
    [
        (
            client.query,
            "QueryInstancesRequest",
            {"query": {"runtimeStatus": [9]}},
            "QueryInstances",
        ),
        (
            client.list_microsoft,
            "ListInstanceIdsRequest",
            {"runtimeStatus": [9]},
            "ListInstanceIds",
        ),
        (
            client.purge,
            "PurgeInstancesRequest",
            {"purgeInstanceFilter": {"runtimeStatus": [9]}},
            "PurgeInstances",
        ),
    ],
    ids=["query", "list", "purge"],
)
def test_unknown_statuses_are_refused(
    decode: Callable[[bytes], object], kind: str, fields: dict[str, Any], method: str
) -> None:
    with pytest.raises(BadRequestError, match=f"^TN0004: {method}: no status has the number 9$"):
        decode(sent(MS, kind, **fields))


METHODS: list[tuple[str, Callable[[bytes], object]]] = [
    ("StartInstance", client.start),
    ("WaitForInstanceStart", lambda data: client.get(data, method="WaitForInstanceStart")),
    ("GetInstance", client.get),
    ("RaiseEvent", client.raise_event),
    ("TerminateInstance", client.terminate),
    ("SuspendInstance", client.suspend),
    ("ResumeInstance", client.resume),
    ("RewindInstance", client.rewind),
    ("RestartInstance", client.restart),
    ("RerunWorkflowFromEvent", client.rerun),
    ("PurgeInstances", client.purge),
    ("QueryInstances", client.query),
    ("ListInstanceIds", client.list_microsoft),
    ("ListInstanceIDs", client.list_dapr),
    ("GetInstanceHistory", client.history_dapr),
    ("StreamInstanceHistory", client.history_microsoft),
    ("SkipGracefulOrchestrationTerminations", client.skip_termination),
    ("CreateTaskHub", client.create_task_hub),
    ("SignalEntity", lambda data: client.entity_id(data, method="SignalEntity")),
]


@pytest.mark.parametrize(("method", "decode"), METHODS, ids=[name for name, _ in METHODS])
@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05ab", b"\x07"], ids=repr)
def test_broken_bytes_are_refused_with_the_method(
    method: str, decode: Callable[[bytes], object], data: bytes
) -> None:
    with pytest.raises(BadRequestError, match=f"^TN0004: {method}: the request is not a "):
        decode(data)
