"""Inboxes: order, repeats, refusals, and what a commit takes out and puts back.

In scope: ``Deliver``, ``Turn.consumed`` and ``Turn.carryover``.
"""

from __future__ import annotations

from typing import Any

import pytest

from integration.store.samples import ENDED, Hub, an_item, events
from tenure_sidecar.engine.events import EventRaised, ExecutionRewound, Status
from tenure_sidecar.engine.turn import InboxItem
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import Committed, Conflict, Deliver, Delivery, Fence, Result


async def test_items_are_kept_in_commit_order(hub: Hub) -> None:
    await hub.running("a")
    for key in ("z", "a", "m", "B", "0"):
        assert await hub.deliver("a", key) is Delivery.DELIVERED
    assert await hub.inbox("a") == ["z", "a", "m", "B", "0"]


async def test_an_item_comes_back_exactly(hub: Hub) -> None:
    await hub.running("a")
    item = InboxItem("k", EventRaised(7, "Näme", input='{"☃": "\x00"}'), "execution")
    await hub.write(Deliver("a", item))
    assert (await hub.loaded("a")).inbox == (item,)


async def test_a_delivery_changes_no_version(hub: Hub) -> None:
    await hub.running("a")
    await hub.deliver("a", "k")
    assert (await hub.loaded("a")).version == hub.versions["a"]
    assert isinstance(await hub.commit("a"), Committed)


async def test_a_key_that_is_there_is_a_duplicate(hub: Hub) -> None:
    await hub.running("a")
    await hub.deliver("a", "k", input="first")
    before = await hub.loaded("a")
    assert await hub.deliver("a", "k", input="second") is Delivery.DUPLICATE
    assert await hub.loaded("a") == before


async def test_a_key_that_was_consumed_may_come_again(hub: Hub) -> None:
    await hub.running("a")
    await hub.deliver("a", "k")
    await hub.commit("a", consumed=("k",))
    assert await hub.deliver("a", "k") is Delivery.DELIVERED
    assert await hub.inbox("a") == ["k"]


async def test_a_delivery_with_a_fence_needs_the_fence(hub: Hub) -> None:
    await hub.running("a")
    partition = partition_of("a", hub.store.partitions)
    (fence,) = await hub.store.own([partition], "me")
    item = InboxItem("k", EventRaised(7, "n"))
    assert await hub.write(Deliver("a", item, fence)) == [Delivery.DELIVERED]
    assert await hub.write(Deliver("a", item, fence)) == [Delivery.DUPLICATE]
    (later,) = await hub.store.own([partition], "another")
    other = InboxItem("l", EventRaised(7, "n"))
    elsewhere = Fence((partition + 1) % hub.store.partitions, later.token)
    for wrong in (fence, elsewhere):
        assert await hub.write(Deliver("a", other, wrong)) == [Conflict(fenced=True)]
    assert await hub.inbox("a") == ["k"]
    assert await hub.write(Deliver("a", other, later)) == [Delivery.DELIVERED]


async def noted(hub: Hub, target: str, key: str, **fields: Any) -> Result:
    """The owner puts an item there."""
    return await hub.one(Deliver(target, an_item(key, **fields), hub.fence(target)))


async def test_an_item_is_one_whoever_put_it_there(hub: Hub) -> None:
    await hub.running("a")
    assert await noted(hub, "a", "k") is Delivery.DELIVERED
    assert await hub.deliver("a", "k") is Delivery.DUPLICATE
    assert await hub.deliver("a", "l") is Delivery.DELIVERED
    assert await noted(hub, "a", "l") is Delivery.DUPLICATE
    assert await noted(hub, "a", "b") is Delivery.DELIVERED
    assert await hub.inbox("a") == ["k", "l", "b"]
    assert "a" in await hub.active()
    await hub.commit("a", consumed=("k", "b"))
    assert await hub.inbox("a") == ["l"]
    assert await noted(hub, "a", "k") is Delivery.DELIVERED
    assert await hub.inbox("a") == ["l", "k"]


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
async def test_what_the_owner_put_there_goes_with_the_instance(hub: Hub, *, large: bool) -> None:
    given = "x" * 600_000 if large else None
    await hub.running("a", "b")
    empty = await hub.counts()
    await noted(hub, "a", "k", input=given)
    await noted(hub, "b", "k", input=given)
    assert (await hub.counts())["inbox_items"] == empty["inbox_items"] + 2
    await hub.finish("a")
    assert await hub.inbox("a") == []
    assert await hub.active() == ["b"]
    await hub.finish("b", Status.FAILED)
    assert await noted(hub, "b", "l") is Delivery.REFUSED
    assert (await hub.counts())["inbox_items"] == empty["inbox_items"]
    assert await hub.purge("a") is Delivery.DELIVERED
    assert await hub.store.load("a") is None


async def test_a_turn_carries_over_what_the_owner_put_there(hub: Hub) -> None:
    await hub.running("a")
    for key in ("k", "l"):
        await noted(hub, "a", key)
    done = await hub.commit("a", consumed=("l",), carryover=(an_item("k"), an_item("l")))
    assert isinstance(done, Committed)
    assert await hub.inbox("a") == ["l", "k"]  # the one that was taken comes first
    await hub.commit("a", consumed=("k", "l"))
    assert await hub.inbox("a") == []


async def test_keys_of_two_instances_are_apart(hub: Hub) -> None:
    await hub.running("a", "b")
    assert await hub.deliver("a", "k") is Delivery.DELIVERED
    assert await hub.deliver("b", "k") is Delivery.DELIVERED


async def test_a_missing_target(hub: Hub) -> None:
    assert await hub.deliver("nobody", "k") is Delivery.MISSING
    assert await hub.store.load("nobody") is None


