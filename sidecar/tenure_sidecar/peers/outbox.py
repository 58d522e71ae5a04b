"""Frames on their way out of one stream: bounded in bytes, written many at a time.

A reader that is slow is felt as a full outbox.  What answers something (a result, an acknowledgement)
is never refused: there is at most one for each item that was let in, and those are bounded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from tenure_sidecar.peers import frames

BYTES = 8 * 1024 * 1024  # that wait, before ``full``
_MESSAGE = 1024 * 1024  # bytes of a message, unless one frame is larger


class Outbox:
    """See the module docstring."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._more = asyncio.Event()
        self._ready: Callable[[], None] | None = None

    @property
    def full(self) -> bool:
        """Whether nothing new should be put in."""
        return self._bytes >= BYTES

    @property
    def empty(self) -> bool:
        """Whether everything was handed to the connection."""
        return not self._bytes

    def put(self, frame: bytes) -> None:
        """Queue an encoded frame."""
        self._frames.append(frame)
        self._bytes += len(frame)
        self._more.set()

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call back once when it is not ``full`` any more."""
        self._ready = callback

    async def run(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Write until cancelled, or until ``write`` fails; what it raises is raised."""
        while True:
            await self._more.wait()
            taken: list[bytes] = []
            size = 0
            while self._frames and len(taken) < frames.MOST:
                if taken and size + len(self._frames[0]) > _MESSAGE:
                    break
                taken.append(self._frames.popleft())
                size += len(taken[-1])
            if not self._frames:
                self._more.clear()
            await write(frames.join(taken))
            self._bytes -= size
            ready = self._ready
            if ready is not None and not self.full:
                self._ready = None
                ready()
