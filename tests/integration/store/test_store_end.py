"""Ends: what completion and purge leave behind, which is nothing.

In scope: law W12 for rows of every kind, ``Purge`` with and without statuses.
"""

from __future__ import annotations

import pytest

from integration.store.samples import (
    ENDED,
    RETENTION,
    Hub,
    a_creation,
    a_timer,
    an_item,
    events,
    parent_of,
)
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.port import Conflict, Delivery, Purge

NOTHING = {"instances": 0, "history_events": 0, "inbox_items": 0, "timers": 0}


async def full(hub: Hub, instance_id: str) -> None:
    """An instance with rows of every kind."""
    await hub.create(instance_id, input="in", tags={"t": "1", "u": "2"})
    await hub.commit(
        instance_id,
        append=events("x"),
        pending=1,
        carryover=(an_item("c"),),
        timers_set=(a_timer(instance_id, 9), a_timer(instance_id, 10, kind=RETENTION)),
    )
    await hub.deliver(instance_id, "k")


async def test_completion_leaves_head_history_and_retention(hub: Hub) -> None:
    await full(hub, "a")
    await hub.finish("a", append=events("last"))
    assert await hub.counts() == {
        "instances": 1,
        "history_events": 4,
        "inbox_items": 0,
        "timers": 1,
    }
    assert await hub.store.input("a") == "in"


async def test_completion_ignores_what_it_carries_over(hub: Hub) -> None:
    await hub.running("a")
    await hub.finish("a", carryover=(an_item("c"),))
    assert await hub.inbox("a") == []


@pytest.mark.parametrize("ended", [False, True], ids=["live", "ended"])
async def test_a_purge_leaves_no_row(hub: Hub, ended: bool) -> None:
    await full(hub, "a")
    if ended:
        await hub.finish("a")
    assert await hub.purge("a") is Delivery.DELIVERED
    assert await hub.counts() == NOTHING
    assert await hub.store.load("a") is None
    assert await hub.store.head("a") is None
    assert await hub.store.input("a") is None


async def test_a_purge_touches_nobody_else(hub: Hub) -> None:
    for one in "abc":
        await full(hub, one)
    before = await hub.dump(["a", "c"])
    await hub.purge("b")
    assert await hub.dump(["a", "c"]) == before
    assert len(await hub.due()) == 4
    assert await hub.active() == ["a", "c"]


async def test_purging_what_is_not_there(hub: Hub) -> None:
    assert await hub.purge("nobody") is Delivery.MISSING
    await hub.create("a")
    await hub.purge("a")
    assert await hub.purge("a") is Delivery.MISSING


@pytest.mark.parametrize("status", list(Status), ids=lambda status: status.name)
async def test_a_purge_of_given_statuses(hub: Hub, status: Status) -> None:
    await hub.create("a")
    await hub.commit("a", status=status)
    before = await hub.loaded("a")
    assert await hub.purge("a", frozenset(set(Status) - {status})) is Delivery.REFUSED
    assert await hub.loaded("a") == before
    assert await hub.purge("a", frozenset({status})) is Delivery.DELIVERED


async def test_a_purge_of_no_status_is_refused(hub: Hub) -> None:
    await hub.create("a")
    assert await hub.purge("a", frozenset()) is Delivery.REFUSED


async def test_a_purged_instance_takes_neither_turn_nor_item(hub: Hub) -> None:
    await hub.running("a")
    await hub.purge("a")
    assert await hub.commit("a") == Conflict(fenced=False)
    assert await hub.deliver("a", "k") is Delivery.MISSING


async def test_a_purged_parent_keeps_no_child_from_its_list(hub: Hub) -> None:
    await hub.running("p")
    await hub.commit("p", creations=(a_creation("c", parent=parent_of("p")),))
    await hub.purge("p")
    assert await hub.store.children("p") == ("c",)
    await hub.purge("c")
    assert await hub.store.children("p") == ()


async def test_purging_hundreds_in_one_write(hub: Hub) -> None:
    ids = [f"i{n}" for n in range(400)]
    for one in ids:
        await full(hub, one)
    results = await hub.write(*(Purge(one, ENDED) for one in ids[:200]))
    assert results == [Delivery.REFUSED] * 200
    results = await hub.write(*(Purge(one) for one in ids))
    assert results == [Delivery.DELIVERED] * 400
    assert await hub.counts() == NOTHING
