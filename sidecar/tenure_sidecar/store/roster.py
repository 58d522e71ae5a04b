"""Members, owners and leases in memory, for tests and simulation; implements ``Coordination``.

``MemoryRoster`` is the shared state, part of a ``MemoryDatabase``; ``MemoryCoordination`` is one
process's way to it.  A lease's time is the event loop's, so in virtual time it is virtual too.  A
change is made before a method first awaits anything, and every change has the next revision.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tenure_common.errors import StoreUnavailableError
from tenure_sidecar.store.coordination import Held, News, Roster, Session
from tenure_sidecar.store.port import Fence

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.store.memory import MemoryStore

TTL = 10.0  # seconds
_RENEW_AFTER = 1 / 3  # of the lease
_BELIEVED = 0.99  # of the lease: so long it counts as alive without being renewed

_Key = tuple[str, int, str]  # kind, partition, name
_OWNER, _MEMBER, _RUNNING = "owner", "member", "running"


class MemoryRoster:
    """See the module docstring."""

    def __init__(self) -> None:
        self.revision = 0
        self.held: dict[_Key, Held] = {}
        self.log: list[tuple[_Key, Held | None, int]] = []
        self.forgotten = 0  # changes up to this revision are not in the log any more
        self.more = asyncio.Event()
        self._leases: dict[int, set[_Key]] = {}
        self._numbers = itertools.count(1)

    def owner(self, partition: int) -> int:
        """Revision of the partition's owner key; 0 = there is none."""
        held = self.held.get((_OWNER, partition, ""))
        return 0 if held is None else held.revision

    def put_owner(self, partition: int, value: bytes, *, lease: int = 0) -> int:
        """Write the partition's owner key; its revision."""
        return self._put((_OWNER, partition, ""), value, lease)

    def put_member(self, name: str, value: bytes, *, lease: int) -> int:
        """Write a member's key; its revision."""
        return self._put((_MEMBER, 0, name), value, lease)

    def put_running(self, partition: int, name: str, value: bytes | None, *, lease: int) -> None:
        """Write or delete what ``name`` still runs of a partition that it gave away."""
        key = (_RUNNING, partition, name)
        if value is not None:
            self._put(key, value, lease)
        elif key in self.held:
            self._delete(key)

    def delete_owner(self, partition: int) -> int:
        """Delete the partition's owner key; the revision."""
        return self._delete((_OWNER, partition, ""))

    def _put(self, key: _Key, value: bytes, lease: int) -> int:
        if lease and lease not in self._leases:
            message = f"there is no lease {lease}"
            raise StoreUnavailableError(message)
        before = self.held.get(key)
        if before is not None:
            self._leases.get(before.lease, set()).discard(key)
        if lease:
            self._leases[lease].add(key)
        self.revision += 1
        self.held[key] = Held(value, self.revision, lease)
        self._tell(key, self.held[key])
        return self.revision

    def _delete(self, key: _Key) -> int:
        held = self.held.pop(key)
        self._leases.get(held.lease, set()).discard(key)
        self.revision += 1
        self._tell(key, None)
        return self.revision

    def _tell(self, key: _Key, held: Held | None) -> None:
        self.log.append((key, held, self.revision))
        self.more.set()
        self.more = asyncio.Event()

    def compact(self) -> None:
        """Forget all changes: whoever has not seen them meets a gap."""
        self.log.clear()
        self.forgotten = self.revision

    def grant(self) -> int:
        """A new lease."""
        number = next(self._numbers)
        self._leases[number] = set()
        return number

    def end(self, number: int) -> None:
        """The lease is over: its keys go."""
        for key in sorted(self._leases.pop(number, ())):
            self._delete(key)

    def lives(self, number: int) -> bool:
        """Whether the lease has not ended."""
        return number in self._leases


class MemorySession:
    """A lease of a ``MemoryRoster``; it counts as lost here a little before it ends there."""

    def __init__(self, roster: MemoryRoster, ttl: float) -> None:
        self.lost = asyncio.Event()
        self.id = roster.grant()
        self._roster = roster
        self._ttl = ttl
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._end: asyncio.TimerHandle | None = None  # there
        self._mine: list[asyncio.TimerHandle] = []  # here: the next renewal, the deadline
        self._over = False
        self.renewing = True  # False = cut off
        self._renew()

    def _renew(self) -> None:
        if not self.renewing:
            return
        self._cancel()
        if self._end is not None:
            self._end.cancel()
        if not self._roster.lives(self.id):
            self.lost.set()
            return
        self._deadline = self._loop.time() + self._ttl * _BELIEVED
        later = self._loop.call_later
        self._end = later(self._ttl, self._roster.end, self.id)
        self._mine = [
            later(self._ttl * _RENEW_AFTER, self._renew),
            later(self._ttl * _BELIEVED, self.lost.set),
        ]

    def _cancel(self) -> None:
        for timer in self._mine:
            timer.cancel()

    def alive(self) -> bool:
        """See ``Session.alive``."""
        return not self._over and not self.lost.is_set() and self._loop.time() < self._deadline

    async def close(self) -> None:
        """See ``Session.close``."""
        self.abandon()
        if self._end is not None:
            self._end.cancel()
        self._roster.end(self.id)

    def abandon(self) -> None:
        """See ``Session.abandon``."""
        self._over = True
        self._cancel()


