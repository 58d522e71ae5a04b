"""What the store tests are written with: short ways to make records, and a hub that owns.

Not a test module.  ``Hub`` is a store with every partition owned, and remembers the version of each
instance that it created or committed to, so that a test names only what it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tenure_sidecar.engine.events import (
    Event,
    EventRaised,
    ExecutionStarted,
    Parent,
    Status,
    WorkflowStarted,
)
from tenure_sidecar.engine.head import Head
from tenure_sidecar.engine.turn import RETENTION, START, TIMER, Creation, InboxItem, Timer, Turn
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import (
    Commit,
    Committed,
    Conflict,
    Create,
    Created,
    Deliver,
    Delivery,
    Exists,
    Fence,
    Loaded,
    Op,
    Purge,
    Result,
    Store,
)

EXECUTION = "0123456789abcdef0123456789abcdef"
ENDED = frozenset(status for status in Status if status.terminal)

__all__ = [
    "ENDED",
    "EXECUTION",
    "RETENTION",
    "START",
    "TIMER",
    "Hub",
    "a_creation",
    "a_head",
    "a_timer",
    "a_turn",
    "an_item",
    "events",
    "keys",
    "parent_of",
]


def a_head(instance_id: str, **fields: Any) -> Head:
    """A pending head, with ``fields`` changed."""
    base: dict[str, Any] = {
        "name": "order",
        "status": Status.PENDING,
        "execution_id": EXECUTION,
        "created_at": 1_000,
        "updated_at": 1_000,
    }
    return Head(instance_id=instance_id, **(base | fields))


def a_creation(
    instance_id: str,
    *,
    input: str | None = None,
    timer: Timer | None = None,
    **fields: Any,
) -> Creation:
    """A creation of a pending instance; Creation's own fields may be among ``fields``."""
    own = {name: fields.pop(name) for name in ("rejection", "rewind", "seed") if name in fields}
    head = a_head(instance_id, **fields)
    start = ExecutionStarted(
        head.created_at, instance_id, head.execution_id, head.name, input=input, parent=head.parent
    )
    return Creation(head=head, start=start, timer=timer, **own)


def an_item(key: str, *, input: str | None = None, event: Event | None = None) -> InboxItem:
    """An inbox item: an external event named like its key, unless given."""
    return InboxItem(key, event or EventRaised(2_000, key, input=input))


def a_timer(instance_id: str, due: int, timer_id: int = 0, **fields: Any) -> Timer:
    """A timer of the first generation."""
    return Timer(due=due, instance_id=instance_id, timer_id=timer_id, **fields)


def events(*names: str) -> tuple[Event, ...]:
    """One turn's worth of history."""
    return (WorkflowStarted(3_000), *(EventRaised(3_000, name) for name in names))


def a_turn(instance_id: str, *, status: Status = Status.RUNNING, **fields: Any) -> Turn:
    """A turn of a running instance; Turn's own fields are taken out of ``fields``, the rest is the
    head's."""
    own = {name: fields.pop(name) for name in Turn.__struct_fields__ if name in fields}
    head = {"updated_at": 4_000, "completed_at": 4_000 if status.terminal else 0} | fields
    return Turn(head=a_head(instance_id, status=status, **head), **own)


def parent_of(instance_id: str, task_id: int = 1, execution_id: str = EXECUTION) -> Parent:
    """The parent of a child created by task ``task_id``."""
    return Parent(instance_id, execution_id, task_id)


def keys(loaded: Loaded | None) -> list[str]:
    """Keys of the inbox, in order."""
    assert loaded is not None
    return [item.key for item in loaded.inbox]


