"""Listings: which heads a query means, in which order, and where a page left off.  Pure.

Paging is by key, not by offset: a cursor holds the sort key of the last head that was given out,
so heads that appear or vanish between two pages shift nothing: none is given out twice, and none
that was there all the time is left out.

``Order.COMPLETED`` lists only instances that have ended.  ``Order.NEWEST`` is ``Order.CREATED`` in
reverse, ties included.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

import msgspec

from tenure_common.errors import BadCursorError
from tenure_sidecar.store.port import Order, Query

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head

_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The sort key of the last head of a page; ``value`` is 0 when ids alone are the order."""

    order: str
    value: int
    instance_id: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Cursor)


def pack_cursor(query: Query, head: Head) -> str:
    """The cursor that continues after ``head``."""
    cursor = Cursor(query.order.value, sort_value(query.order, head), head.instance_id)
    return urlsafe_b64encode(_encoder.encode(cursor)).decode().rstrip("=")


def unpack_cursor(query: Query, text: str) -> Cursor:
    """The cursor in ``text``.  Raises: BadCursorError when it is none, or of another order."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        cursor = _decoder.decode(urlsafe_b64decode(padded))
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        message = f"'{text[:80]}' is not a page token of this server; start at the first page"
        raise BadCursorError(message) from error
    if cursor.order != query.order.value:
        message = (
            f"the page token belongs to a listing by '{cursor.order}', not by "
            f"'{query.order.value}'; start at the first page"
        )
        raise BadCursorError(message)
    return cursor


def sort_value(order: Order, head: Head) -> int:
    """The part of the sort key that precedes the instance id."""
    if order is Order.ID:
        return 0
    if order is Order.COMPLETED:
        return head.completed_at
    return head.created_at


def matches(query: Query, head: Head) -> bool:
    """Whether ``head`` fulfils every condition of ``query``."""
    return (
        (not query.statuses or head.status in query.statuses)
        and (query.name is None or head.name == query.name)
        and (query.id_prefix is None or head.instance_id.startswith(query.id_prefix))
        and (
            query.parent is None
            or (head.parent is not None and head.parent.instance_id == query.parent)
        )
        and all(head.tags.get(key) == value for key, value in query.tags.items())
        and within(head.created_at, query.created_from, query.created_to)
        and _completed(query, head)
    )


def _completed(query: Query, head: Head) -> bool:
    bounded = query.completed_from is not None or query.completed_to is not None
    if not head.completed_at:
        return not bounded and query.order is not Order.COMPLETED
    return within(head.completed_at, query.completed_from, query.completed_to)


def within(value: int, lower: int | None, upper: int | None) -> bool:
    """Whether ``value`` is in [lower, upper); None is no bound."""
    return (lower is None or value >= lower) and (upper is None or value < upper)


def successor(prefix: str) -> str | None:
    """The smallest text greater than every text that begins with ``prefix``; None = there is none.

    Order is by code point, which is also the order of the UTF-8 bytes.
    """
    for end in range(len(prefix), 0, -1):
        point = ord(prefix[end - 1])
        if point < _LAST:
            point = point + 1 if point + 1 not in _SURROGATES else _SURROGATES.stop
            return prefix[: end - 1] + chr(point)
    return None
