"""The bodies that the management API takes, decoded strictly.

An unknown field is refused by name: a misspelt ``staus=FAILED`` that were ignored would purge
everything.  Bodies are JSON objects; an absent body is an empty object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec

from tenure_sidecar.engine.events import Status

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
# Patterns and formats are for readers of the OpenAPI document; ``times.py`` decides, with messages
# that say more than "does not match".
DURATION: Final = r"([0-9]+(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h|d|w))+"
Retention = Annotated[
    str,
    msgspec.Meta(
        max_length=64,
        description="how long it is kept after its end: 7d, 0s, or forever",
        extra_json_schema={"pattern": f"^(forever|{DURATION})$"},
    ),
]
StartAt = Annotated[
    str,
    msgspec.Meta(
        description="RFC 3339; not before then", extra_json_schema={"format": "date-time"}
    ),
]
# Any JSON value, as it was written; absent is not null.
Json = msgspec.Raw | msgspec.UnsetType


class Request(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Base of bodies and query parameters."""


class StartBody(Request, frozen=True, kw_only=True):
    """Start an instance of ``workflow``.

    ``input`` is any JSON value; it is given to the code exactly as it is written here.
    ``startAt`` delays the start until then.
    ``replace`` lists the statuses in which an instance that has the id already gives it up.
    """

    workflow: Name
    instance_id: Annotated[str, msgspec.Meta(max_length=512)] = ""
    input: Json = msgspec.UNSET
    version: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    start_at: StartAt | None = None
    tags: Tags = {}
    retention: Retention | None = None
    request_key: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    replace: tuple[FinishedName, ...] = ()


class PutBody(Request, frozen=True, kw_only=True):
    """Make sure that the instance exists: start it unless there is one with that id.

    ``replace`` lists the statuses in which an instance does not count as one.
    """

    workflow: Name
    input: Json = msgspec.UNSET
    version: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    start_at: StartAt | None = None
    tags: Tags = {}
    retention: Retention | None = None
    replace: tuple[FinishedName, ...] = ()


class EventBody(Request, frozen=True, kw_only=True):
    """Raise an event with ``data`` (any JSON value).

    With ``start`` the instance is started first when there is none with that id.
    """

    data: Json = msgspec.UNSET
    start: PutBody | None = None


class ReasonBody(Request, frozen=True, kw_only=True):
    """Suspend or resume; the reason is kept in the history."""

    reason: str | None = None


class TerminateBody(Request, frozen=True, kw_only=True):
    """Terminate with ``output`` (any JSON value); children too unless ``recursive`` is false."""

    output: Json = msgspec.UNSET
    recursive: bool = True


class PurgeBody(Request, frozen=True, kw_only=True):
    """Delete everything of a finished instance; ``force``: of any.  Children too unless
    ``recursive`` is false."""

    recursive: bool = True
    force: bool = False


class RerunBody(Request, frozen=True, kw_only=True):
    """Run a new instance from event ``eventId`` of a finished one's history on.

    ``input``, when it is given, replaces the input of that activity or child.
    """

    event_id: Annotated[int, msgspec.Meta(ge=0)]
    instance_id: Annotated[str, msgspec.Meta(max_length=512)] = ""
    input: Json = msgspec.UNSET
    child_instance_id: Annotated[str, msgspec.Meta(max_length=512)] = ""


class RestartBody(Request, frozen=True, kw_only=True):
    """Run the workflow again with the same input; under a new id when ``newId``."""

    new_id: bool = False


class RewindBody(Request, frozen=True, kw_only=True):
    """Put a failed instance back before its failures and go on (Durable Task workers)."""

    reason: str | None = None


def statuses(names: Iterable[StatusName]) -> frozenset[Status]:
    """The statuses of those names."""
    return frozenset(Status[name] for name in names)
