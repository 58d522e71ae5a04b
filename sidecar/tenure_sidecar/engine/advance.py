"""One turn of app code: what the worker got, what it answered, and the turn that follows.

Order of precedence, from the top of ``advance``:

1. an answer to a batch that was planned on another state is stale: nothing of it counts;
2. code that lacks the version or the patches of the history stalls the instance: nothing of the
   answer counts and the batch stays in the inbox;
3. an action that this engine does not do fails the workflow, with the reason: never a silent drop;
4. the batch enters the history, then the created events in the order of their ids, then at the very
   end ``ExecutionCompleted``, if the code is done.

SDKs number the actions as the code asks for them; those for Go send them in any order.

The state is not changed; the caller applies the turn when it sends it to the store.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from tenure_common.errors import BadTurnError, StaleTurnError, UnsupportedError
from tenure_sidecar.engine import stall
from tenure_sidecar.engine.actions import (
    Action,
    Complete,
    CreateChild,
    CreateDetached,
    CreateTimer,
    Response,
    Rewind,
    ScheduleTask,
    SendEvent,
    Terminate,
    Unsupported,
    VersionNotAvailable,
)
from tenure_sidecar.engine.draft import Draft
from tenure_sidecar.engine.events import Failure, Status, WorkflowStarted
from tenure_sidecar.engine.kinds import activity, again, child, complete, detached, message, timer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.limits import Limits
    from tenure_sidecar.engine.plan import Batch
    from tenure_sidecar.engine.state import State
    from tenure_sidecar.engine.turn import Turn

UNSUPPORTED = "Unsupported"  # error type of a workflow that asked for what Tenure does not do

_ENDS = frozenset({Status.COMPLETED, Status.FAILED, Status.TERMINATED, Status.CONTINUED_AS_NEW})


def advance(  # noqa: PLR0913 - the pure core takes its world as arguments
    state: State,
    batch: Batch,
    response: Response,
    *,
    now: int,
    ids: Ids,
    limits: Limits,  # noqa: ARG001 - part of the contract; limits on actions go here
    app_id: str,
) -> Turn:
    """The turn that a worker's ``response`` to ``batch`` makes.

    Args:
        state: the instance that the batch was planned on; not changed.
        now: wall clock, nanoseconds since the epoch.
        app_id: the own app; actions aimed at another one are not supported.

    Raises: StaleTurnError (run the turn again), BadTurnError (the answer contradicts itself).
    """
    head = state.head
    if batch.base != head.commit_id or head.status.terminal:
        text = f"'{head.instance_id}': the answer belongs to an earlier turn and was not applied"
        raise StaleTurnError(text)
    stalled = _stalled(state, response, now=now, ids=ids)
    if stalled is not None:
        return stalled

    # The clock may have gone back since the batch was planned.
    draft = Draft(state, now=max(now, batch.started.at), ids=ids, app_id=app_id)
    consumed = _receive(draft, batch, response)
    last = _act(draft, response.actions, app_id=app_id)

    custom_status = response.custom_status
    if custom_status is None:
        custom_status = head.custom_status
    if last is not None and last.status is Status.CONTINUED_AS_NEW:
        return again.continue_as_new(draft, last, consumed=consumed, custom_status=custom_status)
    fields: dict[str, Any] = {
        "status": Status.RUNNING,
        "stall": None,
        "pending": len(state.tasks) - draft.resolved + len(draft.activities),
        "custom_status": custom_status,
        "started_at": head.started_at or draft.at,
        "code": response.version or head.code,
    }
    if last is not None:
        fields.update(complete.complete(draft, last))
    return draft.turn(consumed=consumed, **fields)


def _stalled(state: State, response: Response, *, now: int, ids: Ids) -> Turn | None:
    """The stall that the answer comes to, if the worker's code does not fit the history."""
    if any(type(action) is VersionNotAvailable for action in response.actions):
        return stall.stall_version(state, now=now, ids=ids)
    mismatch = stall.patch_mismatch(state.head.code, response.version)
    if mismatch is not None:
        return stall.stall_patch(state, mismatch, now=now, ids=ids)
    return None


def _receive(draft: Draft, batch: Batch, response: Response) -> tuple[str, ...]:
    """Take the batch's events into the draft, as far as the worker processed them; returns the
    inbox keys that are done with."""
    events = batch.events
    consumed = batch.consumed
    processed = response.processed
    # The count is of all new events, the leading WorkflowStarted among them.  A count that leaves
    # no event for this turn would repeat the same turn for ever, so it means "all" like no count.
    if processed is not None and 1 < processed < len(events):
        left = frozenset(batch.keys[processed - 1 :])
        consumed = tuple(key for key in consumed if key not in left)
        events = events[:processed]
    # The time that the code was given is the time that every replay must give it again.
    started = WorkflowStarted(batch.started.at, version=response.version)
    draft.clear_start()
    draft.receive((started, *events[1:]))
    return consumed


def _act(draft: Draft, actions: Sequence[Action], *, app_id: str) -> Complete | None:
    """Carry the actions out on the draft; returns how the code ended the generation, if it did (of
    several ends the last counts, as in the SDKs)."""
    refusal = _refusal(actions, app_id=app_id)
    if refusal is not None:
        return refusal
    last: Complete | None = None
    for action in sorted(actions, key=_number):
        if type(action) is Complete:
            last = action
        else:
            _KINDS[type(action)](draft, action)
    return last


def _refusal(actions: Sequence[Action], *, app_id: str) -> Complete | None:
    """The failure that stands for all actions when one of them is not supported.

    Raises: BadTurnError for a rewind, which nobody asked the worker for: the engine rewinds itself.
    """
    for action in actions:
        what: str | None = None
        if isinstance(action, Unsupported):
            what = action.what
        elif isinstance(action, ScheduleTask | CreateChild | CreateDetached):
            if action.target_app and action.target_app != app_id:
                what = f"a call to another app ('{action.target_app}')"
        elif isinstance(action, Complete):
            if action.status not in _ENDS:
                what = f"ending a workflow as {action.status.name}"
        elif isinstance(action, Rewind):
            text = "the worker answered with a rewind that it was not asked for"
            raise BadTurnError(text)
        if what is not None:
            error = UnsupportedError(
                f"{what} is not supported by Tenure; docs/compatibility.md lists what is"
            )
            failure = Failure(UNSUPPORTED, str(error), non_retriable=True)
            return Complete(action.task_id, status=Status.FAILED, failure=failure)
    return None


_number = operator.attrgetter("task_id")  # of an action; equal ones stay as they came

_KINDS: dict[type, Callable[[Draft, Any], None]] = {
    ScheduleTask: activity.schedule,
    CreateTimer: timer.create,
    CreateChild: child.create,
    CreateDetached: detached.create,
    SendEvent: message.send,
    Terminate: message.terminate,
}
