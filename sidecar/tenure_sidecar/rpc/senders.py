"""Threads that wait where a stream has no room.

The native front takes one message of a stream and has room for the next when HTTP/2 has taken it:
after tens of microseconds with a client that keeps up, never with one that does not read.  It does
not tell when; it only offers a send that blocks, outside the interpreter.  So what a stream could
not take at once is sent by a thread, which comes back to the loop when all of it is out.  One
thread serves one stream at a time, because the next message may block for ever.

Threads are bounded.  With more streams waiting than threads, the rest are tried from the loop again
and again; a client among them that does read gets a thread when one is free.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

THREADS_MAX = 128  # far more than an app has worker streams; each costs its stack, some 50 kB
POLL_SECONDS = 0.005


class Backlog(Protocol):
    """A stream with messages that could not be sent at once."""

    def send_all(self) -> None:
        """Send everything, blocking; ends early when the client is gone.  Called by a thread."""
        ...

    def try_all(self) -> bool:
        """Send what there is room for; whether nothing is left to send."""
        ...

    def sent_all(self) -> None:
        """Told on the loop's thread after either."""
        ...


class Senders:
    """The threads of one server; everything but ``_run`` belongs to the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, threads_max: int = THREADS_MAX) -> None:
        self._loop = loop
        self._max = threads_max
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._work: queue.SimpleQueue[Backlog | None] = queue.SimpleQueue()
        self._waiting: dict[int, Backlog] = {}  # by identity, in order of arrival
        self._polling = False
        self._closed = False

    @property
    def waiting(self) -> int:
        """Streams that found no thread."""
        return len(self._waiting)

    def send(self, backlog: Backlog) -> None:
        """Send what ``backlog`` has; do not call again before its ``sent_all``."""
        if self._closed:
            return
        if self._busy < self._max:
            self._busy += 1
            if self._busy > len(self._threads):
                thread = threading.Thread(target=self._run, name="tenure-send", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._work.put(backlog)
            return
        self._waiting[id(backlog)] = backlog
        self._poll_later()

    def forget(self, backlog: Backlog) -> None:
        """The stream has ended; a thread that has it finds out by itself."""
        self._waiting.pop(id(backlog), None)

    def close(self) -> None:
        """Take no more work; threads end when theirs is done."""
        self._closed = True
        self._waiting.clear()
        for _ in self._threads:
            self._work.put(None)

    def join(self) -> None:
        """Wait for the threads after ``close``, from any thread; the front must be closed, too, so
        that none of them blocks."""
        for thread in self._threads:
            thread.join()

    def _poll(self) -> None:
        self._polling = False
        for backlog in list(self._waiting.values()):
            if self._busy < self._max:
                self.forget(backlog)
                self.send(backlog)
            elif backlog.try_all():
                self.forget(backlog)
                backlog.sent_all()
        self._poll_later()

    def _poll_later(self) -> None:
        if self._waiting and not self._polling:
            self._polling = True
            self._loop.call_later(POLL_SECONDS, self._poll)

    def _done(self, backlog: Backlog) -> None:
        self._busy -= 1
        backlog.sent_all()

    # --- the threads ----------------------------------------------------------------------------

    def _run(self) -> None:
        while (backlog := self._work.get()) is not None:
            backlog.send_all()
            try:
                self._loop.call_soon_threadsafe(self._done, backlog)
            except RuntimeError:  # the loop was closed without close()
                return
