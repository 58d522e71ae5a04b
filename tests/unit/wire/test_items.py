"""Work items as the SDKs' own message types read them.

In scope: turns with and without history, deltas, streamed history, activities, pings, in both
flavours; that nothing is sent which the SDK does not know.  Out of scope: the events inside
(test_dapr_events, test_microsoft_events) and when which item is sent (dispatch).
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.peers import D17, D18, D19, DAPR_PEERS, MS, peer, plain, unknown
from support.wire_samples import AT, EVENTS, TRACE, TRACE_FIELDS
from tenure_sidecar.engine.events import Status, TaskScheduled, TraceContext
from tenure_sidecar.engine.head import Head
from tenure_sidecar.wire.codec import Codec
from tenure_sidecar.wire.dapr import DaprCodec
from tenure_sidecar.wire.microsoft import MicrosoftCodec

DAPR = DaprCodec(app_id="shop", namespace="prod")
MICROSOFT = MicrosoftCodec()
BOTH = [pytest.param(DAPR, D19, id="dapr"), pytest.param(MICROSOFT, MS, id="microsoft")]

HEAD = Head(
    instance_id="wf-1",
    name="Flow",
    status=Status.RUNNING,
    execution_id="e" * 32,
    created_at=AT,
    updated_at=AT,
    started_at=AT,
)
TASK = TaskScheduled(
    AT,
    4,
    name="Charge",
    version="v2",
    input='{"n": 1}',
    task_execution_id="key-1",
    trace=TRACE,
    tags={"k": "v"},
)
BARE_TASK = TaskScheduled(AT, 0, name="Charge")


def encoded(codec: Codec, *names: str) -> list[bytes]:
    return [codec.event(EVENTS[name]) for name in names]


def read(sdk: str, item: bytes) -> dict[str, Any]:
    """The item, after a check that the SDK knows all of it."""
    message = peer(sdk).parse("WorkItem", item)
    assert unknown(message) == []
    result: dict[str, Any] = plain(message)
    return result


# --- turns ---------------------------------------------------------------------------------------


def test_a_dapr_turn() -> None:
    item = DAPR.turn_item(
        HEAD,
        past=encoded(DAPR, "turn", "started, bare", "scheduled, bare"),
        new=encoded(DAPR, "turn, bare", "task completed"),
        token="t-1",
    )
    message = read(D19, item)
    request = message["workflowRequest"]
    assert message["completionToken"] == "t-1"
    assert {k: v for k, v in request.items() if "Events" not in k} == {
        "instanceId": "wf-1",
        "executionId": "e" * 32,
        "router": {"sourceAppID": "shop"},
    }
    assert [list(e)[-1] for e in request["pastEvents"]] == [
        "workflowStarted",
        "router",  # behind executionStarted
        "taskScheduled",
    ]
    assert [list(e)[-1] for e in request["newEvents"]] == ["workflowStarted", "taskCompleted"]


def test_a_microsoft_turn() -> None:
    item = MICROSOFT.turn_item(
        HEAD,
        past=encoded(MICROSOFT, "turn", "started, bare", "scheduled, bare"),
        new=encoded(MICROSOFT, "turn, bare", "task completed"),
        token="t-1",
    )
    message = read(MS, item)
    request = message["orchestratorRequest"]
    assert message["completionToken"] == "t-1"
    # Neither router nor cached history: their numbers are properties and trace here.
    assert {k: v for k, v in request.items() if "Events" not in k} == {
        "instanceId": "wf-1",
        "executionId": "e" * 32,
    }
    assert [list(e)[-1] for e in request["pastEvents"]] == [
        "orchestratorStarted",
        "executionStarted",
        "taskScheduled",
    ]
    assert [list(e)[-1] for e in request["newEvents"]] == ["orchestratorStarted", "taskCompleted"]


@pytest.mark.parametrize(("codec", "sdk"), BOTH)
def test_a_first_turn_has_no_past(codec: Codec, sdk: str) -> None:
    item = codec.turn_item(HEAD, past=[], new=encoded(codec, "started, bare"), token="t")
    request = next(iter(read(sdk, item).values()))
    assert "pastEvents" not in request
    assert len(request["newEvents"]) == 1


@pytest.mark.parametrize(("codec", "sdk"), BOTH)
def test_a_turn_without_any_event(codec: Codec, sdk: str) -> None:
    request = next(iter(read(sdk, codec.turn_item(HEAD, past=[], new=[], token="t")).values()))
    assert "pastEvents" not in request
    assert "newEvents" not in request


@pytest.mark.parametrize(("codec", "sdk"), BOTH)
def test_a_long_history(codec: Codec, sdk: str) -> None:
    past = encoded(codec, "scheduled", "task completed") * 3000
    item = codec.turn_item(HEAD, past=past, new=encoded(codec, "turn"), token="t")
    request = next(iter(read(sdk, item).values()))
    assert len(request["pastEvents"]) == 6000
    assert request["pastEvents"][0] != request["pastEvents"][1]
    assert request["pastEvents"][0] == request["pastEvents"][5998]


def test_dapr_is_told_how_much_it_has() -> None:
    item = DAPR.turn_item(HEAD, past=encoded(DAPR, "task completed"), new=[], token="t", cached=300)
    request = read(D19, item)["workflowRequest"]
    assert request["cachedHistory"] == {"eventCount": 300}
    assert len(request["pastEvents"]) == 1


@pytest.mark.parametrize("cached", [None, 0])
def test_dapr_is_sent_all_when_it_has_nothing(cached: int | None) -> None:
    item = DAPR.turn_item(HEAD, past=[], new=[], token="t", cached=cached)
    assert "cachedHistory" not in read(D19, item)["workflowRequest"]


def test_microsoft_fetches_a_history_that_is_left_out() -> None:
    item = MICROSOFT.turn_item(
        HEAD,
        past=encoded(MICROSOFT, "task completed"),
        new=encoded(MICROSOFT, "turn"),
        token="t",
        stream_history=True,
    )
    request = read(MS, item)["orchestratorRequest"]
    assert request["requiresHistoryStreaming"] is True
    assert "pastEvents" not in request
    assert len(request["newEvents"]) == 1


def test_microsoft_is_given_its_span_back() -> None:
    head = msgspec.structs.replace(HEAD, span_id="c" * 16)
    request = read(MS, MICROSOFT.turn_item(head, past=[], new=[], token="t"))
    assert request["orchestratorRequest"]["orchestrationTraceContext"] == {
        "spanID": "c" * 16,
        "spanStartTime": divmod(AT, 10**9),
    }


def test_a_span_of_what_has_not_started() -> None:
    head = msgspec.structs.replace(HEAD, span_id="c" * 16, started_at=0)
    request = read(MS, MICROSOFT.turn_item(head, past=[], new=[], token="t"))
    assert request["orchestratorRequest"]["orchestrationTraceContext"] == {"spanID": "c" * 16}


def test_dapr_is_not_given_a_span() -> None:
    # Field 8 is the propagated history there.
    head = msgspec.structs.replace(HEAD, span_id="c" * 16)
    item = DAPR.turn_item(head, past=[], new=[], token="t")
    assert item == DAPR.turn_item(HEAD, past=[], new=[], token="t")


@pytest.mark.parametrize("sdk", [D17, D18])
def test_older_dapr_reads_the_turn(sdk: str) -> None:
    item = DAPR.turn_item(HEAD, past=encoded(DAPR, "scheduled"), new=[], token="t-1")
    message = plain(peer(sdk).parse("WorkItem", item))
    request = message["orchestratorRequest" if sdk == D17 else "workflowRequest"]
    assert request["pastEvents"][0]["taskScheduled"]["taskExecutionId"] == "key-1"
    assert message["completionToken"] == "t-1"


# --- activities ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sdk", DAPR_PEERS)
def test_a_dapr_activity(sdk: str) -> None:
    instance = "orchestrationInstance" if sdk == D17 else "workflowInstance"
    assert read(sdk, DAPR.activity_item(HEAD, TASK, token="t-2")) == {
        "activityRequest": {
            "name": "Charge",
            "version": "v2",
            "input": '{"n": 1}',
            instance: {"instanceId": "wf-1", "executionId": "e" * 32},
            "taskId": 4,
            "parentTraceContext": TRACE_FIELDS,
            "taskExecutionId": "key-1",
        },
        "completionToken": "t-2",
    }


def test_a_microsoft_activity() -> None:
    assert read(MS, MICROSOFT.activity_item(HEAD, TASK, token="t-2")) == {
        "activityRequest": {
            "name": "Charge",
            "version": "v2",
            "input": '{"n": 1}',
            "orchestrationInstance": {"instanceId": "wf-1", "executionId": "e" * 32},
            "taskId": 4,
            "parentTraceContext": TRACE_FIELDS,
            "tags": {"k": "v"},
        },
        "completionToken": "t-2",
    }


@pytest.mark.parametrize(("codec", "sdk"), BOTH)
def test_a_bare_activity(codec: Codec, sdk: str) -> None:
    request = read(sdk, codec.activity_item(HEAD, BARE_TASK, token="t"))["activityRequest"]
    assert set(request) == {
        "name",
        "workflowInstance" if codec is DAPR else "orchestrationInstance",
    }


@pytest.mark.parametrize(("codec", "sdk"), BOTH)
def test_sizes_beyond_one_and_two_length_bytes(codec: Codec, sdk: str) -> None:
    for size in (0, 1, 126, 127, 128, 129, 16_383, 16_384, 3_000_000):
        task = msgspec.structs.replace(BARE_TASK, input="é" * (size // 2) + "x" * (size % 2))
        request = read(sdk, codec.activity_item(HEAD, task, token="t"))["activityRequest"]
        assert len(request["input"].encode()) == size


@pytest.mark.parametrize(("codec", "sdk"), BOTH)
def test_pings(codec: Codec, sdk: str) -> None:
    assert read(sdk, codec.health_ping()) == {"healthPing": {}}


# --- traces --------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [DAPR, MICROSOFT], ids=["dapr", "microsoft"])
@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(
            TRACE,
            TraceContext(f"00-{'a' * 32}-{'d' * 16}-01", "d" * 16, "vendor=1"),
            id="same trace, new span",
        ),
        pytest.param(TraceContext("nonsense"), None, id="malformed"),
        pytest.param(TraceContext(""), None, id="empty"),
    ],
)
def test_activities_run_under_a_span_of_their_own(
    codec: Codec, trace: TraceContext | None, expected: TraceContext | None
) -> None:
    task = msgspec.structs.replace(TASK, trace=trace)
    assert codec.activity_trace(task, "d" * 16) == expected


@pytest.mark.parametrize(
    ("codec", "flavour"), [(DAPR, "dapr"), (MICROSOFT, "microsoft")], ids=["dapr", "microsoft"]
)
def test_codecs_name_their_flavour(codec: Codec, flavour: str) -> None:
    assert codec.flavour == flavour
