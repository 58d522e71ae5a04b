"""What the management API takes: bodies and query parameters, decoded strictly.

An unknown field is refused by name: a misspelt ``staus=FAILED`` that were ignored would purge
everything.  Bodies are JSON objects; an absent body is an empty object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.port import Order

StatusName = Literal[
    "PENDING",
    "RUNNING",
    "SUSPENDED",
    "STALLED",
    "COMPLETED",
    "FAILED",
    "TERMINATED",
    "CANCELED",
]
FinishedName = Literal["COMPLETED", "FAILED", "TERMINATED", "CANCELED"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Tags = dict[
    Annotated[str, msgspec.Meta(min_length=1, max_length=256)],
    Annotated[str, msgspec.Meta(max_length=4096)],
]
Time = Annotated[str, msgspec.Meta(description="RFC 3339, or a duration such as 7d: that long ago")]
Wait = Annotated[float, msgspec.Meta(ge=0, le=300, description="seconds")]



class _Request(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Base of bodies and query parameters."""


# --- bodies ---------------------------------------------------------------------------------------


class StartBody(_Request, frozen=True, kw_only=True):
    """Start an instance of ``workflow``.

    ``input`` is any JSON value; it is given to the code exactly as it is written here.
    ``replace`` lists the statuses in which an instance that has the id already gives it up.
    """

    workflow: Name
    instance_id: Annotated[str, msgspec.Meta(max_length=512)] = ""
    input: msgspec.Raw | None = None
    version: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    start_at: str | None = None
    tags: Tags = {}
    request_key: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    replace: tuple[FinishedName, ...] = ()


class PutBody(_Request, frozen=True, kw_only=True):
    """Make sure that the instance exists: start it unless there is one with that id.

    ``replace`` lists the statuses in which an instance does not count as one.
    """

    workflow: Name
    input: msgspec.Raw | None = None
    version: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    start_at: str | None = None
    tags: Tags = {}
    replace: tuple[FinishedName, ...] = ()


class EventBody(_Request, frozen=True, kw_only=True):
    """Raise an event with ``data`` (any JSON value).

    With ``start`` the instance is started first when there is none with that id.
    """

    data: msgspec.Raw | None = None
    start: PutBody | None = None


class ReasonBody(_Request, frozen=True, kw_only=True):
    """Suspend or resume; the reason is kept in the history."""

    reason: str | None = None


class TerminateBody(_Request, frozen=True, kw_only=True):
    """Terminate with ``output`` (any JSON value); children too unless ``recursive`` is false."""

    output: msgspec.Raw | None = None
    recursive: bool = True


class PurgeBody(_Request, frozen=True, kw_only=True):
    """Delete everything of a finished instance; ``force``: of any.  Children too unless
    ``recursive`` is false."""

    recursive: bool = True
    force: bool = False


class RerunBody(_Request, frozen=True, kw_only=True):
    """Run a new instance from event ``eventId`` of a finished one's history on.

    ``input``, when it is given, replaces the input of that activity or child.
    """

    event_id: Annotated[int, msgspec.Meta(ge=0)]
    instance_id: Annotated[str, msgspec.Meta(max_length=512)] = ""
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    child_instance_id: Annotated[str, msgspec.Meta(max_length=512)] = ""


class RestartBody(_Request, frozen=True, kw_only=True):
    """Run the workflow again with the same input; under a new id when ``newId``."""

    new_id: bool = False


class RewindBody(_Request, frozen=True, kw_only=True):
    """Put a failed instance back before its failures and go on (Durable Task workers)."""

    reason: str | None = None


# --- query parameters -----------------------------------------------------------------------------


class NoQuery(_Request, frozen=True, kw_only=True):
    """A route without parameters."""


class Filter(_Request, frozen=True, kw_only=True):
    """Which instances; every given condition must hold.  Ranges are [from, to)."""

    status: tuple[StatusName, ...] = ()
    name: str | None = None
    id_prefix: str | None = None
    parent: str | None = None
    tag: tuple[Annotated[str, msgspec.Meta(description="key=value")], ...] = ()
    created_from: Time | None = None
    created_to: Time | None = None
    completed_from: Time | None = None
    completed_to: Time | None = None


class ListQuery(Filter, frozen=True, kw_only=True):
    """A page of instances."""

    order: Order = Order.NEWEST
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class GetQuery(_Request, frozen=True, kw_only=True):
    """``raw``: payloads as the texts that are stored."""

    raw: bool = False


class HistoryQuery(_Request, frozen=True, kw_only=True):
    """A page of events, oldest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000
    cursor: str | None = None
    raw: bool = False


class WaitQuery(_Request, frozen=True, kw_only=True):
    """Wait until the instance has started or ended."""

    until: Literal["started", "completed"] = "completed"
    timeout: Wait = 30.0
    raw: bool = False


class WatchOneQuery(_Request, frozen=True, kw_only=True):
    """Follow one instance; ``cursor`` of the last line that was read goes on after it."""

    cursor: str | None = None
    raw: bool = False


class WatchQuery(Filter, frozen=True, kw_only=True):
    """Follow all instances that match; ``cursor`` of the last line that was read goes on there."""

    cursor: str | None = None


def statuses(names: Iterable[StatusName]) -> frozenset[Status]:
    """The statuses of those names."""
    return frozenset(Status[name] for name in names)
