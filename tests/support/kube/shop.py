"""The app in the pods of tests: a stock Durable Task worker; it runs inside its image.

::

    python shop.py            a worker, until it is told to stop
    python shop.py job N      a worker that starts one order of N steps, and ends when that has ended
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Generator
from typing import Any

from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.task import ActivityContext, OrchestrationContext
from durabletask.worker import TaskHubGrpcWorker

ADDRESS = "localhost:4001"


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


def approval(context: OrchestrationContext, _given: object) -> Generator[Any, Any, Any]:
    """Waits for an event, and returns it."""
    return (yield context.wait_for_external_event("decision"))


def main() -> int:
    """Run the worker."""
    with TaskHubGrpcWorker(host_address=ADDRESS) as worker:
        worker.add_activity(step)
        worker.add_orchestrator(order)
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
