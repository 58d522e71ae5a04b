"""One round of a WorkflowSchedule."""

from __future__ import annotations

import contextlib

from tenure_operator.link import ConflictError, GoneError
from tenure_operator.reconcile.schedule import next_step
from tenure_operator.reconcile.steps import Create, Delete, Patch, Rest
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
    for _ in range(MAX_STEPS):
        children = [one for one in desk.cache.children(schedule) if one.key not in gone]
        step = next_step(schedule, children, now=desk.clock())
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
                await _create(desk, Key("Workflow", key.namespace, body["metadata"]["name"]), step)
            case Patch(child, spec):
                desk.changed(desk.take(await desk.cluster.patch_spec(child, spec), Workflow))
                desk.tally.writes += 1
            case Delete(child) if child is not None:
                gone.add(child)
                with contextlib.suppress(GoneError):
                    await desk.cluster.delete(child)
                desk.tally.writes += 1
            case _:
                message = f"no such step for a WorkflowSchedule: {step}"
                raise AssertionError(message)
    desk.queue.add_after(key, 1.0)


async def _create(desk: Desk, child: Key, step: Create) -> None:
    """One that is there already was created by a round that did not come to its end."""
    try:
        created = await desk.cluster.create(step.object)
        desk.tally.writes += 1
    except ConflictError:
        created = await desk.cluster.get(child)
    desk.changed(desk.take(created, Workflow))
