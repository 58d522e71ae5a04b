"""The status of a Workflow, made from what is known of its run.  Pure.

Four conditions, always all of them, so that ``kubectl wait`` finds the one that it was told::

    Started    the engine has the run
    Finished   it has ended, either way
    Completed  it has ended with success
    Failed     it has ended otherwise

A fifth, ``Steered``, is there once something that the spec asks of the run could not be done at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tenure_operator.instance import Instance, InstanceFailure
from tenure_operator.reconcile.conditions import MAX_MESSAGE, Wanted, conditions, seconds, stamp
from tenure_operator.reconcile.ended import Ended
from tenure_operator.reconcile.refusals import Refusal
from tenure_operator.resources import (
    ANNOTATION_ENDED,
    Condition,
    Failure,
    Phase,
    Progress,
    Workflow,
    WorkflowStatus,
)

MAX_PAYLOAD: Final = 32 * 1024  # bytes of an output or a custom status that are copied
MAX_TEXT: Final = 8 * 1024  # characters of an error's message and of its stack
MAX_WORD: Final = 64
STEERED: Final = "Steered"

PHASES: Final[Mapping[str, Phase]] = {
    "PENDING": "Pending",
    "RUNNING": "Running",
    "SUSPENDED": "Suspended",
    "STALLED": "Stalled",
    "COMPLETED": "Completed",
    "FAILED": "Failed",
    "TERMINATED": "Terminated",
    "CANCELED": "Canceled",
}
_WORD: Final = re.compile(r"[A-Za-z0-9_]+")


def mirrored(workflow: Workflow, instance: Instance, *, now: int) -> WorkflowStatus:
    """The status of a Workflow whose run is as ``instance`` says."""
    phase = PHASES.get(instance.status, "Running")
    reason, message = _why(workflow, instance)
    completed, failed = phase == "Completed", instance.ended and phase != "Completed"
    began = f"run '{instance.instance_id}' is in the engine"
    output, output_bytes = _payload(instance.output)
    custom, _ = _payload(instance.custom_status)
    return WorkflowStatus(
        observed_generation=workflow.metadata.generation,
        phase=phase,
        reason=reason,
        message=message,
        instance_id=instance.instance_id,
        start_time=seconds(instance.started_at),
        completion_time=seconds(instance.completed_at) if instance.ended else None,
        output=output,
        output_bytes=output_bytes,
        custom_status=custom,
        failure=_failure(instance.failure),
        progress=Progress(
            history_length=instance.history_length,
            pending_activities=0 if instance.ended else instance.pending_activities,
            generation=instance.generation,
        ),
        conditions=_four(
            workflow,
            now=now,
            started=Wanted("Started", holds=True, reason="Started", message=began),
            finished=instance.ended,
            completed=completed,
            failed=failed,
            reason=phase,
            message=message or "",
        ),
    )


def refused(workflow: Workflow, refusal: Refusal, *, now: int) -> WorkflowStatus:
    """The status of a Workflow that could not be started."""
    started = Wanted("Started", holds=False, reason=refusal.reason, message=refusal.message)
    return _unstarted(workflow, "Pending", refusal.reason, refusal.message, started, now=now)


def held(workflow: Workflow, *, now: int) -> WorkflowStatus:
    """The status of a Workflow that shall not be started: suspended or terminated before."""
    if workflow.spec.terminate:
        message = "terminate was set before the run was started; nothing ran"
        started = Wanted("Started", holds=False, reason="Terminated", message=message)
        ended = _unstarted(workflow, "Terminated", "NeverStarted", message, started, now=now)
        return msgspec.structs.replace(ended, completion_time=stamp(now))
    message = "suspend was set before the run was started; it starts when suspend is not true"
    started = Wanted("Started", holds=False, reason="Suspended", message=message)
    return _unstarted(workflow, "Suspended", "NotStarted", message, started, now=now)


def missing(workflow: Workflow, *, now: int) -> WorkflowStatus:
    """The status of a Workflow whose run was there and is not any more."""
    name = workflow.instance_id
    message = (
        f"run '{name}' is not in the engine any more, and its end was not seen: "
        "it was purged, or its app's store was replaced"
    )
    began = f"run '{name}' was in the engine"
    return msgspec.structs.replace(
        workflow.status,
        observed_generation=workflow.metadata.generation,
        phase="Missing",
        reason="InstanceMissing",
        message=message,
        instance_id=name,
        completion_time=stamp(now),
        conditions=_four(
            workflow,
            now=now,
            started=Wanted("Started", holds=True, reason="Started", message=began),
            finished=True,
            completed=False,
            failed=True,
            reason="Missing",
            message=message,
        ),
    )


def recalled(workflow: Workflow, ended: Ended, *, now: int) -> WorkflowStatus:
    """The status of a Workflow that has ended, and whose status was lost."""
    run = "its run" if ended.instance_id is None else f"run '{ended.instance_id}'"
    if ended.uid == workflow.metadata.uid:
        reason = "StatusLost"
        message = (
            f"{run} ended ({ended.phase}) and is not in the engine any more, and the status in which "
            "it stood what it came to was lost; it is not started again"
        )
    else:
        reason = "Restored"
        message = (
            f"a Workflow of this name with another uid ran before, {run} ended ({ended.phase}): this "
            "one comes from a backup and is not started again; to run it anew, create it without the "
            f"annotation {ANNOTATION_ENDED}"
        )
    completed, ran = ended.phase == "Completed", ended.instance_id is not None
    started = "Started" if ran else "NeverStarted"
    return WorkflowStatus(
        observed_generation=workflow.metadata.generation,
        phase=ended.phase,
        reason=reason,
        message=message,
        instance_id=ended.instance_id,
        completion_time=ended.at or stamp(now),
        conditions=_four(
            workflow,
            now=now,
            started=Wanted("Started", holds=ran, reason=started, message=message),
            finished=True,
            completed=completed,
            failed=not completed,
            reason=reason,
            message=message,
        ),
    )


def unsteered(
    workflow: Workflow, instance: Instance | None, verb: str, refusal: Refusal, *, now: int
) -> WorkflowStatus:
    """The status of a Workflow whose run cannot be told now to suspend, resume or terminate.

    ``instance`` None: the run's last known state stands.
    """
    message = f"cannot {verb} the run yet: {refusal.message}"[:MAX_MESSAGE]
    trouble = Wanted(STEERED, holds=False, reason=refusal.reason, message=message)
    old = workflow.status
    base = old if instance is None else mirrored(workflow, instance, now=now)
    before = [one for one in old.conditions if one.type == STEERED]
    steered = conditions(before, (trouble,), generation=workflow.metadata.generation, now=now)
    others = (one for one in base.conditions if one.type != STEERED)
    return msgspec.structs.replace(
        base,
        observed_generation=workflow.metadata.generation,
        reason=refusal.reason,
        message=message,
        conditions=(*others, *steered),
    )


def _steering(workflow: Workflow) -> tuple[Wanted, ...]:
    """What could not be done is done now."""
    for one in workflow.status.conditions:
        if one.type == STEERED and one.status == "False":
            return (
                Wanted(STEERED, holds=True, reason=STEERED, message="nothing is left to be told"),
            )
    return ()


def just_begun(old: WorkflowStatus, new: WorkflowStatus) -> bool:
    """Whether all that is new is that the run was started and goes on."""
    started = old.instance_id is None and new.instance_id is not None
    return started and new.phase in {"Pending", "Running"}


def only_progress(old: WorkflowStatus, new: WorkflowStatus) -> bool:
    """Whether the two differ in nothing that anybody waits for."""
    return msgspec.structs.replace(old, progress=None, custom_status=msgspec.UNSET) == (
        msgspec.structs.replace(new, progress=None, custom_status=msgspec.UNSET)
    )


def _unstarted(  # noqa: PLR0913 - the fields of a status
    workflow: Workflow, phase: Phase, reason: str, message: str, started: Wanted, *, now: int
) -> WorkflowStatus:
    ended = phase == "Terminated"
    return WorkflowStatus(
        observed_generation=workflow.metadata.generation,
        phase=phase,
        reason=reason,
        message=message,
        conditions=_four(
            workflow,
            now=now,
            started=started,
            finished=ended,
            completed=False,
            failed=ended,
            reason=started.reason,
            message=message,
        ),
    )


def _four(  # noqa: PLR0913 - one argument for each condition
    workflow: Workflow,
    *,
    now: int,
    started: Wanted,
    finished: bool,
    completed: bool,
    failed: bool,
    reason: str,
    message: str,
) -> tuple[Condition, ...]:
    """Only a condition that holds has the message: three copies of it help nobody."""
    three = (("Finished", finished), ("Completed", completed), ("Failed", failed))
    wanted = [
        Wanted(name, holds=holds, reason=reason, message=message if holds else "")
        for name, holds in three
    ]
    return conditions(
        workflow.status.conditions,
        (started, *wanted, *_steering(workflow)),
        generation=workflow.metadata.generation,
        now=now,
    )


def _why(workflow: Workflow, instance: Instance) -> tuple[str | None, str | None]:
    """Reason and message, where the phase alone does not say it."""
    status = instance.status
    if status == "FAILED":
        failure = instance.failure or InstanceFailure(error_type="", message="")
        reason = word(failure.error_type) or "WorkflowFailed"
        return reason, f"{failure.error_type}: {failure.message}".strip(": ")[: MAX_TEXT // 2]
    if status == "STALLED":
        stall = instance.stall
        reason = "".join(part.capitalize() for part in (stall.reason if stall else "").split("_"))
        return word(reason) or "Stalled", (stall.description if stall else "")[: MAX_TEXT // 2]
    if status == "PENDING" and instance.start_at is not None:
        return "Scheduled", f"begins at {seconds(instance.start_at)}"
    if status == "PENDING":
        app = workflow.spec.app_id
        return "WaitingForApp", f"no worker of app '{app}' has taken the run up yet"
    return None, None


def word(text: str) -> str:
    """The last part of a dotted name, as a reason of Kubernetes may be written."""
    parts = _WORD.findall(text)
    return parts[-1][:MAX_WORD] if parts else ""


def _payload(value: object) -> tuple[Any, int | None]:
    """The value to copy, or its length when it is too long."""
    if value is msgspec.UNSET:
        return msgspec.UNSET, None
    size = len(msgspec.json.encode(value))
    return (value, None) if size <= MAX_PAYLOAD else (msgspec.UNSET, size)


def _failure(failure: InstanceFailure | None) -> Failure | None:
    if failure is None:
        return None
    stack = failure.stack_trace
    return Failure(
        error_type=failure.error_type[:1024],
        message=failure.message[:MAX_TEXT],
        stack_trace=None if stack is None else stack[:MAX_TEXT],
    )
