"""One round of a WorkflowSchedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenure_operator.link import ConflictError, GoneError
from tenure_operator.reconcile.schedule import next_step
from tenure_operator.reconcile.steps import Create, Delete, Patch, Reread, Rest
from tenure_operator.resources import Key, Workflow, WorkflowSchedule
from tenure_operator.rounds.desk import MAX_STEPS, Desk


async def schedule_round(desk: Desk, key: Key) -> None:
    """Create, replace and clear away the Workflows of a schedule.

    Raises: ConflictError, GoneError, and the errors of ``Cluster``.
    """
    schedule = desk.cache.get(key, WorkflowSchedule)
    if schedule is None:
        return
    gone: set[Key] = set()
    taken: set[str] = set()
    reread: set[Key] = set()
    for _ in range(MAX_STEPS):
        children = [one for one in desk.cache.children(schedule) if one.key not in gone]
        step = next_step(schedule, children, now=desk.clock(), taken=taken, reread=reread)
        match step:
            case Rest():
                settled = await desk.settle(schedule, step, WorkflowSchedule)
                if settled is schedule:
                    return
                schedule = settled
            case Create(body):
                # A watch that broke may have left out that the schedule was deleted or changed.
                fresh = desk.take(await desk.cluster.get(key), WorkflowSchedule)
                if fresh.metadata.resource_version != schedule.metadata.resource_version:
                    schedule = fresh
                    continue
                child = Key("Workflow", key.namespace, body["metadata"]["name"])
                taken |= await _create(desk, schedule, child, step)
            case Reread(child):
                reread.add(child)
                await _reread(desk, child)
            case Patch(child, spec):
                await _patch(desk, child, spec)
            case Delete(child) if child is not None:
                gone.add(child)
                uid = next(one.metadata.uid for one in children if one.key == child)
                await _delete(desk, child, uid)
            case _:
                message = f"no such step for a WorkflowSchedule: {step}"
                raise AssertionError(message)
    desk.queue.add_after(key, 1.0)


async def _create(desk: Desk, schedule: WorkflowSchedule, child: Key, step: Create) -> set[str]:
    """Its name when that belongs to a Workflow of somebody else.

    One of the schedule's own was created by a round that did not come to its end.
    """
    try:
        created = await desk.cluster.create(step.object)
        desk.tally.writes += 1
    except ConflictError:
        created = await desk.cluster.get(child)
    workflow = desk.take(created, Workflow)
    desk.changed(workflow)
    owners = workflow.metadata.owner_references
    own = any(owner.uid == schedule.metadata.uid for owner in owners)
    return set() if own else {child.name}


async def _reread(desk: Desk, child: Key) -> None:
    try:
        known = await desk.cluster.get(child)
    except GoneError:
        desk.forget(child)
        return
    desk.take(known, Workflow)


async def _delete(desk: Desk, child: Key, uid: str) -> None:
    try:
        await desk.cluster.delete(child, uid)
    except GoneError:
        desk.forget(child)  # the watch left it out
        return
    desk.tally.writes += 1


async def _patch(desk: Desk, child: Key, spec: Mapping[str, Any]) -> None:
    """One that is gone has nothing to be changed, and the schedule goes on without it."""
    try:
        patched = await desk.cluster.patch_spec(child, spec)
    except GoneError:
        desk.forget(child)
        return
    desk.tally.writes += 1
    desk.changed(desk.take(patched, Workflow))
