"""What Microsoft workers answer: turns, activities and the first request of a stream.

In scope: each action with all and with no fields, as the SDK's own message types write it; chunked
answers; what the fields of the same number in the other flavour must not become; filters.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.peers import MS, peer
from support.wire_samples import (
    EVENTS,
    FAILURE,
    FAILURE_FIELDS,
    NEVER,
    PROPERTIES,
    TRACE,
    TRACE_FIELDS,
)
from tenure_common.errors import BadRequestError
from tenure_sidecar.engine.actions import (
    Action,
    Complete,
    CreateChild,
    CreateTimer,
    Response,
    Rewind,
    ScheduleTask,
    SendEvent,
    Terminate,
    Unsupported,
)
from tenure_sidecar.engine.events import Event, EventRaised, Instant, Status
from tenure_sidecar.wire._generated import microsoft_pb2
from tenure_sidecar.wire.codec import ActivityResult, Filters, Hello, TurnResult
from tenure_sidecar.wire.microsoft import MicrosoftCodec

CODEC = MicrosoftCodec()
FAILED = FAILURE_FIELDS | {"properties": PROPERTIES}


def answer(**fields: Any) -> TurnResult:
    """Decode what the SDK writes."""
    return CODEC.turn_result(peer(MS).new("OrchestratorResponse", **fields).SerializeToString())


def only(**action: Any) -> Action:
    """The one action of an answer."""
    (decoded,) = answer(instanceId="wf", actions=[action]).response.actions
    return decoded


ACTIONS = [
    pytest.param(
        {
            "scheduleTask": {
                "name": "Charge",
                "version": "v2",
                "input": "1",
                "tags": {"k": "v"},
                "parentTraceContext": TRACE_FIELDS,
            }
        },
        # The trace has the number of Dapr's task execution id.
        ScheduleTask(7, "Charge", "v2", "1", task_execution_id="", trace=TRACE, tags={"k": "v"}),
        id="task",
    ),
    pytest.param({"scheduleTask": {"name": "Charge"}}, ScheduleTask(7, "Charge"), id="task, bare"),
    pytest.param(
        {"scheduleTask": {"name": "Charge", "parentTraceContext": {}}},
        ScheduleTask(7, "Charge"),
        id="task, empty trace",
    ),
    pytest.param(
        {
            "createSubOrchestration": {
                "instanceId": "wf:1",
                "name": "Inner",
                "version": "v3",
                "input": "[]",
                "parentTraceContext": TRACE_FIELDS,
                "tags": {"k": "v"},
            }
        },
        CreateChild(7, "Inner", "wf:1", "v3", "[]", TRACE, {"k": "v"}),
        id="child",
    ),
    pytest.param({"createSubOrchestration": {}}, CreateChild(7, ""), id="child, bare"),
    pytest.param(
        {"createTimer": {"fireAt": tuple(NEVER)}},
        CreateTimer(7, NEVER),
        id="timer that never fires",
    ),
    pytest.param({"createTimer": {}}, CreateTimer(7, Instant(0)), id="timer, bare"),
    pytest.param(
        {"sendEvent": {"instance": {"instanceId": "wf-2"}, "name": "Ping", "data": ""}},
        SendEvent(7, "wf-2", "Ping", ""),
        id="event",
    ),
    pytest.param(
        {"terminateOrchestration": {"instanceId": "wf-2", "recurse": True}},
        Terminate(7, "wf-2", recurse=True),
        id="terminate",
    ),
    pytest.param(
        {
            "completeOrchestration": {
                "orchestrationStatus": 3,
                "result": "r",
                "details": "d",
                "newVersion": "",
                "failureDetails": FAILED,
                "tags": {"k": "v"},
            }
        },
        Complete(7, Status.FAILED, "r", "d", failure=FAILURE, tags={"k": "v"}),
        id="fail",
    ),
    pytest.param(
        {
            "completeOrchestration": {
                "orchestrationStatus": 2,
                "newVersion": "v4",
                "carryoverEvents": [
                    {"timestamp": (3, 4), "eventRaised": {"name": "A", "input": "1"}}
                ],
            }
        },
        Complete(
            7,
            Status.CONTINUED_AS_NEW,
            new_version="v4",
            carryover=(EventRaised(3_000_000_004, "A", "1"),),
        ),
        id="continue as new",
    ),
    pytest.param(
        {"completeOrchestration": {"orchestrationStatus": 77}},
        Unsupported(7, "ending a workflow with status number 77"),
        id="complete with a status that does not exist",
    ),
    pytest.param(
        {
            "completeOrchestration": {
                "orchestrationStatus": 2,
                "carryoverEvents": [{"genericEvent": {"data": "x"}}],
            }
        },
        Unsupported(7, "carrying over an event of type generic_event"),
        id="carry over what has no record",
    ),
    pytest.param(
        {"rewindOrchestration": {"newHistory": [{"entityUnlockSent": {}}]}},
        Unsupported(7, "rewinding to a history with an event of type entity_unlock_sent"),
        id="rewind to what has no record",
    ),
    pytest.param({"rewindOrchestration": {}}, Rewind(7, ()), id="rewind to nothing"),
    pytest.param(
        {"sendEntityMessage": {"entityOperationSignaled": {"operation": "add"}}},
        Unsupported(7, "signalling an entity"),
        id="entity signal",
    ),
    pytest.param(
        {"sendEntityMessage": {"entityOperationCalled": {"operation": "add"}}},
        Unsupported(7, "calling an entity"),
        id="entity call",
    ),
    pytest.param(
        {"sendEntityMessage": {"entityLockRequested": {}}},
        Unsupported(7, "locking entities"),
        id="entity lock",
    ),
    pytest.param(
        {"sendEntityMessage": {"entityUnlockSent": {}}},
        Unsupported(7, "unlocking an entity"),
        id="entity unlock",
    ),
    pytest.param(
        {"sendEntityMessage": {}},
        Unsupported(7, "a message to an entity"),
        id="entity message of no kind",
    ),
    pytest.param(
        {}, Unsupported(7, "an action of a type that is not in the protocol"), id="nothing"
    ),
]


@pytest.mark.parametrize(("fields", "expected"), ACTIONS)
def test_the_sdk_asks_for(fields: dict[str, Any], expected: Action) -> None:
    assert only(id=7, **fields) == expected


def _sent(event: Event) -> microsoft_pb2.HistoryEvent:
    (message,) = microsoft_pb2.HistoryChunk.FromString(b"\x0a" + CODEC.event(event)).events
    return message


def test_a_rewind_brings_the_whole_history_back() -> None:
    # What this flavour does not show is not sent, and not expected back.
    shown = [e for e in EVENTS.values() if CODEC.event(e)]
    message = microsoft_pb2.OrchestratorResponse()
    message.actions.add(id=-1).rewind.new_history.extend(map(_sent, shown))
    (action,) = CODEC.turn_result(message.SerializeToString()).response.actions
    assert isinstance(action, Rewind)
    assert action.task_id == -1
    assert [type(e) for e in action.history] == [type(e) for e in shown]
    # Compared as messages: the order of tags in the bytes is anybody's choice.
    assert list(map(_sent, action.history)) == list(map(_sent, shown))


def test_a_whole_answer() -> None:
    decoded = answer(
        instanceId="wf",
        completionToken="t-1",
        customStatus='"half"',
        numEventsProcessed=3,
        orchestrationTraceContext={"spanID": "c" * 16, "spanStartTime": (1, 2)},
        requiresHistory=True,
        isPartial=True,
        chunkIndex=0,
        actions=[{"id": 1, "scheduleTask": {"name": "A"}}],
    )
    # The trace has the number of Dapr's version.
    assert decoded == TurnResult(
        "wf",
        "t-1",
        Response(
            (ScheduleTask(1, "A"),),
            custom_status='"half"',
            processed=3,
            version=None,
            span_id="c" * 16,
        ),
        partial=True,
        chunk=0,
        requires_history=True,
    )


def test_an_empty_answer() -> None:
    assert CODEC.turn_result(b"") == TurnResult("", "", Response())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"customStatus": ""}, Response(), id="empty status is none"),
        pytest.param(
            {"orchestrationTraceContext": {"spanStartTime": (1, 2)}},
            Response(),
            id="trace without span",
        ),
        pytest.param({"orchestrationTraceContext": {}}, Response(), id="empty trace"),
    ],
)
def test_parts_of_an_answer(fields: dict[str, Any], expected: Response) -> None:
    assert answer(**fields).response == expected


def test_chunks_are_told_apart_from_whole_answers() -> None:
    assert answer().chunk is None
    last = answer(isPartial=False, chunkIndex=3)
    assert (last.partial, last.chunk) == (False, 3)


def test_an_activity_fails_with_its_properties() -> None:
    message = peer(MS).new(
        "ActivityResponse", instanceId="wf", taskId=5, completionToken="t", failureDetails=FAILED
    )
    assert CODEC.activity_result(message.SerializeToString()) == ActivityResult(
        "wf", 5, "t", None, FAILURE
    )


# --- the first request ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, Hello(health_ping=True), id="nothing"),
        pytest.param(
            {
                "maxConcurrentOrchestrationWorkItems": 20,
                "maxConcurrentActivityWorkItems": 30,
                "maxConcurrentEntityWorkItems": 40,
            },
            Hello(20, 30, health_ping=True),
            id="limits",
        ),
        pytest.param(
            {"maxConcurrentOrchestrationWorkItems": -1},
            Hello(health_ping=True),
            id="negative limit",
        ),
        pytest.param(
            {"capabilities": [1, 3]},
            Hello(health_ping=True, history_streaming=True),
            id="history streaming",
        ),
        pytest.param(
            # Scheduled tasks have the number of Dapr's stateful history.
            {"capabilities": [2]},
            Hello(health_ping=True),
            id="scheduled tasks",
        ),
        pytest.param(
            {"workItemFilters": {}},
            Hello(health_ping=True, filters=Filters({}, {}, ())),
            id="filters that let nothing through",
        ),
        pytest.param(
            {
                "workItemFilters": {
                    "orchestrations": [
                        {"name": "Flow", "versions": ["1", "2"]},
                        {"name": "FLOW", "versions": ["3"]},
                        {"name": "Any"},
                    ],
                    "activities": [{"name": "Charge"}],
                    "entities": [{"name": "Counter"}],
                }
            },
            Hello(
                health_ping=True,
                filters=Filters({"flow": ("1", "2", "3"), "any": ()}, {"charge": ()}, ("counter",)),
            ),
            id="filters",
        ),
    ],
)
def test_the_first_request(fields: dict[str, Any], expected: Hello) -> None:
    assert (
        CODEC.hello(peer(MS).new("GetWorkItemsRequest", **fields).SerializeToString()) == expected
    )


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        pytest.param("", Hello(health_ping=True), id="durabletask-js, Java without entities"),
        pytest.param("08c80110c801", Hello(200, 200, health_ping=True), id="durabletask 1.12"),
    ],
)
def test_captured_first_bytes(captured: str, expected: Hello) -> None:
    assert CODEC.hello(bytes.fromhex(captured)) == expected


# --- bytes that are no message -------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\xff", b"\x62\x01\xff"], ids=repr)
def test_broken_bytes_are_refused_with_the_method(data: bytes) -> None:
    if data != b"\x62\x01\xff":  # not a field of these
        with pytest.raises(BadRequestError, match=r"^TN0004: CompleteOrchestratorTask: "):
            CODEC.turn_result(data)
        with pytest.raises(BadRequestError, match=r"^TN0004: CompleteActivityTask: "):
            CODEC.activity_result(data)
    with pytest.raises(BadRequestError, match=r"^TN0004: GetWorkItems: "):
        CODEC.hello(data)
