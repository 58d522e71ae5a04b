"""One round of a Workflow: ask for the next step, do it, until there is nothing more to do."""

from __future__ import annotations

from tenure_operator.gateway import RefusedError
from tenure_operator.instance import TAG_KEY, Instance
from tenure_operator.reconcile.ended import recorded
from tenure_operator.reconcile.refusals import Refusal
from tenure_operator.reconcile.steps import (
    Delete,
    Look,
    Rest,
    SetFinalizers,
    Start,
    Steer,
    Step,
    Verb,
)
from tenure_operator.reconcile.workflow import Seen, next_step, request_key
from tenure_operator.resources import Key, Workflow
from tenure_operator.rounds.desk import MAX_STEPS, Desk
from tenure_operator.runs import app_of


async def workflow_round(desk: Desk, key: Key) -> None:
    """Bring a Workflow and its run together.

    Raises: ConflictError, GoneError, and the errors of ``Cluster``.
    """
    workflow = desk.cache.get(key, Workflow)
    if workflow is None:
        return
    seen = _known(desk, workflow)
    if seen is None:
        return
    standing = _standing(desk, workflow, seen)
    seen = seen._replace(refusal=standing)
    step: Step = Look()
    for _ in range(MAX_STEPS):
        step = next_step(
            workflow, seen, now=desk.clock(), attempts=desk.tries(key), patience=desk.patience
        )
        match step:
            case Rest():
                settled = await _settle(desk, workflow, step, seen)
                if settled is workflow:
                    break
                workflow = settled  # the watch tells nothing new of what was written here
            case SetFinalizers():
                kept = await desk.set_finalizers(workflow, step, Workflow)
                if kept is None:
                    desk.forget(key)
                    return
                workflow = kept
            case Delete():
                await desk.cluster.delete(key, workflow.metadata.uid)
                break
            case _:
                seen = await _call(desk, workflow, step, seen)
    else:
        desk.queue.add_after(key, 1.0)
    if standing is None or seen.refusal is not standing:
        desk.tried(key, refused=seen.refusal is not None)
        desk.stand(workflow, seen.refusal, step)


async def _settle(desk: Desk, workflow: Workflow, rest: Rest, seen: Seen) -> Workflow:
    """Write the status; a run that goes on, whatever the status said, is followed from now on."""
    settled = await desk.settle(workflow, rest, Workflow)
    if seen.doubted and settled is not workflow and not _ended(settled):
        desk.queue.add(workflow.key)
    return settled


async def _call(desk: Desk, workflow: Workflow, step: Step, seen: Seen) -> Seen:
    """Do a step at the gateway; what is known then."""
    app, instance_id = app_of(workflow), workflow.instance_id
    try:
        match step:
            case Look():
                found = await desk.gateway.look(app, instance_id)
                seen = seen._replace(asked=frozenset(), refusal=None)
                return seen._replace(known=True, instance=found)
            case Start():
                answered = await desk.gateway.start(app, step)
                desk.started[workflow.key] = workflow.metadata.uid
                begun = _begun(desk, workflow, step, answered)
                return Seen(known=True, instance=begun, started=True)
            case Steer(verb):
                instance = await desk.gateway.steer(app, instance_id, verb)
                asked: frozenset[Verb] = frozenset((*seen.asked, verb))
                return seen._replace(known=True, instance=instance, refusal=None, asked=asked)
            case _:
                message = f"no such step for a Workflow: {step}"
                raise AssertionError(message)
    except RefusedError as error:
        desk.note(workflow.key, error.refusal)
        return seen._replace(refusal=error.refusal)


def _begun(desk: Desk, workflow: Workflow, step: Start, answered: Instance) -> Instance:
    """The run that was started: what the watch tells of it may have overtaken the answer."""
    told = desk.runs.seen(workflow).instance
    if told is not None and told.tags.get(TAG_KEY) == step.request_key:
        return told
    desk.runs.learned(workflow, answered)
    return answered


def _known(desk: Desk, workflow: Workflow) -> Seen | None:
    """What is known of the run; None while the watch has yet to tell, which wakes the resource."""
    if _ended(workflow):
        told = desk.runs.seen(workflow).instance
        if told is not None and told.tags.get(TAG_KEY) == request_key(workflow):
            doubted = not told.ended
        else:
            # An operator that writes an end writes the annotation next: it died, or it was no operator.
            doubted = workflow.status.instance_id is not None and recorded(workflow) is None
        if doubted:
            return Seen(doubted=True)
        desk.runs.leave(workflow.key)
        desk.started.pop(workflow.key, None)
        return Seen()
    desk.runs.follow(workflow)
    written = workflow.status.instance_id is not None
    if written and not workflow.metadata.deleted and desk.runs.catching_up(workflow):
        return None
    started = desk.started.get(workflow.key) == workflow.metadata.uid
    return desk.runs.seen(workflow)._replace(started=started)


def _standing(desk: Desk, workflow: Workflow, seen: Seen) -> Refusal | None:
    """The refusal that still counts; that the id is another run's counts as long as that is there."""
    found = desk.stands(workflow)
    if found is not None and found.taken and seen.instance is None:
        return None
    return found


def _ended(workflow: Workflow) -> bool:
    conditions = workflow.status.conditions
    return any(one.type == "Finished" and one.status == "True" for one in conditions)
