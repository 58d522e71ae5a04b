"""The apps of a gateway on a real etcd: found, opened, let go, gone; none takes another down.

In scope: the fleet, in this process, one look at a time.  Out of scope: HTTP (the other modules here),
the engines' own work (integration/store).
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from support.etcd import Cluster
from tenure_common.clock import monotonic
from tenure_common.errors import NoSuchAppError, ShuttingDownError, StoreNewerError, TenureError
from tenure_sidecar.actors.sharing.decide import GATEWAY
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.appengine import AppEngine
from tenure_sidecar.config import EngineConfig
from tenure_sidecar.etcd import EtcdClient, prefix_end
from tenure_sidecar.fleet import Fleet
from tenure_sidecar.http.manage.api import AppName
from tenure_sidecar.store.etcd import Address, EtcdStore
from tenure_sidecar.store.etcd.apps import FoundApp, find_app, find_apps
from tenure_sidecar.store.etcd.keys import Keys
from tenure_sidecar.store.partition import DEFAULT_PARTITIONS

WORKER = b'{"pod":"p","workers":1}'
IDLE = b'{"pod":"p","workers":0}'
MINUTE = 60.0


class Clock:
    """Monotonic, and can be set forward."""

    ahead = 0.0

    def __call__(self) -> float:
        return monotonic() + self.ahead


class World:
    """A prefix of its own on the cluster, with a fleet."""

    def __init__(self, cluster: Cluster) -> None:
        self.prefix = uuid.uuid4().hex
        self.address = Address(endpoints=tuple(cluster.urls), prefix=self.prefix, lease=2)
        self.client = EtcdClient(cluster.urls, clock=monotonic)
        self.clock = Clock()
        self.made: list[AppName] = []
        self.seen: list[bool] = []
        self.before_made: Callable[[], None] = lambda: None
        self.fleet = self.another()

    def another(self, *namespaces: str) -> Fleet:
        return Fleet(
            self.client,
            prefix=self.prefix,
            namespaces=namespaces,
            default="default",
            idle=MINUTE,
            clock=self.clock,
            make=self._engine,
            look_every=0.05,
        )

    def _engine(self, name: AppName) -> AppEngine:
        self.made.append(name)
        self.before_made()
        config = EngineConfig(app_id=name.app, namespace=name.namespace, store="etcd://unused")
        store = EtcdStore(self.address, namespace=name.namespace, app=name.app, client=self.client)
        identity = Identity(uuid.uuid4().hex, pod="gateway", role=GATEWAY)
        return AppEngine(config, store=store, identity=identity)

    async def app(self, namespace: str, app: str, *, member: bytes | None = WORKER) -> None:
        """An app that was started once; with a member that says ``member``."""
        store = EtcdStore(self.address, namespace=namespace, app=app)
        await store.open()
        await store.close()
        if member is not None:
            await self.client.put(self.keys(namespace, app).member("m"), member)

    def keys(self, namespace: str, app: str) -> Keys:
        return Keys(namespace, app, prefix=self.prefix)

    async def left(self, namespace: str, app: str, kind: str) -> int:
        """How many keys of a kind the app has."""
        first = self.keys(namespace, app).root + f"{kind}/".encode()
        pages = self.client.scan(first, prefix_end(first), keys_only=True)
        return sum([len(page.kvs) async for page in pages])

    async def owned(self, namespace: str, app: str) -> None:
        """Until somebody owns all of an app."""
        async with asyncio.timeout(60):
            while await self.left(namespace, app, "owners") < DEFAULT_PARTITIONS:
                await asyncio.sleep(0.02)

    async def settled(self) -> None:
        """Until nothing is being opened or closed."""
        tasks = [
            task
            for held in self.fleet._apps.values()
            for task in (held.opening, held.closing)
            if task is not None
        ]
        if tasks:
            await asyncio.wait(tasks)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
async def world(etcd: Cluster) -> AsyncIterator[World]:
    world = World(etcd)
    yield world
    await world.fleet.stop()
    await world.client.close()


# --- finding --------------------------------------------------------------------------------------


async def test_apps_are_found_among_many_keys(world: World) -> None:
    await world.app("shop", "orders")
    await world.app("shop", "orders2", member=None)
    await world.app("shop", "a/b%c", member=IDLE)
    await world.app("bank", "orders", member=b"of a later version")
    for number in range(50):
        await world.client.put(world.keys("shop", "orders").head(f"i{number}"), b"x")
    # Not apps: no meta key, a key that is nobody's, a neighbour's prefix.
    await world.client.put(world.keys("shop", "almost").head("x"), b"x")
    await world.client.put(f"/{world.prefix}/loose".encode(), b"x")
    await world.client.put(f"/{world.prefix}x/shop/orders/meta".encode(), b"x")
    assert await find_apps(world.client, prefix=world.prefix) == [
        FoundApp("bank", "orders", served=True),
        FoundApp("shop", "a/b%c", served=False),
        FoundApp("shop", "orders", served=True),
        FoundApp("shop", "orders2", served=False),
    ]
    of_bank = await find_apps(world.client, prefix=world.prefix, namespaces=["bank", "none"])
    assert of_bank == [FoundApp("bank", "orders", served=True)]
    one = await find_app(world.client, prefix=world.prefix, namespace="shop", app="a/b%c")
    assert one == FoundApp("shop", "a/b%c", served=False)
    none = await find_app(world.client, prefix=world.prefix, namespace="shop", app="almost")
    assert none is None


async def test_many_apps_cost_a_few_small_reads_each(world: World) -> None:
    for number in range(70):
        await world.client.put(world.keys("shop", f"a{number}").meta, b"{}")
    before = world.client.calls
    assert len(await find_apps(world.client, prefix=world.prefix)) == 70
    assert world.client.calls - before <= 3 * 70 + 1 + 3  # one, where etcd reads in transactions


async def test_a_namespace_is_no_prefix_of_another(world: World) -> None:
    await world.app("shop", "orders")
    await world.app("shop2", "orders")
    found = await find_apps(world.client, prefix=world.prefix, namespaces=["shop"])
    assert found == [FoundApp("shop", "orders", served=True)]


# --- opening and letting go -----------------------------------------------------------------------


async def test_an_app_that_nobody_serves_is_opened_at_once(world: World) -> None:
    await world.app("shop", "orders", member=None)
    await world.app("shop", "served")
    await world.fleet.look()
    await world.settled()
    assert world.made == [AppName("shop", "orders")]
    assert world.fleet.names() == [AppName("shop", "orders"), AppName("shop", "served")]
    assert (world.fleet.known, world.fleet.running, world.fleet.ailing) == (2, 1, 0)
    await world.owned("shop", "orders")
    world.clock.ahead += 2 * MINUTE  # it is not let go, however long nobody asks
    await world.fleet.look()
    await world.settled()
    assert world.fleet.running == 1


async def test_an_app_that_runs_is_opened_when_somebody_asks_and_let_go_later(world: World) -> None:
    await world.app("shop", "orders")
    await world.fleet.look()
    await world.settled()
    assert world.fleet.running == 0
    async with world.fleet.use("shop", "orders") as api:
        assert api.app_id == "orders"
        world.clock.ahead += 2 * MINUTE
        await world.fleet.look()
        await world.settled()
        assert world.fleet.running == 1  # somebody uses it
        assert await api.operations.head("x") is None
    await world.fleet.look()
    await world.settled()
    assert world.fleet.running == 1  # somebody may ask again
    world.clock.ahead += MINUTE
    await world.fleet.look()
    await world.settled()
    assert world.fleet.running == 0
    assert await world.left("shop", "orders", "owners") == 0
    async with world.fleet.use("shop", "orders") as api:  # and once more
        assert await api.operations.head("x") is None
    assert world.made == [AppName("shop", "orders")] * 2


async def test_many_who_ask_at_once_open_it_once(world: World) -> None:
    await world.app("shop", "orders")

    async def ask() -> None:
        async with world.fleet.use("shop", "orders") as api:
            assert await api.operations.head("x") is None

    await asyncio.gather(*(ask() for _ in range(20)))
    assert world.made == [AppName("shop", "orders")]


async def test_one_who_goes_away_does_not_stop_the_opening_for_others(world: World) -> None:
    await world.app("shop", "orders")

    async def ask() -> str:
        async with world.fleet.use("shop", "orders") as api:
            return api.app_id

    first, second = (asyncio.get_running_loop().create_task(ask()) for _ in range(2))
    while not world.made:
        await asyncio.sleep(0)
    first.cancel()
    assert await second == "orders"
    assert world.made == [AppName("shop", "orders")]


async def test_what_is_asked_for_while_it_is_closed_is_opened_after(world: World) -> None:
    await world.app("shop", "orders")
    async with world.fleet.use("shop", "orders"):
        pass
    world.clock.ahead += 2 * MINUTE
    await world.fleet.look()  # closing begins
    closing = world.fleet._apps[AppName("shop", "orders")].closing
    assert closing is not None
    assert not closing.done()
    world.before_made = lambda: world.seen.append(closing.done())
    async with world.fleet.use("shop", "orders") as api:
        assert await api.operations.head("x") is None
    assert world.seen == [True]


async def test_an_app_that_is_deleted_is_forgotten(world: World) -> None:
    await world.app("shop", "orders")
    await world.app("shop", "stock")
    async with world.fleet.use("shop", "orders"):
        await world.fleet.look()
        root = world.keys("shop", "orders").root
        await world.client.delete(root + b"meta")
        await world.fleet.look()
        assert AppName("shop", "orders") in world.fleet.names()  # somebody uses it
    await world.fleet.look()
    assert world.fleet.names() == [AppName("shop", "stock")]
    with pytest.raises(NoSuchAppError):
        async with world.fleet.use("shop", "orders"):
            pass


async def test_an_app_is_there_as_soon_as_it_was_started(world: World) -> None:
    await world.fleet.look()
    with pytest.raises(NoSuchAppError, match="from the first start of its sidecar on"):
        async with world.fleet.use("shop", "orders"):
            pass
    await world.app("shop", "orders")
    async with world.fleet.use("shop", "orders") as api:
        assert api.app_id == "orders"


async def test_namespaces_that_are_not_served(world: World) -> None:
    await world.app("shop", "orders")
    await world.app("bank", "orders")
    fleet = world.another("shop")
    try:
        await fleet.look()
        assert fleet.names() == [AppName("shop", "orders")]
        with pytest.raises(NoSuchAppError, match="does not serve namespace 'bank', only shop"):
            async with fleet.use("bank", "orders"):
                pass
    finally:
        await fleet.stop()


async def test_the_dash_is_an_app_that_is_alone_in_its_namespace(world: World) -> None:
    await world.app("shop", "orders")
    await world.app("bank", "orders")
    await world.app("bank", "loans")
    await world.fleet.look()
    async with world.fleet.use("shop", "-") as api:
        assert api.app_id == "orders"
    for namespace, count in (("bank", 2), ("none", 0)):
        with pytest.raises(NoSuchAppError, match=f"which has {count}: name the app"):
            async with world.fleet.use(namespace, "-"):
                pass


# --- apps that are sick ---------------------------------------------------------------------------


async def test_a_sick_app_is_answered_at_once_for_a_while_and_tried_again(world: World) -> None:
    await world.client.put(world.keys("shop", "newer").meta, b'{"layout":99,"partitions":64}')
    await world.app("shop", "orders", member=None)
    await world.fleet.look()
    await world.settled()
    assert (world.fleet.running, world.fleet.ailing, world.fleet.failed) == (1, 1, 1)
    for _ in range(3):
        with pytest.raises(StoreNewerError):
            async with world.fleet.use("shop", "newer"):
                pass
    assert world.made.count(AppName("shop", "newer")) == 1
    async with world.fleet.use("shop", "orders") as api:
        assert await api.operations.head("x") is None
    await world.client.delete(world.keys("shop", "newer").meta)
    await world.app("shop", "newer", member=None)
    world.clock.ahead += 1.5
    await world.fleet.look()
    await world.settled()
    assert (world.fleet.running, world.fleet.ailing) == (2, 0)


async def test_pauses_grow(world: World) -> None:
    await world.client.put(world.keys("shop", "newer").meta, b'{"layout":99,"partitions":64}')
    tries: list[int] = []
    for _ in range(40):
        await world.fleet.look()
        await world.settled()
        tries.append(world.fleet.failed)
        world.clock.ahead += 1.0
    assert tries[:4] == [1, 2, 2, 3]
    assert tries[-1] <= 6


async def test_a_bug_in_one_app_is_that_apps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.app("shop", "bad", member=None)
    await world.app("shop", "good", member=None)
    begin = AppEngine.begin

    async def failing(engine: AppEngine) -> None:
        if engine.app_id == "bad":
            raise ZeroDivisionError("oops")
        await begin(engine)

    monkeypatch.setattr(AppEngine, "begin", failing)
    await world.fleet.look()
    await world.settled()
    assert (world.fleet.running, world.fleet.ailing) == (1, 1)
    with pytest.raises(TenureError, match="'bad' of namespace 'shop' could not be opened: ZeroDiv"):
        async with world.fleet.use("shop", "bad"):
            pass
    assert await world.left("shop", "bad", "owners") == 0


async def test_apps_that_hang_do_not_hold_up_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):  # more than are opened at a time
        await world.app("shop", f"hung{number:02}", member=None)
    await world.app("shop", "zz", member=None)
    begin = AppEngine.begin
    released = asyncio.Event()

    async def hanging(engine: AppEngine) -> None:
        if engine.app_id.startswith("hung"):
            await released.wait()
        await begin(engine)

    monkeypatch.setattr(AppEngine, "begin", hanging)
    monkeypatch.setattr("tenure_sidecar.fleet._OPEN_WITHIN", 5.0)
    await world.fleet.look()
    async with world.fleet.use("shop", "zz") as api:
        assert await api.operations.head("x") is None
    await world.settled()
    assert (world.fleet.running, world.fleet.failed) == (1, 12)


async def test_a_stop_ends_openings_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.app("shop", "hung", member=None)
    await world.app("shop", "orders", member=None)
    begin = AppEngine.begin
    forever = asyncio.Event()

    async def hanging(engine: AppEngine) -> None:
        await begin(engine)
        if engine.app_id == "hung":
            await forever.wait()

    monkeypatch.setattr(AppEngine, "begin", hanging)
    await world.fleet.look()
    async with world.fleet.use("shop", "orders"):
        pass
    while not await world.left("shop", "hung", "owners"):
        await asyncio.sleep(0)
    await world.fleet.stop()
    assert await world.left("shop", "hung", "owners") == 0
    assert await world.left("shop", "orders", "owners") == 0
    with pytest.raises(ShuttingDownError):
        async with world.fleet.use("shop", "orders"):
            pass


async def test_etcd_that_is_away_is_a_problem_until_it_is_back(tmp_path: Path) -> None:
    with Cluster(tmp_path / "etcd") as cluster:
        world = World(cluster)
        await world.app("shop", "orders")
        (member,) = cluster.members
        keeping = asyncio.get_running_loop().create_task(world.fleet.keep())

        async def until(problem: str) -> None:
            while not re.fullmatch(problem, world.fleet.problem):
                await asyncio.sleep(0.01)

        try:
            await until("")
            member.kill()
            await until("TN0605: .*")
            member.start()
            await until("")
            assert world.fleet.names() == [AppName("shop", "orders")]
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await world.fleet.stop()
            await world.client.close()
