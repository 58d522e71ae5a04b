"""How instances come into memory: once, within bounds, and again when the store failed.

In scope: the host's loads, its line of instances that wait for room, its cache, and whom it owes an
answer when it drops a copy.  Out of scope: what instances do then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from support.by_hand import HandWorker, call, done
from support.one_engine import OneEngine
from support.toy import Sleep
from support.virtual import in_virtual_time, passes
from tenure_common.errors import ShuttingDownError, StoreUnavailableError, TenureError
from tenure_sidecar.actors import host as host_module
from tenure_sidecar.actors.instance import Instance
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.turn import InboxItem
from tenure_sidecar.store.memory import MemoryDatabase
from tenure_sidecar.store.port import Loaded

FAULTS = [
    pytest.param(StoreUnavailableError("no route"), id="store away"),
    pytest.param(KeyError("a bug"), id="unexpected"),
]


class Reads:
    """Makes the loads of an engine's store slow, or fail, and counts them."""

    def __init__(self, one: OneEngine) -> None:
        self._load = one.store.load
        one.store.load = self.load  # type: ignore[method-assign]
        self.error: BaseException | None = None
        self.seconds = 0.0
        self.count = 0
        self.most = 0  # at a time
        self._now = 0

    async def load(self, instance_id: str) -> Loaded | None:
        self.count += 1
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            return await self._load(instance_id)
        finally:
            self._now -= 1


class Told:
    """What a caller of ``reach`` was told."""

    def __init__(self) -> None:
        self.all: list[tuple[Instance | None, BaseException | None]] = []

    def __call__(self, instance: Instance | None, error: BaseException | None) -> None:
        self.all.append((instance, error))


async def engine(database: MemoryDatabase | None = None) -> OneEngine:
    one = OneEngine(workflows={}, activities={}, database=database)
    await one.start(workers=0)
    return one


async def stored(count: int) -> tuple[MemoryDatabase, list[str]]:
    """A database with new instances, whose engine is gone."""
    one = await engine()
    ids = [await one.begin("any", instance_id=f"wf-{i:03}") for i in range(count)]
    await one.crash()
    return one.database, ids


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """A host that keeps ten instances."""
    monkeypatch.setattr(host_module, "_RESIDENT_MAX", 10)
    return 10


# --- one copy -------------------------------------------------------------------------------------


@in_virtual_time
async def test_many_callers_share_one_load() -> None:
    one = await engine()
    reads = Reads(one)
    told = [Told() for _ in range(50)]
    for each in told:
        one.host.reach("nobody", each)
    await passes(1)
    assert [each.all for each in told] == [[(None, None)]] * 50
    assert reads.count == 1


@in_virtual_time
async def test_a_resident_instance_is_there_at_once() -> None:
    one = await engine()
    instance_id = await one.begin("any")
    told = Told()
    one.host.reach(instance_id, told)
    assert told.all == [(one.host.resident(instance_id), None)]


@in_virtual_time
async def test_an_instance_that_is_created_during_its_load_has_one_copy() -> None:
    """The load sees the new row before the engine hears that it is durable, and ends after."""
    one = await engine()
    load = one.store.load

    async def late(instance_id: str) -> Loaded | None:
        loaded = await load(instance_id)
        await asyncio.sleep(1)
        return loaded

    one.store.load = late  # type: ignore[method-assign]
    creating = asyncio.get_running_loop().create_task(one.begin("any", instance_id="wf"))
    while "wf" not in one.database.records:
        await passes(1e-5)
    assert not creating.done()
    told = Told()
    one.host.reach("wf", told)
    await creating
    copy = one.host.resident("wf")
    assert copy is not None
    await passes(5)
    assert one.host.resident("wf") is copy
    assert told.all == [(copy, None)]


# --- when the store fails -------------------------------------------------------------------------


@pytest.mark.parametrize("error", FAULTS)
@in_virtual_time
async def test_a_failed_load_is_told_to_every_caller(error: Exception) -> None:
    one = await engine()
    reads = Reads(one)
    reads.error = error
    told = [Told() for _ in range(3)]
    for each in told:
        one.host.reach("wf", each)
    await passes(1)
    assert [each.all for each in told] == [[(None, error)]] * 3
    reads.error = None
    again = Told()
    one.host.reach("wf", again)
    await passes(1)
    assert again.all == [(None, None)]


