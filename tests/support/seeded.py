"""Ids from a seed, in the shapes that the engine asks for."""

from __future__ import annotations

import random


class SeededIds:
    """``engine.ids.Ids``: the same seed, the same ids."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._commits = 0

    def execution_id(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def instance_id(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def span_id(self) -> str:
        return f"{self._random.getrandbits(64) | 1:016x}"

    def commit_id(self) -> str:
        self._commits += 1
        return f"c{self._commits}"
