"""Events as the Dapr SDKs' own message types read them.

In scope: every event with all and with no fields against dapr 1.19; that the older SDKs read the
same kind of event; what workers must not see.  Out of scope: order and number of events (engine).
"""

from __future__ import annotations

from typing import Any, get_args

import pytest

from support.peers import D17, D18, D19, peer, plain, unknown
from support.wire_samples import (
    EVENTS,
    FAILURE_FIELDS,
    PARENT,
    PROPERTIES,
    STAMP,
    TRACE_FIELDS,
)
from tenure_sidecar.engine.events import Event, ExecutionStarted, Parent
from tenure_sidecar.wire._generated import dapr_pb2
from tenure_sidecar.wire.dapr import DaprCodec

CODEC = DaprCodec(app_id="shop", namespace="prod")
UNASKED: dict[str, Any] = {"eventId": -1, "timestamp": STAMP}


def asked(number: int) -> dict[str, Any]:
    return {"eventId": number, "timestamp": STAMP}


PARENT_FIELDS = {
    "taskScheduledId": 7,
    "name": "Outer",
    "version": "v9",
    "workflowInstance": {"instanceId": "parent-1", "executionId": "e" * 32},
    "appID": "other-app",
    "appNamespace": "other-ns",
}
INSTANCE = {"instanceId": "wf-1", "executionId": "f" * 32}
ROUTER = {"sourceAppID": "shop"}
LATER = (1_700_000_001, 0)

EXPECTED: dict[str, dict[str, Any] | None] = {
    "started": UNASKED
    | {
        "executionStarted": {
            "name": "Flow",
            "version": "v1",
            "input": '{"a": 1}',
            "workflowInstance": INSTANCE,
            "parentInstance": PARENT_FIELDS,
            "scheduledStartTimestamp": (1_700_000_060, 5),
            "parentTraceContext": TRACE_FIELDS,
            "workflowSpanID": "c" * 16,
            "tags": {"team": "blue", "empty": ""},
        },
        "router": ROUTER,
    },
    "started, bare": UNASKED
    | {"executionStarted": {"name": "Flow", "workflowInstance": INSTANCE}, "router": ROUTER},
    "completed": asked(9) | {"executionCompleted": {"workflowStatus": 1, "result": '"done"'}},
    "completed, failed": asked(9)
    | {"executionCompleted": {"workflowStatus": 3, "failureDetails": FAILURE_FIELDS}},
    "terminated": UNASKED | {"executionTerminated": {"input": '"why"', "recurse": True}},
    "terminated, bare": UNASKED | {"executionTerminated": {}},
    "scheduled": asked(2)
    | {
        "taskScheduled": {
            "name": "Charge",
            "version": "v2",
            "input": "",
            "parentTraceContext": TRACE_FIELDS,
            "taskExecutionId": "key-1",
            "rerunParentInstanceInfo": {"instanceID": "old-wf"},
            "historyPropagationScope": 0,
        }
    },
    # Id 0 is the default, which is not written.
    "scheduled, bare": {"timestamp": STAMP, "taskScheduled": {"name": "Charge"}},
    "task completed": UNASKED
    | {"taskCompleted": {"taskScheduledId": 2, "result": "42", "taskExecutionId": "key-1"}},
    "task completed, bare": UNASKED | {"taskCompleted": {}},
    "task failed": UNASKED
    | {
        "taskFailed": {
            "taskScheduledId": 2,
            "failureDetails": FAILURE_FIELDS,
            "taskExecutionId": "key-1",
        }
    },
    "task failed, bare": UNASKED | {"taskFailed": {"failureDetails": {}}},
    "child created": asked(3)
    | {
        "childWorkflowInstanceCreated": {
            "instanceId": "wf-1:0003",
            "name": "Inner",
            "version": "v3",
            "input": "[]",
            "parentTraceContext": TRACE_FIELDS,
            "rerunParentInstanceInfo": {"instanceID": "old-wf"},
            "historyPropagationScope": 2,
            "retryParentInstanceInfo": {"instanceID": "wf-1:0001"},
        }
    },
    "child created, bare": asked(3)
    | {"childWorkflowInstanceCreated": {"instanceId": "wf-1:0003", "name": "Inner"}},
    "child completed": UNASKED
    | {"childWorkflowInstanceCompleted": {"taskScheduledId": 3, "result": "null"}},
    "child failed": UNASKED
    | {"childWorkflowInstanceFailed": {"taskScheduledId": 3, "failureDetails": FAILURE_FIELDS}},
    "timer": asked(4)
    | {
        "timerCreated": {
            "fireAt": (253_402_300_799, 999_999_999),
            "name": "approval",
            "rerunParentInstanceInfo": {"instanceID": "old-wf"},
            "externalEvent": {"name": "approved"},
        }
    },
    "timer, plain": asked(4) | {"timerCreated": {"fireAt": LATER, "createTimer": {}}},
    "timer, task retry": asked(4)
    | {"timerCreated": {"fireAt": LATER, "activityRetry": {"taskExecutionId": "key-1"}}},
    "timer, child retry": asked(4)
    | {"timerCreated": {"fireAt": LATER, "childWorkflowRetry": {"instanceId": "wf-1:0003"}}},
    "timer, bare": asked(4) | {"timerCreated": {"fireAt": LATER}},
    "timer fired": UNASKED | {"timerFired": {"fireAt": (1_700_000_001, 7), "timerId": 4}},
    "turn": UNASKED | {"workflowStarted": {"version": {"patches": ["p1", "p2"], "name": "blue"}}},
    "turn, patches": UNASKED | {"workflowStarted": {"version": {"patches": ["p1"]}}},
    "turn, bare": UNASKED | {"workflowStarted": {}},
    "sent": None,
    "raised": UNASKED | {"eventRaised": {"name": "Pong", "input": "{}"}},
    "raised, bare": UNASKED | {"eventRaised": {"name": "Pong"}},
    "suspended": UNASKED | {"executionSuspended": {"input": "lunch"}},
    "resumed": UNASKED | {"executionResumed": {"input": "fed"}},
    "resumed, bare": UNASKED | {"executionResumed": {}},
    "rewound": None,
    "rewound, bare": None,
    "stalled": UNASKED | {"executionStalled": {"reason": 1, "description": "no 'blue'"}},
    "stalled, bare": UNASKED | {"executionStalled": {}},
    "detached": asked(6) | {"detachedWorkflowInstanceCreated": {"instanceId": "wf-9"}},
}
VISIBLE = [name for name, fields in EXPECTED.items() if fields is not None]
HIDDEN = [name for name, fields in EXPECTED.items() if fields is None]


