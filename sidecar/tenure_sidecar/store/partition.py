"""Which partition an instance lives in: for ever the same for the same id and partition count.

The hash is part of the stored form: rows and keys of a task hub are laid out by it, on every
machine and Python version.  That is why it is not ``hash()``.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

DEFAULT_PARTITIONS = 64
MAX_PARTITIONS = 1 << 16

_BYTES = 8


@lru_cache(maxsize=8192)
def partition_of(instance_id: str, partitions: int) -> int:
    """The partition of ``instance_id`` among ``partitions``: BLAKE2b-64 of its UTF-8, big-endian,
    modulo ``partitions``."""
    digest = blake2b(instance_id.encode(), digest_size=_BYTES).digest()
    return int.from_bytes(digest, "big") % partitions
