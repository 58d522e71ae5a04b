"""Several engines of one app over a real etcd: spread, take-over, hand-over, calls at any of them.

In scope: the store's side of sharing (leases, owner keys, watches) under the real host, dispatch and
operations, in this process and as ``tenure dev`` processes.  What the loop decides, and every verb,
is in tests/sim/test_sharing_engines on virtual time.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Generator
from contextlib import AsyncExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from integration.store.conftest import an_etcd_store
from integration.store.samples import Hub, an_item
from support.engine import EngineProcess
from support.etcd import Cluster
from support.one_engine import OneEngine
from support.toy import All, Call, Child, Event
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.engine.events import Status, TaskCompleted
from tenure_sidecar.engine.turn import Turn
from tenure_sidecar.etcd import EtcdClient
from tenure_sidecar.store.etcd import EtcdStore
from tenure_sidecar.store.etcd.keys import Keys
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import Commit, Conflict, Deliver

Steps = Generator[Any, Any, Any]
LEASE = 2  # seconds: etcd's shortest
WITHIN = 60  # seconds: a bound for a broken engine, not a target


def chain(given: str | None) -> Steps:
    total = 0
    for step in range(int(given or "5")):
        total += int((yield Call("add", str(step))))
    return str(total)


def family(given: str | None) -> Steps:
    results = yield All([Child("chain", str(i)) for i in range(int(given or "70"))])
    return str(sum(map(int, results)))


def listen(_given: str | None) -> Steps:
    return (yield Event("word"))


WORKFLOWS: dict[str, Any] = {"chain": chain, "family": family, "listen": listen}
ACTIVITIES = {"add": lambda given: str(int(given or "0") + 1)}


async def test_an_owner_is_not_told_of_what_it_noted_itself(etcd_server: Cluster) -> None:
    """etcd sends it nothing, however many results its activities have."""
    store = an_etcd_store(etcd_server)
    await store.open()
    hub = Hub(store)
    await hub.own()
    await hub.running("a")
    span = Keys("test", store.app, partitions=store.partitions).of_partition(
        "inbox", partition_of("a", store.partitions)
    )
    watch = store.client.watch(*span)
    await watch.started()
    result = an_item("mine", event=TaskCompleted(1, task_id=0))
    await hub.write(Deliver("a", result, hub.fence("a")))
    await hub.deliver("a", "of another")
    batch = await anext(watch)
    assert [event.kv.key.rpartition(b"/")[2] for event in batch.events] == [b"of another"]
    watch.close()
    await store.close()


class Sharers:
    """Engines in this process, each with a store handle of its own."""

    def __init__(self, cluster: Cluster, stack: AsyncExitStack) -> None:
        self._cluster = cluster
        self._stack = stack
        self._app = uuid.uuid4().hex

    async def start(self, name: str, *, workers: int = 1) -> OneEngine:
        store = an_etcd_store(self._cluster, app=self._app, lease=LEASE)
        await store.open()
        self._stack.push_async_callback(store.close)
        engine = OneEngine(
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            store=store,
            seed=hash(name),
            identity=Identity(name, pod=name),
        )
        await engine.start(workers)
        self._stack.push_async_callback(self._stop, engine)
        return engine

    async def _stop(self, engine: OneEngine) -> None:
        if not engine.host.stopping:
            await engine.host.stop()


@pytest.fixture
async def sharers(etcd_server: Cluster) -> AsyncIterator[Sharers]:
    async with AsyncExitStack() as stack:
        yield Sharers(etcd_server, stack)


@pytest.fixture
async def three(sharers: Sharers) -> tuple[OneEngine, OneEngine, OneEngine]:
    engines = [await sharers.start(name) for name in ("alpha", "beta", "gamma")]
    await settled(*engines)
    return engines[0], engines[1], engines[2]


def store_of(engine: OneEngine) -> EtcdStore:
    store = engine.host.store
    assert isinstance(store, EtcdStore)
    return store


def owned(engine: OneEngine) -> set[int]:
    return {fence.partition for fence in engine.host.fences()}


async def settled(*engines: OneEngine) -> None:
    """Until every partition has an owner among them, and everybody has some."""
    async with asyncio.timeout(WITHIN):
        while True:
            counts = [len(owned(engine)) for engine in engines]
            if sum(counts) == engines[0].host.store.partitions and min(counts) > 0:
                return
            await asyncio.sleep(0.02)


def of(engine: OneEngine) -> str:
    """An instance id in a partition of the engine's."""
    mine, partitions = owned(engine), engine.host.store.partitions
    word = uuid.uuid4().hex
    names = (f"{word}{n}" for n in range(10_000))
    return next(name for name in names if partition_of(name, partitions) in mine)


def missed(*engines: OneEngine) -> int:
    return sum(one.host.sharing.inboxes.missed for one in engines if one.host.sharing is not None)


