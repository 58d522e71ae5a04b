"""Stalls: a turn that cannot run with the worker or the limits at hand.

A stalled instance loses nothing: its inbox stays, messages and control operations still work, and
the next turn that runs clears the stall.  The same reason twice in a row is recorded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.draft import Draft
from tenure_sidecar.engine.events import (
    ExecutionStalled,
    StallReason,
    Status,
    VersionInfo,
    WorkflowStarted,
)
from tenure_sidecar.engine.head import Stall

if TYPE_CHECKING:
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.state import State
    from tenure_sidecar.engine.turn import Turn


def stall_oversize(state: State, *, size: int, limit: int, now: int, ids: Ids) -> Turn | None:
    """The turn that stalls an instance whose next work item does not fit a message.

    Args:
        size: bytes of the work item.
        limit: bytes that fit.

    Returns None when the instance is stalled for exactly that already.
    """
    description = (
        f"Payload size exceeded: {size} bytes, limit {limit} bytes; "
        "raise --max-message-bytes and the worker's own limit"
    )
    stalled = Stall(StallReason.PAYLOAD_SIZE_EXCEEDED, description)
    if state.head.stall == stalled:
        return None
    return _stall(state, stalled, now=now, ids=ids)


def stall_version(state: State, *, now: int, ids: Ids) -> Turn:
    """The turn that stalls an instance whose version the worker does not have.  A repeat appends
    nothing."""
    code = state.head.code
    name = (code.name if code is not None else None) or state.head.version or ""
    description = f"Version not available: {name}"
    return _stall(state, Stall(StallReason.VERSION_NOT_AVAILABLE, description), now=now, ids=ids)


def patch_mismatch(recorded: VersionInfo | None, current: VersionInfo | None) -> str | None:
    """Why code that reports ``current`` must not go on with a history made by ``recorded``; None
    when it may.  The patches of the history must be the first of the code's, in order."""
    if recorded is None or not recorded.patches:
        return None
    patches = current.patches if current is not None else ()
    if patches[: len(recorded.patches)] == recorded.patches:
        return None
    return (
        f"Patch mismatch. History patches: [{', '.join(recorded.patches)}], "
        f"current patches: [{', '.join(patches)}]. "
    )


def stall_patch(state: State, description: str, *, now: int, ids: Ids) -> Turn:
    """The turn that stalls an instance for ``patch_mismatch``'s reason.  A repeat appends
    nothing."""
    return _stall(state, Stall(StallReason.PATCH_MISMATCH, description), now=now, ids=ids)


def _stall(state: State, stalled: Stall, *, now: int, ids: Ids) -> Turn:
    draft = Draft(state, now=now, ids=ids)
    if state.head.stall == stalled:
        return draft.turn(quiet=True)
    draft.events += [
        WorkflowStarted(draft.at),
        ExecutionStalled(draft.at, reason=stalled.reason, description=stalled.description),
    ]
    return draft.turn(status=Status.STALLED, stall=stalled)
