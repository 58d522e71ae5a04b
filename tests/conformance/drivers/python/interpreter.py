"""The Python interpreter of the suite's workflow programs (the language: ``program.py`` above).

``run`` is the body of a workflow: a generator that yields the SDK's own tasks.  ``flow`` is the
adapter's view of the SDK's context; everything an SDK does in its own way is behind it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

Steps = Generator[Any, Any, Any]


class ScenarioError(Exception):
    """What a program or activity raises when it is told to fail."""


class Flow(Protocol):
    """A workflow's context, the same for every SDK."""

    task_error: type[Exception]
    """What a failed task raises in the workflow's code."""

    def activity(self, what: dict[str, Any]) -> Any: ...
    def child(self, what: dict[str, Any]) -> Any: ...
    def timer(self, what: dict[str, Any]) -> Any: ...
    def event(self, what: dict[str, Any]) -> Any: ...
    def all(self, tasks: list[Any]) -> Any: ...
    def any(self, tasks: list[Any]) -> Any: ...
    def status(self, value: Any) -> None: ...
    def again(self, value: Any, *, keep_events: bool) -> None: ...
    def send(self, target: str, name: str, value: Any) -> None: ...
    def uuid(self) -> str: ...
    def now_ms(self) -> int: ...
    def info(self) -> dict[str, Any]: ...
    def patched(self, name: str) -> bool: ...
    def trace(self, value: Any) -> None: ...
    def log(self, value: Any) -> None: ...


class Ended:
    """The program ended: with an output, or by continuing as new."""

    def __init__(self, value: Any) -> None:
        self.value = value


def run(flow: Flow, start: dict[str, Any]) -> Steps:
    """Walk over ``start["program"]``; the workflow's output is what it gives."""
    variables = dict(start.get("vars") or {})
    ended = yield from _block(flow, start, start["program"], variables, {})
    return ended.value if ended else None


def _block(
    flow: Flow,
    start: dict[str, Any],
    steps: list[dict[str, Any]],
    variables: dict[str, Any],
    tasks: dict[str, Any],
) -> Steps:
    for step in steps:
        op, into = step["op"], step.get("as")
        result: Any = None
        if op == "task":
            made = getattr(flow, step["what"]["kind"])(value_of(step["what"], variables))
            if step.get("push"):
                tasks.setdefault(step["push"], []).append(made)
            else:
                tasks[into] = made
            continue
        if op == "wait":
            result = yield tasks[step["task"]]
        elif op == "all":
            result = yield flow.all(_named(step["tasks"], tasks))
        elif op == "any":
            group = _named(step["tasks"], tasks)
            winner = yield flow.any(group)
            result = next(i for i, one in enumerate(group) if one is winner)
        elif op == "set":
            result = value_of(step["value"], variables)
        elif op == "append":
            result = [*variables.get(into, []), value_of(step["value"], variables)]
        elif op in {"if", "loop", "try"}:
            ended = yield from _nested(flow, start, step, variables, tasks)
            if ended:
                return ended
        elif op == "return":
            return Ended(value_of(step["value"], variables))
        elif op == "fail":
            raise ScenarioError(value_of(step["message"], variables))
        elif op == "again":
            fresh = {"program": start["program"], "vars": value_of(step["vars"], variables)}
            flow.again(fresh, keep_events=step["keep_events"])
            return Ended(None)
        elif op == "send":
            target = value_of(step["to"], variables)
            flow.send(target, step["name"], value_of(step["value"], variables))
        elif op in {"status", "trace", "log"}:
            getattr(flow, op)(value_of(step["value"], variables))
        elif op == "patched":
            result = flow.patched(step["name"])
        elif op in {"uuid", "info"}:
            result = getattr(flow, op)()
        elif op == "now":
            result = flow.now_ms()
        else:
            raise ValueError(f"no such step: {op}")
        if into:
            variables[into] = result
    return None


def _nested(
    flow: Flow,
    start: dict[str, Any],
    step: dict[str, Any],
    variables: dict[str, Any],
    tasks: dict[str, Any],
) -> Steps:
    if step["op"] == "if":
        left, right = value_of(step["left"], variables), value_of(step["right"], variables)
        holds = left == right if step["cmp"] == "==" else left < right
        branch = step["then"] if holds else step["else"]
        return (yield from _block(flow, start, branch, variables, tasks))
    if step["op"] == "loop":
        for i in range(value_of(step["count"], variables)):
            variables["i"] = i
            ended = yield from _block(flow, start, step["body"], variables, tasks)
            if ended:
                return ended
        return None
    try:
        return (yield from _block(flow, start, step["body"], variables, tasks))
    except flow.task_error as error:
        variables["error"] = failure_of(error)
    except TimeoutError as error:
        variables["error"] = {"type": "TimeoutError", "message": str(error)}
    return (yield from _block(flow, start, step["catch"], variables, tasks))


def _named(names: str | list[str], tasks: dict[str, Any]) -> list[Any]:
    return tasks.get(names, []) if isinstance(names, str) else [tasks[name] for name in names]


def failure_of(error: Exception) -> dict[str, Any]:
    """The parts of a task's failure that every SDK can show."""
    details = getattr(error, "details", None)
    if details is None:
        return {"type": type(error).__name__, "message": str(error)}
    return details_of(details)


def details_of(details: Any) -> dict[str, Any]:
    """Failure details as JSON: ``type``, ``message``, ``stack``, and ``inner`` where known."""
    inner = getattr(details, "inner_failure", None)
    return {
        "type": details.error_type,
        "message": details.message,
        "stack": details.stack_trace,
        "inner": details_of(inner) if inner else None,
    }


def value_of(expression: Any, variables: dict[str, Any]) -> Any:
    """The value of an expression of the language."""
    if isinstance(expression, list):
        return [value_of(part, variables) for part in expression]
    if not isinstance(expression, dict):
        return expression
    if "program" in expression:  # a child's program keeps its expressions
        fresh = {key: part for key, part in expression.items() if key != "vars"}
        return {**fresh, "vars": value_of(expression.get("vars", {}), variables)}
    if "$var" in expression:
        return variables.get(expression["$var"])
    if "$get" in expression:
        found, *path = value_of(expression["$get"], variables)
        for key in path:
            found = found[key]
        return found
    if "$add" in expression:
        left, right = value_of(expression["$add"], variables)
        return left + right
    if "$len" in expression:
        return len(value_of(expression["$len"], variables))
    return {key: value_of(part, variables) for key, part in expression.items()}
