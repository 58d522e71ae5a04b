"""A stock Durable Task app of one workflow that fans out: as many naps at a time as it is asked for.

Run in the SDK's environment: ``wide.py ADDRESS EFFECTS NAME SLOTS``.  SLOTS activities run at a time in
this process.  Each appends one line to EFFECTS when it begins, as ``worker.py`` does, and then sleeps:
what is measured is who runs how many, not how fast the machine is.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Generator
from typing import Any

from durabletask import task, worker

_LOG = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
_NAME, _SLOTS = sys.argv[3], int(sys.argv[4])


def nap(_ctx: task.ActivityContext, given: dict[str, Any]) -> str:
    """One line, and ``seconds`` of sleep."""
    os.write(_LOG, f"{given['key']} {_NAME} {time.time_ns()}\n".encode())
    os.fdatasync(_LOG)
    time.sleep(given["seconds"])
    return str(given["key"])


def wide(
    ctx: task.OrchestrationContext, given: dict[str, Any]
) -> Generator[task.Task[Any], Any, int]:
    """``count`` naps of ``seconds`` each, all at once; how many different ones came back."""
    naps = [
        ctx.call_activity(nap, input={"key": f"{ctx.instance_id}/{n}", "seconds": given["seconds"]})
        for n in range(given["count"])
    ]
    done = yield task.when_all(naps)
    return len(set(done))


def main() -> None:
    """Work until killed."""
    options = worker.ConcurrencyOptions(
        maximum_concurrent_activity_work_items=_SLOTS, maximum_thread_pool_workers=_SLOTS + 2
    )
    with worker.TaskHubGrpcWorker(host_address=sys.argv[1], concurrency_options=options) as hub:
        hub.add_orchestrator(wide)
        hub.add_activity(nap)
        hub.start()
        print("working", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
