"""Which resources are to be looked at: each at most once, and never by two workers at a time.

What is added while it is being worked on is given out again afterwards, so no change is missed; what
is added ten times before anybody gets to it is given out once.  Like client-go's work queue, on which
every controller stands.
"""

from __future__ import annotations

import asyncio

from tenure_operator.resources import Key


class WorkQueue:
    """Keys to be worked on, now or later."""

    def __init__(self) -> None:
        self._ready: dict[Key, None] = {}  # a set that keeps its order
        self._busy: dict[Key, float] = {}  # since when, on the loop's clock
        self._again: set[Key] = set()
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._idle: list[asyncio.Future[None]] = []
        self.added = 0

    def __len__(self) -> int:
        """How many are due and not given out."""
        return len(self._ready)

    @property
    def later(self) -> int:
        """How many are to be given out at a time to come."""
        return len(self._later)

    def stuck(self, seconds: float) -> list[Key]:
        """What has been worked on for longer than that."""
        since = asyncio.get_running_loop().time() - seconds
        return [key for key, begun in self._busy.items() if begun < since]

    def add(self, key: Key) -> None:
        """Give it out as soon as possible."""
        self.added += 1
        if key in self._busy:
            self._again.add(key)
            return
        self._ready[key] = None
        self._wake()

    def add_after(self, key: Key, seconds: float) -> None:
        """Give it out in so many seconds; the earlier of two times counts."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(seconds, 0.0)
        before = self._later.get(key)
        if before is not None and before.when() <= due:
            return
        self.cancel(key)
        self._later[key] = loop.call_at(due, self._due, key)

    def cancel(self, key: Key) -> None:
        """Forget the later time; what is due already stays so."""
        handle = self._later.pop(key, None)
        if handle is not None:
            handle.cancel()

    async def get(self) -> Key:
        """The next key; whoever gets it calls ``done``."""
        while not self._ready:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            try:
                await idle
            except asyncio.CancelledError:
                if idle in self._idle:
                    self._idle.remove(idle)
                elif self._ready:
                    self._wake()  # it was called and cannot come: call another
                raise
        key = next(iter(self._ready))
        del self._ready[key]
        self._busy[key] = asyncio.get_running_loop().time()
        return key

    def done(self, key: Key) -> None:
        """The key is not being worked on any more."""
        self._busy.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self._ready[key] = None
            self._wake()

    def _due(self, key: Key) -> None:
        self._later.pop(key, None)
        self.add(key)

    def _wake(self) -> None:
        while self._idle:
            idle = self._idle.pop(0)
            if not idle.done():
                idle.set_result(None)
                return
