"""Following instances: a stream of lines that never loses the last state.

A stream without a cursor begins with a snapshot, told page by page and closed by SYNCED, and goes on
with changes.  The place in the store's changes is taken before the snapshot is read, so what happens
meanwhile is told after it; a state may be told twice and is never left out.  A cursor goes on where
it was; one that is too old leads to RESET and a new snapshot, in the same stream.

The reader's pace is the stream's pace: what it does not read is not queued here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from tenure_common.errors import CursorExpiredError, TooManyInFlightError
from tenure_sidecar.http.manage import lines
from tenure_sidecar.http.manage.filters import tags
from tenure_sidecar.http.manage.requests import statuses
from tenure_sidecar.http.manage.views import InstanceDetails, details, instance
from tenure_sidecar.store.listing import matches
from tenure_sidecar.store.port import Order, Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.http.manage.api import Api, Call, Lines
    from tenure_sidecar.http.manage.queries import WatchOneQuery, WatchQuery
    from tenure_sidecar.store.port import HeadChange

MAX_WATCHES = 1_000  # at a time, of all clients
SILENCE = 15.0  # seconds until a line says that the stream is alive
_PAGE = 200

_Pages = AsyncIterator["tuple[Head, ...]"]


async def watch(call: Call[None, WatchQuery]) -> Lines:
    """Follow all instances that match.

    The stream begins with every instance that matches, as CHANGED lines without a cursor, and SYNCED
    ends that part.  Then come CHANGED and DELETED lines as things happen.  An instance that leaves
    the statuses that were asked for is not told of again; deletions are told for every id that
    begins with `idPrefix`.  To go on after a break, give the last cursor that was seen: RESET says
    that it was too old, and everything is told anew.

    Raises: BadRequestError, TooManyInFlightError.
    """
    wanted = call.query
    query = Query(
        statuses=statuses(wanted.status),
        name=wanted.workflow,
        id_prefix=wanted.id_prefix,
        parent=wanted.parent,
        tags=tags(wanted.tag),
        order=Order.ID,
    )
    api = call.api

    def view(head: Head) -> InstanceDetails:
        if wanted.payloads:
            return details(head, app=api.app_id, input=None, raw=wanted.raw)
        return InstanceDetails(**msgspec.structs.asdict(instance(head, app=api.app_id)))

    async def pages() -> _Pages:
        cursor: str | None = None
        while True:
            page = await api.store.heads(query, limit=_PAGE, cursor=cursor)
            yield page.heads
            cursor = page.cursor
            if cursor is None:
                return

    prefix = wanted.id_prefix or ""

    def chosen(change: HeadChange) -> bool:
        if change.head is None:
            return change.instance_id.startswith(prefix)
        return matches(query, change.head)

    return _stream(
        api,
        view=view,
        pages=pages,
        chosen=chosen,
        cursor=wanted.cursor,
        snapshot=wanted.snapshot,
    )


async def watch_one(call: Call[None, WatchOneQuery]) -> Lines:
    """Follow one instance, which need not exist yet.

    The lines are those of the watch of all instances.  The stream goes on after the instance has
    ended: it may be restarted, replaced or deleted.

    Raises: TooManyInFlightError.
    """
    api, raw = call.api, call.query.raw

    def view(head: Head) -> InstanceDetails:
        return details(head, app=api.app_id, input=None, raw=raw)

    async def pages() -> _Pages:
        head = await api.store.head(call.id)
        yield () if head is None else (head,)

    return _stream(
        api,
        view=view,
        pages=pages,
        chosen=lambda change: change.instance_id == call.id,
        cursor=call.query.cursor,
        snapshot=True,
    )


def _stream(  # noqa: PLR0913 - the two watches differ in each
    api: Api,
    *,
    view: Callable[[Head], InstanceDetails],
    pages: Callable[[], _Pages],
    chosen: Callable[[HeadChange], bool],
    cursor: str | None,
    snapshot: bool,
) -> Lines:
    if api.watches.count >= MAX_WATCHES:
        message = f"{MAX_WATCHES} streams follow instances already; try again later"
        raise TooManyInFlightError(message)

    async def told() -> AsyncGenerator[lines.Line, None]:
        api.watches.count += 1
        try:
            at, whole = cursor, snapshot
            while True:
                if at is None:
                    at = await api.store.position()
                    if whole:
                        async for heads in pages():
                            for head in heads:
                                yield lines.Changed(view(head))
                    yield lines.Synced(at)
                try:
                    changes = _changes(api, at, view=view, chosen=chosen)
                    async with contextlib.aclosing(changes):
                        async for line in changes:
                            yield line
                except CursorExpiredError:
                    yield lines.Reset()
                    at, whole = None, True
        finally:
            api.watches.count -= 1

    return told()


async def _changes(
    api: Api,
    cursor: str,
    *,
    view: Callable[[Head], InstanceDetails],
    chosen: Callable[[HeadChange], bool],
) -> AsyncGenerator[lines.Line, None]:
    """The lines after ``cursor``.  Raises: CursorExpiredError."""
    changes = aiter(api.store.follow(cursor))
    upcoming: asyncio.Task[HeadChange] | None = None
    try:
        while True:
            if upcoming is None:
                upcoming = asyncio.ensure_future(anext(changes))
            done, _ = await asyncio.wait((upcoming,), timeout=SILENCE)
            if not done:
                yield lines.Alive(cursor)
                continue
            change = upcoming.result()
            upcoming = None
            cursor = change.cursor
            if not chosen(change):
                continue
            if change.head is None:
                yield lines.Deleted(change.instance_id, cursor)
            else:
                yield lines.Changed(view(change.head), cursor)
    finally:
        if upcoming is not None:
            upcoming.cancel()  # which ends the iterator, too
