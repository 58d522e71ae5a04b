"""A server in a process of its own: ``python program.py KIND LIMITS``; prints its port.

Being a process, it shows a crash as an exit code, and its memory and descriptors are its own.  It
counts what its handlers see, and tells by RPC.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from tenure_sidecar.rpc.servers import make
from tenure_sidecar.rpc.transport import Call, Sent, Stream, TransportLimits

ECHO, HOLD, META, RAISE = "/t.T/Echo", "/t.T/Hold", "/t.T/Meta", "/t.T/Raise"
FEED, SILENT = "/t.T/Feed", "/t.T/Silent"
STATS, QUIET = "/t.T/Stats", "/t.T/Quiet"


class Counting:
    """Handlers that count."""

    def __init__(self) -> None:
        self.handled = 0
        self.cancelled = 0
        self.open = 0
        self.full = 0
        self.pushed = 0
        self._quiet: list[Call] = []

    def _enter(self, call: Call | Stream) -> None:
        self.handled += 1
        self.open += 1
        call.on_cancel(self._cancel)

    def _cancel(self) -> None:
        self.cancelled += 1
        self._leave()

    def _leave(self) -> None:
        self.open -= 1
        if not self.open:
            waiting, self._quiet = self._quiet, []
            for call in waiting:
                call.reply(b"")

    def echo(self, call: Call) -> None:
        self.handled += 1
        call.reply(call.request)

    def hold(self, call: Call) -> None:
        """Never answered."""
        self._enter(call)

    def silent(self, stream: Stream) -> None:
        """Open for as long as the client is."""
        self._enter(stream)

    def feed(self, stream: Stream) -> None:
        """``COUNT SIZE``: that many messages of that size, the first eight bytes a number."""
        count, size = map(int, stream.request.split())
        self._enter(stream)
        Feed(self, stream, count=count, size=size, done=self._leave).push()

    def raises(self, _call: Call) -> None:
        message = "as asked"
        raise ValueError(message)

    def meta(self, call: Call) -> None:
        pairs = [
            (key, value if isinstance(value, str) else value.hex()) for key, value in call.metadata
        ]
        told = {"metadata": pairs, "peer": call.peer, "time_remaining": call.time_remaining}
        call.reply(json.dumps(told).encode())

    def stats(self, call: Call) -> None:
        told = {
            "handled": self.handled,
            "cancelled": self.cancelled,
            "open": self.open,
            "full": self.full,
            "pushed": self.pushed,
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "threads": len(list(Path("/proc/self/task").iterdir())),
            "rss": int(Path("/proc/self/statm").read_text().split()[1])
            * os.sysconf("SC_PAGE_SIZE"),
        }
        call.reply(json.dumps(told).encode())

    def quiet(self, call: Call) -> None:
        """Answered as soon as no call is open."""
        if self.open:
            self._quiet.append(call)
        else:
            call.reply(b"")


class Feed:
    """Pushes messages as fast as the stream takes them."""

    def __init__(
        self, owner: Counting, stream: Stream, *, count: int, size: int, done: Callable[[], None]
    ) -> None:
        self._owner = owner
        self._stream = stream
        self._count = count
        self._size = size
        self._next = 0
        self._full = False
        self._done = done

    def push(self) -> None:
        while self._next < self._count:
            sent = self._stream.send(self._next.to_bytes(8, "big").ljust(self._size, b"."))
            if sent is Sent.FULL:
                self._owner.full += not self._full
                self._full = True
                self._stream.on_ready(self.push)
                return
            if sent is Sent.CLOSED:
                return
            self._owner.pushed += 1
            self._next += 1
        self._stream.end()
        self._done()


async def main(kind: str, limits: TransportLimits) -> None:
    """Serve until stdin ends."""
    counting = Counting()
    server = make(
        kind,
        port=0,
        unary={
            ECHO: counting.echo,
            HOLD: counting.hold,
            META: counting.meta,
            RAISE: counting.raises,
            STATS: counting.stats,
            QUIET: counting.quiet,
        },
        streams={FEED: counting.feed, SILENT: counting.silent},
        limits=limits,
    )
    print(await server.start(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(sys.argv[1], TransportLimits(**json.loads(sys.argv[2]))))
