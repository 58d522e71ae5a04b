"""Reminders of retention: read apart from the timers of workflows; a purge of one generation.

Out of scope: when they are set and what they lead to (the engine and the retention actor).
"""

from __future__ import annotations

from integration.store.samples import ENDED, RETENTION, START, Hub, a_timer
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import Created, Delivery


async def test_reminders_of_retention_are_not_among_the_timers(hub: Hub) -> None:
    await hub.running("a", "b")
    await hub.commit("a", timers_set=(a_timer("a", 100), a_timer("a", 50, kind=START)))
    await hub.commit("b", timers_set=tuple(a_timer("b", n, kind=RETENTION) for n in range(10)))
    found = await hub.store.due(range(hub.store.partitions), until=900, limit=2)
    assert [timer.due for timer in found] == [50, 100]


async def test_expired_are_soonest_first_bounded_and_limited(hub: Hub) -> None:
    await hub.running("a", "b")
    await hub.commit("a", timers_set=(a_timer("a", 300, kind=RETENTION), a_timer("a", 1)))
    await hub.commit("b", timers_set=(a_timer("b", 200, kind=RETENTION),))
    assert [timer.instance_id for timer in await hub.expired()] == ["b", "a"]
    assert [timer.instance_id for timer in await hub.expired(until=299)] == ["b"]
    assert [timer.instance_id for timer in await hub.expired(until=300, limit=1)] == ["b"]
    assert await hub.expired(until=199) == []


async def test_expired_of_the_given_partitions(hub: Hub) -> None:
    ids = [f"i{n}" for n in range(20)]
    await hub.running(*ids)
    for one in ids:
        await hub.commit(one, timers_set=(a_timer(one, 500, kind=RETENTION),))
    partition = partition_of("i7", hub.store.partitions)
    found = await hub.store.expired([partition], until=900, limit=100)
    assert "i7" in {timer.instance_id for timer in found}
    assert {partition_of(timer.instance_id, hub.store.partitions) for timer in found} == {partition}


async def test_a_purge_of_another_generation_is_refused(hub: Hub) -> None:
    await hub.running("a")
    await hub.finish("a")
    assert await hub.purge("a", ENDED, generation=1) is Delivery.REFUSED
    assert await hub.purge("a", ENDED, generation=0) is Delivery.DELIVERED


async def test_an_id_used_again_is_safe_from_the_purge_of_before(hub: Hub) -> None:
    await hub.running("a")
    await hub.finish("a", timers_set=(a_timer("a", 900, kind=RETENTION),))
    (reminder,) = await hub.expired()
    assert isinstance(await hub.create("a", replace=ENDED), Created)
    await hub.commit("a", consumed=("start",), generation=1)
    await hub.finish("a", generation=1)
    assert await hub.purge("a", ENDED, generation=reminder.generation) is Delivery.REFUSED
    head = await hub.store.head("a")
    assert head is not None
    assert (head.status, head.generation) == (Status.COMPLETED, 1)
    assert await hub.expired() == []


async def test_a_purge_of_a_generation_that_an_uncached_head_has(hub: Hub) -> None:
    # The judge reads the head when it has none in memory.
    await hub.running("a")
    await hub.finish("a", generation=3)
    await hub.store.close()
    await hub.store.open()
    await hub.own()
    assert await hub.purge("a", generation=2) is Delivery.REFUSED
    assert await hub.purge("a", generation=3) is Delivery.DELIVERED
