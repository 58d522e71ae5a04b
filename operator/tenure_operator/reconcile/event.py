"""What to do about a WorkflowEvent: the next step.  Pure.

An event is raised and then left alone.  Until then it waits, for a run that does not exist yet or for a
gateway that is away, and gives up when its time is over.  What cannot get better, such as a run that has
ended, fails at once.

It is raised once: the call has a key made of the resource's uid, so that a repeat, after an operator
died before the status was written or an answer was lost, raises nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tenure_common.times import NANOS, parse_time
from tenure_operator.reconcile.backoff import backoff
from tenure_operator.reconcile.conditions import Wanted, conditions, stamp
from tenure_operator.reconcile.refusals import Refusal, retry_in
from tenure_operator.reconcile.steps import Announcement, Delete, Raise, Rest, Step
from tenure_operator.resources import EventStatus, Workflow, WorkflowEvent

_MAY_COME = {"TN0101", "TN0109"}  # the run or its app may still appear
_ENDED = {"Completed", "Failed", "Terminated", "Canceled", "Missing"}


_DELIVERED = Wanted("Delivered", holds=True, reason="Delivered", message="the run has the event")


class Seen(NamedTuple):
    """What is known: the Workflow that the event names, if there is one; whether the event was
    raised; why it was not."""

    workflow: Workflow | None = None
    raised: bool = False
    refusal: Refusal | None = None


def next_step(  # noqa: PLR0911 - one answer for each state of things
    event: WorkflowEvent, seen: Seen, *, now: int, attempts: int = 0
) -> Step:
    """What to do now; ``now`` is nanoseconds since the epoch, ``attempts`` counts refused rounds."""
    if event.metadata.deleted:
        return Rest()
    if event.status.phase in {"Delivered", "Failed"}:
        return _after(event, now=now)
    target = _target(event, seen)
    if seen.raised:
        return _end(event, target, _DELIVERED, now=now)
    if isinstance(target, Wanted):
        return _wait(event, None, target, now=now, attempts=attempts)
    if seen.refusal is None:
        return target
    why = _not(seen.refusal.reason, seen.refusal.message)
    if seen.refusal.transient or seen.refusal.code in _MAY_COME:
        return _wait(event, target, why, seen.refusal, now=now, attempts=attempts)
    return _end(event, target, why, now=now)


def _not(reason: str, message: str) -> Wanted:
    return Wanted("Delivered", holds=False, reason=reason, message=message)


def _target(event: WorkflowEvent, seen: Seen) -> Raise | Wanted:
    """The call that raises the event, or why it cannot be made yet."""
    spec, meta, workflow = event.spec, event.metadata, seen.workflow
    body = {} if spec.data is msgspec.UNSET else {"data": spec.data}
    key = f"kubernetes/{meta.uid}"
    if spec.instance_id is not None and spec.app_id is not None:
        return Raise(meta.namespace, spec.app_id, spec.instance_id, spec.event, key, body)
    if workflow is None:
        text = f"there is no Workflow '{spec.workflow_name}' in namespace '{meta.namespace}'"
        return _not("NoSuchWorkflow", text)
    if workflow.status.instance_id is None and workflow.status.phase not in _ENDED:
        text = f"the run of Workflow '{spec.workflow_name}' has not been started yet"
        return _not("WorkflowNotStarted", text)
    app, instance = workflow.spec.app_id, workflow.instance_id
    return Raise(meta.namespace, app, instance, spec.event, key, body)


def _wait(  # noqa: PLR0913 - what a round came to
    event: WorkflowEvent,
    target: Raise | None,
    why: Wanted,
    refusal: Refusal | None = None,
    *,
    now: int,
    attempts: int,
) -> Rest:
    deadline = parse_time(event.metadata.creation_timestamp) + event.spec.timeout_seconds * NANOS
    if now >= deadline:
        text = f"given up after {event.spec.timeout_seconds} s: {why.message}"
        return _end(event, target, why._replace(message=text), now=now)
    seed = event.metadata.uid
    pause = backoff(attempts + 1, seed=seed)
    if refusal is not None:
        pause = retry_in(refusal, attempts, seed=seed)
    status = _status(event, target, why, now=now)
    return Rest(status, _told(event, why), wake_at=min(now + pause, deadline))


def _end(event: WorkflowEvent, target: Raise | Wanted | None, why: Wanted, *, now: int) -> Rest:
    status = _status(event, target if isinstance(target, Raise) else None, why, now=now)
    phase = "Delivered" if why.holds else "Failed"
    status = msgspec.structs.replace(status, phase=phase, completion_time=stamp(now))
    told = Announcement(phase, why.message, warning=not why.holds)
    ttl = event.spec.ttl_seconds_after_finished
    return Rest(status, (told,), wake_at=None if ttl is None else now + ttl * NANOS)


def _status(event: WorkflowEvent, target: Raise | None, why: Wanted, *, now: int) -> EventStatus:
    generation = event.metadata.generation
    return EventStatus(
        observed_generation=generation,
        phase="Pending",
        reason=None if why.holds else why.reason,
        message=None if why.holds else why.message,
        instance_id=None if target is None else target.instance_id,
        conditions=conditions(event.status.conditions, (why,), generation=generation, now=now),
    )


def _told(event: WorkflowEvent, why: Wanted) -> tuple[Announcement, ...]:
    if event.status.reason == why.reason:
        return ()
    return (Announcement(why.reason, f"Not delivered yet: {why.message}", warning=True),)


def _after(event: WorkflowEvent, *, now: int) -> Step:
    ttl, ended = event.spec.ttl_seconds_after_finished, event.status.completion_time
    if ttl is None or ended is None:
        return Rest()
    due = parse_time(ended) + ttl * NANOS
    return Delete() if due <= now else Rest(wake_at=due)
