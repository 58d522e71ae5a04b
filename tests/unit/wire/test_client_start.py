"""Requests for a new instance, as the SDKs' own message types write them.

In scope: what is said and what is left out, times and versions of each flavour, policies for ids
that are taken.  The other requests: test_client.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.peers import D17, D19, DAPR_PEERS, MS, peer
from support.wire_samples import NEVER, TRACE, TRACE_FIELDS
from tenure_common.errors import BadRequestError
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.wire import client
from tenure_sidecar.wire.requests import Reuse, ReuseAction, StartRequest

ALL = (MS, *DAPR_PEERS)


def sent(sdk: str, **fields: Any) -> bytes:
    """What the SDK writes."""
    return peer(sdk).new("CreateInstanceRequest", **fields).SerializeToString()


def start(sdk: str, **fields: Any) -> StartRequest:
    return client.start(sent(sdk, **fields))


@pytest.mark.parametrize("sdk", ALL)
def test_start_with_what_all_sdks_have(sdk: str) -> None:
    assert start(
        sdk,
        instanceId="wf-1",
        name="Flow",
        version="v1",
        input='{"a": 1}',
        scheduledStartTimestamp=(1_700_000_000, 5),
        executionId="e" * 32,
        tags={"k": "v"},
        parentTraceContext=TRACE_FIELDS,
    ) == StartRequest(
        name="Flow",
        instance_id="wf-1",
        version="v1",
        input='{"a": 1}',
        scheduled_start=Instant(1_700_000_000, 5),
        execution_id="e" * 32,
        tags={"k": "v"},
        trace=TRACE,
    )


@pytest.mark.parametrize("sdk", ALL)
def test_start_with_a_name_alone(sdk: str) -> None:
    assert start(sdk, name="Flow") == StartRequest(name="Flow")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"version": ""}, {}, id="Python's empty version"),
        pytest.param({"executionId": ""}, {}, id="empty execution id"),
        pytest.param({"scheduledStartTimestamp": (0, 0)}, {}, id="JavaScript's start now"),
        pytest.param({"scheduledStartTimestamp": (-5, 0)}, {}, id="a start before the epoch"),
        pytest.param({"parentTraceContext": {}}, {}, id="empty trace"),
        pytest.param({"input": ""}, {"input": ""}, id="empty input"),
        pytest.param(
            {"scheduledStartTimestamp": tuple(NEVER)},
            {"scheduled_start": NEVER},
            id="a start that never comes",
        ),
        pytest.param(
            {"scheduledStartTimestamp": (0, 1)},
            {"scheduled_start": Instant(0, 1)},
            id="a nanosecond after the epoch",
        ),
    ],
)
def test_start_with_nothing_said_aloud(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert start(MS, name="Flow", **fields) == StartRequest(name="Flow", **expected)


def test_javascript_s_captured_start() -> None:
    # name "n", scheduledStartTimestamp present and empty
    assert client.start(bytes.fromhex("12016e2a00")) == StartRequest(name="n")


def test_python_s_captured_version() -> None:
    assert client.start(bytes.fromhex("12016e1a00")) == StartRequest(name="n")


def test_field_10_is_a_time_or_a_bool() -> None:
    assert start(MS, name="Flow", requestTime=(1_700_000_000, 1)) == StartRequest(name="Flow")
    assert start(D19, name="Flow", enforceUniqueInstanceId=True) == StartRequest(
        name="Flow", enforce_unique=True
    )


def test_start_in_another_app() -> None:
    router = {"sourceAppID": "shop", "targetAppID": "bank"}
    assert start(D19, name="Flow", router=router).target_app == "bank"
    assert start(D19, name="Flow", router={"sourceAppID": "shop"}).target_app is None


DONE = [1, 3, 5]  # completed, failed, terminated


@pytest.mark.parametrize(
    ("sdk", "policy", "expected"),
    [
        pytest.param(
            MS,
            {"replaceableStatus": DONE},
            Reuse(frozenset({Status.COMPLETED, Status.FAILED, Status.TERMINATED})),
            id="replace ended",
        ),
        pytest.param(MS, {}, Reuse(frozenset()), id="replace none"),
        pytest.param(
            MS,
            {"replaceableStatus": [0, 6, 7, 5, 5]},
            Reuse(frozenset({Status.RUNNING, Status.PENDING, Status.SUSPENDED, Status.TERMINATED})),
            id="replace running",
        ),
        pytest.param(
            D17,
            {"operationStatus": [0, 6], "action": 1},
            Reuse(frozenset({Status.RUNNING, Status.PENDING}), ReuseAction.IGNORE),
            id="0.17: ignore",
        ),
        pytest.param(
            D17,
            {"operationStatus": [0], "action": 2},
            Reuse(frozenset({Status.RUNNING}), ReuseAction.REPLACE),
            id="0.17: terminate",
        ),
    ],
)
def test_policies_for_ids_that_are_taken(sdk: str, policy: dict[str, Any], expected: Reuse) -> None:
    assert start(sdk, name="Flow", orchestrationIdReusePolicy=policy).reuse == expected


def test_an_error_said_aloud() -> None:
    # No SDK writes the default, but the protocol lets one.
    data = sent(MS, name="Flow") + bytes.fromhex("320410010800")
    assert client.start(data).reuse == Reuse(frozenset({Status.RUNNING}), ReuseAction.IGNORE)
    data = sent(MS, name="Flow") + bytes.fromhex("320410000800")
    assert client.start(data).reuse == Reuse(frozenset({Status.RUNNING}), ReuseAction.ERROR)


@pytest.mark.parametrize("status", [0, 2, 6, 7], ids=lambda n: Status(n).name)
def test_what_runs_cannot_be_replaced_without_terminating_it(status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        start(MS, name="F", orchestrationIdReusePolicy={"replaceableStatus": [status, 1]})
    assert caught.value.message == (
        "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of "
        "running instances"
    )


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        ({"replaceableStatus": [1, 42]}, "no status has the number 42"),
        (None, "no reuse action has the number 9"),
    ],
    ids=["status", "action"],
)
def test_policies_with_unknown_numbers(policy: dict[str, Any] | None, what: str) -> None:
    data = (
        bytes.fromhex("32021009") if policy is None else sent(MS, orchestrationIdReusePolicy=policy)
    )
    with pytest.raises(BadRequestError, match=f"^TN0004: StartInstance: {what}$"):
        client.start(data)