@in_virtual_time
async def test_a_caller_that_raises_does_not_keep_others_from_hearing() -> None:
    one = await engine()

    def raises(_instance: Instance | None, _error: BaseException | None) -> None:
        raise RuntimeError("a bug")

    told = Told()
    one.host.reach("nobody", raises)
    one.host.reach("nobody", told)
    await passes(1)
    assert told.all == [(None, None)]


@pytest.mark.parametrize("error", FAULTS)
@in_virtual_time
async def test_a_wake_whose_load_failed_is_done_again(error: Exception) -> None:
    """Nobody else would do it: the instance waits for nothing that comes from outside."""
    database, (instance_id,) = await stored(1)
    one = await engine(database)
    reads = Reads(one)
    reads.error = error
    await passes(20)
    assert 3 <= reads.count < 20  # it backs off
    reads.error = None
    worker = HandWorker(one.dispatcher)
    await passes(20)
    assert worker.took == [instance_id]
    await one.host.stop()


@in_virtual_time
async def test_a_dropped_instance_comes_back_even_when_its_reload_fails() -> None:
    one = await engine()
    instance_id = await one.begin("any")
    reads = Reads(one)
    reads.error = StoreUnavailableError("no route")
    instance = one.host.resident(instance_id)
    assert instance is not None
    one.host.drop(instance, reads.error)
    await passes(5)
    reads.error = None
    worker = HandWorker(one.dispatcher)
    await passes(20)
    assert worker.took == [instance_id]


@pytest.mark.parametrize("error", FAULTS)
@in_virtual_time
async def test_instances_are_resumed_although_their_list_could_not_be_read(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, ids = await stored(3)
    one = OneEngine(workflows={}, activities={}, database=database)
    from support.one_engine import SlowStore

    active = SlowStore.active
    errors = [error]

    async def failing(self: SlowStore, *args: Any, **kwargs: Any) -> Any:
        if errors:
            raise errors.pop()
        return await active(self, *args, **kwargs)

    monkeypatch.setattr(SlowStore, "active", failing)
    await one.start(workers=0)
    worker = HandWorker(one.dispatcher)
    await passes(10)
    assert errors == []
    assert sorted(worker.took) == ids


@in_virtual_time
async def test_stopping_tells_whoever_waits_for_a_load() -> None:
    one = await engine()
    reads = Reads(one)
    reads.seconds = 3600
    told = [Told() for _ in range(3)]
    one.host.reach("a", told[0])
    await passes(1)
    one.host.reach("b", told[1])  # its task has not begun when the host stops
    await one.host.stop()
    one.host.reach("c", told[2])
    for each in told:
        ((instance, error),) = each.all
        assert instance is None
        assert isinstance(error, ShuttingDownError)


# --- bounds ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_loads_at_a_time_are_bounded() -> None:
    database, ids = await stored(200)
    one = await engine(database)
    reads = Reads(one)
    reads.seconds = 0.1
    await passes(5)
    assert reads.most == 32
    assert one.host.resident_count == len(ids)


@in_virtual_time
async def test_what_is_over_the_bound_waits_and_all_get_their_turn(small: int) -> None:
    database, ids = await stored(40)
    one = await engine(database)
    await passes(2)
    assert one.host.resident_count == small
    worker = HandWorker(one.dispatcher)
    finished: list[str] = []
    while len(finished) < len(ids):
        assert worker.turns, f"{len(finished)} of {len(ids)} ran"
        turn = worker.turns.popleft()
        worker.answer(turn, done())
        finished.append(turn.instance_id)
        await passes(1)
        assert one.host.resident_count <= small
    assert sorted(finished) == ids


@in_virtual_time
async def test_new_instances_over_the_bound_wait_in_order(small: int) -> None:
    one = await engine()
    ids = [await one.begin("any", instance_id=f"wf-{i:02}") for i in range(small + 5)]
    assert one.host.resident_count == small
    assert one.host.waiting_count == 5
    worker = HandWorker(one.dispatcher)
    order: list[str] = []
    while worker.turns:
        turn = worker.turns.popleft()
        worker.answer(turn, done())
        order.append(turn.instance_id)
        await passes(1)
    assert order == ids


@in_virtual_time
async def test_an_instance_waits_once_however_often_it_is_woken(small: int) -> None:
    one = await engine()
    for index in range(small):
        await one.begin("any", instance_id=f"wf-{index}")
    await one.begin("any", instance_id="waits")
    for _ in range(1000):
        one.host.wake("waits")
    assert one.host.waiting_count == 1


@in_virtual_time
async def test_room_that_a_purge_makes_is_used(small: int) -> None:
    one = await engine()
    ids = [await one.begin("any", instance_id=f"wf-{i}") for i in range(small)]
    await one.begin("any", instance_id="waits")
    for instance_id in ids:
        await one.operations.purge(instance_id, recursive=False, force=True)
    await passes(1)
    assert one.host.resident("waits") is not None


@in_virtual_time
async def test_a_timer_that_finds_no_room_is_not_lost(small: int) -> None:
    def nap(_given: str | None) -> Any:
        yield Sleep(60)
        return "awake"

    one = OneEngine(workflows={"nap": nap}, activities={})
    await one.start()
    sleeper = await one.begin("nap")
    await passes(1)
    await one.crash()
    await one.start(workers=0)
    for index in range(small):
        await one.begin("nap", instance_id=f"busy-{index}")
    await passes(120)  # the timer is due while there is no room
    one.connect()
    assert await one.finish(sleeper, within=600) == "awake"


@in_virtual_time
async def test_idle_instances_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "_IDLE_KEPT", 5)
    one = await engine()
    worker = HandWorker(one.dispatcher)
    ids = [await one.begin("any", instance_id=f"wf-{i}") for i in range(8)]
    while worker.turns:
        worker.answer(worker.turns.popleft())  # they wait for an event now
        await passes(1)
    assert [i for i in ids if one.host.resident(i) is not None] == ids[3:]
    reads = Reads(one)
    await one.operations.raise_event(ids[7], "go", None)  # from memory
    assert reads.count == 0
    await one.operations.raise_event(ids[0], "go", None)  # from the store
    assert reads.count == 1
    await passes(1)
    assert sorted(worker.took) == [ids[0], ids[7]]


