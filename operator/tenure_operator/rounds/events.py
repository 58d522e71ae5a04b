"""One round of a WorkflowEvent."""

from __future__ import annotations

from tenure_operator.gateway import RefusedError
from tenure_operator.reconcile.event import Seen, next_step
from tenure_operator.reconcile.steps import Delete, Raise, Rest
from tenure_operator.resources import Key, Workflow, WorkflowEvent
from tenure_operator.rounds.desk import MAX_STEPS, Desk


async def event_round(desk: Desk, key: Key) -> None:
    """Raise an event, once.

    Raises: ConflictError, GoneError, and the errors of ``Cluster``.
    """
    event = desk.cache.get(key, WorkflowEvent)
    if event is None:
        return
    standing = desk.stands(event)
    seen = _seen(desk, event)._replace(refusal=standing)
    for _ in range(MAX_STEPS):
        step = next_step(event, seen, now=desk.clock(), attempts=desk.tries(key))
        match step:
            case Rest():
                settled = await desk.settle(event, step, WorkflowEvent)
                if settled is event:
                    if standing is None:
                        desk.stand(event, seen.refusal, step)
                    break
                event = settled
            case Raise():
                seen = await _raise(desk, event, step, seen)
            case Delete():
                await desk.cluster.delete(key, event.metadata.uid)
                break
            case _:
                message = f"no such step for a WorkflowEvent: {step}"
                raise AssertionError(message)
    if standing is None:
        desk.attempts[key] = desk.attempts.get(key, 0) + 1 if _waits(event) else 0


def _waits(event: WorkflowEvent) -> bool:
    return event.status.phase in {None, "Pending"}


def _seen(desk: Desk, event: WorkflowEvent) -> Seen:
    """What is known; the event is looked at again when its Workflow changes."""
    workflow = None
    if event.spec.workflow_name is not None:
        target = Key("Workflow", event.metadata.namespace, event.spec.workflow_name)
        workflow = desk.cache.get(target, Workflow)
        if _waits(event):
            desk.awaited.setdefault(target, set()).add(event.key)
    return Seen(workflow=workflow)


async def _raise(desk: Desk, event: WorkflowEvent, step: Raise, seen: Seen) -> Seen:
    try:
        await desk.gateway.raise_event(step)
    except RefusedError as error:
        desk.note(event.key, error.refusal)
        return seen._replace(refusal=error.refusal)
    return seen._replace(raised=True)
