"""The app under every engine: a stock SDK, unmodified, with the benchmark's workflows.

It runs in the SDK's own environment, so it imports the standard library and the SDK alone.  The
workflows are written once; the two SDK families differ only in how they register and join tasks.

It is told what to do on standard input, one JSON object a line, and answers each with one line:
``{"do": "reset"}`` forgets what was recorded, ``{"do": "report"}`` gives what was recorded since:
the number of activities executed, the times in seconds between one activity of a workflow and its
next (what a step costs, seen from the app), and the lateness of timers.  End of input ends it.

Usage: ``app.py dapr|durabletask PORT``; prints ``{"ready": true}`` when its work stream is up.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from datetime import datetime, timezone
from typing import Any

CITIES = ("Tokyo", "London", "Seattle", "Lagos", "Lima")

Workflow = Generator[Any, Any, Any]
Context = Any  # each SDK has its own
Value = Any  # an input: what JSON can hold


class Recorder:
    """What happened, by workflow instance.  Appending to a list needs no lock."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.steps: dict[str, list[float]] = {}
        self.lateness: list[float] = []

    def step(self, instance: str) -> None:
        """An activity of ``instance`` runs now."""
        self.steps.setdefault(instance, []).append(time.perf_counter())

    def report(self) -> dict[str, Any]:
        """Everything since the last reset; times in seconds."""
        gaps = [
            later - earlier
            for times in self.steps.values()
            for earlier, later in itertools.pairwise(times)
        ]
        return {
            "executed": sum(map(len, self.steps.values())),
            "gaps": [round(gap, 7) for gap in gaps],
            "lateness": [round(late, 6) for late in self.lateness],
        }


RECORDER = Recorder()


def _instance(context: Context) -> str:
    identity = getattr(context, "workflow_id", None) or context.orchestration_id
    return str(identity)


def hello(context: Context, city: str) -> str:
    """Greet a city."""
    RECORDER.step(_instance(context))
    return f"Hello, {city}!"


def echo(context: Context, value: int) -> int:
    """Give the input back."""
    RECORDER.step(_instance(context))
    return value


def empty(context: Context, _: Value) -> str:
    """Do nothing."""
    del context
    return "done"


def hello_cities(context: Context, _: Value) -> Workflow:
    """Greet five cities, one after the other."""
    greetings: list[str] = []
    for city in CITIES:
        greeting = yield context.call_activity(hello, input=city)
        greetings.append(greeting)
    return greetings


def sequence(context: Context, count: int) -> Workflow:
    """``count`` activities, one after the other; returns the sum of what they gave back."""
    total = 0
    for value in range(count):
        total += yield context.call_activity(echo, input=value)
    return total


def timer(context: Context, due: float) -> Workflow:
    """Sleep until ``due`` (Unix time in seconds) and record how late it is."""
    at = datetime.fromtimestamp(due, tz=timezone.utc).replace(tzinfo=None)  # noqa: UP017
    yield context.create_timer(at)
    RECORDER.lateness.append(time.time() - due)
    return "fired"


def approval(context: Context, _: Value) -> Workflow:
    """Wait for one event; returns its payload."""
    return (yield context.wait_for_external_event("go"))


def loop(context: Context, left: int) -> Workflow:
    """Continue as new until ``left`` is 0, with no activity."""
    if left:
        context.continue_as_new(left - 1)
        return None
    return "done"
    yield  # a generator, as the others


def loop_with_activity(context: Context, left: int) -> Workflow:
    """Continue as new until ``left`` is 0, with one activity each time."""
    if left:
        yield context.call_activity(echo, input=left)
        context.continue_as_new(left - 1)
        return None
    return "done"


def joined(when_all: Callable[[Any], Any]) -> list[Callable[..., Any]]:
    """The workflows that join tasks, with the SDK's own ``when_all``."""

    def fan(context: Context, count: int) -> Workflow:
        results = yield when_all([context.call_activity(echo, input=n) for n in range(count)])
        return sum(results)

    def tree(context: Context, count: int) -> Workflow:
        child = getattr(context, "call_child_workflow", None) or context.call_sub_orchestrator
        results = yield when_all([child(sequence, input=1) for _ in range(count)])
        return len(results)

    return [fan, tree]


WORKFLOWS = [empty, hello_cities, sequence, timer, approval, loop, loop_with_activity]
ACTIVITIES = [hello, echo]


def dapr(port: int) -> Callable[[], None]:
    """Start a worker of the Dapr SDK; returns what stops it."""
    from dapr.ext import workflow  # type: ignore[import-not-found]

    runtime = workflow.WorkflowRuntime(host="127.0.0.1", port=str(port))
    for one in [*WORKFLOWS, *joined(workflow.when_all)]:
        runtime.register_workflow(one)
    for activity in ACTIVITIES:
        runtime.register_activity(activity)
    runtime.start()
    return runtime.shutdown  # type: ignore[no-any-return]


def durabletask(port: int) -> Callable[[], None]:
    """Start a worker of the Durable Task SDK; returns what stops it."""
    from durabletask import task, worker  # type: ignore[import-not-found]

    hub = worker.TaskHubGrpcWorker(host_address=f"127.0.0.1:{port}")
    for one in [*WORKFLOWS, *joined(task.when_all)]:
        hub.add_orchestrator(one)
    for activity in ACTIVITIES:
        hub.add_activity(activity)
    hub.start()
    return hub.stop  # type: ignore[no-any-return]


def serve(lines: Iterable[str]) -> None:
    """Answer commands until the input ends."""
    for line in lines:
        command = json.loads(line)["do"]
        if command == "reset":
            RECORDER.reset()
            answer: dict[str, Any] = {}
        elif command == "report":
            answer = RECORDER.report()
            answer["threads"] = threading.active_count()
        else:
            sys.exit(f"no such command: {command}")
        _say(answer)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Start the worker, serve, stop."""
    family, port = sys.argv[1], int(sys.argv[2])
    stop = {"dapr": dapr, "durabletask": durabletask}[family](port)
    _say({"ready": True})
    serve(sys.stdin)
    stop()


if __name__ == "__main__":
    main()
