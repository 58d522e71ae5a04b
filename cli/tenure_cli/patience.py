"""Asking again when a server that was there is away: it is being restarted, and what we wait for goes
on when it is back.

The first question is asked once: an address that is wrong is told at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from tenure_cli import shown
from tenure_common.clock import pause, wall_ns
from tenure_common.errors import TransportError
from tenure_common.times import NANOS

Answer = TypeVar("Answer")

AWAY: Final = 60  # seconds without an answer, after which we give up
AGAIN: Final = 1.0  # seconds between two attempts


class Patience:
    """Asks, and asks again while the server is away."""

    def __init__(self, *, answered: bool = False) -> None:
        """``answered``: the server has answered already, in another call."""
        self._seen: int | None = wall_ns() if answered else None

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer.  Raises: TransportError when the server is away for too long."""
        while True:
            try:
                answer = question()
            except TransportError as error:
                if self._seen is None or wall_ns() - self._seen > AWAY * NANOS:
                    raise
                shown.passing(f"{error.message}; trying again")
                pause(AGAIN)
            else:
                self._seen = wall_ns()
                return answer
