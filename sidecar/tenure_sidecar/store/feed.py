"""The last changes of heads, in commit order, while somebody wants them.

For stores whose writes all come from one process: each write is recorded here after it is durable.
Nothing is recorded until somebody asks for a ``position``; from then on the newest changes are kept
(``MAX_CHANGES``, ``MAX_BYTES``), so that a reader who lost the connection can go on where it was.
When so many have gone by with nobody following, the recording ends by itself.

A cursor is ``<nonce>.<number>``; the nonce tells the cursors of one life of the process from those of
another.  Who is too far behind gets ``CursorExpiredError`` and has to list anew: the feed never
holds anything up, and a slow reader costs no memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from tenure_common.errors import CursorExpiredError
from tenure_sidecar.store.port import (
    Commit,
    Committed,
    Create,
    Created,
    Delivery,
    HeadChange,
    Op,
    Purge,
    Result,
)

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head

MAX_CHANGES = 10_000
MAX_BYTES = 16 << 20  # of payloads in the heads

Touched = tuple[str, "Head | None"]


def touched(ops: Sequence[Op], results: Sequence[Result]) -> Iterable[Touched]:
    """What the ops of one write did to heads, in order."""
    for op, result in zip(ops, results, strict=True):
        if isinstance(op, Commit) and isinstance(result, Committed):
            yield op.turn.head.instance_id, op.turn.head
            for outcome in result.creations:
                if isinstance(outcome, Created):
                    yield outcome.head.instance_id, outcome.head
        elif isinstance(op, Create) and isinstance(result, Created):
            yield result.head.instance_id, result.head
        elif isinstance(op, Purge) and result is Delivery.DELIVERED:
            yield op.instance_id, None


class Feed:
    """See the module docstring; runs on one event loop.

    Args:
        nonce: unique for each life of the process.
        max_changes: changes kept.
        max_bytes: payload bytes kept.
    """

    def __init__(
        self, nonce: str, *, max_changes: int = MAX_CHANGES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._nonce = nonce
        self._max_changes = max_changes
        self._max_bytes = max_bytes
        self._kept: deque[tuple[int, Touched, int]] = deque()  # number, change, bytes
        self._bytes = 0
        self._last = 0  # number of the newest change
        self._oldest = 0  # every change after this one is kept
        self._unread = 0  # changes recorded since the last reader was there
        self._followers = 0
        self._more = asyncio.Event()
        self.wanted = False  # whether to call ``record``

    def position(self) -> str:
        """The cursor of now; changes from here on are kept."""
        self._want()
        return self._cursor(self._last)

    def record(self, ops: Sequence[Op], results: Sequence[Result]) -> None:
        """The ops of one write are durable, with these results."""
        for change in touched(ops, results):
            self._last += 1
            size = _size(change[1])
            self._bytes += size
            self._kept.append((self._last, change, size))
            self._unread += 1
        while len(self._kept) > self._max_changes or self._bytes > self._max_bytes:
            number, _, size = self._kept.popleft()
            self._bytes -= size
            self._oldest = number
        if not self._followers and self._unread > self._max_changes:
            self._forget()
        self._more.set()
        self._more = asyncio.Event()

    async def follow(self, cursor: str) -> AsyncIterator[HeadChange]:
        """See ``Store.follow``.  Raises: CursorExpiredError."""
        number = self._number(cursor)
        self._want()
        self._followers += 1
        try:
            while True:
                if number < self._oldest:
                    raise _expired()
                more = self._more
                fresh = [(n, change) for n, change, _ in self._after(number)]
                newest = {change[0]: n for n, change in fresh}
                for n, (instance_id, head) in fresh:
                    number = n
                    if newest[instance_id] == n:  # what was overtaken is not told
                        yield HeadChange(instance_id, head, self._cursor(n))
                if number == self._last:
                    await more.wait()
        finally:
            self._followers -= 1
            self._unread = 0

    def _want(self) -> None:
        self._unread = 0
        self.wanted = True

    def _forget(self) -> None:
        self.wanted = False
        self._kept.clear()
        self._bytes = 0
        # Numbers go on, so an old cursor is recognised: what is written now is not counted, and a
        # cursor of before must not look as if it were up to date.
        self._last += 1
        self._oldest = self._last

    def _after(self, number: int) -> list[tuple[int, Touched, int]]:
        """The kept changes after ``number``, which none between is missing of."""
        count = self._last - number
        if count <= 0:
            return []
        start = len(self._kept) - count
        return [self._kept[i] for i in range(start, len(self._kept))]

    def _cursor(self, number: int) -> str:
        return f"{self._nonce}.{number}"

    def _number(self, cursor: str) -> int:
        nonce, _, text = cursor.rpartition(".")
        if nonce != self._nonce or not (text.isascii() and text.isdigit()) or len(text) > 18:  # noqa: PLR2004 - more digits than a counter has
            raise _expired()
        number = int(text)
        if not self._oldest <= number <= self._last:
            raise _expired()
        return number


def _size(head: Head | None) -> int:
    if head is None:
        return 0
    return len(head.output or "") + len(head.custom_status or "")


def _expired() -> CursorExpiredError:
    message = "what came after this cursor is not known any more; list anew and go on from there"
    return CursorExpiredError(message)
