"""The workflow programs of the suite: a small language that every driver interprets.

A scenario must be written once and run on eleven SDKs in four languages, so its workflow is data: a
list of steps (JSON).  Each driver registers one workflow function, ``run``, whose input is
``{"program": [step…], "vars": {…}}``; it walks over the steps and does each with the SDK's own calls
(``call_activity``, ``create_timer``, ``when_any``, …), as a hand-written workflow would.  The
functions below build the steps; ``drivers/*/`` hold the four interpreters.

Expressions
    A JSON value is itself, but ``{"$var": "x"}`` is the variable, ``{"$get": [e, key…]}`` a part of
    a value, ``{"$add": [a, b]}`` a sum or concatenation and ``{"$len": e}`` a length.

Tasks
    ``task`` starts something and keeps it under a name without waiting; ``wait`` waits for one,
    ``wait_all`` for several (``tasks`` may be the name of a list that ``push`` filled) and
    ``wait_any`` for the first, and yields its position.
"""

from __future__ import annotations

from typing import Any

Step = dict[str, Any]
Program = list[Step]


def var(name: str, *path: str | int) -> dict[str, Any]:
    """The value of a variable, or of a part of it."""
    return {"$get": [{"$var": name}, *path]} if path else {"$var": name}


def add(left: object, right: object) -> dict[str, Any]:
    """A sum of numbers or a concatenation of texts."""
    return {"$add": [left, right]}


def length(value: object) -> dict[str, Any]:
    """The length of a list or text."""
    return {"$len": value}


def retry(attempts: int, **more: object) -> dict[str, Any]:
    """A retry policy: ``attempts`` in all; ``first_ms``, ``backoff``, ``max_ms``, ``timeout_ms``."""
    return {"attempts": attempts, "first_ms": 1, **more}


def activity(name: str, value: object = None, **more: object) -> Step:
    """What ``task`` starts: an activity. ``more``: ``retry``, ``tags``."""
    return {"kind": "activity", "name": name, "input": value, **more}


def child(program: Program | None = None, **more: object) -> Step:
    """What ``task`` starts: a child workflow. ``more``: ``vars``, ``id``, ``retry``, ``version``,
    ``name`` (another registered workflow, with ``input``)."""
    if program is None:
        return {"kind": "child", **more}
    start = {"program": program, "vars": more.pop("vars", {})}
    return {"kind": "child", "name": "run", "input": start, **more}


def timer(ms: object) -> Step:
    """What ``task`` starts: a timer that fires ``ms`` milliseconds from now."""
    return {"kind": "timer", "ms": ms}


def timer_at(offset_ms: int) -> Step:
    """What ``task`` starts: a timer for a date, ``offset_ms`` after the workflow's current time."""
    return {"kind": "timer", "at": offset_ms}


def event(name: str, timeout_ms: int | None = None) -> Step:
    """What ``task`` starts: the wait for an external event."""
    return {"kind": "event", "name": name, "timeout_ms": timeout_ms}


def task(what: Step, into: str | None = None, *, push: str | None = None) -> Step:
    """Start ``what`` under a name, or at the end of a list of tasks."""
    return {"op": "task", "what": what, "as": into, "push": push}


def wait(name: str, into: str | None = None) -> Step:
    """Wait for one task; its result goes into a variable."""
    return {"op": "wait", "task": name, "as": into}


def wait_all(tasks: str | list[str], into: str | None = None) -> Step:
    """Wait for all tasks; the list of results, in their order, goes into a variable."""
    return {"op": "all", "tasks": tasks, "as": into}


def wait_any(tasks: str | list[str], into: str) -> Step:
    """Wait for the first task; its position goes into a variable."""
    return {"op": "any", "tasks": tasks, "as": into}


def do(what: Step, into: str | None = None) -> Program:
    """Start ``what`` and wait for it: the everyday step."""
    return [task(what, "_"), wait("_", into)]


def call(name: str, value: object = None, into: str | None = None, **more: object) -> Program:
    """Call an activity and wait for its result."""
    return do(activity(name, value, **more), into)


def put(name: str, value: object) -> Step:
    """Set a variable."""
    return {"op": "set", "as": name, "value": value}


def append(name: str, value: object) -> Step:
    """Append to a variable that is a list."""
    return {"op": "append", "as": name, "value": value}


def give(value: object) -> Step:
    """End the workflow with this output."""
    return {"op": "return", "value": value}


def fail(message: object) -> Step:
    """End the workflow with a ``ScenarioError``."""
    return {"op": "fail", "message": message}


def attempt(body: Program, catch: Program) -> Step:
    """Run ``body``; when a task in it fails run ``catch`` with ``error`` set: type, message."""
    return {"op": "try", "body": body, "catch": catch}


def loop(count: object, body: Program) -> Step:
    """Run ``body`` ``count`` times with ``i`` set to 0, 1, …"""
    return {"op": "loop", "count": count, "body": body}


def when(
    left: object, cmp: str, right: object, then: Program, other: Program | None = None
) -> Step:
    """``then`` or ``other``, by a comparison: ``==``, ``<``."""
    return {
        "op": "if",
        "left": left,
        "cmp": cmp,
        "right": right,
        "then": then,
        "else": other or [],
    }


def status(value: object) -> Step:
    """Set the custom status."""
    return {"op": "status", "value": value}


def again(variables: dict[str, Any], *, keep_events: bool = False) -> Step:
    """Continue as new: the same program with new variables."""
    return {"op": "again", "vars": variables, "keep_events": keep_events}


def send(target: object, name: str, value: object = None) -> Step:
    """Send an event to another instance."""
    return {"op": "send", "to": target, "name": name, "value": value}


def uuid(into: str) -> Step:
    """A deterministic UUID."""
    return {"op": "uuid", "as": into}


def now(into: str) -> Step:
    """The workflow's current time, milliseconds since the Unix epoch."""
    return {"op": "now", "as": into}


def info(into: str) -> Step:
    """What the SDK says of the instance: ``id`` and, where it has them, ``parent``, ``version``."""
    return {"op": "info", "as": into}


def patched(name: str, into: str) -> Step:
    """Whether the code path of a patch is taken."""
    return {"op": "patched", "name": name, "as": into}


def trace(value: object) -> Step:
    """Note a value in the driver's memory, with whether the code is replaying."""
    return {"op": "trace", "value": value}


def log(value: object) -> Step:
    """Log through the SDK's replay-safe logger; the driver counts the lines that come out."""
    return {"op": "log", "value": value}