@in_virtual_time
async def test_a_long_idle_history_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "_IDLE_BYTES", 1000)
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("any", "x" * 2000, instance_id="long")
    await one.begin("any", "x", instance_id="short")
    while worker.turns:
        worker.answer(worker.turns.popleft())
        await passes(1)
    assert one.host.resident("long") is None
    assert one.host.resident("short") is not None


# --- whom a dropped copy owes an answer -----------------------------------------------------------


async def stuck_suspension(one: OneEngine) -> tuple[Instance, asyncio.Event, asyncio.Task[None]]:
    """A suspension that is in the inbox, which no turn may consume yet: four commits are under way,
    in a store that writes when the returned event is set."""
    worker = HandWorker(one.dispatcher)
    instance_id = await one.begin("any")
    instance = one.host.resident(instance_id)
    assert instance is not None
    go = asyncio.Event()
    write = one.store.write

    async def slow(ops: Sequence[Any]) -> Any:
        await go.wait()
        return await write(ops)

    one.store.write = slow  # type: ignore[method-assign]
    for index in range(4):
        worker.answer(worker.turns.popleft(), call(index))
        instance.receive(
            InboxItem(f"e{index}", ev.EventRaised(at=1, name="n")),
            durable=True,
        )
    assert instance.ahead == 4
    loop = asyncio.get_running_loop()
    asked = loop.create_task(one.operations.suspend(instance_id, None))
    await passes(1)
    assert not asked.done()
    return instance, go, asked


@in_virtual_time
async def test_a_client_hears_of_its_operation_when_the_copy_is_dropped() -> None:
    one = await engine()
    instance, go, asked = await stuck_suspension(one)
    one.host.drop(instance, StoreUnavailableError("no route"))
    go.set()
    await passes(60)
    assert asked.done()
    with pytest.raises(TenureError):
        asked.result()


@in_virtual_time
async def test_a_client_hears_of_its_operation_when_the_instance_is_purged() -> None:
    one = await engine()
    instance, go, asked = await stuck_suspension(one)
    one.host.purged(instance.id)
    go.set()
    await passes(60)
    assert asked.done()
    with pytest.raises(TenureError):
        asked.result()
