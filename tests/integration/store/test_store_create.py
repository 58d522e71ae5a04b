"""Creating instances for clients, and using an id again.

In scope: ``Create`` and what a load shows after it.  Children are in test_store_messages.
"""

from __future__ import annotations

import pytest

from integration.store.samples import ENDED, RETENTION, START, Hub, a_creation, a_timer, events
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.turn import START_KEY
from tenure_sidecar.store.port import Conflict, Create, Created, Exists


async def test_a_new_instance_is_all_there(hub: Hub) -> None:
    created = await hub.create("a", input='{"n": 1}', tags={"team": "blue"})
    assert isinstance(created, Created)
    loaded = await hub.loaded("a")
    assert loaded.head == created.head
    assert loaded.version == created.version
    assert loaded.input == '{"n": 1}'
    assert loaded.history == ()
    assert [item.key for item in loaded.inbox] == [START_KEY]
    assert loaded.inbox[0].event == a_creation("a", input='{"n": 1}').start


async def test_what_is_not_there_is_none(hub: Hub) -> None:
    assert await hub.store.load("nobody") is None
    assert await hub.store.head("nobody") is None
    assert await hub.store.input("nobody") is None


@pytest.mark.parametrize(
    "given",
    [None, "", "0", "x" * 300_000, "naïve ☃ \U0001f980 \x00 end"],
    ids=["none", "empty", "short", "long", "odd characters"],
)
async def test_inputs_come_back_exactly(hub: Hub, given: str | None) -> None:
    await hub.create("a", input=given)
    assert await hub.store.input("a") == given
    assert (await hub.loaded("a")).input == given


@pytest.mark.parametrize(
    "instance_id",
    ["a", "A", "x" * 1_000, "with space", "a/b", "a'b\"c", "ünï☃", "%", "@sys@1", "a\nb"],
)
async def test_ids_are_opaque(hub: Hub, instance_id: str) -> None:
    assert isinstance(await hub.create(instance_id), Created)
    assert isinstance(await hub.create(instance_id), Exists)
    assert (await hub.loaded(instance_id)).head.instance_id == instance_id
    assert await hub.active() == [instance_id]


async def test_ids_that_differ_in_case_are_two(hub: Hub) -> None:
    await hub.create("order", input="1")
    assert isinstance(await hub.create("Order", input="2"), Created)
    assert await hub.store.input("order") == "1"


async def test_a_taken_id_is_refused_and_nothing_changes(hub: Hub) -> None:
    created = await hub.create("a", input="1")
    before = await hub.loaded("a")
    result = await hub.create("a", input="2", name="other")
    assert result == Exists(created.head)
    assert await hub.loaded("a") == before


@pytest.mark.parametrize("status", sorted(ENDED), ids=lambda status: status.name)
async def test_an_ended_instance_is_replaced_when_its_status_is_listed(
    hub: Hub, status: Status
) -> None:
    await hub.running("a")
    await hub.finish("a", status)
    kept = await hub.create("a", replace=ENDED - {status})
    assert isinstance(kept, Exists)
    assert kept.head.status is status
    created = await hub.create("a", input="again", replace=frozenset({status}))
    assert isinstance(created, Created)
    assert created.head.generation == 1
    loaded = await hub.loaded("a")
    assert loaded.head == created.head
    assert loaded.history == ()
    assert loaded.input == "again"
    assert [item.key for item in loaded.inbox] == [START_KEY]


async def test_a_live_instance_is_replaced_when_its_status_is_listed(hub: Hub) -> None:
    await hub.running("a", timers_set=(a_timer("a", 9_000),))
    await hub.deliver("a", "late")
    created = await hub.create("a", replace=frozenset({Status.RUNNING}))
    assert isinstance(created, Created)
    assert await hub.inbox("a") == [START_KEY]
    assert await hub.due() == []


async def test_nothing_of_the_replaced_instance_stays(hub: Hub) -> None:
    await hub.create("a", input="old", tags={"old": "1"})
    await hub.commit("a", consumed=("start",), append=events("x"), tags={"old": "1"})
    keep = a_timer("a", 9_000, kind=RETENTION)
    await hub.finish("a", timers_set=(keep,), append=events("y"))
    await hub.create("a", replace=ENDED)
    assert await hub.store.input("a") is None
    assert await hub.due() == []
    counts = await hub.counts()
    assert counts == {"instances": 1, "history_events": 0, "inbox_items": 1, "timers": 0}


async def test_generations_count_on(hub: Hub) -> None:
    for generation in range(4):
        created = await hub.create("a", replace=ENDED)
        assert isinstance(created, Created)
        assert created.head.generation == generation
        await hub.commit("a", status=Status.COMPLETED, generation=generation)


async def test_the_generation_of_continue_as_new_counts_too(hub: Hub) -> None:
    await hub.create("a")
    await hub.commit("a", status=Status.FAILED, generation=7)
    created = await hub.create("a", replace=ENDED)
    assert created.head.generation == 8


async def test_a_copy_of_the_replaced_instance_cannot_commit(hub: Hub) -> None:
    await hub.running("a")
    await hub.finish("a")
    stale = hub.versions["a"]
    await hub.create("a", replace=ENDED)
    for version in range(stale - 3, stale + 4):
        assert await hub.commit("a", version=version) == Conflict(fenced=False)


async def test_a_copy_of_a_purged_instance_cannot_commit_to_the_next(hub: Hub) -> None:
    created = await hub.create("a")
    assert isinstance(created, Created)
    await hub.purge("a")
    await hub.create("a")
    assert await hub.commit("a", version=created.version) == Conflict(fenced=False)


async def test_a_delayed_start_has_its_timer(hub: Hub) -> None:
    timer = a_timer("a", 50_000, kind=START)
    await hub.create("a", timer=timer)
    assert await hub.due() == [timer]


async def test_the_timer_of_a_replaced_id_is_of_the_new_generation(hub: Hub) -> None:
    await hub.create("a")
    await hub.commit("a", status=Status.COMPLETED)
    await hub.create("a", replace=ENDED, timer=a_timer("a", 50_000, kind=START))
    assert await hub.due() == [a_timer("a", 50_000, kind=START, generation=1)]


async def test_two_creations_of_one_id_in_two_writes_make_one(hub: Hub) -> None:
    first, second = [await hub.one(Create(a_creation("a"))) for _ in range(2)]
    assert isinstance(first, Created)
    assert second == Exists(first.head)


async def test_many_creations_in_one_write(hub: Hub) -> None:
    ids = [f"i{n:04d}" for n in range(1_000)]
    results = await hub.write(*(Create(a_creation(one), one) for one in ids))
    assert all(isinstance(result, Created) for result in results)
    assert await hub.active() == ids
    assert await hub.store.input("i0777") == "i0777"
