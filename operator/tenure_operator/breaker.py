"""Notices that a server is away, asks one small question at a time until it is back, and says so.

While it is open, calls do not even try: ten thousand resources that each wait for a time-out would
keep the operator busy for an hour after the server has come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

_log = structlog.get_logger(__name__)

FIRST: Final = 1.0  # seconds until the first question
LAST: Final = 4.0  # seconds between two questions, at most


class Breaker:
    """Open while the server is away.

    ``listeners`` are called when it is back.
    """

    def __init__(
        self, probe: Callable[[], Awaitable[bool]], *, first: float = FIRST, last: float = LAST
    ) -> None:
        """``probe``: whether the server answers; it does not raise."""
        self._probe = probe
        self._first, self._last = first, last
        self._asking: asyncio.Task[None] | None = None
        self.listeners: list[Callable[[], None]] = []
        self.reason = ""
        self.trips = 0
        self._wish = 0.0

    @property
    def open(self) -> bool:
        """Whether the server is away."""
        return self._asking is not None

    def wish(self, seconds: float) -> None:
        """The server wants to be left alone for so long before the next question."""
        self._wish = seconds

    async def suspect(self, reason: str, *, seconds: float = 0.0) -> bool:
        """A request got no answer, or was told to come back later: is the server away?

        It is when a small question gets no answer either, and the breaker is open then.  Otherwise the
        trouble is with that one request, and other requests have nothing to do with it.  ``seconds`` is
        the pause that the server asked for.
        """
        if not self.open and await self._probe():
            return False
        if not self.open:
            self.wish(max(seconds, self._wish))
        self.trip(reason)
        return True

    def trip(self, reason: str) -> None:
        """The server is away."""
        self.reason = reason
        if self._asking is None:
            self.trips += 1
            _log.warning("server away", reason=reason)
            self._asking = asyncio.create_task(self._ask())

    def closed(self) -> None:
        """The server answered."""
        if self._asking is not None:
            self._asking.cancel()
            self._back()

    def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    async def _ask(self) -> None:
        pause = self._first
        while True:
            await asyncio.sleep(max(pause, self._wish))
            self._wish = 0.0
            if await self._probe():
                break
            pause = min(pause * 2, self._last)
        self._back()

    def _back(self) -> None:
        self._asking = None
        _log.info("server back")
        for listener in self.listeners:
            listener()
