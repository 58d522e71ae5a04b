"""What clients send: the start of an instance, and the messages to one.

Bad requests are refused here, before anything is stored.  Message keys are unique, because a client
that repeats a request means it twice (N raised events are N received events), unless it says by a key
of its own that it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_common.errors import BadRequestError
from tenure_sidecar.engine import birth
from tenure_sidecar.engine.events import (
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    Instant,
    TraceContext,
)
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.turn import InboxItem

if TYPE_CHECKING:
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.turn import Creation

_DEFAULTS = Limits()


def start(  # noqa: PLR0913 - what a start request has
    name: str,
    *,
    instance_id: str = "",
    input: str | None = None,  # noqa: A002 - the protocol's word
    version: str | None = None,
    scheduled_start: Instant | None = None,
    tags: dict[str, str] | None = None,
    trace: TraceContext | None = None,
    execution_id: str | None = None,
    now: int,
    ids: Ids,
    limits: Limits = _DEFAULTS,
) -> Creation:
    """A new instance.

    Args:
        instance_id: the client's choice; empty = the engine's.
        version: empty = none.
        scheduled_start: not before; at or before ``now`` (some SDKs send the epoch) = none.
        execution_id: 32 hex digits, the engine's choice when absent.
        now: nanoseconds since the epoch.

    Raises: BadRequestError.
    """
    if not name:
        message = "a workflow needs a name"
        raise BadRequestError(message)
    _check(name, limits.max_name_length, what="workflow name")
    _check(instance_id, limits.max_id_length, what="instance id")
    return birth.creation(
        name,
        instance_id=instance_id or ids.instance_id(),
        input=input,
        version=version,
        scheduled_start=scheduled_start,
        tags=tags,
        trace=trace,
        execution_id=execution_id,
        now=now,
        ids=ids,
    )


def raise_event(  # noqa: PLR0913 - the world, and what a request has
    name: str,
    data: str | None,
    *,
    key: str | None = None,
    now: int,
    ids: Ids,
    limits: Limits = _DEFAULTS,
) -> InboxItem:
    """An external event; the case of ``name`` is kept, matching ignores it.

    Args:
        key: of the request, so that a repeat is the same event; None = every request is another.

    Raises: BadRequestError.
    """
    if not name:
        message = "an event needs a name"
        raise BadRequestError(message)
    _check(name, limits.max_name_length, what="event name")
    return InboxItem(
        key or f"event-{ids.commit_id()}", EventRaised(now, name=name, input=data, key=key or "")
    )


def terminate(output: str | None, *, recurse: bool, now: int, ids: Ids) -> InboxItem:
    """A request to end the instance with ``output`` (kept verbatim), and its children with it."""
    event = ExecutionTerminated(now, output=output, recurse=recurse)
    return InboxItem(f"terminate-{ids.commit_id()}", event)


def suspend(reason: str | None, *, now: int, ids: Ids) -> InboxItem:
    """A request to give the code nothing until it is resumed."""
    return InboxItem(f"suspend-{ids.commit_id()}", ExecutionSuspended(now, reason))


def resume(reason: str | None, *, now: int, ids: Ids) -> InboxItem:
    """A request to go on."""
    return InboxItem(f"resume-{ids.commit_id()}", ExecutionResumed(now, reason))


def _check(text: str, limit: int, *, what: str) -> None:
    if len(text) > limit:
        message = f"the {what} has {len(text)} characters, at most {limit} are allowed"
        raise BadRequestError(message)
