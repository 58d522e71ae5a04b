"""An app as users of Dapr have it: a stock Dapr Workflow worker; it runs inside its image."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext, WorkflowRuntime

runtime = WorkflowRuntime()


@runtime.activity(name="step")
def step(_context: WorkflowActivityContext, number: int) -> int:
    """One step."""
    return number + 1


@runtime.workflow(name="order")
def order(context: DaprWorkflowContext, steps: int) -> Generator[Any, Any, int]:
    """Steps one after the other; the result is their number."""
    done = 0
    for _ in range(steps):
        done = yield context.call_activity(step, input=done)
    return done


def main() -> None:
    """Run the worker until it is told to stop."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    runtime.start()
    stopped.wait()
    runtime.shutdown()


if __name__ == "__main__":
    main()
