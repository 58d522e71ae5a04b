"""Reading one field of a protobuf message without decoding the rest.

Used where a field (a completion token) decides which flavour's codec decodes the message.
"""

from __future__ import annotations

from tenure_common.errors import BadRequestError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def peek_string(message: bytes, field: int) -> str:
    """The last value of string field number ``field``; empty when absent.

    Raises: BadRequestError when the bytes are not a protobuf message.
    """
    found = b""
    position = 0
    end = len(message)
    while position < end:
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _BYTES:
            length, position = _varint(message, position)
            if position + length > end:
                raise _malformed(position)
            if tag >> 3 == field:
                found = message[position : position + length]
            position += length
        elif kind == _VARINT:
            _, position = _varint(message, position)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4
        else:
            raise _malformed(position)
    if position != end:
        raise _malformed(position)
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise _malformed(position) from None


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
