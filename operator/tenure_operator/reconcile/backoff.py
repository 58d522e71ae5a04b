"""How long to wait before something is tried again.  Pure."""

from __future__ import annotations

import zlib
from typing import Final

from tenure_common.times import NANOS

FIRST: Final = 1 * NANOS
LAST: Final = 300 * NANOS
_DOUBLINGS: Final = 9  # 512 s are more than LAST


def backoff(attempts: int, *, seed: str) -> int:
    """Nanoseconds: 1 s, doubled each time up to 5 minutes, spread by a fifth.

    Args:
        attempts: how often it has failed in a row, from 1.
        seed: spreads resources that failed at the same moment; the same one gives the same wait.
    """
    whole = min(FIRST << min(max(attempts, 1) - 1, _DOUBLINGS), LAST)
    share = zlib.crc32(f"{seed}.{attempts}".encode()) / 2**32
    return whole - int(whole * share / 5)