class MemoryCoordination:
    """One process's way to the roster of ``store``'s database."""

    def __init__(self, store: MemoryStore, *, ttl: float = TTL) -> None:
        self._store = store
        self._roster = store.database.roster
        self.ttl = ttl

    async def session(self) -> MemorySession:
        """See ``Coordination.session``."""
        return MemorySession(self._roster, self.ttl)

    async def roster(self) -> Roster:
        """See ``Coordination.roster``."""
        held = self._roster.held
        return Roster(
            {p: one for (kind, p, _), one in held.items() if kind == _OWNER},
            {name: one for (kind, _, name), one in held.items() if kind == _MEMBER},
            self._roster.revision,
            {(p, name): one for (kind, p, name), one in held.items() if kind == _RUNNING},
        )

    async def owner_news(self, since: int) -> AsyncIterator[News]:
        """See ``Coordination.owner_news``."""
        async for (kind, partition, name), held, revision in self._changes(since):
            if not kind:
                yield News(revision, gap=True)
            elif kind == _OWNER:
                yield News(revision, owners={partition: held})
            elif kind == _RUNNING:
                yield News(revision, running={(partition, name): held})

    async def member_news(self, since: int) -> AsyncIterator[News]:
        """See ``Coordination.member_news``."""
        async for (kind, _, name), held, revision in self._changes(since):
            if not kind:
                yield News(revision, gap=True)
            elif kind == _MEMBER:
                yield News(revision, members={name: held})

    async def _changes(self, since: int) -> AsyncIterator[tuple[_Key, Held | None, int]]:
        roster = self._roster
        while True:
            more = roster.more
            if since < roster.forgotten:
                since = roster.forgotten
                yield ("", 0, ""), None, since
                continue
            # Revisions in the log have no holes.
            fresh = roster.log[since - roster.forgotten :]
            for change in fresh:
                since = change[2]
                yield change
            if since == roster.revision:
                await more.wait()

    async def announce(self, name: str, value: bytes, *, session: Session) -> None:
        """See ``Coordination.announce``."""
        self._roster.put_member(name, value, lease=session.id)

    async def claim(
        self, partitions: Mapping[int, int], value: bytes, *, session: Session
    ) -> dict[int, Fence | None]:
        """See ``Coordination.claim``."""
        fences: dict[int, Fence | None] = {}
        for partition, seen in partitions.items():
            fences[partition] = None
            if self._roster.owner(partition) == seen:
                token = self._roster.put_owner(partition, value, lease=session.id)
                fences[partition] = Fence(partition, token)
        return fences

    async def give(
        self, fences: Sequence[Fence], running: Mapping[int, bytes], name: str, *, session: Session
    ) -> dict[int, int]:
        """See ``Coordination.give``."""
        ours = [one.partition for one in fences if self._roster.owner(one.partition) == one.token]
        for partition in ours:
            if partition in running:
                self._roster.put_running(partition, name, running[partition], lease=session.id)
        return {partition: self._roster.delete_owner(partition) for partition in ours}

    async def still_running(
        self, running: Mapping[int, bytes | None], name: str, *, session: Session
    ) -> None:
        """See ``Coordination.still_running``."""
        for partition, value in running.items():
            self._roster.put_running(partition, name, value, lease=session.id)

    # --- what others do -----------------------------------------------------------------------

    async def observe(self, instance_id: str) -> AsyncIterator[Head | None]:
        """See ``Coordination.observe``."""
        store = self._store
        position = await store.position()
        yield await store.head(instance_id)
        async for change in store.follow(position):
            if change.instance_id == instance_id:
                yield change.head

    async def taken(self, instance_id: str, key: str) -> None:
        """See ``Coordination.taken``."""
        async for _ in self.observe(instance_id):
            loaded = await self._store.load(instance_id)
            if loaded is None or all(item.key != key for item in loaded.inbox):
                return

    async def arrivals(
        self, partitions: Sequence[int], *, after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str]]:
        """See ``Coordination.arrivals``."""
        found = self._store.database.arrivals(set(partitions))
        return [one for one in found if after is None or one > after][:limit]

    async def heard(self) -> None:
        """See ``Coordination.heard``: watches are told within the write."""

    async def over(self) -> None:
        """See ``Coordination.over``: it never is."""
        await asyncio.Event().wait()
