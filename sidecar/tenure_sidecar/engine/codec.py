"""The stored form of heads, events and inbox items: one version byte, then msgpack.

Structs are arrays, so a field's position is its name: new fields go to the end with a default, and
nothing is ever reordered or removed (``tests/data/histories`` keeps one example of each format for
ever).  That makes both directions safe without a migration:

* an older record has fewer elements, and the missing ones take their defaults;
* a newer record with the same version byte has more elements, and the extra ones are ignored.

The version byte changes only when an old reader would *misread* a record; such a reader refuses it
(``StoreNewerError``), it never guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from tenure_common.errors import StoreCorruptError, StoreNewerError
from tenure_sidecar.engine.events import Event
from tenure_sidecar.engine.head import Head
from tenure_sidecar.engine.turn import InboxItem

FORMAT = 1
_PREFIX = bytes([FORMAT])

_T = TypeVar("_T")

_encode = msgspec.msgpack.Encoder().encode
_head = msgspec.msgpack.Decoder(Head)
_events = msgspec.msgpack.Decoder(tuple[Event, ...])
_event: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_item = msgspec.msgpack.Decoder(InboxItem)


def _decode(decoder: msgspec.msgpack.Decoder[_T], data: bytes, *, what: str) -> _T:
    if data[:1] != _PREFIX:
        _refuse(data, what=what)
    try:
        return decoder.decode(memoryview(data)[1:])
    except msgspec.MsgspecError as error:
        message = f"a stored {what} is damaged ({error}); restore the database from a backup"
        raise StoreCorruptError(message) from error


def _refuse(data: bytes, *, what: str) -> None:
    if not data or data[0] < FORMAT:
        message = f"a stored {what} has no format version; restore the database from a backup"
        raise StoreCorruptError(message)
    message = (
        f"a stored {what} has format {data[0]}, this version of Tenure reads up to {FORMAT}; "
        "run the version that wrote it, or a newer one"
    )
    raise StoreNewerError(message)


def encode_head(head: Head) -> bytes:
    """The head as bytes."""
    return _PREFIX + _encode(head)


def decode_head(data: bytes) -> Head:
    """Raises: StoreNewerError, StoreCorruptError."""
    return _decode(_head, data, what="head")


def encode_events(events: Sequence[Event]) -> bytes:
    """The events of one turn as one record."""
    return _PREFIX + _encode(events)


def decode_events(data: bytes) -> tuple[Event, ...]:
    """Raises: StoreNewerError, StoreCorruptError."""
    return _decode(_events, data, what="batch of events")


def encode_event(event: Event) -> bytes:
    """One event as bytes."""
    return _PREFIX + _encode(event)


def decode_event(data: bytes) -> Event:
    """Raises: StoreNewerError, StoreCorruptError."""
    return _decode(_event, data, what="event")


def encode_item(item: InboxItem) -> bytes:
    """The inbox item as bytes."""
    return _PREFIX + _encode(item)


def decode_item(data: bytes) -> InboxItem:
    """Raises: StoreNewerError, StoreCorruptError."""
    return _decode(_item, data, what="inbox item")


def size(events: Sequence[Event]) -> int:
    """Bytes that the events take in the store, without the version byte."""
    return len(_encode(events))