def body(event: Event) -> bytes:
    """The HistoryEvent without its length, which must be right."""
    framed = CODEC.event(event)
    size = position = 0
    while True:
        byte = framed[position]
        size |= (byte & 0x7F) << 7 * position
        position += 1
        if byte < 0x80:
            break
    assert len(framed) - position == size
    return framed[position:]


def test_the_table_has_every_event() -> None:
    assert set(EXPECTED) == set(EVENTS)
    assert {type(e) for e in EVENTS.values()} == set(get_args(Event))


@pytest.mark.parametrize("name", VISIBLE)
def test_dapr_1_19_reads_what_was_meant(name: str) -> None:
    message = peer(D19).parse("HistoryEvent", body(EVENTS[name]))
    expected = EXPECTED[name]
    # Of a failure's properties, which are Microsoft's, its classes know nothing.
    assert {path.rpartition(".")[2] for path in unknown(message)} <= {"failureDetails#6"}
    assert plain(message) == expected


@pytest.mark.parametrize("name", VISIBLE)
@pytest.mark.parametrize("sdk", [D17, D18])
def test_older_sdks_read_the_same_kind_of_event(sdk: str, name: str) -> None:
    data = body(EVENTS[name])
    old, new = peer(sdk).parse("HistoryEvent", data), peer(D19).parse("HistoryEvent", data)
    if (sdk, name) == (D17, "detached"):
        assert old.WhichOneof("eventType") is None  # which came later
        return
    numbers = [m.DESCRIPTOR.fields_by_name[m.WhichOneof("eventType")].number for m in (old, new)]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("name", VISIBLE)
def test_our_own_types_read_everything(name: str) -> None:
    message = dapr_pb2.HistoryEvent.FromString(body(EVENTS[name]))
    assert unknown(message) == []


@pytest.mark.parametrize("name", HIDDEN)
def test_workers_do_not_see(name: str) -> None:
    assert CODEC.event(EVENTS[name]) == b""


def test_properties_of_failures_pass_through() -> None:
    message = dapr_pb2.HistoryEvent.FromString(body(EVENTS["task failed"]))
    assert plain(message.task_failed.failure)["properties"] == PROPERTIES


def test_a_parent_is_of_the_same_app_unless_it_says_otherwise() -> None:
    event = ExecutionStarted(
        1,
        instance_id="i",
        execution_id="e",
        name="n",
        parent=Parent(PARENT.instance_id, PARENT.execution_id, 0),
    )
    read = peer(D19).read("HistoryEvent", body(event))
    assert read["executionStarted"]["parentInstance"] == {
        "name": "",
        "workflowInstance": {"instanceId": "parent-1", "executionId": "e" * 32},
        "appID": "shop",
        "appNamespace": "prod",
    }


def test_the_sdk_finds_the_app_id_in_the_router() -> None:
    # ctx.app_id = targetAppID or sourceAppID of the event's router
    message = peer(D19).parse("HistoryEvent", body(EVENTS["started, bare"]))
    router = message.router  # type: ignore[attr-defined]
    assert (router.targetAppID or router.sourceAppID) == "shop"
