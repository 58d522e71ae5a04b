"""The store port: what Tenure needs of a database, and nothing more.

Two laws hold for every store, and ``tests/integration/store`` checks them on each:

* **W1** one write op (``Create``, ``Deliver``, ``Commit``, ``Purge``) is atomic: all of its rows
  become true in one transaction, or none.
* **W2** a ``Commit`` is refused (``Conflict``) unless the partition's fence is the one it names and
  the instance's version is the one it was computed from.

``write`` takes many ops in one round trip; each is judged on its own and the results come back in
order.  One call never holds two ops of the same instance, but any number of ``Deliver`` to it (a
store may run the ops side by side; deliveries enter the inbox in the order of the call).
A result is durable when it is returned.  ``OutcomeUnknownError`` means that the whole call may or
may not have happened: read ``Head.commit_id`` before acting; never just repeat it.

Any process may ``Create``, ``Deliver`` and read.  Only the owner of a partition commits.
Where several processes share a store, each change has a place (``at``) in the order of all changes:
what was read at a place knows every change up to it.  Elsewhere it is 0.  What clients tell instances
(``by_watch``) reaches an owner in that order, also where the owner itself wrote it.
All times are nanoseconds since the Unix epoch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import msgspec

from tenure_sidecar.engine.events import (
    Event,
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionSuspended,
    ExecutionTerminated,
    Status,
)
from tenure_sidecar.engine.head import Head
from tenure_sidecar.engine.turn import Creation, InboxItem, Timer, Turn

if TYPE_CHECKING:
    from tenure_sidecar.store.coordination import Coordination


class Fence(msgspec.Struct, frozen=True):
    """Proof of ownership: a later owner of the partition always holds a larger token."""

    partition: int
    token: int


# --- write ops and their results ------------------------------------------------------------------


class Create(msgspec.Struct, frozen=True):
    """Create an instance for a client.

    ``replace`` lists the statuses of an existing instance that may be replaced (its history, inbox
    and timers go, its generation counts on).  Result: ``Created`` or ``Exists``.
    """

    creation: Creation
    input: str | None = None
    replace: frozenset[Status] = frozenset()


class Deliver(msgspec.Struct, frozen=True):
    """Append one item to an instance's inbox.  Result: a ``Delivery``.  A key that is already in
    the inbox is a duplicate: nothing changes.

    With a ``fence`` it happens only while the target's partition is owned so; else the result is
    ``Conflict``.  Only then may it be repeated when its outcome is unknown: the item of one without
    a fence may have been put, and taken by another owner, and would be put again.
    """

    target: str
    item: InboxItem
    fence: Fence | None = None


class Commit(msgspec.Struct, frozen=True):
    """Make one turn true.  ``version`` is the instance's version it was computed from.

    Messages to instances that are missing or terminal are dropped.  Result: ``Committed`` or
    ``Conflict``.
    """

    fence: Fence
    version: int
    turn: Turn


class Purge(msgspec.Struct, frozen=True):
    """Delete everything of one instance.  ``only`` limits it to the given statuses (None = any),
    ``generation`` to that generation.  Result: ``Delivery.DELIVERED`` when deleted, MISSING, or
    REFUSED when its status or generation is another."""

    instance_id: str
    only: frozenset[Status] | None = None
    generation: int | None = None


Op = Create | Deliver | Commit | Purge


class Created(msgspec.Struct, frozen=True):
    """The instance is new (or replaced); ``head`` as stored, ``version`` of it, since ``at``."""

    head: Head
    version: int
    at: int = 0


class Exists(msgspec.Struct, frozen=True):
    """The id is taken by ``head``; nothing changed."""

    head: Head


_SAID = (
    EventRaised,
    ExecutionSuspended,
    ExecutionResumed,
    ExecutionTerminated,
    ExecutionRewound,
)


def by_watch(item: InboxItem) -> bool:
    """Whether ``item`` is of a kind that clients send: who sends such a thing, and gets its
    acknowledgement, may send the next one through another process.

    So where processes share a store, an owner takes these in by its watch alone, in the store's
    order, whoever put them there: ``watch`` tells of the handle's own too.  What only engines send
    (results, starts) answers something that waits for it, and need not be in order.
    """
    return isinstance(item.event, _SAID)


class Delivery(Enum):
    """What became of an inbox item (or a purge)."""

    DELIVERED = "delivered"
    DUPLICATE = "duplicate"
    MISSING = "missing"
    REFUSED = "refused"  # the instance is terminal, or not in an accepted status


class Committed(msgspec.Struct, frozen=True):
    """The turn is true; the instance is at ``version``.  ``creations`` and ``messages`` say, in the
    turn's order, what became of each: a creation is Created, or Exists when it was refused."""

    version: int
    creations: tuple[Created | Exists, ...] = ()
    messages: tuple[Delivery, ...] = ()


