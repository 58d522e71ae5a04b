r"""Writing protobuf by hand: the few shapes that all of our messages are made of.

The messages of the work stream are written by joining bytes instead of filling generated objects,
which costs a third of the time; ``tests/property/wire`` proves for each message that the generated
classes read back the same.  Fields are written in the order of their numbers.  As proto3 has it, a
scalar with its default value is not written; a wrapped one (StringValue) is written when it is not
None, empty or not.

A *tag* is the encoded key of a field: number << 3 | wire type, e.g. ``b"\x12"`` for a field 2 with
a length.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

_MASK = (1 << 64) - 1  # negative numbers are written as 64-bit two's complement
_NANOS = 1_000_000_000


@lru_cache(maxsize=4096)
def varint(value: int) -> bytes:
    """The variable-length form of an integer of up to 64 bits."""
    value &= _MASK
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - what fits one byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(tag: bytes, body: bytes) -> bytes:
    """A nested message, bytes or string field, written even when empty."""
    return tag + varint(len(body)) + body


def string(tag: bytes, text: str) -> bytes:
    """A plain string field."""
    if not text:
        return b""
    data = text.encode()
    return tag + varint(len(data)) + data


def wrapped(tag: bytes, text: str | None) -> bytes:
    """A StringValue field."""
    if text is None:
        return b""
    data = text.encode()
    if not data:
        return tag + b"\x00"
    size = varint(len(data))
    return tag + varint(1 + len(size) + len(data)) + b"\x0a" + size + data


def integer(tag: bytes, value: int) -> bytes:
    """An integer, enum or bool field."""
    return tag + varint(value) if value else b""


@lru_cache(maxsize=1024)
def timestamp(seconds: int, nanos: int) -> bytes:
    """The length and body of a Timestamp: what comes behind its tag."""
    body = integer(b"\x08", seconds) + integer(b"\x10", nanos)
    return varint(len(body)) + body


@lru_cache(maxsize=256)
def time(nanoseconds: int) -> bytes:
    """``timestamp`` of nanoseconds since the epoch.  The events of one batch share their time."""
    return timestamp(*divmod(nanoseconds, _NANOS))


def strings(tag: bytes, items: Mapping[str, str]) -> bytes:
    """A map of strings to strings.  Its entries have their keys and values even when empty: all
    protobuf libraries write them, and not all do without."""
    if not items:
        return b""
    return b"".join(
        delimited(tag, delimited(b"\x0a", key.encode()) + delimited(b"\x12", value.encode()))
        for key, value in items.items()
    )
