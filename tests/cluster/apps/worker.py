"""A stock Durable Task app for the tests with faults: one workflow of every kind of step.

Run in the SDK's environment: ``worker.py ADDRESS EFFECTS [NAME]``.  Every executed activity appends one
line to EFFECTS (its key, who ran it, when) with an fsync, before it answers: the outside world that
cannot be rolled back.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask import task, worker

_LOG = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
_NAME = sys.argv[3] if len(sys.argv) > 3 else "app"
SLOW = 1.0  # seconds


def step(_ctx: task.ActivityContext, key: str) -> str:
    """The effect: one line."""
    os.write(_LOG, f"{key} {_NAME} {time.time_ns()}\n".encode())
    os.fdatasync(_LOG)
    return key


def slow(ctx: task.ActivityContext, key: str) -> str:
    """The same, and still under way when many a fault strikes."""
    step(ctx, key)
    time.sleep(SLOW)
    return key


def order(ctx: task.OrchestrationContext, pause: int) -> Generator[task.Task[Any], Any, Any]:
    """Three steps in a row, five at once, a timer, an event, and a child of two steps.

    The last of the five is slow in every fourth order.  ``pause``: milliseconds of the timer.
    """
    me = ctx.instance_id
    done = []
    for index in range(3):
        done.append((yield ctx.call_activity(step, input=f"{me}/chain-{index}")))
    last = slow if int(me.rpartition("-")[2]) % 4 == 0 else step
    done += yield task.when_all(
        [
            ctx.call_activity(last if index == 4 else step, input=f"{me}/fan-{index}")
            for index in range(5)
        ]
    )
    yield ctx.create_timer(timedelta(milliseconds=pause))
    yield ctx.wait_for_external_event("paid")
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
        hub.add_activity(slow)
        hub.start()
        print("working", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
