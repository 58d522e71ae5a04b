"""The values of keys, as bytes and back.

Each carries a checksum that is begun with its key: a flipped bit, or a value under another key, is
noticed and not believed.  What stands in a value may be a ``Blob`` instead: the name of pieces that
lie elsewhere, because together they are too large for one request.

An instance's ``Book`` is what its next writer must know and the head does not say: how many turns
it has had, which run of its history is the valid one, which reminders are set.  It lies in front of
the head in the same value, so that both change together and one comparison guards both.
"""

from __future__ import annotations

from typing import TypeVar
from zlib import crc32

import msgspec

from tenure_common.errors import StoreCorruptError, StoreNewerError

LAYOUT = 1  # of keys and values; a newer one is refused
FORMAT = 1

_VERSION_BITS = 32
_CHECK = 4

Place = tuple[int, int, int]  # of a reminder: due, number, kind

# Whether others may send to an instance; the value of ``state/<id>``.
OPEN = b"o"
FAILED = b"f"  # takes nothing but a rewind
ENDED = b"e"

T = TypeVar("T")


class Blob(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """The name of a value that lies in ``pieces`` keys; ``what`` and ``token`` are in their
    names."""

    what: str
    token: str
    pieces: int


Body = bytes | Blob


class Book(msgspec.Struct, frozen=True, array_like=True):
    """See the module docstring.  New fields go to the end, with a default."""

    life: int  # another one for each use of the id
    count: int = 0  # turns of this life; with the life it is the version
    run: int = 0  # of the history; +1 when that is replaced
    turns: int = 0  # in this run
    events: int = 0  # in this run
    low: int = 0  # how often items were carried over
    timers: tuple[Place, ...] = ()
    input: Blob | None = None  # where the input is, when it is not in its key
    head: Blob | None = None  # where the head is

    @property
    def version(self) -> int:
        """What the port calls the instance's version: of no other life, and one more each turn."""
        return (self.life << _VERSION_BITS) + self.count


class HeadValue(msgspec.Struct, frozen=True, array_like=True):
    """``head/<id>``."""

    book: Book
    head: bytes  # empty when it is in a blob


class ItemValue(msgspec.Struct, frozen=True, array_like=True):
    """An inbox item.  Its place is ``rank``, then the revision, then ``place``: items of one
    transaction have the same revision, and those that were carried over come before all."""

    rank: int
    place: int
    writer: str  # the handle that put it there; empty = its watch tells of it all the same
    body: Body


class TurnValue(msgspec.Struct, frozen=True, array_like=True):
    """The events of one turn."""

    body: Body


class InputValue(msgspec.Struct, frozen=True, array_like=True):
    """An input."""

    body: Body


class OutboxValue(msgspec.Struct, frozen=True, array_like=True):
    """What a very large turn still has to send: everything of ``body`` from ``done`` on."""

    done: int
    body: Body


class DocumentValue(msgspec.Struct, frozen=True, array_like=True):
    """``doc/<key>``."""

    body: bytes


class Meta(msgspec.Struct, frozen=True):
    """``meta``: readable, and never changed."""

    layout: int
    partitions: int


_encode = msgspec.msgpack.Encoder().encode
_decoders: dict[type, msgspec.msgpack.Decoder[object]] = {}


def pack(key: bytes, value: msgspec.Struct) -> bytes:
    """``value`` as the value of ``key``."""
    blob = bytes([FORMAT]) + _encode(value)
    return blob + crc32(blob, crc32(key)).to_bytes(_CHECK, "little")


def unpack(key: bytes, stored: bytes, kind: type[T]) -> T:
    """The value of ``key``.  Raises: StoreCorruptError, StoreNewerError."""
    blob = stored[:-_CHECK]
    if len(blob) < 1 or crc32(blob, crc32(key)) != int.from_bytes(stored[-_CHECK:], "little"):
        raise StoreCorruptError(_damaged(key, "the checksum does not match"))
    if blob[0] != FORMAT:
        message = (
            f"etcd key {key!r} has format {blob[0]}, this version of Tenure reads up to {FORMAT}; "
            "run the version that wrote it, or a newer one"
        )
        raise StoreNewerError(message)
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        return decoder.decode(memoryview(blob)[1:])  # type: ignore[return-value]
    except msgspec.MsgspecError as error:
        raise StoreCorruptError(_damaged(key, str(error))) from error


def _damaged(key: bytes, why: str) -> str:
    return f"etcd key {key!r} is damaged ({why}); restore a backup of etcd, or purge the instance"
