"""The steps of an order.  An activity may do anything: call services, wait, fail.

``ctx.workflow_id`` and ``ctx.task_id`` together name this step of this order.  They stay the same
when the step runs again after a crash, which makes them a good idempotency key.
"""

from __future__ import annotations

import os
import time
from typing import Any

import effects
from dapr.ext.workflow import WorkflowActivityContext

WORK_SECONDS = float(os.environ.get("WORK_SECONDS", "0.1"))  # how long a service takes to answer


class CardDeclinedError(Exception):
    """The bank said no."""


def _do(ctx: WorkflowActivityContext, step: str, order: dict[str, Any], item: str = "") -> None:
    key = f"{ctx.workflow_id}/{ctx.task_id}"
    effects.record(step, order=order["id"], item=item, key=key)
    time.sleep(WORK_SECONDS)


def reserve_item(ctx: WorkflowActivityContext, order: dict[str, Any]) -> str:
    """Take one item off the shelf."""
    _do(ctx, "reserve item", order, order["item"])
    return f"{order['item']} on hold for {order['id']}"


def release_item(ctx: WorkflowActivityContext, order: dict[str, Any]) -> None:
    """Undo a reservation."""
    _do(ctx, "release item", order, order["item"])


def ask_for_approval(ctx: WorkflowActivityContext, order: dict[str, Any]) -> None:
    """Tell a human that an order waits."""
    _do(ctx, "ask for approval", order)


def charge_card(ctx: WorkflowActivityContext, order: dict[str, Any]) -> str:
    """Take the money, or fail."""
    if order["card"] == "expired":
        _do(ctx, "decline card", order)
        message = f"the card of {order['id']} has expired"
        raise CardDeclinedError(message)
    _do(ctx, "charge card", order)
    return f"receipt-{order['id']}"


def print_label(ctx: WorkflowActivityContext, order: dict[str, Any]) -> str:
    """Make a parcel number."""
    _do(ctx, "print label", order)
    return f"parcel-{order['id']}"


def hand_over(ctx: WorkflowActivityContext, order: dict[str, Any]) -> None:
    """Give the parcel to the carrier."""
    _do(ctx, "hand over", order)


def confirm(ctx: WorkflowActivityContext, order: dict[str, Any]) -> None:
    """Write to the customer."""
    _do(ctx, "confirm order", order)


ALL = [
    reserve_item,
    release_item,
    ask_for_approval,
    charge_card,
    print_label,
    hand_over,
    confirm,
]
