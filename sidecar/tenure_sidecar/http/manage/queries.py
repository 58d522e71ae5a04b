"""The query parameters that the management API takes, and the filter of instances.

Decoded as strictly as bodies are (``requests.py``).  A parameter that takes several values is
repeated: ``?status=FAILED&status=TERMINATED``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from tenure_sidecar.http.manage.requests import DURATION, Request, StatusName
from tenure_sidecar.store.port import Order

Time = Annotated[
    str,
    msgspec.Meta(
        description="RFC 3339, or a duration such as 7d: that long ago",
        extra_json_schema={"anyOf": [{"format": "date-time"}, {"pattern": f"^{DURATION}$"}]},
    ),
]
Wait = Annotated[float, msgspec.Meta(ge=0, le=300, description="seconds")]
# A text that a script left empty must not mean "all of them".
Chosen = Annotated[str, msgspec.Meta(min_length=1)]
Tag = Annotated[
    str, msgspec.Meta(description="key=value", extra_json_schema={"pattern": "^[^=]+="})
]


class Filter(Request, frozen=True, kw_only=True):
    """Which instances; every given condition must hold.  Ranges are [from, to)."""

    status: tuple[StatusName, ...] = ()
    workflow: Chosen | None = None
    id_prefix: Chosen | None = None
    parent: Chosen | None = None
    tag: tuple[Tag, ...] = ()
    created_from: Time | None = None
    created_to: Time | None = None
    completed_from: Time | None = None
    completed_to: Time | None = None


class NoQuery(Request, frozen=True, kw_only=True):
    """A route without parameters."""


class ListQuery(Filter, frozen=True, kw_only=True):
    """A page of instances."""

    order: Order = Order.NEWEST
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class GetQuery(Request, frozen=True, kw_only=True):
    """``raw``: payloads as the texts that are stored."""

    raw: bool = False


class HistoryQuery(Request, frozen=True, kw_only=True):
    """A page of events, oldest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000
    cursor: str | None = None
    raw: bool = False


class WaitQuery(Request, frozen=True, kw_only=True):
    """Wait until the instance has started or ended."""

    until: Literal["started", "completed"] = "completed"
    timeout: Wait = 30.0
    raw: bool = False


class WatchOneQuery(Request, frozen=True, kw_only=True):
    """Follow one instance; ``cursor`` of the last line that was read goes on after it."""

    cursor: str | None = None
    raw: bool = False


class WatchQuery(Request, frozen=True, kw_only=True):
    """Follow all instances that match; ``cursor`` of the last line that was read goes on after it.

    ``status`` chooses which changes are told: those into one of these statuses.  Without
    ``snapshot`` the stream begins with the next change instead of what there is.
    ``payloads`` adds output and custom status to each line.
    """

    status: tuple[StatusName, ...] = ()
    workflow: Chosen | None = None
    id_prefix: Chosen | None = None
    parent: Chosen | None = None
    tag: tuple[Tag, ...] = ()
    cursor: str | None = None
    snapshot: bool = True
    payloads: bool = False
    raw: bool = False


class JobsQuery(Request, frozen=True, kw_only=True):
    """The newest jobs first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
