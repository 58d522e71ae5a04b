"""CreateChild: another instance that this one waits for.

The child's creation, the event in this history and the parent's wait are one transaction.  When the
id is taken by a stranger, the parent gets a ``ChildFailed`` of type ``AlreadyExists``: code can
catch it, and a retry policy applies to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.events import (
    ChildCreated,
    ChildFailed,
    ExecutionStarted,
    Failure,
    Parent,
    Status,
)
from tenure_sidecar.engine.head import Head
from tenure_sidecar.engine.turn import Creation, InboxItem, Message

if TYPE_CHECKING:
    from tenure_sidecar.engine.actions import CreateChild
    from tenure_sidecar.engine.draft import Draft

ALREADY_EXISTS = "AlreadyExists"


def default_id(parent_id: str, task_id: int) -> str:
    """The id of a child whose code did not choose one."""
    return f"{parent_id}:{task_id:04x}"


def create(draft: Draft, action: CreateChild) -> None:
    """Add ``ChildCreated`` to the history and the child's creation to the turn."""
    draft.claim(action.task_id)
    event = ChildCreated(
        draft.at,
        action.task_id,
        instance_id=action.instance_id or default_id(draft.head.instance_id, action.task_id),
        name=action.name,
        version=action.version,
        input=action.input,
        trace=action.trace or draft.trace(),
        tags=action.tags,
        propagation=action.propagation,
        retry_parent=action.retry_parent,
    )
    draft.events.append(event)
    launch(draft, event)


def launch(draft: Draft, event: ChildCreated, *, rewind: InboxItem | None = None) -> None:
    """Bring the child of ``event`` into being; ``rewind`` is for one that is there and failed."""
    head = draft.head
    rejection = _rejection(draft, event)
    if event.instance_id == head.instance_id:
        # The id is taken, by the parent itself; no store has to find that out.
        draft.messages.append(rejection)
        return
    parent = Parent(
        instance_id=head.instance_id,
        execution_id=head.execution_id,
        task_id=event.task_id,
        name=head.name,
        version=head.version,
        app_id=draft.app_id,
    )
    execution_id = draft.ids.execution_id()
    span_id = draft.ids.span_id()
    child = Head(
        instance_id=event.instance_id,
        name=event.name,
        status=Status.PENDING,
        execution_id=execution_id,
        created_at=draft.at,
        updated_at=draft.at,
        version=event.version,
        parent=parent,
        tags=event.tags,
        trace=event.trace,
        span_id=span_id,
        commit_id=draft.ids.commit_id(),
    )
    start = ExecutionStarted(
        draft.at,
        instance_id=event.instance_id,
        execution_id=execution_id,
        name=event.name,
        version=event.version,
        input=event.input,
        parent=parent,
        trace=event.trace,
        span_id=span_id,
        tags=event.tags,
    )
    draft.creations.append(Creation(head=child, start=start, rejection=rejection, rewind=rewind))


def _rejection(draft: Draft, event: ChildCreated) -> Message:
    head = draft.head
    # The text is what the peers give; SDK users match on it.
    message = f"an active workflow with ID '{event.instance_id}' already exists"
    return Message(
        head.instance_id,
        InboxItem(
            f"rejected-{head.execution_id}-{event.task_id}",
            ChildFailed(draft.at, task_id=event.task_id, failure=Failure(ALREADY_EXISTS, message)),
            execution_id=head.execution_id,
        ),
    )
