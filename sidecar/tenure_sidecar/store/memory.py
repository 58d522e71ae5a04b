"""A store in memory: the port's semantics in the plainest words, for tests and simulation.

The data are in a ``MemoryDatabase``; a ``MemoryStore`` is one process's handle to it.  Several
handles on one database are several processes: each sees the others' changes through ``watch``, and
closing one loses nothing.  Everything is deterministic: a write takes effect before ``write`` first
awaits anything, results depend only on the order of the calls, and there is neither a clock nor
randomness.

Faults are injected from outside, by wrapping the store; this one never fails by itself.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec

from tenure_sidecar.engine.events import Event, ExecutionRewound, Status
from tenure_sidecar.engine.head import Head
from tenure_sidecar.engine.turn import (
    RETENTION,
    START,
    Creation,
    InboxItem,
    Message,
    Timer,
    Turn,
)
from tenure_sidecar.store.feed import Feed
from tenure_sidecar.store.listing import matches, pack_cursor, sort_value, unpack_cursor
from tenure_sidecar.store.partition import DEFAULT_PARTITIONS, partition_of
from tenure_sidecar.store.port import (
    Change,
    Commit,
    Committed,
    Conflict,
    Create,
    Created,
    Deliver,
    Delivery,
    Document,
    Exists,
    Fence,
    HeadChange,
    Loaded,
    Op,
    Order,
    Page,
    Purge,
    Query,
    Result,
    by_watch,
    same_origin,
)
from tenure_sidecar.store.roster import MemoryCoordination, MemoryRoster

# Versions of a later instance with the same id are larger than any of an earlier one.
_VERSIONS_PER_LIFE = 1 << 32


class _Record:
    """Everything of one instance."""

    def __init__(self, head: Head, *, version: int, input: str | None) -> None:  # noqa: A002
        self.head = head
        self.version = version
        self.input = input
        self.history: list[Event] = []
        self.inbox: list[InboxItem] = []
        self.timers: list[Timer] = []

    def put(self, item: InboxItem) -> Delivery:
        if self.head.status.terminal and not takes_rewind(self.head.status, item):
            return Delivery.REFUSED
        if any(item.key == there.key for there in self.inbox):
            return Delivery.DUPLICATE
        self.inbox.append(item)
        return Delivery.DELIVERED

    def arm(self, timer: Timer) -> None:
        self.disarm(timer)
        self.timers.append(timer)

    def disarm(self, timer: Timer) -> None:
        self.timers = [t for t in self.timers if _place(t) != _place(timer)]

    @property
    def delayed(self) -> bool:
        return any(timer.kind == START for timer in self.timers)

    @property
    def active(self) -> bool:
        pending = self.head.pending > 0 and not self.head.status.terminal
        return (bool(self.inbox) or pending) and not self.delayed


def _place(timer: Timer) -> tuple[int, int, int]:
    return timer.due, timer.timer_id, timer.kind


class MemoryDatabase:
    """What several handles share."""

    def __init__(self, *, partitions: int = DEFAULT_PARTITIONS) -> None:
        self.partitions = partitions
        self.records: dict[str, _Record] = {}
        self.roster = MemoryRoster()
        self.changes = 0  # so far
        self.watchers: list[tuple[MemoryStore, int, asyncio.Queue[Change | None]]] = []
        self.lives = itertools.count(1)
        self.documents: dict[str, Document] = {}
        self.document_versions = itertools.count(1)
        self.feed = Feed("memory")

    def arrivals(self, partitions: set[int]) -> list[tuple[str, str]]:
        """See ``Coordination.arrivals``."""
        return sorted(
            (instance_id, item.key)
            for instance_id, record in self.records.items()
            if partition_of(instance_id, self.partitions) in partitions and not record.delayed
            for item in record.inbox
        )

    def insert(self, creation: Creation, given: str | None) -> Created:
        """Put a new instance in, in place of the one with the same id (if any)."""
        head = creation.head
        before = self.records.get(head.instance_id)
        if before is not None:
            head = msgspec.structs.replace(head, generation=before.head.generation + 1)
        record = _Record(head, version=next(self.lives) * _VERSIONS_PER_LIFE, input=given)
        record.put(creation.item)
        if creation.timer is not None:
            record.arm(msgspec.structs.replace(creation.timer, generation=head.generation))
        self.records[head.instance_id] = record
        return Created(head, record.version, self.changes)

    def apply(self, turn: Turn, record: _Record) -> Committed:
        """Make a turn true."""
        record.head = turn.head
        record.version += 1
        if turn.restart:
            record.history = []
            record.input = turn.input
        record.history += turn.append
        record.inbox = [item for item in record.inbox if item.key not in turn.consumed]
        there = {item.key for item in record.inbox}
        carried = {item.key: item for item in turn.carryover if item.key not in there}
        record.inbox[:0] = carried.values()
        for timer in turn.timers_cleared:
            record.disarm(timer)
        for timer in turn.timers_set:
            record.arm(timer)
        if turn.head.status.terminal:
            record.inbox = []
            record.timers = [t for t in record.timers if t.kind == RETENTION]
        creations = tuple(self.spawn(creation) for creation in turn.creations)
        messages = tuple(self.send(message) for message in turn.messages)
        return Committed(record.version, creations, messages)

    def spawn(self, creation: Creation) -> Created | Exists:
        """Create a child, or tell its parent that it cannot be."""
        there = self.records.get(creation.head.instance_id)
        mine = there is not None and same_origin(there.head, creation.head)
        rewinds = mine and creation.rewind is not None
        if there is None or (
            there.head.status.terminal and not (rewinds and there.head.status is Status.FAILED)
        ):
            return self.insert(creation, creation.start.input)
        if there.head.status is Status.FAILED and creation.rewind is not None:
            there.put(creation.rewind)
        elif creation.rejection is not None and not mine:
            self.send(creation.rejection)
        return Exists(there.head)

    def send(self, message: Message) -> Delivery:
        """Put a message into its target's inbox."""
        record = self.records.get(message.target)
        return Delivery.MISSING if record is None else record.put(message.item)


