"""The app in the pods of tests: a stock Durable Task worker; it runs inside its image.

::

    python shop.py            a worker, until it is told to stop
    python shop.py job N      a worker that starts one order of N steps, and ends when that has ended
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Generator
from typing import Any

from durabletask import task
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.task import ActivityContext, OrchestrationContext
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker

ADDRESS = "localhost:4001"
SLOTS = 8  # activities at a time in one pod, so that many at once are too many for it


def step(_context: ActivityContext, number: int) -> int:
    """One step; it takes a moment, so that others can happen in the middle."""
    time.sleep(0.05)
    return number + 1


def order(context: OrchestrationContext, steps: int) -> Generator[Any, Any, int]:
    """Steps one after the other; the result is their number."""
    done = 0
    for _ in range(steps):
        done = yield context.call_activity(step, input=done)
    return done


def where(_context: ActivityContext, _number: int) -> str:
    """The pod that it runs in."""
    time.sleep(0.1)
    return socket.gethostname()


def wide(context: OrchestrationContext, count: int) -> Generator[Any, Any, dict[str, int]]:
    """So many activities at once; how many of them ran in which pod."""
    ran: list[str] = yield task.when_all(
        [context.call_activity(where, input=n) for n in range(count)]
    )
    return {pod: ran.count(pod) for pod in sorted(set(ran))}


def approval(context: OrchestrationContext, _given: object) -> Generator[Any, Any, Any]:
    """Waits for an event, and returns it."""
    return (yield context.wait_for_external_event("decision"))


def main() -> int:
    """Run the worker."""
    options = ConcurrencyOptions(maximum_concurrent_activity_work_items=SLOTS)
    with TaskHubGrpcWorker(host_address=ADDRESS, concurrency_options=options) as worker:
        worker.add_activity(step)
        worker.add_activity(where)
        worker.add_orchestrator(order)
        worker.add_orchestrator(wide)
        worker.add_orchestrator(approval)
        worker.start()
        if sys.argv[1:2] != ["job"]:
            stopped = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: stopped.set())
            stopped.wait()
            return 0
        client = TaskHubGrpcClient(host_address=ADDRESS)
        started = client.schedule_new_orchestration(order, input=int(sys.argv[2]))
        state = client.wait_for_orchestration_completion(started, timeout=60)
        print(state and state.serialized_output, flush=True)
        return int(state is None or state.runtime_status is not OrchestrationStatus.COMPLETED)


if __name__ == "__main__":
    sys.exit(main())