class Hub:
    """A store, and everything of it owned by this test."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fences: dict[int, Fence] = {}
        self.versions: dict[str, int] = {}

    async def own(self, owner: str = "test") -> None:
        """Take every partition."""
        for fence in await self.store.own(range(self.store.partitions), owner):
            self.fences[fence.partition] = fence

    def fence(self, instance_id: str) -> Fence:
        """The fence of the instance's partition."""
        return self.fences[partition_of(instance_id, self.store.partitions)]

    def commit_of(self, turn: Turn, *, version: int | None = None) -> Commit:
        """The op that commits ``turn`` on top of what the hub last saw."""
        instance_id = turn.head.instance_id
        seen = self.versions[instance_id] if version is None else version
        return Commit(self.fence(instance_id), seen, turn)

    async def write(self, *ops: Op) -> list[Result]:
        """Write the ops in one call."""
        results = await self.store.write(ops)
        for op, result in zip(ops, results, strict=True):
            if isinstance(op, Commit) and isinstance(result, Committed):
                self.versions[op.turn.head.instance_id] = result.version
                for creation, made in zip(op.turn.creations, result.creations, strict=True):
                    if isinstance(made, Created):
                        self.versions[creation.head.instance_id] = made.version
            elif isinstance(result, Created):
                self.versions[result.head.instance_id] = result.version
        return results

    async def one(self, op: Op) -> Result:
        """Write one op."""
        (result,) = await self.write(op)
        return result

    async def create(
        self,
        instance_id: str,
        *,
        input: str | None = None,
        replace: frozenset[Status] = frozenset(),
        **fields: Any,
    ) -> Created | Exists:
        """Create an instance."""
        creation = a_creation(instance_id, input=input, **fields)
        result = await self.one(Create(creation, input, replace))
        assert isinstance(result, Created | Exists)
        return result

    async def commit(
        self, instance_id: str, *, version: int | None = None, **fields: Any
    ) -> Committed | Conflict:
        """Commit a turn; fields as of ``a_turn``.  Tags stay as they are: only a restart may change
        them."""
        if "tags" not in fields:
            head = await self.store.head(instance_id)
            fields["tags"] = {} if head is None else head.tags
        result = await self.one(self.commit_of(a_turn(instance_id, **fields), version=version))
        assert isinstance(result, Committed | Conflict)
        return result

    async def commit_blind(self, instance_id: str, **fields: Any) -> Result:
        """Commit a turn without reading anything before."""
        return await self.one(self.commit_of(a_turn(instance_id, **fields)))

    async def running(self, *instance_ids: str, **fields: Any) -> None:
        """Create instances and commit their first turn, which takes the start."""
        for instance_id in instance_ids:
            assert isinstance(await self.create(instance_id), Created)
            done = await self.commit(
                instance_id, consumed=("start",), append=events("first"), **fields
            )
            assert isinstance(done, Committed)

    async def finish(self, instance_id: str, status: Status = Status.COMPLETED, **f: Any) -> None:
        """Commit the last turn."""
        assert isinstance(await self.commit(instance_id, status=status, **f), Committed)

    async def deliver(self, target: str, key: str, **fields: Any) -> Delivery:
        """Deliver an item."""
        result = await self.one(Deliver(target, an_item(key, **fields)))
        assert isinstance(result, Delivery)
        return result

    async def purge(
        self,
        instance_id: str,
        only: frozenset[Status] | None = None,
        generation: int | None = None,
    ) -> Delivery:
        """Purge an instance."""
        result = await self.one(Purge(instance_id, only, generation))
        assert isinstance(result, Delivery)
        return result

    async def loaded(self, instance_id: str) -> Loaded:
        """The instance, which must be there."""
        loaded = await self.store.load(instance_id)
        assert loaded is not None
        return msgspec.structs.replace(loaded, at=0)  # others' changes count, too

    async def inbox(self, instance_id: str) -> list[str]:
        """Keys of its inbox, in order."""
        return keys(await self.store.load(instance_id))

    async def due(self, **fields: Any) -> list[Timer]:
        """Timers of all partitions, soonest first; without bounds, those of retention too."""
        given = {"until": 1 << 62, "limit": 1_000} | fields
        found = await self.store.due(range(self.store.partitions), **given)
        if not fields:
            found += await self.expired()
        return sorted(found, key=lambda timer: timer.due)

    async def expired(self, **fields: Any) -> list[Timer]:
        """Reminders of retention of all partitions."""
        given = {"until": 1 << 62, "limit": 1_000} | fields
        return await self.store.expired(range(self.store.partitions), **given)

    async def active(self, **fields: Any) -> list[str]:
        """Active instances of all partitions."""
        given: dict[str, Any] = {"after": None, "limit": 1_000} | fields
        return await self.store.active(range(self.store.partitions), **given)

    async def counts(self) -> dict[str, int]:
        """What the store holds, without sizes and commits."""
        stats = await self.store.stats()
        return {name: stats[name] for name in stats if name not in ("bytes", "commits")}

    async def dump(self, ids: Sequence[str]) -> dict[str, Loaded | None]:
        """Everything of the instances."""
        found = {instance_id: await self.store.load(instance_id) for instance_id in ids}
        return {
            instance_id: loaded and msgspec.structs.replace(loaded, at=0)
            for instance_id, loaded in found.items()
        }


def replaced(head: Head, **fields: Any) -> Head:
    """``head`` with fields changed."""
    return msgspec.structs.replace(head, **fields)
