"""Who counts as working for an app."""

from __future__ import annotations

from pathlib import Path

from tenure_sidecar.actors.sharing.crew import Crew, crew, crew_of
from tenure_sidecar.actors.sharing.decide import GATEWAY
from tenure_sidecar.actors.sharing.records import MemberRecord, encode
from tenure_sidecar.store.coordination import Held, Roster
from tenure_sidecar.store.sqlite import SqliteStore

OWNED = {partition: Held(b"{}", 1, 1) for partition in range(5)}


def counted(**members: tuple[int, MemberRecord]) -> Crew:
    """The crew of members by name: the revision of each record, and the record."""
    held = {name: Held(encode(record), at, 1) for name, (at, record) in members.items()}
    return crew_of(Roster(OWNED, held, 9))


def test_sidecars_their_workers_and_what_has_an_owner() -> None:
    found = counted(
        one=(2, MemberRecord("pod-1", workers=2)),
        two=(3, MemberRecord("pod-2")),
        gate=(4, MemberRecord("pod-3", role=GATEWAY)),
    )
    assert found == Crew(sidecars=2, workers=2, owned=5)


def test_what_leaves_and_what_was_before_a_restart_do_not_count() -> None:
    found = counted(
        before=(2, MemberRecord("pod-1", workers=4)),
        after=(3, MemberRecord("pod-1", workers=1)),
        leaves=(4, MemberRecord("pod-2", workers=1, leaving=True)),
    )
    assert found == Crew(sidecars=1, workers=1, owned=5)


def test_a_record_that_cannot_be_read_is_nobodys() -> None:
    assert crew_of(Roster({}, {"x": Held(b"[", 1, 1)}, 1)) == Crew(0, 0, 0)


async def test_a_store_that_only_one_process_uses_has_one_sidecar(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "tenure.db", partitions=4)
    await store.open()
    try:
        assert await crew(store, workers=2) == Crew(sidecars=1, workers=2, owned=4)
    finally:
        await store.close()
