"""Turns: laws W1 (all of a turn, or nothing) and W2 (fence and version), history, input.

What a turn does to other instances is in test_store_messages, to timers in test_store_timers.
"""

from __future__ import annotations

import pytest

from integration.store.samples import (
    Hub,
    a_creation,
    a_timer,
    a_turn,
    an_item,
    events,
    replaced,
)
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.turn import Message
from tenure_sidecar.store.port import Commit, Committed, Conflict, Fence


async def test_a_turn_is_all_there(hub: Hub) -> None:
    await hub.create("a", input="in")
    turn = a_turn("a", append=events("x"), consumed=("start",), pending=2, custom_status="half")
    result = await hub.one(hub.commit_of(turn))
    assert isinstance(result, Committed)
    loaded = await hub.loaded("a")
    assert loaded.head == turn.head
    assert await hub.store.head("a") == turn.head
    assert loaded.version == result.version
    assert loaded.history == events("x")
    assert loaded.inbox == ()
    assert loaded.input == "in"


async def test_history_grows_in_commit_order(hub: Hub) -> None:
    await hub.create("a")
    expected: tuple[object, ...] = ()
    for n in range(40):
        batch = events(*(f"e{n}.{m}" for m in range(n % 5)))
        await hub.commit("a", append=batch)
        expected += batch
    assert (await hub.loaded("a")).history == expected


