"""What to do about a Workflow: the next step, from the resource and what is known of its run.  Pure.

The order of things, each of which may be the last one that happens before a crash:

1. the finalizer, unless the run shall outlive the resource: from here on a deletion waits for us;
2. the start, with a request key made of the resource's uid: a repeat finds the run of the first;
3. the status, which from then on mirrors the run, until it has ended;
4. the finalizer goes as soon as a deletion has nothing left to do, and with the same write it is kept
   outside of the status that the run has ended (``ended``): a status can be lost, and what has ended is
   not started again.

A run that another request started, under the id that this resource wants, is never touched.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from tenure_common.times import NANOS, parse_time
from tenure_operator.instance import TAG_KEY, Instance
from tenure_operator.reconcile.backoff import LAST
from tenure_operator.reconcile.conditions import MAX_MESSAGE, stamp
from tenure_operator.reconcile.ended import Ended, record, recorded
from tenure_operator.reconcile.mirror import (
    PHASES,
    held,
    mirrored,
    missing,
    recalled,
    refused,
    unsteered,
)
from tenure_operator.reconcile.refusals import Refusal, retry_in
from tenure_operator.reconcile.steps import (
    Announcement,
    Delete,
    Look,
    Rest,
    SetFinalizers,
    Start,
    Steer,
    Step,
    Verb,
)
from tenure_operator.reconcile.stories import stories
from tenure_operator.resources import FINALIZER, Phase, Workflow, WorkflowStatus

GIVE_UP_AFTER = (
    300 * NANOS
)  # by default: a deletion waits so long for a gateway that does not answer
ASK_AGAIN_AFTER = 5 * NANOS  # when a run has not yet done what it was told to
TAG_WORKFLOW = "kubernetes/workflow"  # which resource
MANAGED = ("managed-by", "kubernetes")  # the tag by which the operator's watch finds its runs


class Seen(NamedTuple):
    """What is known of the run: ``instance`` (None: there is none) once ``known``; what was ``asked``
    of it in this round, why the last call did not work, whether this process ``started`` it, and
    whether it is ``doubted`` that it has ended, as the status says: by the last news it goes on, or
    nothing but the status says so."""

    known: bool = False
    instance: Instance | None = None
    refusal: Refusal | None = None
    asked: frozenset[Verb] = frozenset()
    started: bool = False
    doubted: bool = False


def request_key(workflow: Workflow) -> str:
    """The key under which the engine knows the start of this resource."""
    return f"kubernetes/{workflow.metadata.uid}"


def next_step(  # noqa: PLR0911 - one answer for each part of a life
    workflow: Workflow,
    seen: Seen,
    *,
    now: int,
    attempts: int = 0,
    patience: int = GIVE_UP_AFTER,
) -> Step:
    """What to do now.

    Args:
        workflow: the resource as it was last told of.
        seen: what is known of its run.
        now: nanoseconds since the epoch.
        attempts: how many rounds in a row have ended in a refusal.
        patience: nanoseconds that a deletion waits for a gateway that does not do its part.
    """
    seen = _own(workflow, seen)
    if workflow.metadata.deleted:
        return _leave(workflow, seen, now=now, attempts=attempts, patience=patience)
    if _over(workflow, seen):
        return _after(workflow, now=now)
    ended = recorded(workflow) if workflow.status.instance_id is None else None
    if ended is not None:
        return _recall(workflow, ended, seen, now=now, attempts=attempts)
    if _keeps(workflow) and FINALIZER not in workflow.metadata.finalizers:
        return SetFinalizers((*workflow.metadata.finalizers, FINALIZER))
    if not _keeps(workflow) and FINALIZER in workflow.metadata.finalizers:
        return _released(workflow)
    if workflow.status.instance_id is None:
        return _begin(workflow, seen, now=now, attempts=attempts)
    return _follow(workflow, seen, now=now, attempts=attempts)


# --- the life of a run ----------------------------------------------------------------------------


def _begin(  # noqa: PLR0911 - one answer for each state of things
    workflow: Workflow, seen: Seen, *, now: int, attempts: int
) -> Step:
    spec, refusal = workflow.spec, seen.refusal
    if seen.instance is not None:
        return _follow(workflow, seen, now=now, attempts=attempts)
    if refusal is not None and refusal.code == "TN0111" and not seen.known:
        return Look()  # the key is ours alone: an earlier version wrote the request differently
    if refusal is not None:
        status = refused(workflow, refusal, now=now)
        rest = _pause(workflow, refusal, attempts) if refusal.transient else LAST
        return _rest(workflow, status, wake_at=now + rest)
    if seen.started:
        # A start that was answered is not repeated: the run may have ended and be deleted since.
        return _rest(workflow, missing(workflow, now=now)) if seen.known else Look()
    if spec.suspend or spec.terminate:
        # Not to be started.  A start of ours may have got through before a crash, though.
        if not seen.known:
            return Look()
        return _rest(workflow, held(workflow, now=now))
    return Start(workflow.instance_id, request_key(workflow), _body(workflow))


def _body(workflow: Workflow) -> dict[str, Any]:
    spec, meta = workflow.spec, workflow.metadata
    body: dict[str, Any] = {
        "workflow": spec.workflow,
        "instanceId": workflow.instance_id,
        "tags": {MANAGED[0]: MANAGED[1], TAG_WORKFLOW: f"{meta.namespace}/{meta.name}"},
    }
    if spec.input is not msgspec.UNSET:
        body["input"] = spec.input
    if spec.version is not None:
        body["version"] = spec.version
    if spec.start_at is not None:
        body["startAt"] = spec.start_at
    return body


def _follow(  # noqa: PLR0911 - one answer for each state of things
    workflow: Workflow, seen: Seen, *, now: int, attempts: int
) -> Step:
    instance, refusal = seen.instance, seen.refusal
    if instance is not None and instance.ended and instance.payloads:
        return _rest(workflow, mirrored(workflow, instance, now=now))
    if refusal is not None:
        status = _put_off(workflow, instance, refusal, now=now)
        return _rest(workflow, status, wake_at=now + _pause(workflow, refusal, attempts))
    if not seen.known:
        return Look()
    if instance is None:
        return _rest(workflow, missing(workflow, now=now))
    if instance.ended:
        return Look()
    wanted = _wanted(workflow, PHASES.get(instance.status))
    if wanted is not None and wanted not in seen.asked:
        return Steer(wanted)
    again = None if wanted is None else now + ASK_AGAIN_AFTER
    return _rest(workflow, mirrored(workflow, instance, now=now), wake_at=again)


def _put_off(
    workflow: Workflow, instance: Instance | None, refusal: Refusal, *, now: int
) -> WorkflowStatus | None:
    """The run goes on by itself, and its last known state stands; but whoever asked something of it
    finds out why that is not done."""
    if instance is not None and instance.ended:
        return None  # what it came to is not known yet, and is told once
    phase = workflow.status.phase if instance is None else PHASES.get(instance.status)
    wanted = _wanted(workflow, phase)
    if wanted is not None and refusal.code not in _OVERTAKEN:
        return unsteered(workflow, instance, wanted, refusal, now=now)
    return None if instance is None else mirrored(workflow, instance, now=now)


_OVERTAKEN = frozenset({"TN0101", "TN0701"})  # it has ended, or is gone: the watch tells of that


def _wanted(workflow: Workflow, phase: Phase | None) -> Verb | None:
    """What the spec asks of a run that goes on; None when it is as it should be."""
    spec = workflow.spec
    if spec.terminate:
        return "terminate"
    if spec.suspend is True and phase != "Suspended":
        return "suspend"
    if spec.suspend is False and phase == "Suspended":
        return "resume"
    return None


def _recall(workflow: Workflow, ended: Ended, seen: Seen, *, now: int, attempts: int) -> Step:
    """There is no status, and yet it has ended: it is not started again."""
    refusal = seen.refusal
    if ended.uid == workflow.metadata.uid:
        if seen.instance is not None:
            return _follow(workflow, seen, now=now, attempts=attempts)
        if refusal is not None and refusal.transient:
            wake_at = now + _pause(workflow, refusal, attempts)
            return _rest(workflow, refused(workflow, refusal, now=now), wake_at=wake_at)
        if refusal is None and not seen.known:
            return Look()
    status = recalled(workflow, ended, now=now)
    told = Announcement(status.reason or "", status.message or "", warning=True)
    return Rest(status, (told,))


def _after(workflow: Workflow, *, now: int) -> Step:
    """The run has ended: nothing is left to mirror."""
    finalizers = tuple(one for one in workflow.metadata.finalizers if one != FINALIZER)
    if workflow.spec.deletion_policy == "Purge":
        finalizers = (*finalizers, FINALIZER)
    as_they_are = set(finalizers) == set(workflow.metadata.finalizers)
    due = _due(workflow)
    if due is not None and due <= now and as_they_are:
        return Delete()
    ended = record(workflow)
    if ended is not None or not as_they_are:
        return SetFinalizers(finalizers, ended=ended)
    status = workflow.status
    if status.observed_generation != workflow.metadata.generation:
        status = msgspec.structs.replace(status, observed_generation=workflow.metadata.generation)
    return Rest(status, wake_at=due)


def _due(workflow: Workflow) -> int | None:
    """When the time to live of one that has ended is over; None: it lives on."""
    ttl, ended = workflow.spec.ttl_seconds_after_finished, workflow.status.completion_time
    return None if ttl is None or ended is None else parse_time(ended) + ttl * NANOS


# --- the end of the resource ----------------------------------------------------------------------


def _leave(  # noqa: PLR0911 - one answer for each state of things
    workflow: Workflow, seen: Seen, *, now: int, attempts: int, patience: int
) -> Step:
    policy, instance, refusal = workflow.spec.deletion_policy, seen.instance, seen.refusal
    if FINALIZER not in workflow.metadata.finalizers:
        return Rest()
    if policy == "Orphan" or (policy == "Terminate" and _over(workflow, seen)):
        return _released(workflow)
    if instance is not None and instance.ended and policy == "Terminate":
        ended = f"Deleted, and run '{workflow.instance_id}' with it: it has ended"
        return _released(workflow, Announcement("RunEnded", ended))
    if refusal is not None and refusal.code in _GONE:
        return _released(workflow)
    if refusal is not None:
        rest = _pause(workflow, refusal, attempts)
        return _held_up(workflow, refusal, pause=rest, now=now, patience=patience)
    if not seen.known:
        return Look()
    if instance is None:
        return _released(workflow)
    if not instance.ended:
        if "terminate" not in seen.asked:
            return Steer("terminate")
        return _held_up(workflow, None, pause=ASK_AGAIN_AFTER, now=now, patience=patience)
    return Steer("purge")


_GONE = frozenset({"TN0101", "TN0109"})  # no such instance, no such app: nothing is left to end


def _held_up(
    workflow: Workflow, refusal: Refusal | None, *, pause: int, now: int, patience: int
) -> Step:
    """Try again later; but a deletion does not wait for ever."""
    why = "it has been told to" if refusal is None else refusal.message
    begun = parse_time(workflow.metadata.deletion_timestamp or "")
    limit = begun + patience
    if now < begun + ASK_AGAIN_AFTER and refusal is None:
        return Rest(wake_at=now + pause)  # it takes a moment: nothing to write home about
    if now < limit:
        return _waiting(workflow, why, limit=limit, wake_at=min(now + pause, limit))
    text = f"Deleted without ending run '{workflow.instance_id}', which may still be going: {why}"
    return _released(workflow, Announcement("Abandoned", text, warning=True))


def _waiting(workflow: Workflow, why: str, *, limit: int, wake_at: int) -> Rest:
    """Whoever waits for the deletion finds out here what it waits for."""
    reason, old = "WaitsForRun", workflow.status
    run = f"run '{workflow.instance_id}'"
    text = f"deleted as soon as {run} has ended, or at {stamp(limit)} without: {why}"
    told = () if old.reason == reason else (Announcement(reason, text, warning=True),)
    status = msgspec.structs.replace(
        old, phase=old.phase or "Pending", reason=reason, message=text[:MAX_MESSAGE]
    )
    return Rest(status, told, wake_at)


def _released(workflow: Workflow, *announcements: Announcement) -> SetFinalizers:
    kept = tuple(one for one in workflow.metadata.finalizers if one != FINALIZER)
    return SetFinalizers(kept, announcements)


# --- small questions ------------------------------------------------------------------------------


def _own(workflow: Workflow, seen: Seen) -> Seen:
    """What is known of *our* run: one that another request started does not count."""
    instance = seen.instance
    if instance is None or instance.tags.get(TAG_KEY) == request_key(workflow):
        return seen
    return seen._replace(instance=None)


def _finished(workflow: Workflow) -> bool:
    return any(
        one.type == "Finished" and one.status == "True" for one in workflow.status.conditions
    )


def _over(workflow: Workflow, seen: Seen) -> bool:
    """Whether the run has ended.  What the status says counts, unless a direct question about the run
    is answered otherwise: a status can be changed by hand."""
    if not _finished(workflow) or not seen.doubted:
        return _finished(workflow)
    answered = seen.known and seen.refusal is None
    return answered and (seen.instance is None or seen.instance.ended)


def _pause(workflow: Workflow, refusal: Refusal, attempts: int) -> int:
    return retry_in(refusal, attempts, seed=workflow.metadata.uid)


def _keeps(workflow: Workflow) -> bool:
    return workflow.spec.deletion_policy != "Orphan"


def _rest(workflow: Workflow, status: WorkflowStatus | None, *, wake_at: int | None = None) -> Rest:
    told = () if status is None else stories(workflow.status, status)
    return Rest(status, told, wake_at)
