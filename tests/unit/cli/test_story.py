"""A history told as a story.  Pure; the events are those that the management API gives."""

from __future__ import annotations

from typing import Any

import pytest

from tenure_cli.story import Line, tell
from tenure_common.times import NANOS, format_time

T0 = 1_767_225_600 * NANOS
MS = 1_000_000


def event(kind: str, at: int, event_id: int = -1, **fields: Any) -> dict[str, Any]:
    """An event ``at`` milliseconds after the start."""
    return {"type": kind, "timestamp": format_time(T0 + at * MS), "eventId": event_id, **fields}


def told(*events: dict[str, Any], now: int = 0) -> list[tuple[int, str, str, int | None]]:
    lines = tell(events, now=T0 + now * MS)
    return [
        (line.at // MS, line.what, line.outcome, None if line.took is None else line.took // MS)
        for line in lines
    ]


def test_what_ended_is_one_line_with_its_end_and_how_long_it_took() -> None:
    assert told(
        event("WorkflowStarted", 0),
        event("ExecutionStarted", 0, name="Order", input={"item": "book"}),
        event("TaskScheduled", 10, 0, name="charge", input=5),
        event("TimerCreated", 10, 1, fireAt=format_time(T0 + 2_010 * MS)),
        event("WorkflowStarted", 40),
        event("TaskCompleted", 40, taskScheduledId=0, output="ok"),
        event("TimerFired", 2_015, timerId=1),
        event("ExecutionCompleted", 2_020, 2, status="COMPLETED", output=True),
    ) == [
        (0, 'started Order({"item": "book"})', "", None),
        (10, "activity charge(5)", '"ok"', 30),
        (10, "timer, 2.0 s", "fired", 2_005),
        (2_020, "completed with true", "", None),
    ]


def test_what_has_not_ended_says_how_long_it_waits() -> None:
    lines = told(
        event("ExecutionStarted", 0, name="Order"),
        event("TaskScheduled", 0, 0, name="charge"),
        event("ChildWorkflowInstanceCreated", 500, 1, name="Ship", instanceId="ship-1"),
        now=90_000,
    )
    assert lines[1:] == [
        (0, "activity charge()", "waiting for 1m 30s", None),
        (500, "child Ship() as ship-1", "waiting for 1m 30s", None),
    ]


def test_what_is_open_when_it_has_ended_is_not_waited_for() -> None:
    lines = told(
        event("TimerCreated", 0, 0, fireAt=format_time(T0 + 10_000 * MS)),
        event("ExecutionCompleted", 5, 1, status="COMPLETED"),
        now=90_000,
    )
    assert lines[0] == (0, "timer, 10.0 s", "not waited for", None)


def test_where_a_rerun_can_begin_has_its_number() -> None:
    lines = tell(
        [
            event("ExecutionStarted", 0, name="Order"),
            event("TaskScheduled", 0, 0, name="charge"),
            event("EventRaised", 1, name="Go"),
            event("TimerCreated", 2, 1, fireAt=format_time(T0 + MS)),
            event("ChildWorkflowInstanceCreated", 2, 2, name="Ship", instanceId="s"),
            event("EventSent", 3, 3, name="Go", instanceId="b"),
            event("TaskCompleted", 4, taskScheduledId=0),
        ],
        now=T0,
    )
    assert [line.event_id for line in lines] == [None, 0, None, 1, 2, None]


def test_failures_are_told_in_a_line() -> None:
    failure = {"errorType": "ValueError", "message": "no\n  such card " + "x" * 100}
    (_, line) = tell(
        [
            event("TaskScheduled", 0, 0, name="charge"),
            event("TaskFailed", 5, taskScheduledId=0, failure=failure),
            event("ExecutionCompleted", 6, 1, status="FAILED", failure=failure),
        ],
        now=T0,
    )
    assert line.what.startswith("failed: ValueError: no such card")
    assert line.what.endswith("…")
    assert line.good is False


def test_an_activity_that_is_taken_again_under_its_number_is_told_twice() -> None:
    lines = told(
        event("TaskScheduled", 0, 0, name="flaky"),
        event("TaskFailed", 1, taskScheduledId=0, failure={"errorType": "E", "message": "m"}),
        event("TimerCreated", 1, 1, fireAt=format_time(T0 + 101 * MS), origin="activityRetry"),
        event("TimerFired", 101, timerId=1),
        event("TaskScheduled", 101, 0, name="flaky"),
        event("TaskCompleted", 102, taskScheduledId=0),
    )
    assert lines == [
        (0, "activity flaky()", "failed: E: m", 1),
        (1, "retry in 100 ms", "fired", 100),
        (101, "activity flaky()", "done", 1),
    ]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (event("EventRaised", 0, name="Go", input=[1]), "event Go came: [1]"),
        (event("EventRaised", 0, name="Go"), "event Go came"),
        (event("EventSent", 0, 1, name="Go", instanceId="b"), "sent event Go() to b"),
        (event("ExecutionSuspended", 0, reason="stock"), "suspended: stock"),
        (event("ExecutionResumed", 0), "resumed"),
        (event("ExecutionStalled", 0, reason="PAYLOAD: big"), "stalled: PAYLOAD: big"),
        (event("ExecutionTerminated", 0, output="enough"), 'terminated with "enough"'),
        (event("DetachedWorkflowInstanceCreated", 0, 1, instanceId="d"), "started d beside it"),
        (
            event(
                "TimerCreated",
                0,
                1,
                fireAt=format_time(T0 + MS),
                origin="externalEvent",
                originOf="Go",
            ),
            "waits for event Go, 1 ms at most",
        ),
        (
            event(
                "TimerCreated",
                0,
                1,
                fireAt="9999-12-31T23:59:59Z",
                origin="externalEvent",
                originOf="Go",
            ),
            "waits for event Go",
        ),
        (event("ExecutionCompleted", 0, 1, status="CONTINUED_AS_NEW"), "continued as new"),
        (event("SomethingNew", 0), "SomethingNew"),
        (event("TaskCompleted", 0, taskScheduledId=7, output=1), "1"),
    ],
    ids=lambda one: one["type"] if isinstance(one, dict) else "",
)
def test_every_kind_of_event_has_words(given: dict[str, Any], what: str) -> None:
    assert told(given)[0][1] == what


def test_nothing_is_told_of_nothing() -> None:
    assert tell([], now=T0) == []
    assert tell([event("WorkflowStarted", 0)], now=T0) == []
    assert Line(0, "x").good is None