async def test_a_turn_without_events_adds_none(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", custom_status="later")
    loaded = await hub.loaded("a")
    assert loaded.history == events("first")
    assert loaded.head.custom_status == "later"


async def test_versions_count_up_by_one(hub: Hub) -> None:
    # An owner runs ahead of the store, so it must know the next version without being told.
    created = await hub.create("a")
    version = (await hub.loaded("a")).version
    assert getattr(created, "version", None) == version
    for n in range(1, 4):
        assert await hub.commit("a") == Committed(version + n)


@pytest.mark.parametrize("offset", [-2, -1, 1, 2, 1 << 32, -(1 << 32)])
async def test_another_version_is_refused(hub: Hub, offset: int) -> None:
    await hub.running("a")
    await hub.commit("a", append=events("second"))
    before = await hub.loaded("a")
    version = hub.versions["a"] + offset
    assert await hub.commit("a", version=version, append=events("no")) == Conflict(fenced=False)
    assert await hub.loaded("a") == before


async def test_a_repeated_commit_is_refused(hub: Hub) -> None:
    await hub.create("a")
    op = hub.commit_of(a_turn("a", append=events("x")))
    assert isinstance(await hub.one(op), Committed)
    assert await hub.one(op) == Conflict(fenced=False)
    assert (await hub.loaded("a")).history == events("x")


async def test_a_missing_instance_is_refused(hub: Hub) -> None:
    assert await hub.commit("nobody", version=0) == Conflict(fenced=False)
    assert await hub.store.load("nobody") is None


async def test_an_earlier_fence_is_refused(hub: Hub) -> None:
    await hub.create("a")
    stale = hub.fence("a")
    await hub.own("another")
    before = await hub.loaded("a")
    op = Commit(stale, hub.versions["a"], a_turn("a", append=events("x")))
    assert await hub.one(op) == Conflict(fenced=True)
    assert await hub.loaded("a") == before
    assert isinstance(await hub.commit("a"), Committed)


async def test_a_made_up_fence_is_refused(hub: Hub) -> None:
    await hub.create("a")
    fence = hub.fence("a")
    future = Fence(fence.partition, fence.token + 1)
    assert await hub.one(Commit(future, hub.versions["a"], a_turn("a"))) == Conflict(fenced=True)


async def test_the_fence_of_another_partition_is_refused(hub: Hub) -> None:
    await hub.create("a")
    other = next(f for p, f in hub.fences.items() if p != hub.fence("a").partition)
    assert await hub.one(Commit(other, hub.versions["a"], a_turn("a"))) == Conflict(fenced=True)


async def test_a_released_fence_is_refused(hub: Hub) -> None:
    await hub.create("a")
    await hub.store.release([hub.fence("a")])
    assert await hub.commit("a") == Conflict(fenced=True)


async def test_the_fence_is_judged_before_the_version(hub: Hub) -> None:
    await hub.create("a")
    await hub.store.release([hub.fence("a")])
    assert await hub.commit("a", version=5) == Conflict(fenced=True)


async def test_a_refused_turn_has_no_effect_at_all(hub: Hub) -> None:
    await hub.running("a", "b")
    before = await hub.dump(["a", "b", "c"]), await hub.due(), await hub.counts()
    refused = await hub.commit(
        "a",
        version=hub.versions["a"] - 1,
        append=events("no"),
        timers_set=(a_timer("a", 9_000),),
        messages=(Message("b", an_item("k")),),
        creations=(a_creation("c"),),
        carryover=(an_item("c"),),
    )
    assert refused == Conflict(fenced=False)
    assert (await hub.dump(["a", "b", "c"]), await hub.due(), await hub.counts()) == before


async def test_each_op_of_a_write_is_judged_on_its_own(hub: Hub) -> None:
    await hub.running("a", "b", "c")
    results = await hub.write(
        hub.commit_of(a_turn("a", append=events("2"))),
        hub.commit_of(a_turn("b", append=events("2")), version=1),
        hub.commit_of(a_turn("c", append=events("2"))),
    )
    assert [type(result) for result in results] == [Committed, Conflict, Committed]
    lengths = [len((await hub.loaded(one)).history) for one in "abc"]
    assert lengths == [4, 2, 4]


async def test_a_restart_replaces_history_and_input(hub: Hub) -> None:
    await hub.create("a", input="one")
    await hub.commit("a", append=events("x", "y"))
    await hub.commit("a", append=events("z"))
    await hub.commit("a", restart=True, input="two", generation=1, append=events("new"))
    loaded = await hub.loaded("a")
    assert loaded.history == events("new")
    assert loaded.input == "two"
    assert loaded.head.generation == 1
    await hub.commit("a", append=events("more"), generation=1)
    assert (await hub.loaded("a")).history == events("new") + events("more")
    assert (await hub.counts())["history_events"] == 4


@pytest.mark.parametrize("given", [None, ""], ids=["none", "empty"])
async def test_a_restart_without_input_has_none(hub: Hub, given: str | None) -> None:
    await hub.create("a", input="one")
    await hub.commit("a", restart=True, input=given)
    assert await hub.store.input("a") == given


async def test_a_turn_without_restart_keeps_the_input(hub: Hub) -> None:
    await hub.create("a", input="one")
    await hub.commit("a", append=events("x"))
    assert await hub.store.input("a") == "one"


async def test_a_restart_with_nothing_to_append_leaves_an_empty_history(hub: Hub) -> None:
    await hub.running("a")
    await hub.commit("a", restart=True)
    assert (await hub.loaded("a")).history == ()
    await hub.commit("a", restart=True)
    await hub.commit("a", append=events("x"))
    assert (await hub.loaded("a")).history == events("x")


async def test_many_restarts_leave_one_history(hub: Hub) -> None:
    await hub.create("a")
    for n in range(30):
        await hub.commit("a", restart=True, input=str(n), append=events(str(n)), generation=n)
    loaded = await hub.loaded("a")
    assert loaded.history == events("29")
    assert loaded.input == "29"
    assert (await hub.counts())["history_events"] == 2


async def test_items_that_a_restart_did_not_consume_stay(hub: Hub) -> None:
    await hub.running("a")
    for key in ("x", "y"):
        await hub.deliver("a", key)
    await hub.commit("a", restart=True, consumed=("x",), carryover=(an_item("start"),))
    assert await hub.inbox("a") == ["start", "y"]


@pytest.mark.parametrize("size", [1, 900, 1_100, 5_000, 2_000_000])
async def test_payloads_of_every_size(hub: Hub, size: int) -> None:
    await hub.running("a")
    payload = ("☃" + "x" * size)[:size]
    await hub.deliver("a", "k", input=payload)
    batch = tuple(replaced_input(event, payload) for event in events("x")[1:])
    await hub.commit("a", append=batch, output=payload, custom_status=payload)
    loaded = await hub.loaded("a")
    assert loaded.history[-1] == batch[-1]
    assert loaded.inbox == (an_item("k", input=payload),)
    assert loaded.head.output == payload


def replaced_input(event: object, payload: str) -> object:
    return replaced(event, input=payload)  # type: ignore[arg-type]


async def test_the_commit_id_is_readable_after_the_commit(hub: Hub) -> None:
    await hub.create("a")
    await hub.commit("a", commit_id="abc1")
    head = await hub.store.head("a")
    assert head is not None
    assert head.commit_id == "abc1"


async def test_every_status_can_be_stored(hub: Hub) -> None:
    await hub.create("a")
    for status in Status:
        await hub.commit("a", status=status)
        head = await hub.store.head("a")
        assert head is not None
        assert head.status is status


async def test_commits_are_counted(hub: Hub) -> None:
    await hub.running("a", "b")
    before = (await hub.store.stats())["commits"]
    await hub.write(hub.commit_of(a_turn("a")), hub.commit_of(a_turn("b")))
    assert (await hub.store.stats())["commits"] == before + 1


async def test_an_empty_write_is_allowed(hub: Hub) -> None:
    assert await hub.write() == []