class Conflict(msgspec.Struct, frozen=True):
    """The turn was refused: ``fenced`` when another owner holds the partition, else the instance
    has another version.  The owner drops its copy and reloads."""

    fenced: bool


Result = Created | Exists | Delivery | Committed | Conflict


def same_origin(there: Head, new: Head) -> bool:
    """Whether both were created by the same task of the same execution of the same parent: then a
    creation is a repeat, and the instance that is there is its own."""
    one, other = there.parent, new.parent
    return (
        one is not None
        and other is not None
        and one.task_id == other.task_id
        and one.execution_id == other.execution_id
        and one.instance_id == other.instance_id
    )


# --- reads ----------------------------------------------------------------------------------------


class Loaded(msgspec.Struct, frozen=True):
    """One instance, one snapshot.  ``inbox`` in commit order, carried-over items first."""

    head: Head
    version: int
    history: tuple[Event, ...]
    inbox: tuple[InboxItem, ...]
    input: str | None
    at: int = 0


class Order(Enum):
    """Sort order of a listing; ties are broken by instance id."""

    ID = "id"
    CREATED = "created"
    NEWEST = "newest"  # created, descending
    COMPLETED = "completed"


class Query(msgspec.Struct, frozen=True):
    """Which heads to list; every given condition must hold.  Time bounds are [from, to)."""

    statuses: frozenset[Status] = frozenset()  # empty = any
    name: str | None = None
    id_prefix: str | None = None
    parent: str | None = None
    tags: dict[str, str] = {}
    created_from: int | None = None
    created_to: int | None = None
    completed_from: int | None = None
    completed_to: int | None = None
    order: Order = Order.ID


class Page(msgspec.Struct, frozen=True):
    """One page of heads; ``cursor`` continues after it, None at the end."""

    heads: tuple[Head, ...]
    cursor: str | None


class Change(msgspec.Struct, frozen=True):
    """Somebody put ``item`` into the inbox of an instance of a watched partition; ``gap`` means
    that changes before the next one may have been missed, and the partition must be listed."""

    instance_id: str
    item: InboxItem | None = None
    at: int = 0
    gap: bool = False


class HeadChange(msgspec.Struct, frozen=True):
    """An instance's head as it is since some commit, None when it was purged; ``cursor`` goes on
    after it."""

    instance_id: str
    head: Head | None
    cursor: str


class Document(msgspec.Struct, frozen=True):
    """A small record of Tenure's own beside the instances (a bulk job).  ``version`` is larger with
    every change, and never the same again after the key was deleted and put anew."""

    key: str
    version: int
    body: bytes


