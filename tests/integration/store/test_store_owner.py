"""Ownership: fences grow, hold and end; watches show what others did.

Whether a commit is refused by a fence is in test_store_commit.
"""

from __future__ import annotations

import asyncio

import pytest

from integration.store.samples import Hub, a_creation, an_item
from tenure_sidecar.engine.events import (
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    TaskCompleted,
)
from tenure_sidecar.engine.turn import InboxItem, Message
from tenure_sidecar.store.memory import MemoryDatabase, MemoryStore
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import Change, Committed, Conflict, Deliver, Fence, Store


def a_result(key: str) -> InboxItem:
    """What only engines send."""
    return an_item(key, event=TaskCompleted(1, task_id=0))


async def test_each_partition_has_its_fence(store: Store) -> None:
    fences = await store.own([5, 3, 9], "one")
    assert [fence.partition for fence in fences] == [5, 3, 9]


async def test_no_partition_no_fence(store: Store) -> None:
    assert await store.own([], "one") == []


async def test_tokens_strictly_increase(store: Store) -> None:
    last = 0
    for owner in ("one", "two", "two", "one"):
        (fence,) = await store.own([7], owner)
        assert fence.token > last
        last = fence.token


async def test_tokens_increase_over_a_release(store: Store) -> None:
    (first,) = await store.own([7], "one")
    await store.release([first])
    (second,) = await store.own([7], "two")
    assert second.token > first.token


async def test_taking_one_partition_leaves_the_others(hub: Hub) -> None:
    await hub.create("a")
    other = (hub.fence("a").partition + 1) % hub.store.partitions
    await hub.store.own([other], "another")
    assert isinstance(await hub.commit("a"), Committed)


async def test_releasing_an_old_fence_changes_nothing(hub: Hub) -> None:
    await hub.create("a")
    old = hub.fence("a")
    await hub.own()
    await hub.store.release([old])
    assert isinstance(await hub.commit("a"), Committed)


async def test_releasing_twice_is_no_fault(hub: Hub) -> None:
    await hub.store.release([hub.fence("a")])
    await hub.store.release([hub.fence("a")])
    await hub.store.release([])


async def test_a_made_up_fence_releases_nothing(hub: Hub) -> None:
    await hub.create("a")
    fence = hub.fence("a")
    await hub.store.release([Fence(fence.partition, fence.token + 1)])
    assert isinstance(await hub.commit("a"), Committed)


async def test_a_watch_does_not_show_what_this_process_does(hub: Hub) -> None:
    watch = aiter(hub.store.watch(partition_of("a", hub.store.partitions)))
    if hub.store.coordination is not None:
        assert await anext(watch) == Change("", gap=True)
    first = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await hub.running("a")
    await hub.write(Deliver("a", a_result("k")))
    carried = (an_item("carried"),)
    await hub.commit("a", carryover=carried, messages=(Message("a", a_result("sent")),))
    assert await hub.inbox("a") == ["carried", "k", "sent"]
    assert not first.done()
    await hub.store.close()
    with pytest.raises(StopAsyncIteration):
        await first
    await hub.store.open()


async def test_a_watch_shows_what_clients_send_through_this_process_too(hub: Hub) -> None:
    if hub.store.coordination is None:
        return  # nobody else writes, and nobody watches
    watch = aiter(hub.store.watch(partition_of("a", hub.store.partitions)))
    assert await anext(watch) == Change("", gap=True)
    await hub.running("a")
    await hub.write(Deliver("a", an_item("1"), hub.fence("a")))
    await hub.write(
        Deliver("a", an_item("2", event=ExecutionSuspended(1))),
        Deliver("a", a_result("not this")),
        Deliver("a", an_item("3", event=ExecutionResumed(1)), hub.fence("a")),
    )
    await hub.commit("a", messages=(Message("a", an_item("4")),))
    await hub.write(Deliver("a", an_item("5", event=ExecutionTerminated(1))))
    changes = [await anext(watch) for _ in range(5)]
    assert [(one.instance_id, one.item and one.item.key) for one in changes] == [
        ("a", str(n)) for n in range(1, 6)
    ]
    places = [change.at for change in changes]
    assert places == sorted(places)


async def test_a_watch_shows_what_another_process_does() -> None:
    database = MemoryDatabase(partitions=1)
    mine, theirs = MemoryStore(database), Hub(MemoryStore(database))
    await theirs.own()
    watch = aiter(mine.watch(0))
    changes: list[Change] = []

    async def follow() -> None:
        changes.extend([change async for change in watch])

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await theirs.create("a")
    await theirs.deliver("a", "k")
    await theirs.deliver("a", "k")  # a duplicate: nothing changed
    sent = (Message("b", an_item("x")),)
    await theirs.commit("a", creations=(a_creation("b"),), messages=sent)
    await theirs.commit("a", version=0)  # refused: nothing changed
    await mine.close()
    await task
    assert [(change.instance_id, change.item and change.item.key) for change in changes] == [
        ("", None),
        ("a", "start"),
        ("a", "k"),
        ("b", "start"),
        ("b", "x"),
    ]


async def test_handles_share_the_data_and_the_fences() -> None:
    database = MemoryDatabase()
    one, two = Hub(MemoryStore(database)), Hub(MemoryStore(database))
    await one.own("one")
    await one.create("a")
    await two.own("two")
    assert await one.commit("a") == Conflict(fenced=True)
    await one.store.close()
    assert isinstance(await two.commit("a", version=one.versions["a"]), Committed)
