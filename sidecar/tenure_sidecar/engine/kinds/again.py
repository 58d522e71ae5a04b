"""Continue-as-new: the next generation begins, with the id and the inbox of this one.

The carried-over events go to the front of the inbox, behind the new start, in the same transaction
that ends the old generation: none is lost or doubled.  Everything else in the inbox follows by
itself.  Results of the old execution can never match, because the execution id is another; its
reminders are taken back.

The next generation knows the keys of the last events of this one: whoever raised one and did not get
the answer may raise it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tenure_sidecar.engine.events import EventRaised, ExecutionStarted, Status
from tenure_sidecar.engine.turn import START_KEY, InboxItem

if TYPE_CHECKING:
    from tenure_sidecar.engine.actions import Complete
    from tenure_sidecar.engine.draft import Draft
    from tenure_sidecar.engine.turn import Turn

KEYS_KEPT: Final = 32  # they are in the head, which is written with each turn


def continue_as_new(
    draft: Draft, action: Complete, *, consumed: tuple[str, ...], custom_status: str | None
) -> Turn:
    """Seal the draft as the birth of the next generation.

    The custom status lives on until the new generation sets another: clients see one workflow.
    Patch decisions and the named version are the new generation's own.
    """
    head = draft.head
    version = action.new_version or head.version
    tags = action.tags or head.tags
    execution_id = draft.ids.execution_id()
    span_id = draft.ids.span_id()
    generation = head.generation + 1
    start = ExecutionStarted(
        draft.at,
        instance_id=head.instance_id,
        execution_id=execution_id,
        name=head.name,
        version=version,
        input=action.result,
        parent=head.parent,
        trace=head.trace,
        span_id=span_id,
        tags=tags,
    )
    draft.carryover.append(InboxItem(START_KEY, start))
    draft.carryover += [
        InboxItem(f"carry-{generation}-{number}", event)
        for number, event in enumerate(action.carryover)
        if isinstance(event, EventRaised)  # a carried-over result would meet another task's id
    ]
    raised = [event.key for event in draft.events if isinstance(event, EventRaised) and event.key]
    draft.clear_all_timers()
    draft.events.clear()
    return draft.turn(
        consumed=consumed,
        restart=True,
        input=action.result,
        status=Status.RUNNING,
        generation=generation,
        execution_id=execution_id,
        span_id=span_id,
        version=version,
        tags=tags,
        custom_status=custom_status,
        raised=(*draft.state.raised, *raised)[-KEYS_KEPT:],
        pending=0,
        code=None,
        stall=None,
        started_at=head.started_at or draft.at,
    )
