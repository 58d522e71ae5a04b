"""Random ids of the running process (the engine itself never draws any: it gets an ``Ids``).

Ids come from one cheap generator seeded by the system, not from a system call each: they must be
unique, not secret.
"""

from __future__ import annotations

import random


class SystemIds:
    """``engine.ids.Ids`` for production.  A ``seed`` makes them the same every time."""

    __slots__ = ("_bits", "_commits", "_prefix")

    def __init__(self, seed: int | None = None) -> None:
        if seed is None:
            seed = random.SystemRandom().getrandbits(256)
        self._bits = random.Random(seed).getrandbits  # noqa: S311
        self._prefix = f"{self._bits(48):012x}"
        self._commits = 0

    @property
    def nonce(self) -> str:
        """Prefix of this process's completion tokens, so that no other process's token matches."""
        return self._prefix

    def execution_id(self) -> str:
        """32 hex digits."""
        return f"{self._bits(128):032x}"

    def instance_id(self) -> str:
        """32 hex digits."""
        return f"{self._bits(128):032x}"

    def span_id(self) -> str:
        """16 hex digits, never all zero (W3C trace context)."""
        return f"{self._bits(64) | 1:016x}"

    def commit_id(self) -> str:
        """Unique among all commits of all processes."""
        self._commits += 1
        return f"{self._prefix}{self._commits:x}"