@pytest.mark.parametrize("status", sorted(ENDED), ids=lambda status: status.name)
async def test_an_ended_target_takes_nothing(hub: Hub, status: Status) -> None:
    await hub.running("a")
    await hub.finish("a", status)
    assert await hub.deliver("a", "k") is Delivery.REFUSED
    assert await hub.inbox("a") == []


@pytest.mark.parametrize(
    "status", [Status.PENDING, Status.SUSPENDED, Status.STALLED], ids=lambda s: s.name
)
async def test_a_live_target_takes_items_in_any_status(hub: Hub, status: Status) -> None:
    await hub.running("a")
    await hub.commit("a", status=status)
    assert await hub.deliver("a", "k") is Delivery.DELIVERED


@pytest.mark.parametrize("status", sorted(ENDED), ids=lambda status: status.name)
async def test_only_a_failed_instance_takes_a_rewind(hub: Hub, status: Status) -> None:
    await hub.running("a")
    await hub.finish("a", status)
    taken = await hub.deliver("a", "k", event=ExecutionRewound(5_000))
    if status is Status.FAILED:
        assert taken is Delivery.DELIVERED
        assert await hub.active() == ["a"]
        assert await hub.deliver("a", "k", event=ExecutionRewound(5_000)) is Delivery.DUPLICATE
    else:
        assert taken is Delivery.REFUSED
        assert await hub.active() == []


async def test_a_rewind_brings_a_failed_instance_back(hub: Hub) -> None:
    await hub.running("a")
    await hub.finish("a", Status.FAILED)
    await hub.deliver("a", "k", event=ExecutionRewound(5_000))
    back = await hub.commit("a", restart=True, append=events("kept"), consumed=("k",))
    assert isinstance(back, Committed)
    assert await hub.deliver("a", "event") is Delivery.DELIVERED
    assert (await hub.loaded("a")).history == events("kept")


async def test_consumed_items_go_and_the_others_keep_their_order(hub: Hub) -> None:
    await hub.running("a")
    for key in "abcdef":
        await hub.deliver("a", key)
    await hub.commit("a", consumed=("b", "e", "a"))
    assert await hub.inbox("a") == ["c", "d", "f"]


async def test_consuming_what_is_not_there_is_no_fault(hub: Hub) -> None:
    # The row of an item may have been withdrawn, because the turn came first.
    await hub.running("a")
    await hub.deliver("a", "k")
    assert isinstance(await hub.commit("a", consumed=("never", "k")), Committed)
    assert await hub.inbox("a") == []


async def test_a_refused_commit_consumes_nothing(hub: Hub) -> None:
    await hub.running("a")
    await hub.deliver("a", "k")
    before = await hub.loaded("a")
    refused = await hub.commit(
        "a", version=hub.versions["a"] - 1, consumed=("k",), carryover=(an_item("c"),)
    )
    assert refused == Conflict(fenced=False)
    assert await hub.loaded("a") == before


async def test_carried_items_come_before_what_is_there(hub: Hub) -> None:
    await hub.running("a")
    for key in ("x", "old", "y"):
        await hub.deliver("a", key)
    await hub.commit("a", consumed=("x",), carryover=(an_item("c1"), an_item("c2")))
    assert await hub.inbox("a") == ["c1", "c2", "old", "y"]


async def test_carried_items_come_before_earlier_carried_ones(hub: Hub) -> None:
    await hub.running("a")
    await hub.deliver("a", "x")
    await hub.commit("a", carryover=(an_item("c1"), an_item("c2")))
    await hub.commit("a", carryover=(an_item("d1"), an_item("d2")))
    await hub.deliver("a", "y")
    assert await hub.inbox("a") == ["d1", "d2", "c1", "c2", "x", "y"]


async def test_a_consumed_item_can_be_carried_over_under_its_key(hub: Hub) -> None:
    await hub.running("a")
    for key in ("x", "y"):
        await hub.deliver("a", key)
    await hub.commit("a", consumed=("x", "y"), carryover=(an_item("y", input="again"),))
    loaded = await hub.loaded("a")
    assert loaded.inbox == (an_item("y", input="again"),)


async def test_a_carried_key_that_is_there_is_not_doubled(hub: Hub) -> None:
    await hub.running("a")
    await hub.deliver("a", "x", input="there")
    await hub.commit("a", carryover=(an_item("x", input="carried"), an_item("c")))
    loaded = await hub.loaded("a")
    assert [item.key for item in loaded.inbox] == ["c", "x"]
    assert loaded.inbox[1] == an_item("x", input="there")


async def test_a_carried_key_is_a_duplicate_for_later_deliveries(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", carryover=(an_item("c"),))
    assert await hub.deliver("a", "c") is Delivery.DUPLICATE


async def test_the_inbox_keeps_its_order_through_many_turns(hub: Hub) -> None:
    """Places are used again after the inbox was empty, and below and above what is there."""
    await hub.running("a")
    expected: list[str] = []
    for n in range(60):
        await hub.deliver("a", f"d{n}")
        expected.append(f"d{n}")
        if n % 4 == 3:
            gone = tuple(expected[::2])
            await hub.commit("a", consumed=gone, carryover=(an_item(f"c{n}"),))
            expected = [f"c{n}", *expected[1::2]]
        if n % 16 == 15:
            await hub.commit("a", consumed=tuple(expected))
            expected = []
        assert await hub.inbox("a") == expected


async def test_many_items_for_one_instance(hub: Hub) -> None:
    await hub.running("a")
    for n in range(300):
        await hub.deliver("a", f"k{n}")
    assert await hub.inbox("a") == [f"k{n}" for n in range(300)]
    await hub.commit("a", consumed=tuple(f"k{n}" for n in range(0, 300, 2)))
    assert await hub.inbox("a") == [f"k{n}" for n in range(1, 300, 2)]
