"""The life of an order, as ordinary code.

A workflow decides what happens next; all real work is done by activities.  Everything that it
``yield``s is kept by the engine: after a crash the function runs again from the top, and every
``yield`` that had been answered is answered at once with the same result.  So it must not look at
clocks, random numbers or files itself.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from activities import (
    ask_for_approval,
    charge_card,
    confirm,
    hand_over,
    print_label,
    release_item,
    reserve_item,
)
from dapr.ext.workflow import DaprWorkflowContext, TaskFailedError, when_all, when_any

NEEDS_APPROVAL = 500  # an order of this total, or more, waits for a human
APPROVAL_TIME = timedelta(hours=24)
PICKUP_TIME = timedelta(seconds=float(os.environ.get("PICKUP_SECONDS", "2")))

Order = dict[str, Any]
Workflow = Generator[Any, Any, dict[str, str]]


def process_order(ctx: DaprWorkflowContext, order: Order) -> Workflow:
    """Reserve, get it approved when it is large, charge, ship, confirm; undo when it goes wrong."""
    # Fan-out: all items at once, then wait for all of them.
    yield when_all(
        [ctx.call_activity(reserve_item, input=order | {"item": i}) for i in order["items"]]
    )

    if order["total"] >= NEEDS_APPROVAL:
        yield ctx.call_activity(ask_for_approval, input=order)
        # A human answers, or the time runs out: whichever comes first.
        answer = ctx.wait_for_external_event("approval")
        too_late = ctx.create_timer(APPROVAL_TIME)
        first = yield when_any([answer, too_late])
        if first is too_late or answer.get_result() != "yes":
            yield from put_back(ctx, order)
            return {"order": order["id"], "status": "rejected"}

    try:
        receipt = yield ctx.call_activity(charge_card, input=order)
    except TaskFailedError:
        # Compensation: what was done is undone, by further steps that are just as durable.
        yield from put_back(ctx, order)
        return {"order": order["id"], "status": "card declined"}

    parcel = yield ctx.call_child_workflow(
        ship_order, input=order, instance_id=f"{ctx.instance_id}-shipping"
    )
    yield ctx.call_activity(confirm, input=order)
    return {"order": order["id"], "status": "shipped", "receipt": receipt, "parcel": parcel}


def ship_order(ctx: DaprWorkflowContext, order: Order) -> Generator[Any, Any, str]:
    """A child workflow: it has its own history and could be used by others too."""
    parcel = yield ctx.call_activity(print_label, input=order)
    # A durable timer: it may be days, and the process may restart meanwhile.
    yield ctx.create_timer(PICKUP_TIME)
    yield ctx.call_activity(hand_over, input=order)
    return str(parcel)


def put_back(ctx: DaprWorkflowContext, order: Order) -> Generator[Any, Any, None]:
    """Undo the reservations, in parallel."""
    yield when_all(
        [ctx.call_activity(release_item, input=order | {"item": i}) for i in order["items"]]
    )


ALL = [process_order, ship_order]
