"""Placement and decisions, one by one.  All interleavings are in tests/sim/test_sharing_model.py."""

from __future__ import annotations

from collections import Counter

import pytest

from tenure_sidecar.actors.sharing.decide import (
    GATEWAY,
    Decision,
    Me,
    Member,
    Owner,
    Phase,
    Slot,
    View,
    claimed,
    decide,
    lease_lost,
    released,
    targets,
    unanswered,
)
from tenure_sidecar.actors.sharing.placement import place, share
from tenure_sidecar.actors.sharing.records import (
    MemberRecord,
    encode,
    member_of,
    owner_of,
    view_of,
)
from tenure_sidecar.store.coordination import Held

P = 64
HERE, THERE = "here-1", "there-1"


def names(count: int, seed: int = 0) -> list[str]:
    return [f"app-{seed}-{n}" for n in range(count)]


# --- placement ------------------------------------------------------------------------------------


def test_nobody_gets_nothing() -> None:
    assert place(P, []) == {}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16, 63, 64, 100])
def test_everything_is_placed_and_nobody_has_too_much(count: int) -> None:
    placed = place(P, names(count))
    assert sorted(placed) == list(range(P))
    assert max(Counter(placed.values()).values()) <= share(P, count)


def test_the_order_of_members_makes_no_difference() -> None:
    assert place(P, names(5)) == place(P, names(5)[::-1])


def test_places_are_the_same_for_ever() -> None:
    assert "".join(place(16, ["a", "b", "c"]).values()) == "babcbbbbacbcaaaa"


@pytest.mark.parametrize("count", [2, 3, 4, 8, 16])
def test_one_member_more_or_less_moves_little(count: int) -> None:
    excess = []
    for seed in range(20):
        many, fewer = place(P, names(count, seed)), place(P, names(count, seed)[:-1])
        excess.append(sum(many[p] != fewer[p] for p in range(P)) / P - 1 / count)
    assert sum(excess) / len(excess) <= 0.05
    assert max(excess) <= 0.10


# --- decisions ------------------------------------------------------------------------------------


def mine(partitions: int = 1, *, there: bool = True) -> tuple[list[int], list[int]]:
    """Partitions that should be HERE, and those that should be THERE."""
    placed = place(partitions, [HERE, THERE] if there else [HERE])
    return (
        [p for p in placed if placed[p] == HERE],
        [p for p in placed if placed[p] == THERE],
    )


def decided(
    slots: tuple[Slot, ...],
    owners: dict[int, Owner],
    *,
    me: Member = Member("pod-here"),
    other: Member | None = Member("pod-there"),
    revision: int = 100,
    suspects: tuple[str, ...] = (),
    quiet: tuple[int, ...] = (),
) -> Decision:
    members = {HERE: me} | ({} if other is None else {THERE: other})
    view = View(members, owners, revision)
    return decide(view, Me(HERE, me), slots, suspects=suspects, quiet=quiet)


AWAY4 = (Slot(),) * 4
OURS, THEIRS = mine(4)
EARLIER = Owner("here-0", "pod-here", 7)
FOREIGN = Owner(THERE, "pod-there", 7)
STRAY = Owner(HERE, "pod-here", 7)


def test_each_of_the_two_should_have_some() -> None:
    assert OURS
    assert THEIRS


def test_absent_keys_are_claimed_where_they_are_wanted() -> None:
    assert decided(AWAY4, {}).claims == dict.fromkeys(OURS, 0)


@pytest.mark.parametrize(
    ("owner", "suspects", "claimable"),
    [
        (FOREIGN, (), False),
        (FOREIGN, (THERE,), True),
        (STRAY, (), True),
        (EARLIER, (), True),
        (Owner("gone", "pod-gone", 7), (), False),
    ],
    ids=["another's", "a suspect's", "ours without a token", "our pod's", "a stranger's"],
)
def test_which_keys_may_be_claimed(
    owner: Owner, suspects: tuple[str, ...], claimable: bool
) -> None:
    partition = OURS[0]
    found = decided(AWAY4, dict.fromkeys(range(4), owner), suspects=suspects)
    assert found.claims.get(partition) == (7 if claimable else None)
    phase = found.slots[partition].phase
    assert phase is (Phase.CLAIMING if claimable else Phase.WANTED)


def test_what_is_under_way_is_not_asked_again() -> None:
    first = decided(AWAY4, {})
    again = decided(first.slots, {})
    assert (again.claims, again.slots) == ({}, first.slots)


def test_a_stray_key_that_should_be_elsewhere_is_given_back() -> None:
    found = decided(AWAY4, {THEIRS[0]: STRAY})
    assert found.releases == {THEIRS[0]: 7}


def owned(*partitions: int) -> tuple[Slot, ...]:
    return tuple(Slot(Phase.OWNED, 7, 7) if p in partitions else Slot() for p in range(4))


def test_what_should_be_elsewhere_drains_and_goes_when_it_rests() -> None:
    partition = THEIRS[0]
    draining = decided(owned(partition), {partition: STRAY})
    assert draining.slots[partition].phase is Phase.DRAINING
    assert draining.releases == {}
    gone = decided(draining.slots, {partition: STRAY}, quiet=(partition,))
    assert gone.releases == {partition: 7}
    assert gone.lost == ()


