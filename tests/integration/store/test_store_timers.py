"""Timers: set and cleared with the turn, read by due time, gone with their instance.

In scope: law W12 (no timer outlives its reason).  When a timer fires is not the store's business.
"""

from __future__ import annotations

import pytest

from integration.store.samples import ENDED, RETENTION, START, TIMER, Hub, a_timer
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.turn import Timer
from tenure_sidecar.store.partition import partition_of


async def test_timers_are_read_soonest_first(hub: Hub) -> None:
    await hub.running("a", "b")
    await hub.commit("a", timers_set=(a_timer("a", 300, 1), a_timer("a", 100, 2)))
    await hub.commit("b", timers_set=(a_timer("b", 200, 1),))
    assert [timer.due for timer in await hub.due()] == [100, 200, 300]


async def test_a_timer_comes_back_exactly(hub: Hub) -> None:
    await hub.running("a")
    timer = Timer((1 << 62) - 1, "a", 2**31 - 1, RETENTION, 12)
    await hub.commit("a", timers_set=(timer,))
    assert await hub.due() == [timer]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (0, 400, [100, 200, 300]),
        (0, 200, [100, 200]),
        (0, 199, [100]),
        (200, 200, [200]),
        (201, 299, []),
        (100, 300, [100, 200, 300]),
        (301, 900, []),
    ],
)
async def test_bounds_are_inclusive(hub: Hub, since: int, until: int, expected: list[int]) -> None:
    await hub.running("a")
    await hub.commit("a", timers_set=tuple(a_timer("a", due, due) for due in (300, 100, 200)))
    assert [timer.due for timer in await hub.due(since=since, until=until)] == expected


async def test_a_page_holds_the_soonest(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", timers_set=tuple(a_timer("a", due, due) for due in range(50, 0, -1)))
    assert [timer.due for timer in await hub.due(limit=5)] == [1, 2, 3, 4, 5]


async def test_a_due_time_in_the_past_is_kept(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", timers_set=(a_timer("a", 0), a_timer("a", 1)))
    assert [timer.due for timer in await hub.due()] == [0, 1]


async def test_only_the_given_partitions(hub: Hub) -> None:
    ids = [f"i{n}" for n in range(40)]
    await hub.running(*ids)
    for one in ids:
        await hub.commit(one, timers_set=(a_timer(one, 500),))
    for partition in range(0, hub.store.partitions, 9):
        found = await hub.store.due([partition], until=900, limit=100)
        expected = {one for one in ids if partition_of(one, hub.store.partitions) == partition}
        assert {timer.instance_id for timer in found} == expected
    assert await hub.store.due([], until=900, limit=100) == []


async def test_a_cleared_timer_is_gone(hub: Hub) -> None:
    await hub.running("a")
    one, two = a_timer("a", 100, 1), a_timer("a", 100, 2)
    await hub.commit("a", timers_set=(one, two))
    await hub.commit("a", timers_cleared=(one,))
    assert await hub.due() == [two]


async def test_clearing_what_is_not_set_is_no_fault(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", timers_set=(a_timer("a", 100, 1),))
    near = (a_timer("a", 100, 2), a_timer("a", 101, 1), a_timer("a", 100, 1, kind=RETENTION))
    await hub.commit("a", timers_cleared=near)
    assert await hub.due() == [a_timer("a", 100, 1)]


async def test_a_timer_moved_in_one_turn(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", timers_set=(a_timer("a", 100, 1),))
    await hub.commit(
        "a", timers_cleared=(a_timer("a", 100, 1),), timers_set=(a_timer("a", 200, 1),)
    )
    assert await hub.due() == [a_timer("a", 200, 1)]


async def test_a_timer_set_again_is_one_timer_of_the_later_generation(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", timers_set=(a_timer("a", 100, 1),))
    await hub.commit("a", timers_set=(a_timer("a", 100, 1, generation=1),))
    assert await hub.due() == [a_timer("a", 100, 1, generation=1)]


async def test_a_timer_cleared_and_set_in_one_turn_is_set(hub: Hub) -> None:
    await hub.running("a")
    timer = a_timer("a", 100, 1)
    await hub.commit("a", timers_set=(timer,))
    await hub.commit("a", timers_cleared=(timer,), timers_set=(timer,))
    assert await hub.due() == [timer]


@pytest.mark.parametrize("status", sorted(ENDED), ids=lambda status: status.name)
async def test_the_last_turn_clears_all_but_retention(hub: Hub, status: Status) -> None:
    await hub.running("a", "b")
    await hub.commit("b", timers_set=(a_timer("b", 100),))
    await hub.commit("a", timers_set=(a_timer("a", 100, 1), a_timer("a", 100, 2, kind=START)))
    keep = a_timer("a", 900, 3, kind=RETENTION)
    await hub.finish("a", status, timers_set=(keep, a_timer("a", 400, 4)))
    assert await hub.due() == [a_timer("b", 100), keep]


async def test_the_last_turn_keeps_a_retention_timer_of_before(hub: Hub) -> None:
    await hub.running("a")
    keep = a_timer("a", 900, 3, kind=RETENTION)
    await hub.commit("a", timers_set=(keep,))
    await hub.finish("a")
    assert await hub.due() == [keep]


async def test_a_restart_keeps_timers_that_it_does_not_clear(hub: Hub) -> None:
    await hub.running("a")
    one, two = a_timer("a", 100, 1), a_timer("a", 200, 2)
    await hub.commit("a", timers_set=(one, two))
    await hub.commit("a", restart=True, timers_cleared=(one,))
    assert await hub.due() == [two]


async def test_a_purge_takes_the_timers_along(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", timers_set=(a_timer("a", 1), a_timer("a", 2, kind=RETENTION)))
    await hub.purge("a")
    assert await hub.due() == []


async def test_kinds_at_one_place_are_apart(hub: Hub) -> None:
    await hub.running("a")
    three = tuple(a_timer("a", 100, 1, kind=kind) for kind in (TIMER, START, RETENTION))
    await hub.commit("a", timers_set=three)
    assert sorted(await hub.due(), key=lambda timer: timer.kind) == list(three)
    await hub.commit("a", timers_cleared=three[1:2])
    assert {timer.kind for timer in await hub.due()} == {TIMER, RETENTION}


async def test_thousands_due_at_one_instant(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", timers_set=tuple(a_timer("a", 100, n) for n in range(3_000)))
    found = await hub.due(since=100, until=100, limit=10_000)
    assert {timer.timer_id for timer in found} == set(range(3_000))
    await hub.commit("a", timers_cleared=tuple(found[:2_999]))
    assert len(await hub.due()) == 1
