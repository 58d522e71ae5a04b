"""Stored values carry a checksum: a flipped bit is noticed, not believed.

SQLite checks the frames of its log but not the pages of the database file.  Each blob therefore
ends in the CRC-32 of its bytes, begun with the number of the instance's life, so that the intact
blob of another instance does not pass either.
"""

from __future__ import annotations

from zlib import crc32

from tenure_common.errors import StoreCorruptError

_SIZE = 4
_MASK = 0xFFFFFFFF


def seal(blob: bytes, life: int) -> bytes:
    """``blob`` and its checksum."""
    return blob + crc32(blob, life & _MASK).to_bytes(_SIZE, "little")


def unseal(stored: bytes, life: int, what: str) -> bytes:
    """The blob inside ``stored``.

    Args:
        stored: what ``seal`` returned.
        life: the life it was sealed with.
        what: names the row in the error.

    Raises: StoreCorruptError.
    """
    blob = stored[:-_SIZE]
    if len(stored) < _SIZE or crc32(blob, life & _MASK) != int.from_bytes(
        stored[-_SIZE:], "little"
    ):
        message = (
            f"{what} is damaged (checksum does not match); restore the database from a backup, "
            "or purge the instance with force; `tenure doctor` lists all damage"
        )
        raise StoreCorruptError(message)
    return blob
