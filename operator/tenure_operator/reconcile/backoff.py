"""How long to wait before something is tried again.  Pure."""

from __future__ import annotations

import zlib
from typing import Final

from tenure_common.times import NANOS

FIRST: Final = 1 * NANOS
LAST: Final = 300 * NANOS
LONGEST_WISH: Final = 60.0  # seconds that a server may ask for
_DOUBLINGS: Final = 10  # more are more than any LAST


def backoff(attempts: int, *, seed: str, first: int = FIRST, last: int = LAST) -> int:
    """Nanoseconds: 1 s, doubled each time up to 5 minutes, spread by a fifth.

    Args:
        attempts: how often it has failed in a row, from 1.
        seed: spreads what failed at the same moment; the same one gives the same wait.
        first: the first wait before it is spread, nanoseconds.
        last: the longest one, nanoseconds.
    """
    whole = min(first << min(max(attempts, 1) - 1, _DOUBLINGS), last)
    share = zlib.crc32(f"{seed}.{attempts}".encode()) / 2**32
    return whole - int(whole * share / 5)


def wished(text: str) -> float:
    """Seconds that a ``Retry-After`` asks for, 60 at most; 0 when it names none.

    A date is not read: it would need a clock that agrees with the server's.
    """
    return min(float(text), LONGEST_WISH) if text.isascii() and text.isdecimal() else 0.0