class Store(Protocol):
    """A database that keeps the promise.  All methods may raise the errors of ``store.errors``."""

    partitions: int  # P, fixed for the life of the task hub
    name: str  # 'sqlite', 'memory', 'etcd'

    @property
    def coordination(self) -> Coordination | None:
        """For processes that share it; None when only one can use it."""
        ...

    async def open(self) -> None:
        """Connect, create or migrate the schema.

        Raises: StoreLockedError, StoreNewerError, StoreCorruptError, StoreUnavailableError.
        """
        ...

    async def close(self) -> None:
        """Release everything; writes under way are finished first."""
        ...

    async def write(self, ops: Sequence[Op]) -> list[Result]:
        """Apply ``ops``, each atomic and judged on its own; see the module docstring.

        Raises: StoreFullError (nothing changed), StoreUnavailableError (nothing changed),
        OutcomeUnknownError.
        """
        ...

    def revision(self) -> int | None:
        """A number that no change of the store leaves as it is, as this process knew it some seconds
        ago at most; None when it knows none.  While it stays the same, nothing new is to be found.
        """
        ...

    async def load(self, instance_id: str) -> Loaded | None:
        """Head, history, inbox and input in one snapshot; None when there is no such instance."""
        ...

    async def head(self, instance_id: str) -> Head | None:
        """The durable head alone."""
        ...

    async def input(self, instance_id: str) -> str | None:
        """The input of the current generation (None when absent, or no such instance)."""
        ...

    async def heads(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        """A page of heads in the query's order.  Raises: BadCursorError."""
        ...

    async def count(self, query: Query) -> int:
        """How many heads match."""
        ...

    async def children(self, instance_id: str) -> tuple[str, ...]:
        """Ids of instances whose parent is ``instance_id``, in id order (detached ones are not)."""
        ...

    async def due(
        self, partitions: Sequence[int], *, until: int, limit: int, since: int = 0
    ) -> list[Timer]:
        """Timers of the partitions with ``since <= due <= until``, soonest first; RETENTION ones
        are not among them."""
        ...

    async def expired(self, partitions: Sequence[int], *, until: int, limit: int) -> list[Timer]:
        """RETENTION timers of the partitions with ``due <= until``, soonest first.

        They have a way of their own, because a million of them may be due at once and must not
        stand before the timers that workflows wait for.
        """
        ...

    async def active(
        self, partitions: Sequence[int], *, after: str | None, limit: int
    ) -> list[str]:
        """Ids, in id order, of instances that a new owner must resume: the inbox is not empty, or
        activities are pending; terminal ones are not listed."""
        ...

    def watch(self, partition: int) -> AsyncIterator[Change]:
        """Foreign messages and creations (those of other processes) and everybody's items that are
        ``by_watch``, as they commit, each once, in commit order for each instance.

        The first change is a gap: nothing is missed from here on, so list now.  A store that only
        one process uses has none at all.  Ends with the store.  Raises: StoreError.
        """
        ...

    async def position(self) -> str:
        """The cursor of now, for ``follow``: what is read after this call is as new or newer."""
        ...

    def follow(self, cursor: str) -> AsyncIterator[HeadChange]:
        """Every change of a head after ``cursor``, of all instances and processes, for ever.

        Changes of one instance come in commit order; those that another one has overtaken may be
        left out, the newest never is.  etcd: a watch of the heads from the cursor's revision on.

        Raises: CursorExpiredError, at once or later, when changes are not known any more (the
            cursor is too old, or of another process; the reader is too slow).
        """
        ...

    async def documents(self, prefix: str) -> list[Document]:
        """The documents whose key begins with ``prefix``, by key."""
        ...

    async def put(self, key: str, body: bytes | None, *, version: int) -> int | None:
        """Put a document in the place of the one with ``version`` (0 = there is none); None as the
        body deletes it.

        Returns the new version (0 when deleted), None when another version is there.
        Raises: as ``write``; on OutcomeUnknownError read it again.
        """
        ...

    async def own(self, partitions: Sequence[int], owner: str) -> list[Fence]:
        """Take the partitions from whomever has them; each fence is larger than any before it.

        For one process alone; several that share a store agree by ``coordination``.
        """
        ...

    async def release(self, fences: Sequence[Fence]) -> None:
        """Give partitions back; a fence that is no longer current is left alone."""
        ...

    async def stats(self) -> dict[str, int]:
        """Counts for metrics and tests: ``instances``, ``history_events``, ``inbox_items``,
        ``timers``, ``commits`` (write transactions made by this handle), ``bytes`` on disk."""
        ...
