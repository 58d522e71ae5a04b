"""A stock Durable Task app for the kill tests: one workflow of every kind of step.

Run in the SDK's environment: ``worker.py ADDRESS EFFECTS``.  Every executed activity appends one line
to EFFECTS (its key) with an fsync, before it answers: the outside world that cannot be rolled back.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask import task, worker

_LOG = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def step(_ctx: task.ActivityContext, key: str) -> str:
    """The effect: one line."""
    os.write(_LOG, f"{key}\n".encode())
    os.fdatasync(_LOG)
    return key


def order(ctx: task.OrchestrationContext, _input: Any) -> Generator[task.Task[Any], Any, Any]:
    """Three steps in a row, five at once, a timer, and a child of two steps."""
    me = ctx.instance_id
    done = []
    for index in range(3):
        done.append((yield ctx.call_activity(step, input=f"{me}/chain-{index}")))
    done += yield task.when_all(
        [ctx.call_activity(step, input=f"{me}/fan-{index}") for index in range(5)]
    )
    yield ctx.create_timer(timedelta(milliseconds=100))
    done += yield ctx.call_sub_orchestrator(shipping, input=me)
    return done


def shipping(ctx: task.OrchestrationContext, parent: str) -> Generator[task.Task[Any], Any, Any]:
    """The child."""
    first = yield ctx.call_activity(step, input=f"{parent}/ship-0")
    second = yield ctx.call_activity(step, input=f"{parent}/ship-1")
    return [first, second]


def main() -> None:
    """Work until killed."""
    with worker.TaskHubGrpcWorker(host_address=sys.argv[1]) as hub:
        hub.add_orchestrator(order)
        hub.add_orchestrator(shipping)
        hub.add_activity(step)
        hub.start()
        print("working", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
