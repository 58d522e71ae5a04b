"""Reading instances: one, a page, counts, the history, and waiting for one.

Lists are index reads of heads; a payload is only read for a single instance.  Nothing here needs a
worker or changes anything.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import msgspec

from tenure_common.errors import (
    BadCursorError,
    CursorExpiredError,
    NoSuchInstanceError,
    TooManyInFlightError,
)
from tenure_sidecar.engine.events import Status
from tenure_sidecar.http.manage.api import Answer
from tenure_sidecar.http.manage.events import HistoryEvent, event_view
from tenure_sidecar.http.manage.filters import query
from tenure_sidecar.http.manage.views import (
    AppsView,
    AppView,
    Counts,
    InstanceDetails,
    InstancePage,
    Waited,
    details,
    instance,
)

if TYPE_CHECKING:
    from tenure_sidecar.http.manage.api import Api, AppsCall, Call
    from tenure_sidecar.http.manage.queries import (
        Filter,
        GetQuery,
        HistoryQuery,
        ListQuery,
        WaitQuery,
    )
    from tenure_sidecar.store.port import Query

MAX_WAITS = 10_000  # waits at a time, of all clients

_PLACE = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)


class HistoryPage(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Events of one generation, oldest first; ``cursor`` asks for the next page."""

    instance_id: str
    generation: int
    length: int
    events: list[HistoryEvent]
    cursor: str | None = None


def missing(instance_id: str) -> NoSuchInstanceError:
    """The error for an id that nobody has."""
    message = f"no such instance exists: '{instance_id}'"
    return NoSuchInstanceError(message, {"instanceId": instance_id})


async def apps(call: AppsCall) -> Answer:
    """The apps that this server serves: in one namespace, or in all that the caller may use."""
    served, wanted = call.apps, call.namespace
    names = [name for name in served.names() if call.seen(name.namespace)]
    if wanted is not None:
        names = [name for name in names if name.namespace == wanted]
    here = served.default if wanted is None else wanted
    return Answer(
        AppsView(
            [name.app for name in names if name.namespace == here],
            [AppView(name.namespace, name.app) for name in names],
        )
    )


async def listing(call: Call[None, ListQuery]) -> Answer:
    """One page of instances.  Raises: BadRequestError, BadCursorError."""
    api, wanted = call.api, call.query
    page = await api.operations.page(
        query(wanted, now=api.clock(), order=wanted.order),
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    return Answer(InstancePage([instance(h, app=api.app_id) for h in page.heads], page.cursor))


async def counts(call: Call[None, Filter]) -> Answer:
    """How many instances match, by status.  Raises: BadRequestError."""
    api = call.api
    by_status = await count_by_status(api, query(call.query, now=api.clock()))
    return Answer(Counts(sum(by_status.values()), by_status))


async def count_by_status(api: Api, wanted: Query) -> dict[str, int]:
    """How many instances match, for each status that has any."""
    by_status: dict[str, int] = {}
    for status in sorted(wanted.statuses or Status):
        one = msgspec.structs.replace(wanted, statuses=frozenset({status}))
        found = await api.store.count(one)
        if found:
            by_status[status.name] = found
    return by_status


async def look(api: Api, instance_id: str, *, raw: bool = False) -> InstanceDetails:
    """One instance with its payloads.  Raises: NoSuchInstanceError."""
    state = await api.operations.state(instance_id)
    if state is None:
        raise missing(instance_id)
    head, given = state
    return details(head, app=api.app_id, input=given, raw=raw)


async def get(call: Call[None, GetQuery]) -> Answer:
    """One instance.  Raises: NoSuchInstanceError."""
    return Answer(await look(call.api, call.id, raw=call.query.raw))


async def history(call: Call[None, HistoryQuery]) -> Answer:
    """A page of the history, oldest events first.

    Raises: NoSuchInstanceError, BadCursorError, CursorExpiredError when the instance has begun a new
        history since.
    """
    api, wanted = call.api, call.query
    head, events = await api.operations.history(call.id)
    start = 0
    if wanted.cursor is not None:
        generation, start = place(wanted.cursor)
        if generation != head.generation or start > len(events):
            message = (
                f"'{call.id}' has begun a new history (generation {head.generation}); "
                "start at the first page"
            )
            raise CursorExpiredError(message, {"field": "cursor"})
    stop = start + wanted.limit
    return Answer(
        HistoryPage(
            instance_id=head.instance_id,
            generation=head.generation,
            length=len(events),
            events=[event_view(event, raw=wanted.raw) for event in events[start:stop]],
            cursor=mark(head.generation, stop) if stop < len(events) else None,
        )
    )


def mark(generation: int, position: int) -> str:
    """The cursor that goes on at event ``position`` of a generation."""
    return f"{generation}.{position}"


def place(cursor: str) -> tuple[int, int]:
    """Generation and position of a history cursor.  Raises: BadCursorError."""
    match = _PLACE.fullmatch(cursor)
    if match is None:
        message = f"'{cursor[:80]}' is not a cursor of a history; start at the first page"
        raise BadCursorError(message, {"field": "cursor"})
    return int(match[1]), int(match[2])


async def wait(call: Call[None, WaitQuery]) -> Answer:
    """Wait for an instance to start or to end, for a bounded time.

    Raises: NoSuchInstanceError (also when it is deleted meanwhile), TooManyInFlightError.
    """
    api, wanted = call.api, call.query
    end = wanted.until == "completed"
    if api.operations.waiting >= MAX_WAITS:
        message = f"{MAX_WAITS} calls wait for instances already; try again later"
        raise TooManyInFlightError(message)
    reached = True
    try:
        async with asyncio.timeout(wanted.timeout):
            await api.operations.wait(call.id, end=end)
    except TimeoutError:
        reached = False
    one = await look(api, call.id, raw=wanted.raw)
    # Without a timeout there was no time to look; and it may have happened just now.
    status = Status[one.status]
    reached = reached or (status.terminal if end else status is not Status.PENDING)
    return Answer(Waited(reached, one))
