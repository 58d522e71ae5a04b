"""What Dapr workers answer: turns, activities and the first request of a stream.

In scope: each action with all and with no fields, as the SDKs' own message types write it; what
older SDKs and JavaScript send differently; bytes that are no answer.  Out of scope: what the engine
does with actions; chunked answers, which only the other flavour has.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.peers import D17, D18, D19, DAPR_PEERS, peer
from support.wire_samples import FAILURE, NEVER, TRACE, TRACE_FIELDS
from tenure_common.errors import BadRequestError
from tenure_sidecar.engine.actions import (
    Action,
    Complete,
    CreateChild,
    CreateDetached,
    CreateTimer,
    Response,
    ScheduleTask,
    SendEvent,
    Terminate,
    Unsupported,
    VersionNotAvailable,
)
from tenure_sidecar.engine.events import (
    EventRaised,
    Failure,
    Instant,
    Status,
    TaskCompleted,
    TimerOrigin,
    VersionInfo,
)
from tenure_sidecar.wire.codec import ActivityResult, Hello, TurnResult
from tenure_sidecar.wire.dapr import DaprCodec

CODEC = DaprCodec(app_id="shop", namespace="prod")
FAILED = {
    "errorType": "ValueError",
    "errorMessage": "no such thing",
    "stackTrace": "at line 1",
    "innerFailure": {"errorType": "KeyError", "errorMessage": "'x'"},
    "isNonRetriable": True,
}
PLAIN_FAILURE = Failure(
    FAILURE.error_type,
    FAILURE.message,
    FAILURE.stack_trace,
    FAILURE.inner,
    non_retriable=True,
)


def answer(sdk: str = D19, **fields: Any) -> TurnResult:
    """Decode what the SDK of that version writes."""
    name = "OrchestratorResponse" if sdk == D17 else "WorkflowResponse"
    return CODEC.turn_result(peer(sdk).new(name, **fields).SerializeToString())


def only(sdk: str = D19, **action: Any) -> Action:
    """The one action of an answer."""
    (decoded,) = answer(sdk, instanceId="wf", actions=[action]).response.actions
    return decoded


ACTIONS = [
    pytest.param(
        {
            "scheduleTask": {
                "name": "Charge",
                "version": "v2",
                "input": "1",
                "taskExecutionId": "key-1",
                "historyPropagationScope": 2,
            },
            "router": {"sourceAppID": "shop", "targetAppID": "bank"},
        },
        ScheduleTask(
            7, "Charge", "v2", "1", task_execution_id="key-1", propagation=2, target_app="bank"
        ),
        id="task",
    ),
    pytest.param({"scheduleTask": {"name": "Charge"}}, ScheduleTask(7, "Charge"), id="task, bare"),
    pytest.param(
        {"scheduleTask": {"name": "Charge", "version": "", "input": ""}},
        ScheduleTask(7, "Charge", input=""),
        id="task, empty version is none, empty input is one",
    ),
    pytest.param(
        {"scheduleTask": {"name": "Charge"}, "router": {"sourceAppID": "shop"}},
        ScheduleTask(7, "Charge"),
        id="task, router without target",
    ),
    pytest.param(
        {"scheduleTask": {"name": "Charge", "historyPropagationScope": 0}},
        ScheduleTask(7, "Charge", propagation=0),
        id="task, no propagation said aloud",
    ),
    pytest.param(
        {
            "createChildWorkflow": {
                "instanceId": "wf:1",
                "name": "Inner",
                "version": "v3",
                "input": "[]",
                "historyPropagationScope": 1,
                "retryParentInstanceInfo": {"instanceID": "wf:0"},
            },
            "router": {"targetAppID": "bank"},
        },
        CreateChild(
            7,
            "Inner",
            "wf:1",
            "v3",
            "[]",
            propagation=1,
            retry_parent="wf:0",
            target_app="bank",
        ),
        id="child",
    ),
    pytest.param({"createChildWorkflow": {}}, CreateChild(7, ""), id="child, bare"),
    pytest.param(
        {"createTimer": {"fireAt": tuple(NEVER), "externalEvent": {"name": "ok"}, "name": "n"}},
        CreateTimer(7, NEVER, "n", TimerOrigin(2, "ok")),
        id="timer that never fires",
    ),
    pytest.param(
        {"createTimer": {"fireAt": (5, 6), "createTimer": {}}},
        CreateTimer(7, Instant(5, 6), origin=TimerOrigin(1)),
        id="timer",
    ),
    pytest.param(
        {"createTimer": {"fireAt": (5, 6), "activityRetry": {"taskExecutionId": "key-1"}}},
        CreateTimer(7, Instant(5, 6), origin=TimerOrigin(3, "key-1")),
        id="timer, task retry",
    ),
    pytest.param(
        {"createTimer": {"fireAt": (5, 6), "childWorkflowRetry": {"instanceId": "wf:0"}}},
        CreateTimer(7, Instant(5, 6), origin=TimerOrigin(4, "wf:0")),
        id="timer, child retry",
    ),
    pytest.param({"createTimer": {}}, CreateTimer(7, Instant(0, 0)), id="timer, bare"),
    pytest.param(
        {"sendEvent": {"instance": {"instanceId": "wf-2"}, "name": "Ping", "data": "1"}},
        SendEvent(7, "wf-2", "Ping", "1"),
        id="event",
    ),
    pytest.param(
        {"terminateWorkflow": {"instanceId": "wf-2", "reason": "old", "recurse": True}},
        Terminate(7, "wf-2", "old", recurse=True),
        id="terminate",
    ),
    pytest.param(
        {"workflowVersionNotAvailable": {}}, VersionNotAvailable(7), id="version not available"
    ),
    pytest.param(
        {
            "createDetachedWorkflow": {
                "instanceId": "wf-9",
                "name": "Later",
                "version": "v1",
                "input": "1",
                "scheduledStartTimestamp": (9, 8),
                "executionId": "e" * 32,
                "tags": {"k": "v"},
                "parentTraceContext": TRACE_FIELDS,
            },
            "router": {"targetAppID": "bank"},
        },
        CreateDetached(
            7,
            "Later",
            "wf-9",
            "v1",
            "1",
            Instant(9, 8),
            "e" * 32,
            {"k": "v"},
            TRACE,
            target_app="bank",
        ),
        id="detached",
    ),
    pytest.param(
        {"createDetachedWorkflow": {"instanceId": "wf-9", "name": "Later"}},
        CreateDetached(7, "Later", "wf-9"),
        id="detached, bare",
    ),
    pytest.param(
        {"completeWorkflow": {"workflowStatus": 1, "result": '"ok"', "details": "d"}},
        Complete(7, Status.COMPLETED, '"ok"', "d"),
        id="complete",
    ),
    pytest.param(
        {"completeWorkflow": {"workflowStatus": 3, "failureDetails": FAILED}},
        Complete(7, Status.FAILED, failure=PLAIN_FAILURE),
        id="fail",
    ),
    pytest.param(
        {
            "completeWorkflow": {
                "workflowStatus": 2,
                "result": "2",
                "newVersion": "v4",
                "carryoverEvents": [
                    {
                        "eventId": -1,
                        "timestamp": (3, 4),
                        "eventRaised": {"name": "A", "input": "1"},
                    },
                    {"eventId": -1, "eventRaised": {"name": "B"}},
                    {"eventId": -1, "taskCompleted": {"taskScheduledId": 5, "result": "x"}},
                ],
            }
        },
        Complete(
            7,
            Status.CONTINUED_AS_NEW,
            "2",
            new_version="v4",
            carryover=(
                EventRaised(3_000_000_004, "A", "1"),
                EventRaised(0, "B"),
                TaskCompleted(0, 5, "x"),
            ),
        ),
        id="continue as new",
    ),
    pytest.param(
        {"completeWorkflow": {"workflowStatus": 6}},
        Complete(7, Status.PENDING),
        id="complete with a status that the engine refuses",
    ),
    pytest.param(
        {"completeWorkflow": {"workflowStatus": 77}},
        Unsupported(7, "ending a workflow with status number 77"),
        id="complete with a status that does not exist",
    ),
    pytest.param(
        {"completeWorkflow": {"workflowStatus": 2, "carryoverEvents": [{"continueAsNew": {}}]}},
        Unsupported(7, "carrying over an event of type continue_as_new"),
        id="carry over what has no record",
    ),
    pytest.param(
        {"completeWorkflow": {"workflowStatus": 2, "carryoverEvents": [{"eventId": 1}]}},
        Unsupported(7, "carrying over an event of unknown type"),
        id="carry over nothing",
    ),
    pytest.param(
        {}, Unsupported(7, "an action of a type that is not in the Dapr protocol"), id="nothing"
    ),
]


@pytest.mark.parametrize(("fields", "expected"), ACTIONS)
def test_dapr_1_19_asks_for(fields: dict[str, Any], expected: Action) -> None:
    assert only(id=7, **fields) == expected


@pytest.mark.parametrize("sdk", [D17, D18])
def test_routers_inside_of_old_actions_are_ignored(sdk: str) -> None:
    fields = {"name": "Charge", "router": {"sourceAppID": "shop", "targetAppID": "x"}}
    assert only(sdk, id=1, scheduleTask=fields) == ScheduleTask(1, "Charge")
    child = "createSubOrchestration" if sdk == D17 else "createChildWorkflow"
    assert only(sdk, id=1, **{child: fields}) == CreateChild(1, "Charge")


@pytest.mark.parametrize("sdk", [D17, D18, D19])
def test_the_router_of_the_action_counts_in_every_version(sdk: str) -> None:
    action = only(sdk, id=1, scheduleTask={"name": "A"}, router={"targetAppID": "bank"})
    assert isinstance(action, ScheduleTask)
    assert action.target_app == "bank"


def test_0_17_asks_for_the_same_under_old_names() -> None:
    assert only(D17, id=1, createTimer={"fireAt": tuple(NEVER)}) == CreateTimer(1, NEVER)
    assert only(
        D17, id=1, completeOrchestration={"orchestrationStatus": 1, "result": "1"}
    ) == Complete(1, Status.COMPLETED, "1")
    assert only(D17, id=1, orchestratorVersionNotAvailable={}) == VersionNotAvailable(1)


def test_an_entity_message_from_the_old_copy_of_the_protocol_is_refused() -> None:
    message = {"entityUnlockSent": {"criticalSectionId": "c"}}
    assert isinstance(only(D17, id=1, sendEntityMessage=message), Unsupported)


def test_a_whole_answer() -> None:
    decoded = answer(
        instanceId="wf",
        completionToken="t-1",
        customStatus='"half"',
        numEventsProcessed=3,
        version={"name": "blue", "patches": ["p1", "p2"]},
        actions=[
            {"id": 1, "scheduleTask": {"name": "A"}},
            {"id": 2, "scheduleTask": {"name": "B"}},
        ],
    )
    assert decoded == TurnResult(
        "wf",
        "t-1",
        Response(
            (ScheduleTask(1, "A"), ScheduleTask(2, "B")),
            custom_status='"half"',
            processed=3,
            version=VersionInfo("blue", ("p1", "p2")),
        ),
    )


def test_an_empty_answer() -> None:
    assert CODEC.turn_result(b"") == TurnResult("", "", Response())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"customStatus": ""}, Response(), id="JavaScript's empty status is none"),
        pytest.param({"customStatus": '""'}, Response(custom_status='""'), id="an empty text"),
        pytest.param({"numEventsProcessed": 0}, Response(processed=0), id="nothing processed"),
        pytest.param({"version": {}}, Response(version=VersionInfo()), id="nameless code"),
        pytest.param(
            {"version": {"patches": ["p"]}},
            Response(version=VersionInfo(None, ("p",))),
            id="patches only",
        ),
    ],
)
def test_parts_of_an_answer(fields: dict[str, Any], expected: Response) -> None:
    assert answer(**fields).response == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param((-1, 0), Instant(-1, 0), id="before the epoch"),
        pytest.param((5, -1), Instant(4, 999_999_999), id="negative nanoseconds"),
        pytest.param((5, 2_000_000_001), Instant(7, 1), id="too many nanoseconds"),
        pytest.param((8_640_000_000_000, 0), NEVER, id="JavaScript's last date"),
        pytest.param((-(1 << 62), 0), Instant(-62_135_596_800), id="before year 1"),
        pytest.param((253_402_300_799, 1_000_000_000), NEVER, id="just over"),
    ],
)
def test_times_that_no_timestamp_may_hold(sent: tuple[int, int], expected: Instant) -> None:
    assert only(id=1, createTimer={"fireAt": sent}) == CreateTimer(1, expected)


@pytest.mark.parametrize(
    ("time", "at"),
    [((-5, 0), 0), ((1 << 62, 0), (1 << 63) - 1), ((1, 2), 1_000_000_002)],
    ids=["before the epoch", "after the last", "plain"],
)
def test_times_of_events_fit_the_store(time: tuple[int, int], at: int) -> None:
    carried = {"timestamp": time, "eventRaised": {"name": "A"}}
    action = only(id=1, completeWorkflow={"workflowStatus": 2, "carryoverEvents": [carried]})
    assert isinstance(action, Complete)
    assert action.carryover[0].at == at


# --- activities ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sdk", DAPR_PEERS)
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"result": "42"}, ("42", None), id="success"),
        pytest.param({"result": ""}, ("", None), id="empty result"),
        pytest.param({}, (None, None), id="no result"),
        pytest.param({"failureDetails": FAILED}, (None, PLAIN_FAILURE), id="failure"),
        pytest.param({"failureDetails": {}}, (None, Failure("", "")), id="empty failure"),
    ],
)
def test_activities_answer(
    sdk: str, fields: dict[str, Any], expected: tuple[str | None, Failure | None]
) -> None:
    message = peer(sdk).new(
        "ActivityResponse", instanceId="wf", taskId=5, completionToken="t-1", **fields
    )
    result, failure = expected
    assert CODEC.activity_result(message.SerializeToString()) == ActivityResult(
        "wf", 5, "t-1", result, failure
    )


# --- the first request ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        pytest.param("", Hello(), id="dapr 1.18, Java, .NET, JavaScript"),
        pytest.param("22020302", Hello(health_ping=True, stateful_history=True), id="dapr 1.19"),
        pytest.param("220102", Hello(stateful_history=True), id="Go"),
        pytest.param(
            "08c80110c801", Hello(max_turns=200, max_activities=200), id="durabletask-dapr 0.17"
        ),
        pytest.param("2002", Hello(stateful_history=True), id="capability not packed"),
        pytest.param("220163", Hello(), id="unknown capability"),
        pytest.param("08ffffffffffffffffff01", Hello(), id="negative limit is none"),
    ],
)
def test_the_first_request(captured: str, expected: Hello) -> None:
    assert CODEC.hello(bytes.fromhex(captured)) == expected


# --- bytes that are no message -------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\xff", b"\x0a\x01\xff"], ids=repr)
def test_broken_bytes_are_refused_with_the_method(data: bytes) -> None:
    for method, decode in (
        ("CompleteOrchestratorTask", CODEC.turn_result),
        ("CompleteActivityTask", CODEC.activity_result),
    ):
        with pytest.raises(BadRequestError, match=f"^TN0004: {method}: "):
            decode(data)
    if data != b"\x0a\x01\xff":
        with pytest.raises(BadRequestError, match=r"^TN0004: GetWorkItems: "):
            CODEC.hello(data)
