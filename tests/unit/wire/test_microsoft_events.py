"""Events as the Microsoft SDKs' own message types read them.

In scope: every event with all and with no fields; that nothing is sent which the SDK does not know
(a field of the other flavour ends its work stream); what workers must not see.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.peers import MS, peer, plain, unknown
from support.wire_samples import EVENTS, FAILURE_FIELDS, PROPERTIES, STAMP, TRACE_FIELDS
from tenure_sidecar.wire._generated import microsoft_pb2
from tenure_sidecar.wire.microsoft import MicrosoftCodec

CODEC = MicrosoftCodec()
UNASKED: dict[str, Any] = {"eventId": -1, "timestamp": STAMP}


def asked(number: int) -> dict[str, Any]:
    return {"eventId": number, "timestamp": STAMP}


PARENT_FIELDS = {
    "taskScheduledId": 7,
    "name": "Outer",
    "version": "v9",
    "orchestrationInstance": {"instanceId": "parent-1", "executionId": "e" * 32},
}
INSTANCE = {"instanceId": "wf-1", "executionId": "f" * 32}
FAILED = FAILURE_FIELDS | {"properties": PROPERTIES}
NEVER = (253_402_300_799, 999_999_999)
LATER = (1_700_000_001, 0)

EXPECTED: dict[str, dict[str, Any] | None] = {
    "started": UNASKED
    | {
        "executionStarted": {
            "name": "Flow",
            "version": "v1",
            "input": '{"a": 1}',
            "orchestrationInstance": INSTANCE,
            "parentInstance": PARENT_FIELDS,
            "scheduledStartTimestamp": (1_700_000_060, 5),
            "parentTraceContext": TRACE_FIELDS,
            "orchestrationSpanID": "c" * 16,
            "tags": {"team": "blue", "empty": ""},
        }
    },
    "started, bare": UNASKED
    | {"executionStarted": {"name": "Flow", "orchestrationInstance": INSTANCE}},
    "completed": asked(9) | {"executionCompleted": {"orchestrationStatus": 1, "result": '"done"'}},
    "completed, failed": asked(9)
    | {"executionCompleted": {"orchestrationStatus": 3, "failureDetails": FAILED}},
    "terminated": UNASKED | {"executionTerminated": {"input": '"why"', "recurse": True}},
    "terminated, bare": UNASKED | {"executionTerminated": {}},
    "scheduled": asked(2)
    | {
        "taskScheduled": {
            "name": "Charge",
            "version": "v2",
            "input": "",
            "parentTraceContext": TRACE_FIELDS,
            "tags": {"k": "v"},
        }
    },
    "scheduled, bare": {"timestamp": STAMP, "taskScheduled": {"name": "Charge"}},
    "task completed": UNASKED | {"taskCompleted": {"taskScheduledId": 2, "result": "42"}},
    "task completed, bare": UNASKED | {"taskCompleted": {}},
    "task failed": UNASKED | {"taskFailed": {"taskScheduledId": 2, "failureDetails": FAILED}},
    "task failed, bare": UNASKED | {"taskFailed": {"failureDetails": {}}},
    "child created": asked(3)
    | {
        "subOrchestrationInstanceCreated": {
            "instanceId": "wf-1:0003",
            "name": "Inner",
            "version": "v3",
            "input": "[]",
            "parentTraceContext": TRACE_FIELDS,
            "tags": {"k": "v"},
        }
    },
    "child created, bare": asked(3)
    | {"subOrchestrationInstanceCreated": {"instanceId": "wf-1:0003", "name": "Inner"}},
    "child completed": UNASKED
    | {"subOrchestrationInstanceCompleted": {"taskScheduledId": 3, "result": "null"}},
    "child failed": UNASKED
    | {"subOrchestrationInstanceFailed": {"taskScheduledId": 3, "failureDetails": FAILED}},
    "timer": asked(4) | {"timerCreated": {"fireAt": NEVER}},
    "timer, plain": asked(4) | {"timerCreated": {"fireAt": LATER}},
    "timer, task retry": asked(4) | {"timerCreated": {"fireAt": LATER}},
    "timer, child retry": asked(4) | {"timerCreated": {"fireAt": LATER}},
    "timer, bare": asked(4) | {"timerCreated": {"fireAt": LATER}},
    "timer fired": UNASKED | {"timerFired": {"fireAt": (1_700_000_001, 7), "timerId": 4}},
    "turn": UNASKED | {"orchestratorStarted": {}},
    "turn, patches": UNASKED | {"orchestratorStarted": {}},
    "turn, bare": UNASKED | {"orchestratorStarted": {}},
    "sent": asked(5) | {"eventSent": {"instanceId": "wf-2", "name": "Ping", "input": "1"}},
    "raised": UNASKED | {"eventRaised": {"name": "Pong", "input": "{}"}},
    "raised, bare": UNASKED | {"eventRaised": {"name": "Pong"}},
    "suspended": UNASKED | {"executionSuspended": {"input": "lunch"}},
    "resumed": UNASKED | {"executionResumed": {"input": "fed"}},
    "resumed, bare": UNASKED | {"executionResumed": {}},
    "rewound": UNASKED
    | {
        "executionRewound": {
            "reason": "again",
            "parentExecutionId": "e" * 32,
            "instanceId": "wf-1",
            "parentTraceContext": TRACE_FIELDS,
            "name": "Flow",
            "version": "v1",
            "input": "1",
            "parentInstance": PARENT_FIELDS,
            "tags": {"k": "v"},
        }
    },
    "rewound, bare": UNASKED | {"executionRewound": {}},
    "stalled": None,
    "stalled, bare": None,
    "detached": None,
}
VISIBLE = [name for name, fields in EXPECTED.items() if fields is not None]
HIDDEN = [name for name, fields in EXPECTED.items() if fields is None]


def body(name: str) -> bytes:
    """The HistoryEvent as the first and only one of a HistoryChunk, which checks its length."""
    chunk = microsoft_pb2.HistoryChunk.FromString(b"\x0a" + CODEC.event(EVENTS[name]))
    (event,) = chunk.events
    return event.SerializeToString()


def test_the_table_has_every_event() -> None:
    assert set(EXPECTED) == set(EVENTS)


@pytest.mark.parametrize("name", VISIBLE)
def test_the_sdk_reads_what_was_meant(name: str) -> None:
    message = peer(MS).parse("HistoryEvent", body(name))
    assert unknown(message) == []
    assert plain(message) == EXPECTED[name]


@pytest.mark.parametrize("name", HIDDEN)
def test_workers_do_not_see(name: str) -> None:
    assert CODEC.event(EVENTS[name]) == b""
