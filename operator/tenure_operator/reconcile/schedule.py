"""What to do about a WorkflowSchedule: the next step.  Pure.

A due time becomes a Workflow whose name is made of the schedule's name and that time, so that however
often a round is repeated, by one operator or by two, it becomes one Workflow.  Of several due times
that were missed, the latest is made up for, unless it is too late for the deadline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from tenure_common.errors import BadRequestError, BadScheduleError
from tenure_common.names import API_GROUP, API_VERSION
from tenure_common.times import NANOS, parse_time
from tenure_operator.reconcile.conditions import Wanted, conditions, stamp
from tenure_operator.reconcile.cron import MANY, Cron, Missed, missed, next_after, parse
from tenure_operator.reconcile.steps import (
    Announcement,
    Create,
    Delete,
    Patch,
    Reread,
    Rest,
    Step,
)
from tenure_operator.resources import (
    ANNOTATION_DUE,
    FINALIZER,
    LABEL_SCHEDULE,
    Key,
    ScheduleStatus,
    Workflow,
    WorkflowSchedule,
)

_MOST_SHOWN = 100  # names of active Workflows in the status
_MINUTE = 60 * NANOS
_AHEAD = 60 * _MINUTE  # a time in the status so far ahead is of a clock that went wrong
_LABEL = 63  # characters of a label's value at most
_DIGEST = 8


class _Counted(NamedTuple):
    """What the status says of due times, as far as it can be so."""

    since: int  # due times up to this one do not count
    anew: bool  # whether they are counted anew, from ``since``
    last: str | None  # the due time that was last taken care of
    told: tuple[Announcement, ...] = ()


def next_step(
    schedule: WorkflowSchedule,
    children: Sequence[Workflow],
    *,
    now: int,
    taken: Collection[str] = (),
    reread: Collection[Key] = (),
) -> Step:
    """What to do now.

    Args:
        schedule: the resource as it was last told of.
        children: its Workflows, oldest first.
        now: nanoseconds since the epoch.
        taken: names under which there is a Workflow that is not its own.
        reread: children that were read anew for this step.
    """
    if schedule.metadata.deleted:
        return Rest()
    used = {child.metadata.name for child in children}
    children = [child for child in children if not child.metadata.deleted]
    try:
        cron = parse(schedule.spec.schedule, schedule.spec.time_zone)
    except BadScheduleError as error:
        return _unfollowable(schedule, children, error, now=now)
    counted = _counted(schedule, now=now)
    due = None if schedule.spec.suspend else missed(cron, since=counted.since, now=now)
    if due is None:
        rest = _wait(schedule, children, cron, counted, now=now, told=counted.told)
        old = _too_old(schedule, children)
        # What a Workflow came to is in the status before the Workflow goes.
        return Delete(old.key) if old and rest.status == schedule.status else rest
    name = f"{schedule.metadata.name}-{due.latest // _MINUTE}"
    if name in used:
        told = _missed_before(due)
        return _wait(schedule, children, cron, counted, now=now, done=due.latest, told=told)
    if name in taken:
        other = Announcement(
            "NameTaken",
            f"The run due at {stamp(due.latest)} was not started: there is a Workflow '{name}' that is "
            "not this schedule's; delete it, or give the schedule another name",
            warning=True,
        )
        return _wait(schedule, children, cron, counted, now=now, done=due.latest, told=(other,))
    return _due(schedule, children, cron, due, name=name, counted=counted, now=now, reread=reread)


def _counted(schedule: WorkflowSchedule, *, now: int) -> _Counted:
    """From when on due times count.

    A status may be written by hand, or by an operator whose clock was wrong.  What it then says of
    times counts for nothing, and due times count from now on: one that was taken care of must not
    become a run again.
    """
    status, meta = schedule.status, schedule.metadata
    if status.counted_from is None:
        return _Counted(parse_time(meta.creation_timestamp), anew=True, last=None)
    if status.observed_generation != meta.generation:
        told = _passed_over(schedule, now=now)
        return _Counted(now, anew=True, last=status.last_schedule_time, told=told)
    told_of = (status.counted_from, status.last_schedule_time)
    moments = [_moment(text, now=now) for text in told_of if text is not None]
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments):
        return _Counted(now, anew=True, last=None)
    return _Counted(max(known), anew=False, last=status.last_schedule_time)


def _moment(text: str, *, now: int) -> int | None:
    """A time of the status; None when it cannot be one."""
    try:
        moment = parse_time(text)
    except BadRequestError:
        return None
    return moment if 0 <= moment <= now + _AHEAD else None


def _passed_over(schedule: WorkflowSchedule, *, now: int) -> tuple[Announcement, ...]:
    """Tell of a due time that nobody had taken care of when the schedule was changed."""
    following = schedule.status.next_schedule_time
    due = None if following is None else _moment(following, now=now)
    if due is None or due > now:
        return ()
    text = (
        f"The run due at {stamp(due)} was not started: the schedule was changed before, and a change "
        "counts from the next due time on"
    )
    return (Announcement("MissedRun", text, warning=True),)


# --- a due time -----------------------------------------------------------------------------------


def _due(  # noqa: PLR0913 - what is known of a due time
    schedule: WorkflowSchedule,
    children: Sequence[Workflow],
    cron: Cron,
    due: Missed,
    *,
    name: str,
    counted: _Counted,
    now: int,
    reread: Collection[Key],
) -> Step:
    spec = schedule.spec
    deadline = spec.starting_deadline_seconds
    if deadline is not None and now - due.latest > deadline * NANOS:
        late = Announcement(
            "MissedRun",
            f"The run due at {stamp(due.latest)} was not started: more than {deadline} s late",
            warning=True,
        )
        return _wait(schedule, children, cron, counted, now=now, done=due.latest, told=(late,))
    active = [child for child in children if not _finished(child)]
    if spec.concurrency_policy == "Forbid" and active:
        if active[0].key not in reread:
            return Reread(active[0].key)
        other = active[0].metadata.name
        skip = Announcement(
            "SkippedRun", f"The run due at {stamp(due.latest)} was left out: '{other}' still runs"
        )
        return _wait(schedule, children, cron, counted, now=now, done=due.latest, told=(skip,))
    if spec.concurrency_policy == "Replace":
        for child in active:
            if not child.spec.terminate:
                return Patch(child.key, {"terminate": True})
    return Create(_workflow(schedule, name, due.latest))


def _missed_before(due: Missed) -> tuple[Announcement, ...]:
    if due.times < 2:  # noqa: PLR2004 - none before this one
        return ()
    many = f"at least {MANY - 1}" if due.times >= MANY else str(due.times - 1)
    text = f"{many} due times before {stamp(due.latest)} were missed and are not made up for"
    return (Announcement("MissedRuns", text, warning=True),)


def _workflow(schedule: WorkflowSchedule, name: str, due: int) -> dict[str, Any]:
    meta, template = schedule.metadata, schedule.spec.workflow_template
    owner = {
        "apiVersion": f"{API_GROUP}/{API_VERSION}",
        "kind": "WorkflowSchedule",
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
    }
    return {
        "apiVersion": f"{API_GROUP}/{API_VERSION}",
        "kind": "Workflow",
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": {**template.metadata.labels, LABEL_SCHEDULE: _label(meta.name)},
            "annotations": {**template.metadata.annotations, ANNOTATION_DUE: stamp(due)},
            "ownerReferences": [owner],
            # It would be the first thing to be written otherwise.
            "finalizers": [] if template.spec.get("deletionPolicy") == "Orphan" else [FINALIZER],
        },
        "spec": template.spec,
    }


def _label(name: str) -> str:
    """The name as a label's value, which is shorter than a name may be."""
    if len(name) <= _LABEL:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LABEL - _DIGEST - 1].rstrip('-.')}-{digest}"


