"""A history as a story: what happened, how long it took, what it still waits for.

A history has two events for each thing, when it began and when it ended, with others in between.
Here each thing is one line, at the time at which it began, with its end beside it; what has no end
yet says how long it has been waiting.  Pure: the events are the management API's, "now" is an
argument.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from tenure_common.times import LONGEST, format_duration, parse_time

Event = Mapping[str, Any]

_SHORT: Final = 60  # characters of a payload
_QUIET: Final = frozenset({"WorkflowStarted"})  # a turn: part of every story, and no news


class Line(msgspec.Struct):
    """One thing: when (nanoseconds after the start), what, how it ended, how long it took."""

    at: int
    what: str
    outcome: str = ""
    took: int | None = None
    good: bool | None = None  # whether it ended well; None = neither, or not yet
    event_id: int | None = None  # where a rerun can begin; None = not here


def tell(events: Sequence[Event], *, now: int) -> list[Line]:
    """The story of one generation.

    Args:
        events: its history, oldest first, as ``GET …/history`` gives them.
        now: wall clock, nanoseconds since the epoch.
    """
    lines: list[Line] = []
    open_: dict[tuple[str, int], tuple[Line, int]] = {}
    began: int | None = None
    for event in events:
        at = parse_time(event["timestamp"])
        began = at if began is None else began
        kind = event["type"]
        if kind in _QUIET:
            continue
        if kind in _ENDS:
            key, outcome, good = _ends(event)
            line, since = open_.pop(key, (None, at))
            if line is not None:
                line.outcome, line.took, line.good = outcome, at - since, good
                continue
            lines.append(Line(at - began, outcome, good=good))
            continue
        line = Line(at - began, _TELL.get(kind, _other)(event))
        line.good = _verdict(event)
        lines.append(line)
        begun = _BEGINS.get(kind)
        if begun is not None:
            line.event_id = event["eventId"]
            open_[begun, event["eventId"]] = (line, at)
    ended = any(event["type"] == "ExecutionCompleted" for event in events)
    for line, since in open_.values():
        line.outcome = (
            "not waited for" if ended else f"waiting for {format_duration(max(0, now - since))}"
        )
    return lines


_BEGINS: Final = {
    "TaskScheduled": "task",
    "ChildWorkflowInstanceCreated": "task",
    "TimerCreated": "timer",
}
_ENDS: Final = frozenset(
    {
        "TaskCompleted",
        "TaskFailed",
        "ChildWorkflowInstanceCompleted",
        "ChildWorkflowInstanceFailed",
        "TimerFired",
    }
)


def _ends(event: Event) -> tuple[tuple[str, int], str, bool | None]:
    """What the event ends, how, and whether well."""
    if event["type"] == "TimerFired":
        return ("timer", event["timerId"]), "fired", None
    key = ("task", event["taskScheduledId"])
    if "failure" in event:
        return key, f"failed: {failure(event['failure'])}", False
    return key, payload(event, "output") or "done", True


def _verdict(event: Event) -> bool | None:
    if event["type"] == "ExecutionCompleted":
        return event.get("status") in {"COMPLETED", "CONTINUED_AS_NEW"}
    return False if event["type"] in {"ExecutionStalled", "ExecutionTerminated"} else None


def failure(view: Mapping[str, Any]) -> str:
    """A failure in one line."""
    return _cut(f"{view['errorType']}: {view['message']}")


def payload(event: Event, field: str) -> str:
    """A payload as short JSON, empty when there is none."""
    if field not in event:
        return ""
    return _cut(json.dumps(event[field], ensure_ascii=False))


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHORT else flat[: _SHORT - 1] + "…"


def _called(what: str) -> Callable[[Event], str]:
    return lambda event: f"{what} {event.get('name', '')}({payload(event, 'input')})"


def _child(event: Event) -> str:
    return f"child {event.get('name', '')}({payload(event, 'input')}) as {event['instanceId']}"


def _timer(event: Event) -> str:
    length = parse_time(event["fireAt"]) - parse_time(event["timestamp"])
    wait = format_duration(length)
    most = f", {wait} at most" if length < LONGEST else ""  # SDKs have a far time for "for ever"
    about = {
        "externalEvent": f"waits for event {event.get('originOf', '')}{most}",
        "activityRetry": f"retry in {wait}",
        "childWorkflowRetry": f"retry of a child in {wait}",
    }
    return about.get(event.get("origin", ""), f"timer, {wait}")


def _because(what: str) -> Callable[[Event], str]:
    def told(event: Event) -> str:
        reason = event.get("reason")
        return f"{what}: {reason}" if reason else what

    return told


def _completed(event: Event) -> str:
    status = str(event.get("status", "COMPLETED")).lower().replace("_", " ")
    if "failure" in event:
        return f"{status}: {failure(event['failure'])}"
    output = payload(event, "output")
    return f"{status} with {output}" if output else status


def _sent(event: Event) -> str:
    return f"sent event {event.get('name', '')}({payload(event, 'input')}) to {event['instanceId']}"


def _raised(event: Event) -> str:
    data = payload(event, "input")
    return f"event {event.get('name', '')} came" + (f": {data}" if data else "")


def _terminated(event: Event) -> str:
    output = payload(event, "output")
    return f"terminated with {output}" if output else "terminated"


def _other(event: Event) -> str:
    return str(event["type"])


_TELL: Final[dict[str, Callable[[Event], str]]] = {
    "ExecutionStarted": _called("started"),
    "ExecutionCompleted": _completed,
    "ExecutionTerminated": _terminated,
    "ExecutionSuspended": _because("suspended"),
    "ExecutionResumed": _because("resumed"),
    "ExecutionRewound": _because("rewound"),
    "ExecutionStalled": _because("stalled"),
    "TaskScheduled": _called("activity"),
    "ChildWorkflowInstanceCreated": _child,
    "DetachedWorkflowInstanceCreated": lambda event: f"started {event['instanceId']} beside it",
    "TimerCreated": _timer,
    "EventSent": _sent,
    "EventRaised": _raised,
}
