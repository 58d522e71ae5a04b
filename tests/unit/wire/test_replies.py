"""Answers to clients as the SDKs' own message types read them.

In scope: every answer, full and empty, in each flavour that has it; the state of an instance with
and without payloads; histories in chunks.  Out of scope: which answer a request gets.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.peers import D19, DAPR_PEERS, MS, peer, plain, unknown
from support.wire_samples import (
    AT,
    EVENTS,
    FAILURE,
    FAILURE_FIELDS,
    PARENT,
    PROPERTIES,
    STAMP,
    TRACE,
)
from tenure_sidecar.engine.events import Instant, StallReason, Status
from tenure_sidecar.engine.head import Head, Stall
from tenure_sidecar.wire import replies
from tenure_sidecar.wire.dapr import DaprCodec
from tenure_sidecar.wire.microsoft import MicrosoftCodec

ALL = (MS, *DAPR_PEERS)
BARE = Head(
    instance_id="wf-1",
    name="Flow",
    status=Status.PENDING,
    execution_id="e" * 32,
    created_at=AT,
    updated_at=AT + 1,
)
FULL = msgspec.structs.replace(
    BARE,
    status=Status.FAILED,
    version="v1",
    started_at=AT + 2,
    completed_at=AT + 3,
    scheduled_start=Instant(5, 6),
    parent=PARENT,
    tags={"k": "v"},
    trace=TRACE,
    span_id="c" * 16,
    custom_status='"half"',
    output="null",
    failure=FAILURE,
    stall=Stall(StallReason.PATCH_MISMATCH),
    history_length=9,
    pending=3,
)


def after(nanoseconds: int) -> tuple[int, int]:
    seconds, nanos = STAMP
    return (seconds, nanos + nanoseconds)


def state(sdk: str, data: bytes) -> dict[str, Any]:
    """The state in a GetInstanceResponse, by the names of dapr 1.19."""
    message = plain(peer(sdk).parse("GetInstanceResponse", data))
    assert message["exists"] is True
    fields = message.get("workflowState") or message["orchestrationState"]
    return {k.replace("orchestrationStatus", "workflowStatus"): v for k, v in fields.items()}


EXPECTED_BARE = {
    "instanceId": "wf-1",
    "name": "Flow",
    "workflowStatus": 6,
    "createdTimestamp": STAMP,
    "lastUpdatedTimestamp": after(1),
    "executionId": "e" * 32,
}
EXPECTED_FULL = EXPECTED_BARE | {
    "workflowStatus": 3,
    "version": "v1",
    "scheduledStartTimestamp": (5, 6),
    "input": "1",
    "output": "null",
    "customStatus": '"half"',
    "failureDetails": FAILURE_FIELDS,
    "completedTimestamp": after(3),
    "parentInstanceId": "parent-1",
    "tags": {"k": "v"},
}
ONLY_1_19 = {"parentAppId": "other-app", "startedAt": after(2)}


@pytest.mark.parametrize("sdk", ALL)
def test_the_state_of_an_instance(sdk: str) -> None:
    expected: dict[str, Any] = EXPECTED_FULL
    if sdk == D19:
        expected = EXPECTED_FULL | ONLY_1_19
    elif sdk == MS:
        details = FAILURE_FIELDS | {"properties": PROPERTIES}
        expected = EXPECTED_FULL | {"failureDetails": details}
    assert state(sdk, replies.state(FULL, "1", with_payloads=True)) == expected


@pytest.mark.parametrize("sdk", ALL)
def test_the_state_of_a_bare_instance(sdk: str) -> None:
    assert state(sdk, replies.state(BARE, None, with_payloads=True)) == EXPECTED_BARE


def test_dapr_1_19_knows_all_of_a_state() -> None:
    message = peer(D19).parse("GetInstanceResponse", replies.state(FULL, "1", with_payloads=True))
    assert [p for p in unknown(message) if "failureDetails" not in p] == []


@pytest.mark.parametrize("sdk", ALL)
def test_payloads_only_when_asked_for(sdk: str) -> None:
    read = state(sdk, replies.state(FULL, "1", with_payloads=False))
    assert "input" not in read
    assert "output" not in read
    # An SDK decides by these how the instance ended and how far it is.
    assert read["customStatus"] == '"half"'
    assert read["failureDetails"]["errorType"] == "ValueError"


@pytest.mark.parametrize("sdk", ALL)
def test_empty_payloads_are_payloads(sdk: str) -> None:
    head = msgspec.structs.replace(BARE, output="", custom_status="")
    read = state(sdk, replies.state(head, "", with_payloads=True))
    assert (read["input"], read["output"], read["customStatus"]) == ("", "", "")


def test_a_running_instance_has_the_status_that_is_not_written() -> None:
    head = msgspec.structs.replace(BARE, status=Status.RUNNING)
    assert "workflowStatus" not in state(D19, replies.state(head, None, with_payloads=False))


@pytest.mark.parametrize("status", list(Status))
def test_every_status_reads_back(status: Status) -> None:
    head = msgspec.structs.replace(BARE, status=status)
    read = state(D19, replies.state(head, None, with_payloads=False))
    assert read.get("workflowStatus", 0) == status


def test_microsoft_clients_are_not_told_of_stalls() -> None:
    head = msgspec.structs.replace(BARE, status=Status.STALLED)
    data = replies.state(head, None, with_payloads=False, knows_stalled=False)
    assert "workflowStatus" not in state(MS, data)  # running
    data = replies.query_page([(head, None)], cursor=None, with_payloads=False)
    (row,) = peer(MS).read("QueryInstancesResponse", data)["orchestrationState"]
    assert "orchestrationStatus" not in row


def test_other_statuses_stay_for_who_does_not_know_stalls() -> None:
    data = replies.state(FULL, None, with_payloads=False, knows_stalled=False)
    assert state(MS, data)["workflowStatus"] == 3


@pytest.mark.parametrize("sdk", ALL)
def test_an_instance_that_does_not_exist(sdk: str) -> None:
    assert peer(sdk).read("GetInstanceResponse", replies.MISSING) == {}


@pytest.mark.parametrize("sdk", ALL)
@pytest.mark.parametrize("kind", ["RaiseEvent", "Terminate", "Suspend", "Resume"])
def test_answers_without_content(sdk: str, kind: str) -> None:
    assert peer(sdk).read(f"{kind}Response", replies.EMPTY) == {}


@pytest.mark.parametrize(
    ("sdk", "kind", "field"),
    [
        *((sdk, "CreateInstanceResponse", "instanceId") for sdk in ALL),
        (MS, "RestartInstanceResponse", "instanceId"),
        (D19, "RerunWorkflowFromEventResponse", "newInstanceID"),
    ],
)
def test_ids_of_new_instances(sdk: str, kind: str, field: str) -> None:
    assert peer(sdk).read(kind, replies.created("wf-é")) == {field: "wf-é"}


@pytest.mark.parametrize("sdk", ALL)
def test_counts_of_purges(sdk: str) -> None:
    kind = "PurgeInstancesResponse"
    done = peer(sdk).read(kind, replies.purged(300))
    assert done == {"deletedInstanceCount": 300, "isComplete": True}
    none = peer(sdk).read(kind, replies.purged(0))
    assert none == {"isComplete": True}
    some = peer(sdk).read(kind, replies.purged(1, complete=False))
    assert some == {"deletedInstanceCount": 1, "isComplete": False}


def test_pages_of_instances() -> None:
    data = replies.query_page([(FULL, "1"), (BARE, None)], cursor="c-1", with_payloads=True)
    read = peer(MS).read("QueryInstancesResponse", data)
    assert read["continuationToken"] == "c-1"
    assert [row["instanceId"] for row in read["orchestrationState"]] == ["wf-1", "wf-1"]
    assert [row.get("input") for row in read["orchestrationState"]] == ["1", None]
    data = replies.query_page([(FULL, "1")], cursor=None, with_payloads=False)
    (row,) = peer(MS).read("QueryInstancesResponse", data)["orchestrationState"]
    assert "input" not in row


def test_the_last_page_of_instances_has_no_token() -> None:
    data = replies.query_page([], cursor=None, with_payloads=False)
    assert peer(MS).read("QueryInstancesResponse", data) == {}


def test_pages_of_ids() -> None:
    ids = ["a", "", "c" * 200]
    assert peer(MS).read(
        "ListInstanceIdsResponse", replies.ids_page_microsoft(ids, cursor="k")
    ) == {"instanceIds": ids, "lastInstanceKey": "k"}
    assert peer(D19).read("ListInstanceIDsResponse", replies.ids_page_dapr(ids, cursor="k")) == {
        "instanceIds": ids,
        "continuationToken": "k",
    }


def test_the_last_page_of_ids_has_no_token() -> None:
    # An empty token would be asked for again.
    page = replies.ids_page_microsoft(["a"], cursor=None)
    assert peer(MS).read("ListInstanceIdsResponse", page) == {"instanceIds": ["a"]}
    page = replies.ids_page_dapr(["a"], cursor=None)
    assert peer(D19).read("ListInstanceIDsResponse", page) == {"instanceIds": ["a"]}


def test_instances_that_were_not_terminated() -> None:
    kind = "SkipGracefulOrchestrationTerminationsResponse"
    read = peer(MS).read(kind, replies.unterminated(["a", "b"]))
    assert read == {"unterminatedInstanceIds": ["a", "b"]}


# --- histories -----------------------------------------------------------------------------------

NAMES = ("turn, bare", "started, bare", "scheduled", "task completed", "completed")


def test_a_dapr_history() -> None:
    codec = DaprCodec(app_id="shop", namespace="prod")
    data = replies.history([codec.event(EVENTS[n]) for n in NAMES])
    events = peer(D19).read("GetInstanceHistoryResponse", data)["events"]
    assert [sorted(set(e) - {"eventId", "timestamp", "router"}) for e in events] == [
        ["workflowStarted"],
        ["executionStarted"],
        ["taskScheduled"],
        ["taskCompleted"],
        ["executionCompleted"],
    ]


def test_an_empty_history() -> None:
    assert peer(D19).read("GetInstanceHistoryResponse", replies.history([])) == {}
    assert list(replies.history_chunks([], limit=10)) == []


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [
        pytest.param(1_000_000, [5], id="one chunk"),
        pytest.param(1, [1, 1, 1, 1, 1], id="events larger than the limit go alone"),
        pytest.param(0, [1, 1, 1, 1, 1], id="no limit is too small"),
    ],
)
def test_a_microsoft_history_in_chunks(limit: int, sizes: list[int]) -> None:
    codec = MicrosoftCodec()
    events = [codec.event(EVENTS[n]) for n in NAMES]
    chunks = list(replies.history_chunks(events, limit=limit))
    assert [len(peer(MS).read("HistoryChunk", c)["events"]) for c in chunks] == sizes
    assert b"".join(chunks) == replies.history(events)


def test_chunks_are_filled_to_the_limit_and_not_over_it() -> None:
    event = MicrosoftCodec().event(EVENTS["turn, bare"])
    size = len(event) + 1
    assert [len(c) for c in replies.history_chunks([event] * 5, limit=2 * size)] == [
        2 * size,
        2 * size,
        size,
    ]
    assert [len(c) for c in replies.history_chunks([event] * 3, limit=2 * size - 1)] == [size] * 3