# --- between two due times ------------------------------------------------------------------------


def _wait(  # noqa: PLR0913 - what a round came to
    schedule: WorkflowSchedule,
    children: Sequence[Workflow],
    cron: Cron,
    counted: _Counted,
    *,
    now: int,
    done: int | None = None,
    told: tuple[Announcement, ...] = (),
) -> Rest:
    suspended = schedule.spec.suspend
    upcoming = None if suspended else next_after(cron, max(now, done or 0))
    ready = Wanted("Ready", holds=True, reason="Scheduled", message=f"follows '{cron.expression}'")
    if suspended:
        ready = Wanted("Ready", holds=False, reason="Suspended", message="spec.suspend is true")
    status = _status(schedule, children, ready, counted, now=now)
    last = status.last_schedule_time if done is None else stamp(done)
    following = None if upcoming is None else stamp(upcoming)
    status = msgspec.structs.replace(status, last_schedule_time=last, next_schedule_time=following)
    return Rest(status, told, wake_at=upcoming)


def _unfollowable(
    schedule: WorkflowSchedule, children: Sequence[Workflow], error: BadScheduleError, *, now: int
) -> Rest:
    text = f"{error.message} ({error.code})"
    ready = Wanted("Ready", holds=False, reason="BadSchedule", message=text)
    status = _status(schedule, children, ready, _counted(schedule, now=now), now=now)
    known = any(one.message == text for one in schedule.status.conditions)
    told = () if known else (Announcement("BadSchedule", text, warning=True),)
    return Rest(msgspec.structs.replace(status, next_schedule_time=None), told)


def _status(
    schedule: WorkflowSchedule,
    children: Sequence[Workflow],
    ready: Wanted,
    counted: _Counted,
    *,
    now: int,
) -> ScheduleStatus:
    old, generation = schedule.status, schedule.metadata.generation
    active = [child.metadata.name for child in children if not _finished(child)]
    ends = [child.status.completion_time or "" for child in children if _completed(child)]
    return ScheduleStatus(
        observed_generation=generation,
        counted_from=stamp(counted.since) if counted.anew else old.counted_from,
        last_schedule_time=counted.last,
        last_successful_time=max([old.last_successful_time or "", *ends]) or None,
        active_count=len(active),
        active=tuple(active[:_MOST_SHOWN]),
        conditions=conditions(old.conditions, (ready,), generation=generation, now=now),
    )


def _too_old(schedule: WorkflowSchedule, children: Sequence[Workflow]) -> Workflow | None:
    """The oldest Workflow that the history limits do not keep."""
    spec = schedule.spec
    ended = [child for child in children if _finished(child)]
    good = [child for child in ended if _completed(child)]
    bad = [child for child in ended if not _completed(child)]
    for kept, found in (
        (spec.successful_runs_history_limit, good),
        (spec.failed_runs_history_limit, bad),
    ):
        if len(found) > kept:
            return found[0]
    return None


def _finished(workflow: Workflow) -> bool:
    conditions = workflow.status.conditions
    return any(one.type == "Finished" and one.status == "True" for one in conditions)


def _completed(workflow: Workflow) -> bool:
    return workflow.status.phase == "Completed"
