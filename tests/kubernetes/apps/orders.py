"""A stock Durable Task app: one workflow for each way in which a run can go.

Run in the SDK's environment: ``orders.py ADDRESS``.  It works until it is killed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask import task, worker
from durabletask.grpc_options import GrpcWorkerResiliencyOptions

Work = Generator[task.Task[Any], Any, Any]


def price(_ctx: task.ActivityContext, items: list[str]) -> int:
    """What the items cost."""
    return 10 * len(items)


def charge(_ctx: task.ActivityContext, card: str) -> str:
    """Take the money; only one card is good."""
    if card != "valid":
        raise ValueError(f"the card is {card}")
    return "charged"


def order(ctx: task.OrchestrationContext, given: dict[str, Any] | None) -> Work:
    """Price and charge an order."""
    given = given or {}
    total = yield ctx.call_activity(price, input=given.get("items", []))
    ctx.set_custom_status({"total": total})
    yield ctx.call_activity(charge, input=given.get("card", "valid"))
    return {"total": total, "items": given.get("items", [])}


def approval(ctx: task.OrchestrationContext, _given: Any) -> Work:
    """Wait for somebody, as long as it takes."""
    ctx.set_custom_status("waiting for approval")
    answer = yield ctx.wait_for_external_event("Approve")
    return {"approved": answer}


def later(ctx: task.OrchestrationContext, _given: Any) -> Work:
    """Sleep for a day."""
    yield ctx.create_timer(timedelta(days=1))


def echo(_ctx: task.OrchestrationContext, given: Any) -> Any:
    """Give back what was given."""
    return given


# An engine that was away is found again at once; by itself the SDK takes up to half a minute.
_PROMPT = GrpcWorkerResiliencyOptions(
    channel_recreate_failure_threshold=1,
    reconnect_backoff_base_seconds=0.1,
    reconnect_backoff_cap_seconds=1.0,
)


def main() -> None:
    """Work until killed."""
    with worker.TaskHubGrpcWorker(host_address=sys.argv[1], resiliency_options=_PROMPT) as hub:
        hub.add_orchestrator(order)
        hub.add_orchestrator(approval)
        hub.add_orchestrator(later)
        hub.add_orchestrator(echo)
        hub.add_activity(price)
        hub.add_activity(charge)
        hub.start()
        print("working", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
