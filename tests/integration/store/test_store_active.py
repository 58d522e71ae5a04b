"""What a new owner must resume, and nothing else.

In scope: ``active()``: exact after every kind of change, in id order, by partition, in pages.
"""

from __future__ import annotations

import pytest

from integration.store.samples import ENDED, START, Hub, a_timer, an_item
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.turn import Message
from tenure_sidecar.store.partition import partition_of


async def test_a_new_instance_is_active(hub: Hub) -> None:
    await hub.create("a")
    assert await hub.active() == ["a"]


async def test_one_that_waits_for_an_event_is_not(hub: Hub) -> None:
    await hub.running("a")
    assert await hub.active() == []


async def test_one_with_a_timer_is_not(hub: Hub) -> None:
    await hub.running("a", timers_set=(a_timer("a", 100),))
    assert await hub.active() == []


async def test_pending_activities_make_it_active(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", pending=1)
    assert await hub.active() == ["a"]
    await hub.commit("a", pending=2)
    assert await hub.active() == ["a"]
    await hub.commit("a", pending=0)
    assert await hub.active() == []


async def test_a_delivery_makes_it_active_until_consumed(hub: Hub) -> None:
    await hub.running("a")
    await hub.deliver("a", "k")
    assert await hub.active() == ["a"]
    await hub.commit("a", consumed=("k",))
    assert await hub.active() == []


async def test_a_message_and_a_carried_item_make_it_active(hub: Hub) -> None:
    await hub.running("a", "b")
    await hub.commit("a", messages=(Message("b", an_item("k")),), carryover=(an_item("c"),))
    assert await hub.active() == ["a", "b"]


@pytest.mark.parametrize("status", sorted(ENDED), ids=lambda status: status.name)
async def test_an_ended_one_is_not(hub: Hub, status: Status) -> None:
    await hub.running("a", pending=1)
    await hub.deliver("a", "k")
    await hub.finish("a", status, pending=1)
    assert await hub.active() == []


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.STALLED], ids=lambda s: s.name)
async def test_a_paused_one_with_work_is(hub: Hub, status: Status) -> None:
    await hub.running("a")
    await hub.commit("a", status=status)
    await hub.deliver("a", "k")
    assert await hub.active() == ["a"]


async def test_a_delayed_start_is_not_until_its_timer_is_consumed(hub: Hub) -> None:
    timer = a_timer("a", 5_000, kind=START)
    await hub.create("a", timer=timer)
    await hub.deliver("a", "early")
    assert await hub.active() == []
    await hub.commit("a", status=Status.PENDING, timers_cleared=(timer,))
    assert await hub.active() == ["a"]


async def test_many_delayed_starts_cost_nothing_and_are_not_listed(hub: Hub) -> None:
    for n in range(30):
        await hub.create(f"i{n}", timer=a_timer(f"i{n}", 5_000, kind=START))
    assert await hub.active() == []
    await hub.create("now")
    assert await hub.active() == ["now"]


async def test_a_purged_one_is_gone(hub: Hub) -> None:
    await hub.create("a")
    await hub.purge("a")
    assert await hub.active() == []
    await hub.create("a")
    assert await hub.active() == ["a"]


async def test_a_replaced_one_is_listed_once(hub: Hub) -> None:
    await hub.create("a")
    await hub.commit("a", status=Status.FAILED)
    await hub.create("a", replace=ENDED)
    assert await hub.active() == ["a"]


async def test_pages_in_id_order(hub: Hub) -> None:
    ids = sorted(f"i{n}" for n in range(25))
    for one in reversed(ids):
        await hub.create(one)
    found: list[str] = []
    while page := await hub.active(after=found[-1] if found else None, limit=7):
        found += page
    assert found == ids


async def test_only_the_given_partitions(hub: Hub) -> None:
    ids = [f"i{n}" for n in range(40)]
    for one in ids:
        await hub.create(one)
    some = list(range(0, hub.store.partitions, 3))
    expected = sorted(one for one in ids if partition_of(one, hub.store.partitions) in some)
    assert await hub.store.active(some, after=None, limit=100) == expected
    assert await hub.store.active([], after=None, limit=100) == []


async def test_it_stays_exact_while_thousands_come_and_go(hub: Hub) -> None:
    """More instances than the store keeps notes of: none is lost, none stays behind."""
    ids = [f"i{n:04d}" for n in range(1_500)]
    for one in ids:
        await hub.create(one)
    for one in ids:
        await hub.commit(one, consumed=("start",))
    assert await hub.active() == []
    for one in ids[::7]:
        await hub.deliver(one, "k")
    assert await hub.active() == ids[::7]
    for one in ids[::14]:
        await hub.commit(one, consumed=("k",))
    assert await hub.active() == ids[7::14]
