"""From a filter as people write it to the store's query.

Durations in time bounds count back from now.  Tags are ``key=value``; the value may hold ``=``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_common.errors import BadRequestError
from tenure_common.times import parse_moment
from tenure_sidecar.http.manage.requests import statuses
from tenure_sidecar.store.port import Order, Query

if TYPE_CHECKING:
    from tenure_sidecar.http.manage.queries import Filter

_LAST = 2**63 - 1  # nanoseconds; the last moment that a store can keep, in the year 2262


def tags(texts: tuple[str, ...]) -> dict[str, str]:
    """``("a=1", "b=2")`` as a mapping.

    Raises: BadRequestError for a text without ``=``, and for two values of one key (no instance has
    both, so the listing would be empty without saying why).
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            message = f"tag '{text[:80]}' is not of the form key=value"
            raise BadRequestError(message, {"field": "tag"})
        if found.setdefault(key, value) != value:
            message = f"tag '{key[:80]}' is asked for with two values"
            raise BadRequestError(message, {"field": "tag"})
    return found


def query(wanted: Filter, *, now: int, order: Order = Order.ID) -> Query:
    """The store's query.  Raises: BadRequestError."""
    return Query(
        statuses=statuses(wanted.status),
        name=wanted.workflow,
        id_prefix=wanted.id_prefix,
        parent=wanted.parent,
        tags=tags(wanted.tag),
        created_from=_moment(wanted.created_from, now, "createdFrom"),
        created_to=_moment(wanted.created_to, now, "createdTo"),
        completed_from=_moment(wanted.completed_from, now, "completedFrom"),
        completed_to=_moment(wanted.completed_to, now, "completedTo"),
        order=order,
    )


def _moment(text: str | None, now: int, field: str) -> int | None:
    """A bound; one that lies before or behind all that a store can keep means the same at its edge."""
    if text is None:
        return None
    try:
        return min(max(parse_moment(text, now=now), 0), _LAST)
    except BadRequestError as error:
        message = f"{field}: {error.message}"
        raise BadRequestError(message, {"field": field}) from error
