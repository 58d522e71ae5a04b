"""What to tell in Kubernetes Events when a Workflow's status changes, in users' words.  Pure.

An Event is told once for each change, because it is made from the old status and the new one and is
sent only when the new one was written.  Events are for people who run ``kubectl describe``; programs
have the conditions.
"""

from __future__ import annotations

from typing import Final

from tenure_operator.reconcile.mirror import STEERED
from tenure_operator.reconcile.steps import Announcement
from tenure_operator.resources import WorkflowStatus

_WARNING: Final = {"Failed", "Stalled", "Missing"}
_DID: Final = {
    "Completed": "completed",
    "Terminated": "was terminated",
    "Canceled": "was canceled",
    "Suspended": "was suspended",
}
_QUIET: Final = {"WaitingForApp", "Scheduled"}  # reasons that are no trouble


def stories(old: WorkflowStatus, new: WorkflowStatus) -> tuple[Announcement, ...]:
    """The Events of one change of status."""
    told: list[Announcement] = []
    if old.instance_id is None and new.instance_id is not None:
        told.append(Announcement("Started", f"Run '{new.instance_id}' was started"))
    if new.instance_id is None and _trouble(new) and _trouble(new) != _trouble(old):
        told.append(Announcement(new.reason or "", new.message or "", warning=True))
    if old.phase != new.phase:
        told += _turn(old, new)
    trouble, known = _unsteered(new), _unsteered(old)
    if trouble is not None and (known is None or known[0] != trouble[0]):
        told.append(Announcement(*trouble, warning=True))
    return tuple(told)


def _unsteered(status: WorkflowStatus) -> tuple[str, str] | None:
    """Why the run is not told what the spec asks; None when it is."""
    for one in status.conditions:
        if one.type == STEERED and one.status == "False":
            return one.reason, one.message
    return None


def _trouble(status: WorkflowStatus) -> tuple[str, str] | None:
    """Why a run is not started; None when nothing hinders it."""
    if status.phase != "Pending" or status.reason is None or status.reason in _QUIET:
        return None
    return status.reason, status.message or ""


def _turn(old: WorkflowStatus, new: WorkflowStatus) -> list[Announcement]:
    message = new.message or ""
    if new.phase == "Running":
        again = old.phase in {"Suspended", "Stalled"}
        return [Announcement("Resumed", "The run goes on")] if again else []
    if new.phase == "Stalled":
        message = f"The run stalled: {new.reason}: {message}"
    elif new.phase == "Failed":
        message = f"The run failed: {message}"
    if new.phase is None or new.phase == "Pending":
        return []
    text = message or f"The run {_DID.get(new.phase, new.phase.lower())}"
    return [Announcement(new.phase, text, warning=new.phase in _WARNING)]