def test_a_drain_is_called_off_when_the_other_goes() -> None:
    partition = THEIRS[0]
    draining = decided(owned(partition), {partition: STRAY})
    back = decided(draining.slots, {partition: STRAY}, other=None)
    assert back.slots[partition].phase is Phase.OWNED


@pytest.mark.parametrize("owner", [None, Owner(THERE, "pod-there", 9)])
def test_a_key_that_changed_is_lost(owner: Owner | None) -> None:
    partition = OURS[0]
    found = decided(owned(partition), {} if owner is None else {partition: owner})
    assert found.lost == (partition,)
    assert found.slots[partition].phase is (Phase.CLAIMING if owner is None else Phase.WANTED)


def test_an_old_view_says_nothing() -> None:
    slots = owned(OURS[0])
    found = decided(slots, {}, revision=6)
    assert found.lost == ()
    assert found.slots[OURS[0]] == slots[OURS[0]]


def test_whoever_leaves_gives_everything_back() -> None:
    slots = owned(*OURS)
    keys = dict.fromkeys(OURS, STRAY)
    leaving = Member("pod-here", leaving=True)
    for other in (Member("pod-there"), None):
        found = decided(slots, keys, me=leaving, other=other, quiet=tuple(OURS))
        assert sorted(found.releases) == OURS
        assert found.claims == {}


def test_without_a_worker_nothing_is_claimed_and_what_nobody_wants_is_kept() -> None:
    idle = Member("pod-here", worker=False)
    assert decided(AWAY4, {}, me=idle).claims == {}
    kept = decided(owned(*OURS), dict.fromkeys(OURS, STRAY), me=idle, other=None)
    assert [kept.slots[p].phase for p in OURS] == [Phase.OWNED] * len(OURS)
    given = decided(owned(*OURS), dict.fromkeys(OURS, STRAY), me=idle, quiet=tuple(OURS))
    assert sorted(given.releases) == OURS


def who(members: dict[str, Member]) -> set[str]:
    """Who should own something."""
    view = View(members, {}, 0)
    me, mine = next(iter(members.items()))
    return set(targets(view, Me(me, mine), (), P).values())


def test_the_last_resort_is_a_gateway_then_anybody() -> None:
    gateway = Member("g", worker=False, role=GATEWAY)
    idle, busy = Member("i", worker=False), Member("b")
    leaving = Member("l", worker=False, leaving=True)
    assert who({"g": gateway, "i": idle, "b": busy}) == {"b"}
    assert who({"i": idle, "g": gateway}) == {"g"}
    assert who({"i": idle, "g": leaving}) == {"i"}
    assert who({"l": leaving}) == set()


def test_of_one_pod_only_the_newest_member_counts() -> None:
    def held(revision: int, *, workers: int) -> Held:
        return Held(encode(MemberRecord("pod", workers=workers)), revision, 1)

    view = view_of({"old": held(3, workers=2), "new": held(7, workers=0)}, {}, 9)
    assert view.members == {"new": Member("pod", worker=False)}
    view = view_of({"new": held(7, workers=1), "old": held(3, workers=0)}, {}, 9)
    assert view.members == {"new": Member("pod")}


def test_records_of_other_versions() -> None:
    newer = Held(b'{"pod":"p","workers":1,"role":"gateway","color":"red"}', 3, 1)
    assert member_of(newer) == Member("p", role=GATEWAY)
    assert member_of(Held(b"\x00", 3, 1)) is None
    assert owner_of(Held(b"\x00", 3, 1)) == Owner("", "", 3)


def test_partitions_do_not_touch_each_other() -> None:
    """What is decided of one depends on its own slot and key, and on the members."""
    keys = [None, FOREIGN, STRAY, EARLIER]
    phases = [Slot(), Slot(Phase.OWNED, 7, 7), Slot(Phase.DRAINING, 7, 7), Slot(Phase.CLAIMING, 7)]
    for key in keys:
        for slot in phases:
            alone = decided((slot, *AWAY4[1:]), {} if key is None else {0: key})
            for other in keys:
                rest = {} if other is None else dict.fromkeys((1, 2, 3), other)
                among = decided((slot, *phases[1:]), rest | ({} if key is None else {0: key}))
                assert among.slots[0] == alone.slots[0]


# --- answers --------------------------------------------------------------------------------------


def test_answers() -> None:
    claiming, releasing = Slot(Phase.CLAIMING, 3, 2), Slot(Phase.RELEASING, 3, 2)
    assert claimed(claiming, token=9, revision=9) == Slot(Phase.OWNED, 9, 9)
    assert claimed(claiming, token=None, revision=8) == Slot(known=8)
    assert released(releasing, revision=8) == Slot(known=8)
    assert unanswered(claiming) == unanswered(releasing) == Slot(known=2)


@pytest.mark.parametrize("phase", [Phase.AWAY, Phase.WANTED, Phase.OWNED, Phase.DRAINING])
def test_answers_that_nobody_waits_for(phase: Phase) -> None:
    slot = Slot(phase, 3, 2)
    assert claimed(slot, token=9, revision=9) == slot
    assert released(slot, revision=9) == slot
    assert unanswered(slot) == slot


def test_a_lost_lease_holds_nothing() -> None:
    slots = (Slot(Phase.OWNED, 7, 7), Slot(Phase.DRAINING, 8, 8), Slot(Phase.CLAIMING, 3, 2))
    after, held = lease_lost(slots)
    assert held == (0, 1)
    assert after == (Slot(known=7), Slot(known=8), Slot(known=2))
