"""The etcd store's side of sharing an app: implements ``Coordination`` on ``owners`` and watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from tenure_sidecar.store.coordination import Held, News, Roster, Session

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.etcd import Event, Lease, Watch
    from tenure_sidecar.store.etcd.store import EtcdStore
    from tenure_sidecar.store.port import Fence

K = TypeVar("K")


class EtcdCoordination:
    """See the module docstring; usable while ``store`` is open."""

    def __init__(self, store: EtcdStore) -> None:
        self._store = store

    async def session(self) -> Lease:
        """See ``Coordination.session``."""
        return await self._store.session()

    async def roster(self) -> Roster:
        """See ``Coordination.roster``."""
        return await self._store.owners.roster()

    async def owner_news(self, since: int) -> AsyncIterator[News]:
        """See ``Coordination.owner_news``."""
        owners = self._store.owners
        watch = owners.watch_owners(revision=since + 1)
        async for revision, events in _changes(watch):
            changed = _by(owners.place_of, events)
            yield News(
                revision,
                owners={p: held for (p, name), held in changed.items() if not name},
                running={place: held for place, held in changed.items() if place[1]},
                gap=not events,
            )

    async def member_news(self, since: int) -> AsyncIterator[News]:
        """See ``Coordination.member_news``."""
        owners = self._store.owners
        watch = owners.watch_members(revision=since + 1)
        async for revision, events in _changes(watch):
            yield News(revision, members=_by(owners.name_of, events), gap=not events)

    async def announce(self, name: str, value: bytes, *, session: Session) -> None:
        """See ``Coordination.announce``."""
        await self._store.owners.announce(name, value, lease=session.id)

    async def claim(
        self, partitions: Mapping[int, int], value: bytes, *, session: Session
    ) -> dict[int, Fence | None]:
        """See ``Coordination.claim``."""
        fences = await self._store.owners.claim(partitions, value, lease=session.id)
        await self._store.recover([partition for partition, fence in fences.items() if fence])
        return fences

    async def give(
        self, fences: Sequence[Fence], running: Mapping[int, bytes], name: str, *, session: Session
    ) -> dict[int, int]:
        """See ``Coordination.give``."""
        return await self._store.owners.release(fences, running, name, lease=session.id)

    async def still_running(
        self, running: Mapping[int, bytes | None], name: str, *, session: Session
    ) -> None:
        """See ``Coordination.still_running``."""
        await self._store.owners.still_running(running, name, lease=session.id)

    def observe(self, instance_id: str) -> AsyncIterator[Head | None]:
        """See ``Coordination.observe``."""
        return self._store.observe(instance_id)

    async def taken(self, instance_id: str, key: str) -> None:
        """See ``Coordination.taken``."""
        await self._store.taken(instance_id, key)

    async def arrivals(
        self, partitions: Sequence[int], *, after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str]]:
        """See ``Coordination.arrivals``."""
        return await self._store.arrivals(partitions, after=after, limit=limit)

    async def heard(self) -> None:
        """See ``Coordination.heard``."""
        await self._store.heard()

    async def over(self) -> None:
        """See ``Coordination.over``."""
        await self._store.client.past.over()


async def _changes(watch: Watch) -> AsyncIterator[tuple[int, Sequence[Event]]]:
    """Events by revision; none of them = a gap up to that revision."""
    try:
        async for batch in watch:
            if batch.gap:
                yield batch.revision, ()
            for revision, events in groupby(batch.events, lambda event: event.kv.mod_revision):
                yield revision, tuple(events)
    finally:
        watch.close()


def _by(name: Callable[[bytes], K], events: Sequence[Event]) -> dict[K, Held | None]:
    return {
        name(event.kv.key): None
        if event.deleted
        else Held(event.kv.value, event.kv.mod_revision, event.kv.lease)
        for event in events
    }