async def test_work_is_spread_and_found_from_everywhere(
    three: tuple[OneEngine, OneEngine, OneEngine],
) -> None:
    ids = [await three[n % 3].begin("chain", "5") for n in range(45)]
    family_id = await three[0].begin("family", "70")
    for n, instance_id in enumerate(ids):
        assert await three[(n + 1) % 3].finish(instance_id, within=WITHIN) == "15"
    expected = str(sum(n * (n + 1) // 2 for n in range(70)))
    assert await three[1].finish(family_id, within=WITHIN) == expected
    assert all(engine.effects for engine in three)
    assert missed(*three) == 0


async def test_verbs_at_whoever_does_not_own(three: tuple[OneEngine, OneEngine, OneEngine]) -> None:
    one, two, three_ = three
    instance_id = await two.begin("listen", None, of(one))
    await two.operations.wait(instance_id, end=False)
    await two.operations.suspend(instance_id, None)
    for engine in three:
        head = await engine.operations.head(instance_id)
        assert head is not None
        assert head.suspended
    await two.operations.resume(instance_id, None)
    await three_.operations.raise_event(instance_id, "word", "x" * 300_000)  # a large value
    assert await two.finish(instance_id, within=WITHIN) == "x" * 300_000
    other = await two.begin("listen", None, of(one))
    await three_.operations.terminate(other, "enough", recurse=False)
    head = await one.operations.head(other)
    assert head is not None
    assert head.status is Status.TERMINATED
    assert missed(*three) == 0


async def test_a_crash_and_a_clean_stop(
    sharers: Sharers, three: tuple[OneEngine, OneEngine, OneEngine]
) -> None:
    one, two, last = three
    ids = [await one.begin("chain", "20") for _ in range(30)]
    await one.crash()
    for instance_id in ids:
        assert await last.finish(instance_id, within=WITHIN) == "210"
    await settled(two, last)
    ids = [await last.begin("chain", "20") for _ in range(30)]
    await two.host.stop()
    assert owned(two) == set()
    for instance_id in ids:
        assert await last.finish(instance_id, within=WITHIN) == "210"
    again = await sharers.start("alpha")
    await settled(again, last)
    assert await last.finish(await again.begin("family", "5"), within=WITHIN) == "20"


async def test_a_stale_owner_is_refused_and_notices(
    three: tuple[OneEngine, OneEngine, OneEngine], etcd_server: Cluster
) -> None:
    one, two, last = three
    instance_id = await one.begin("listen", None, of(one))
    await one.operations.wait(instance_id, end=False)
    copy = one.host.resident(instance_id)
    assert copy is not None
    fence = copy.fence
    (lease,) = {
        held.lease
        for p, held in (await store_of(one).owners.roster()).owners.items()
        if p in owned(one)
    }
    admin = EtcdClient(etcd_server.urls, clock=time.monotonic)
    await admin.revoke(lease)
    async with asyncio.timeout(WITHIN):
        while not copy.closed:
            await asyncio.sleep(0.01)
    await settled(*three)
    await last.operations.raise_event(instance_id, "word", "heard")
    assert await two.finish(instance_id, within=WITHIN) == "heard"
    loaded = await store_of(two).load(instance_id)
    assert loaded is not None
    (result,) = await store_of(one).write([Commit(fence, loaded.version, Turn(loaded.head))])
    assert result == Conflict(fenced=True)
    await admin.close()


async def test_a_watch_that_lost_its_place_lists_anew(
    three: tuple[OneEngine, OneEngine, OneEngine], etcd_server: Cluster
) -> None:
    one, two, _ = three
    ids = [await two.begin("listen", None, of(one)) for _ in range(5)]
    for instance_id in ids:
        await two.operations.wait(instance_id, end=False)
    # The watch stream is cut, messages are sent meanwhile, and etcd forgets them.
    watches = store_of(one).client._watches
    assert watches._task is not None
    watches._task.cancel()
    await asyncio.gather(watches._task, return_exceptions=True)
    for instance_id in ids:
        await two.operations.raise_event(instance_id, "word", "heard")
    status = await store_of(two).client.status()
    await store_of(two).client.compact(max(member.revision for member in status))
    watches._task = asyncio.create_task(watches._run())
    for instance_id in ids:
        assert await two.finish(instance_id, within=WITHIN) == "heard"
    assert missed(one) == 0


# --- as processes ---------------------------------------------------------------------------------


def ask(engine: EngineProcess, method: str, path: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", engine.http_port, timeout=60)
    try:
        connection.request(method, f"/v1.0/workflows/dapr{path}")
        answer = connection.getresponse()
        assert answer.status < 300, answer.read()
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found
    finally:
        connection.close()


def test_three_processes_share_an_app(tmp_path: Path, etcd_server: Cluster) -> None:
    hosts = ",".join(url.removeprefix("http://") for url in etcd_server.urls)
    url = f"etcd://{hosts}/{uuid.uuid4().hex}?lease={LEASE}"
    engines = [EngineProcess(tmp_path, store=url) for _ in range(3)]
    one, two, three = engines
    try:
        for engine in engines:
            engine.start()
        for n in range(12):
            ask(engines[n % 3], "POST", f"/order/start?instanceID=i{n}")
        for n in range(12):
            assert ask(engines[(n + 1) % 3], "GET", f"/i{n}")["runtimeStatus"] == "PENDING"
        for n in range(4):
            ask(two, "POST", f"/i{n}/terminate")
            assert ask(three, "GET", f"/i{n}")["runtimeStatus"] == "TERMINATED"
        one.kill()
        for n in range(4, 8):  # done as soon as the owner's lease has ended
            ask(two, "POST", f"/i{n}/terminate")
            assert ask(three, "GET", f"/i{n}")["runtimeStatus"] == "TERMINATED"
        assert two.stop() == 0
        for n in range(8, 12):
            ask(three, "POST", f"/i{n}/terminate")
            assert ask(three, "GET", f"/i{n}")["runtimeStatus"] == "TERMINATED"
        assert three.stop() == 0
    finally:
        for engine in engines:
            engine.close()
