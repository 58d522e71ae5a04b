"""A queue that is fair to instances: round-robin over keys, first in first out within a key.

One workflow that schedules ten thousand activities gets one place in the round, like every other.
All operations are O(1); removing a key is O(its items).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class FairQueue(Generic[K, V]):
    """See the module docstring."""

    __slots__ = ("_length", "_rounds")

    def __init__(self) -> None:
        self._rounds: OrderedDict[K, deque[V]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, key: K, values: Iterable[V]) -> None:
        """Queue ``values`` behind the key's other ones."""
        queue = self._rounds.get(key)
        if queue is None:
            queue = self._rounds[key] = deque()
        before = len(queue)
        queue.extend(values)
        self._length += len(queue) - before
        if not queue:
            del self._rounds[key]

    def push_front(self, key: K, value: V) -> None:
        """Put back a value that was popped: it is the next one of all."""
        queue = self._rounds.get(key)
        if queue is None:
            queue = self._rounds[key] = deque()
        queue.appendleft(value)
        self._rounds.move_to_end(key, last=False)
        self._length += 1

    def pop(self) -> tuple[K, V]:
        """The next value in the round.  Raises: KeyError when the queue is empty."""
        key, queue = next(iter(self._rounds.items()), (None, None))
        if key is None or queue is None:
            raise KeyError
        value = queue.popleft()
        self._length -= 1
        if queue:
            self._rounds.move_to_end(key)
        else:
            del self._rounds[key]
        return key, value

    def drain(self) -> Iterator[tuple[K, V]]:
        """Take everything out, key by key."""
        while self._rounds:
            key, queue = self._rounds.popitem(last=False)
            self._length -= len(queue)
            for value in queue:
                yield key, value

    def remove(self, key: K) -> int:
        """Forget everything of ``key``; returns how many values that were."""
        queue = self._rounds.pop(key, None)
        if queue is None:
            return 0
        self._length -= len(queue)
        return len(queue)
