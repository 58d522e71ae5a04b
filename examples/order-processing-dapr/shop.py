"""The shop's front desk: place orders, approve them, look at them.

::

    python shop.py place [FILE]             orders as JSON lines; without a file, three samples
    python shop.py approve ORDER [no]       answer an order that waits for approval
    python shop.py status ORDER…            where they are
    python shop.py wait ORDER…              wait until they have ended; one JSON line each
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dapr.ext.workflow import DaprWorkflowClient
from workflows import process_order

SAMPLES = [
    {"id": "order-1", "items": ["tea", "cups"], "total": 40, "card": "valid"},
    {"id": "order-2", "items": ["sofa", "lamp", "rug"], "total": 900, "card": "valid"},
    {"id": "order-3", "items": ["book"], "total": 12, "card": "expired"},
]


def place(client: DaprWorkflowClient, orders: list[dict[str, Any]]) -> None:
    """Start one workflow for each order.  Its id is the order's, so placing it twice is refused."""
    for order in orders:
        client.schedule_new_workflow(process_order, input=order, instance_id=order["id"])
        print(order["id"])


def approve(client: DaprWorkflowClient, order: str, answer: str = "yes") -> None:
    """Answer an order that waits."""
    client.raise_workflow_event(order, "approval", data=answer)


def status(client: DaprWorkflowClient, *orders: str) -> None:
    """Print the state of each order."""
    for order in orders:
        state = client.get_workflow_state(order)
        print(order, "unknown" if state is None else state.runtime_status.name)


def wait(client: DaprWorkflowClient, *orders: str) -> None:
    """Wait for each order; print its result as one JSON line."""
    for order in orders:
        state = client.wait_for_workflow_completion(order, timeout_in_seconds=120)
        if state is None:
            sys.exit(f"there is no order {order}")
        ended = {"order": order, "state": state.runtime_status.name}
        print(json.dumps(ended | json.loads(state.serialized_output or "{}")), flush=True)


def main() -> None:
    """Do what the command line says."""
    command, *arguments = sys.argv[1:] or ["help"]
    if command not in {"place", "approve", "status", "wait"}:
        sys.exit(__doc__)
    client = DaprWorkflowClient()
    if command == "place":
        lines = Path(arguments[0]).read_text().splitlines() if arguments else None
        place(client, SAMPLES if lines is None else [json.loads(line) for line in lines])
    elif command == "approve":
        approve(client, *arguments)
    elif command == "status":
        status(client, *arguments)
    else:
        wait(client, *arguments)


if __name__ == "__main__":
    main()
