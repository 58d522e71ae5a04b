"""The app: registers workflows and activities, and serves them until it is stopped.

It finds its engine as every Dapr app does, by ``DAPR_GRPC_PORT`` (50001 by default).
"""

from __future__ import annotations

import signal
import threading

import activities
import workflows
from dapr.ext.workflow import WorkflowRuntime


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())

    runtime = WorkflowRuntime()
    for workflow in workflows.ALL:
        runtime.register_workflow(workflow)
    for activity in activities.ALL:
        runtime.register_activity(activity)
    runtime.start()
    print("the shop is open", flush=True)
    stop.wait()
    runtime.shutdown()


if __name__ == "__main__":
    main()
