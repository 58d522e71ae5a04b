"""Order processing on the Durable Task SDK: the same idea as the Dapr example, in one file.

::

    python app.py               places one order, approves it, prints what became of it
    python app.py expired       the same with a card that is declined: the reservations are undone

The engine's address is TASKHUB (localhost:4001 by default).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask.client import TaskHubGrpcClient
from durabletask.task import (
    ActivityContext,
    OrchestrationContext,
    TaskFailedError,
    when_all,
    when_any,
)
from durabletask.worker import TaskHubGrpcWorker

ADDRESS = os.environ.get("TASKHUB", "localhost:4001")
Order = dict[str, Any]


def _say(ctx: ActivityContext, text: str) -> str:
    # The orchestration and the task together name this step, whenever it runs: a good key for a
    # service that must not do the same thing twice.
    print(f"  [{ctx.orchestration_id[:8]}/{ctx.task_id}] {text}", flush=True)
    return text


def reserve_item(ctx: ActivityContext, item: str) -> str:
    """Take one item off the shelf."""
    return _say(ctx, f"reserved {item}")


def release_item(ctx: ActivityContext, item: str) -> str:
    """Put it back."""
    return _say(ctx, f"released {item}")


def charge_card(ctx: ActivityContext, order: Order) -> str:
    """Take the money, or fail."""
    if order["card"] == "expired":
        message = "the card has expired"
        raise ValueError(message)
    return _say(ctx, f"charged {order['total']}")


def ship(ctx: ActivityContext, order: Order) -> str:
    """Send the parcel."""
    return _say(ctx, f"shipped {len(order['items'])} items")


def process_order(ctx: OrchestrationContext, order: Order) -> Generator[Any, Any, str]:
    """Reserve at once, wait for approval, charge, ship; undo when the card is declined."""
    items = order["items"]
    yield when_all([ctx.call_activity(reserve_item, input=item) for item in items])

    approval = ctx.wait_for_external_event("approval")
    winner = yield when_any([approval, ctx.create_timer(timedelta(minutes=10))])
    if winner is not approval:
        yield when_all([ctx.call_activity(release_item, input=item) for item in items])
        return "nobody approved it"

    try:
        yield ctx.call_activity(charge_card, input=order)
    except TaskFailedError:
        yield when_all([ctx.call_activity(release_item, input=item) for item in items])
        return "card declined"

    yield ctx.create_timer(timedelta(seconds=1))  # the carrier comes later; this could be days
    yield ctx.call_activity(ship, input=order)
    return "shipped"


def main() -> None:
    """One order, from the start to its end."""
    card = "expired" if "expired" in sys.argv[1:] else "valid"
    order = {"items": ["tea", "cups", "kettle"], "total": 60, "card": card}
    with TaskHubGrpcWorker(host_address=ADDRESS) as worker:
        worker.add_orchestrator(process_order)
        for activity in (reserve_item, release_item, charge_card, ship):
            worker.add_activity(activity)
        worker.start()
        client = TaskHubGrpcClient(host_address=ADDRESS)
        instance = client.schedule_new_orchestration(process_order, input=order)
        client.raise_orchestration_event(instance, "approval", data="yes")
        state = client.wait_for_orchestration_completion(instance, timeout=60)
        if state is None:
            sys.exit("the order was lost")
        print(state.runtime_status.name, json.loads(state.serialized_output or "null"))


if __name__ == "__main__":
    main()