def takes_rewind(status: Status, item: InboxItem) -> bool:
    """Whether ``item`` is the only one that an ended instance takes: a failed one is rewound."""
    return status is Status.FAILED and isinstance(item.event, ExecutionRewound)


class MemoryStore:
    """One process's handle to a ``MemoryDatabase``; implements ``Store``."""

    name = "memory"

    def __init__(
        self, database: MemoryDatabase | None = None, *, partitions: int = DEFAULT_PARTITIONS
    ) -> None:
        self.database = database or MemoryDatabase(partitions=partitions)
        self.partitions = self.database.partitions
        self.coordination = MemoryCoordination(self)
        self._commits = 0

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """End the watches of this handle; the data stay in the database."""
        for store, _, changes in self.database.watchers:
            if store is self:
                changes.put_nowait(None)

    # --- writes -------------------------------------------------------------------------------

    async def write(self, ops: Sequence[Op]) -> list[Result]:
        """Apply the ops in order; see ``Store.write``."""
        self._commits += 1
        results: list[Result] = []
        for op in ops:
            self.database.changes += 1
            result, touched = self._judge(op)
            results.append(result)
            self._tell(touched)
        if self.database.feed.wanted:
            self.database.feed.record(ops, results)
        return results

    def _judge(  # noqa: PLR0911 - one return for each outcome
        self, op: Op
    ) -> tuple[Result, Iterable[Message]]:
        records = self.database.records
        match op:
            case Create():
                head = op.creation.head
                there = records.get(head.instance_id)
                if there is not None and there.head.status not in op.replace:
                    return Exists(there.head), ()
                created = self.database.insert(op.creation, op.input)
                return created, (Message(head.instance_id, op.creation.item),)
            case Deliver():
                if op.fence is not None and not self._valid(op.fence, op.target):
                    return Conflict(fenced=True), ()
                message = Message(op.target, op.item)
                result = self.database.send(message)
                return result, (message,) if result is Delivery.DELIVERED else ()
            case Purge():
                there = records.get(op.instance_id)
                if there is None:
                    return Delivery.MISSING, ()
                if op.only is not None and there.head.status not in op.only:
                    return Delivery.REFUSED, ()
                if op.generation not in {None, there.head.generation}:
                    return Delivery.REFUSED, ()
                del records[op.instance_id]
                return Delivery.DELIVERED, ()
            case Commit():
                return self._commit(op)

    def _valid(self, fence: Fence, instance_id: str) -> bool:
        partition = partition_of(instance_id, self.partitions)
        token = self.database.roster.owner(partition)
        return bool(token) and fence == Fence(partition, token)

    def _commit(self, op: Commit) -> tuple[Result, Iterable[Message]]:
        turn = op.turn
        instance_id = turn.head.instance_id
        if not self._valid(op.fence, instance_id):
            return Conflict(fenced=True), ()
        record = self.database.records.get(instance_id)
        if record is None or record.version != op.version:
            return Conflict(fenced=False), ()
        result = self.database.apply(turn, record)
        sent: list[Message] = []
        for creation, made in zip(turn.creations, result.creations, strict=True):
            if isinstance(made, Created):
                sent.append(Message(made.head.instance_id, creation.item))
            elif creation.rewind is not None and made.head.status is Status.FAILED:
                sent.append(Message(made.head.instance_id, creation.rewind))
            elif creation.rejection is not None:
                sent.append(creation.rejection)
        for message, became in zip(turn.messages, result.messages, strict=True):
            if became is Delivery.DELIVERED:
                sent.append(message)
        return result, sent

    def _tell(self, sent: Iterable[Message]) -> None:
        at = self.database.changes
        for message in sent:
            partition = partition_of(message.target, self.partitions)
            for store, watched, changes in self.database.watchers:
                if watched == partition and (store is not self or by_watch(message.item)):
                    changes.put_nowait(Change(message.target, message.item, at))

    # --- reads --------------------------------------------------------------------------------

    def revision(self) -> int | None:
        """See ``Store.revision``."""
        return None

    async def load(self, instance_id: str) -> Loaded | None:
        """See ``Store.load``."""
        record = self.database.records.get(instance_id)
        if record is None:
            return None
        return Loaded(
            head=record.head,
            version=record.version,
            history=tuple(record.history),
            inbox=tuple(record.inbox),
            input=record.input,
            at=self.database.changes,
        )

    async def head(self, instance_id: str) -> Head | None:
        """See ``Store.head``."""
        record = self.database.records.get(instance_id)
        return None if record is None else record.head

    async def input(self, instance_id: str) -> str | None:
        """See ``Store.input``."""
        record = self.database.records.get(instance_id)
        return None if record is None else record.input

    async def heads(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        """See ``Store.heads``."""

        def key(head: Head) -> tuple[int, str]:
            return sort_value(query.order, head), head.instance_id

        backward = query.order is Order.NEWEST
        found = sorted(self._matching(query), key=key, reverse=backward)
        if cursor is not None:
            last = unpack_cursor(query, cursor)
            after = last.value, last.instance_id
            found = [h for h in found if (key(h) < after if backward else key(h) > after)]
        page = tuple(found[:limit])
        return Page(page, pack_cursor(query, page[-1]) if 0 < limit < len(found) else None)

    async def count(self, query: Query) -> int:
        """See ``Store.count``."""
        return len(self._matching(query))

    def _matching(self, query: Query) -> list[Head]:
        return [r.head for r in self.database.records.values() if matches(query, r.head)]

    async def children(self, instance_id: str) -> tuple[str, ...]:
        """See ``Store.children``."""
        return tuple(sorted(h.instance_id for h in self._matching(Query(parent=instance_id))))

    async def due(
        self, partitions: Sequence[int], *, until: int, limit: int, since: int = 0
    ) -> list[Timer]:
        """See ``Store.due``."""
        found = self._timers(partitions, since=since, until=until)
        return [timer for timer in found if timer.kind != RETENTION][:limit]

    async def expired(self, partitions: Sequence[int], *, until: int, limit: int) -> list[Timer]:
        """See ``Store.expired``."""
        found = self._timers(partitions, since=0, until=until)
        return [timer for timer in found if timer.kind == RETENTION][:limit]

    def _timers(self, partitions: Sequence[int], *, since: int, until: int) -> list[Timer]:
        wanted = set(partitions)
        found = [
            timer
            for instance_id, record in self.database.records.items()
            if partition_of(instance_id, self.partitions) in wanted
            for timer in record.timers
            if since <= timer.due <= until
        ]
        found.sort(key=lambda timer: (timer.due, timer.instance_id, timer.timer_id, timer.kind))
        return found

    async def active(
        self, partitions: Sequence[int], *, after: str | None, limit: int
    ) -> list[str]:
        """See ``Store.active``."""
        wanted = set(partitions)
        return sorted(
            instance_id
            for instance_id, record in self.database.records.items()
            if record.active
            and partition_of(instance_id, self.partitions) in wanted
            and (after is None or instance_id > after)
        )[:limit]

    async def watch(self, partition: int) -> AsyncIterator[Change]:
        """See ``Store.watch``; ends when the handle is closed."""
        changes: asyncio.Queue[Change | None] = asyncio.Queue()
        changes.put_nowait(Change("", gap=True))
        watcher = (self, partition, changes)
        self.database.watchers.append(watcher)
        try:
            while (change := await changes.get()) is not None:
                yield change
        finally:
            self.database.watchers.remove(watcher)

    async def position(self) -> str:
        """See ``Store.position``."""
        return self.database.feed.position()

    def follow(self, cursor: str) -> AsyncIterator[HeadChange]:
        """See ``Store.follow``."""
        return self.database.feed.follow(cursor)

    # --- documents ----------------------------------------------------------------------------

    async def documents(self, prefix: str) -> list[Document]:
        """See ``Store.documents``."""
        documents = self.database.documents
        return [documents[key] for key in sorted(documents) if key.startswith(prefix)]

    async def put(self, key: str, body: bytes | None, *, version: int) -> int | None:
        """See ``Store.put``."""
        documents = self.database.documents
        there = documents.get(key)
        if version != (0 if there is None else there.version):
            return None
        if body is None:
            documents.pop(key, None)
            return 0
        new = next(self.database.document_versions)
        documents[key] = Document(key, new, body)
        return new

    # --- ownership ----------------------------------------------------------------------------

    async def own(self, partitions: Sequence[int], owner: str) -> list[Fence]:
        """See ``Store.own``."""
        put = self.database.roster.put_owner
        return [Fence(partition, put(partition, owner.encode())) for partition in partitions]

    async def release(self, fences: Sequence[Fence]) -> None:
        """See ``Store.release``."""
        roster = self.database.roster
        for fence in fences:
            if roster.owner(fence.partition) == fence.token:
                roster.delete_owner(fence.partition)

    async def stats(self) -> dict[str, int]:
        """See ``Store.stats``; ``bytes`` is 0."""
        records = self.database.records.values()
        return {
            "instances": len(records),
            "history_events": sum(len(record.history) for record in records),
            "inbox_items": sum(len(record.inbox) for record in records),
            "timers": sum(len(record.timers) for record in records),
            "commits": self._commits,
            "bytes": 0,
        }
