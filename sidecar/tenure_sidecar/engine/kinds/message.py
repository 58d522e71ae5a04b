"""SendEvent and Terminate: a message to another instance, through the turn's own outbox.

Their keys are derived from the sender's execution and task, so a repeat is the same message.  Some
SDKs are not shown the ``EventSent`` of their flavour and send the action again in every turn; a
repeat is therefore ignored instead of refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.events import EventRaised, EventSent, ExecutionTerminated
from tenure_sidecar.engine.turn import InboxItem, Message

if TYPE_CHECKING:
    from tenure_sidecar.engine.actions import SendEvent, Terminate
    from tenure_sidecar.engine.draft import Draft


def send(draft: Draft, action: SendEvent) -> None:
    """Add ``EventSent`` to the history and the event to the outbox."""
    if action.task_id in draft.state.sent:
        return
    draft.claim(action.task_id)
    draft.events.append(
        EventSent(
            draft.at,
            action.task_id,
            instance_id=action.instance_id,
            name=action.name,
            input=action.input,
        )
    )
    key = f"sent-{draft.head.execution_id}-{action.task_id}"
    event = EventRaised(draft.at, name=action.name, input=action.input)
    draft.messages.append(Message(action.instance_id, InboxItem(key, event)))


def terminate(draft: Draft, action: Terminate) -> None:
    """Add the request to the outbox; the history has no event for it."""
    key = f"terminate-{draft.head.execution_id}-{action.task_id}"
    event = ExecutionTerminated(draft.at, output=action.reason, recurse=action.recurse)
    draft.messages.append(Message(action.instance_id, InboxItem(key, event)))
