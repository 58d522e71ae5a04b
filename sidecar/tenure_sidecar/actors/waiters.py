"""Clients that wait for an instance to start or to end.

A wait belongs to a call and not to the instance: nothing durable depends on it (law W15), and it
costs a few hundred bytes whether the instance is resident or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tenure_sidecar.engine.events import Status

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head


def started(head: Head) -> bool:
    """Whether the first turn is over."""
    return head.status is not Status.PENDING


def ended(head: Head) -> bool:
    """Whether the instance is terminal."""
    return head.status.terminal


class Waiter:
    """One wait; ``tell`` is called once, with the head that fulfilled it."""

    __slots__ = ("fulfilled", "tell")

    def __init__(
        self, fulfilled: Callable[[Head], bool], tell: Callable[[Head | None], None]
    ) -> None:
        self.fulfilled = fulfilled
        self.tell = tell


class Waiters:
    """All waits of this process, by instance."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[Waiter, None]] = defaultdict(dict)  # in order

    def __len__(self) -> int:
        return sum(map(len, self._by_id.values()))

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._by_id

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._by_id))

    def add(self, instance_id: str, waiter: Waiter) -> None:
        """Register before reading the head, so that no change falls between."""
        self._by_id[instance_id][waiter] = None

    def remove(self, instance_id: str, waiter: Waiter) -> None:
        """The caller gave up."""
        waiters = self._by_id.get(instance_id)
        if waiters is not None:
            waiters.pop(waiter, None)
            if not waiters:
                del self._by_id[instance_id]

    def changed(self, head: Head) -> None:
        """A head became durable."""
        waiters = self._by_id.get(head.instance_id)
        if waiters is None:
            return
        for waiter in [w for w in waiters if w.fulfilled(head)]:
            self.remove(head.instance_id, waiter)
            waiter.tell(head)

    def gone(self, instance_id: str) -> None:
        """The instance was purged."""
        for waiter in self._by_id.pop(instance_id, {}):
            waiter.tell(None)
