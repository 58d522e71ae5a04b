"""Reading one field of a protobuf message without decoding the rest.

Used where a field (a completion token) decides which flavour's codec decodes the message.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenure_common.errors import BadRequestError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def peek_string(message: bytes, field: int) -> str:
    """The last value of string field number ``field``; empty when absent.

    Raises: BadRequestError when the bytes are not a protobuf message.
    """
    found = b""
    for number, value in _fields(message):
        if number == field and value is not None:
            found = value
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise _malformed(len(message)) from None


_ACTIONS = 2  # in a turn's answer
_ROUTER = 9  # in an action: Dapr's router beside what it does, Microsoft's rewind in place of it


def has_routers(message: bytes) -> bool:
    """Whether a turn's answer is surely Dapr's: an action that does something has a router too.

    To the Microsoft flavour that would be one action that is two.

    Raises: BadRequestError when the bytes are not a protobuf message.
    """
    for number, value in _fields(message):
        if number == _ACTIONS and value is not None:
            kinds = {kind for kind, body in _fields(value) if body is not None}
            if _ROUTER in kinds and len(kinds) > 1:
                return True
    return False


def _fields(message: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Field numbers in order, each with its bytes; None for a number."""
    position = 0
    end = len(message)
    while position < end:
        tag, position = _varint(message, position)
        kind = tag & 7
        value: bytes | None = None
        if kind == _BYTES:
            length, position = _varint(message, position)
            if position + length > end:
                raise _malformed(position)
            value = message[position : position + length]
            position += length
        elif kind == _VARINT:
            _, position = _varint(message, position)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4
        else:
            raise _malformed(position)
        yield tag >> 3, value
    if position != end:
        raise _malformed(position)


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, position
    raise _malformed(position)


def _malformed(position: int) -> BadRequestError:
    return BadRequestError(f"not a protobuf message: broken at byte {position}")
