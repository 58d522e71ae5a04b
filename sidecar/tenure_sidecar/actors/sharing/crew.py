"""Who works for an app, counted: for people who want to know whether it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tenure_sidecar.actors.sharing.decide import SIDECAR
from tenure_sidecar.actors.sharing.records import records_of, view_of

if TYPE_CHECKING:
    from tenure_sidecar.store.coordination import Roster
    from tenure_sidecar.store.port import Store


class Crew(NamedTuple):
    """``sidecars`` that run, ``workers`` connected to them, partitions that are ``owned`` by anybody,
    a gateway included."""

    sidecars: int
    workers: int
    owned: int


async def crew(store: Store, *, workers: int) -> Crew:
    """As the store knows them; ``workers`` are this process's own, for a store that only one uses.

    Raises: StoreError.
    """
    if store.coordination is None:
        return Crew(1, workers, store.partitions)
    return crew_of(await store.coordination.roster())


def crew_of(roster: Roster) -> Crew:
    """Those of one snapshot; what leaves does not count, and of one pod only its newest process."""
    there = view_of(roster.members, {}, roster.revision).members
    records = records_of(roster.members)
    sidecars = [
        records[name]
        for name, member in there.items()
        if member.role == SIDECAR and not member.leaving
    ]
    return Crew(len(sidecars), sum(one.workers for one in sidecars), len(roster.owners))
