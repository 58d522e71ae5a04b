"""Neutral events for tests of the codecs: of each type one with every field and one with none."""

from __future__ import annotations

from google.protobuf.struct_pb2 import Value

from tenure_sidecar.engine.events import (
    ORIGIN_ACTIVITY_RETRY,
    ORIGIN_CHILD_RETRY,
    ORIGIN_EXTERNAL_EVENT,
    ORIGIN_TIMER,
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    DetachedCreated,
    Event,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    Failure,
    Instant,
    Parent,
    StallReason,
    Status,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
    TraceContext,
    VersionInfo,
    WorkflowStarted,
)

AT = 1_700_000_000_123_456_789
STAMP = (1_700_000_000, 123_456_789)
NEVER = Instant(253_402_300_799, 999_999_999)  # 9999-12-31T23:59:59.999999999Z

TRACE = TraceContext(f"00-{'a' * 32}-{'b' * 16}-01", "b" * 16, "vendor=1")
TRACE_FIELDS = {
    "traceParent": f"00-{'a' * 32}-{'b' * 16}-01",
    "spanID": "b" * 16,
    "traceState": "vendor=1",
}
FAILURE = Failure(
    "ValueError",
    "no such thing",
    "at line 1",
    Failure("KeyError", "'x'"),
    non_retriable=True,
    properties={"http": Value(number_value=404).SerializeToString()},
)
FAILURE_FIELDS = {
    "errorType": "ValueError",
    "errorMessage": "no such thing",
    "stackTrace": "at line 1",
    "innerFailure": {"errorType": "KeyError", "errorMessage": "'x'"},
    "isNonRetriable": True,
}
PROPERTIES = {"http": {"number_value": 404.0}}
PARENT = Parent("parent-1", "e" * 32, 7, "Outer", "v9", "other-app", "other-ns")

# By name, so that tests can say which one they mean.
EVENTS: dict[str, Event] = {
    "started": ExecutionStarted(
        AT,
        instance_id="wf-1",
        execution_id="f" * 32,
        name="Flow",
        version="v1",
        input='{"a": 1}',
        parent=PARENT,
        scheduled_start=Instant(1_700_000_060, 5),
        trace=TRACE,
        span_id="c" * 16,
        tags={"team": "blue", "empty": ""},
    ),
    "started, bare": ExecutionStarted(AT, instance_id="wf-1", execution_id="f" * 32, name="Flow"),
    "completed": ExecutionCompleted(AT, 9, Status.COMPLETED, result='"done"'),
    "completed, failed": ExecutionCompleted(AT, 9, Status.FAILED, failure=FAILURE),
    "terminated": ExecutionTerminated(AT, output='"why"', recurse=True),
    "terminated, bare": ExecutionTerminated(AT),
    "scheduled": TaskScheduled(
        AT,
        2,
        name="Charge",
        version="v2",
        input="",
        task_execution_id="key-1",
        trace=TRACE,
        tags={"k": "v"},
        rerun_parent="old-wf",
        propagation=0,
    ),
    "scheduled, bare": TaskScheduled(AT, 0, name="Charge"),
    "task completed": TaskCompleted(AT, 2, result="42", task_execution_id="key-1"),
    "task completed, bare": TaskCompleted(AT, 0),
    "task failed": TaskFailed(AT, 2, FAILURE, task_execution_id="key-1"),
    "task failed, bare": TaskFailed(AT, 0, Failure("", "")),
    "child created": ChildCreated(
        AT,
        3,
        instance_id="wf-1:0003",
        name="Inner",
        version="v3",
        input="[]",
        trace=TRACE,
        tags={"k": "v"},
        rerun_parent="old-wf",
        propagation=2,
        retry_parent="wf-1:0001",
    ),
    "child created, bare": ChildCreated(AT, 3, instance_id="wf-1:0003", name="Inner"),
    "child completed": ChildCompleted(AT, 3, result="null"),
    "child failed": ChildFailed(AT, 3, FAILURE),
    "timer": TimerCreated(
        AT,
        4,
        fire_at=NEVER,
        name="approval",
        origin=TimerOrigin(ORIGIN_EXTERNAL_EVENT, "approved"),
        rerun_parent="old-wf",
    ),
    "timer, plain": TimerCreated(AT, 4, Instant(1_700_000_001), origin=TimerOrigin(ORIGIN_TIMER)),
    "timer, task retry": TimerCreated(
        AT, 4, Instant(1_700_000_001), origin=TimerOrigin(ORIGIN_ACTIVITY_RETRY, "key-1")
    ),
    "timer, child retry": TimerCreated(
        AT, 4, Instant(1_700_000_001), origin=TimerOrigin(ORIGIN_CHILD_RETRY, "wf-1:0003")
    ),
    "timer, bare": TimerCreated(AT, 4, Instant(1_700_000_001)),
    "timer fired": TimerFired(AT, 4, Instant(1_700_000_001, 7)),
    "turn": WorkflowStarted(AT, VersionInfo("blue", ("p1", "p2"))),
    "turn, patches": WorkflowStarted(AT, VersionInfo(None, ("p1",))),
    "turn, bare": WorkflowStarted(AT),
    "sent": EventSent(AT, 5, instance_id="wf-2", name="Ping", input="1"),
    "raised": EventRaised(AT, name="Pong", input="{}"),
    "raised, bare": EventRaised(AT, name="Pong"),
    "suspended": ExecutionSuspended(AT, reason="lunch"),
    "resumed": ExecutionResumed(AT, reason="fed"),
    "resumed, bare": ExecutionResumed(AT),
    "rewound": ExecutionRewound(
        AT,
        reason="again",
        instance_id="wf-1",
        parent_execution_id="e" * 32,
        name="Flow",
        version="v1",
        input="1",
        parent=PARENT,
        trace=TRACE,
        tags={"k": "v"},
    ),
    "rewound, bare": ExecutionRewound(AT),
    "stalled": ExecutionStalled(AT, StallReason.VERSION_NOT_AVAILABLE, description="no 'blue'"),
    "stalled, bare": ExecutionStalled(AT, StallReason.PATCH_MISMATCH),
    "detached": DetachedCreated(AT, 6, instance_id="wf-9"),
}
