"""The etcd store when the network, the server or its own process fails in the middle of a write.

In scope: what only this store does about it (the barrier, the outbox, staged values, NOSPACE).  What
every store promises is in the other modules; the client's own errors are in tests/integration/etcd.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import pytest

from integration.store.conftest import an_etcd_store
from integration.store.samples import Hub, a_creation, a_turn, an_item, events
from support.etcd import Cluster
from support.proxy import FROM, TO, FaultProxy
from tenure_common.errors import (
    BadSettingError,
    ConfigConflictError,
    EtcdFullError,
    EtcdUnavailableError,
    OutcomeUnknownError,
    StoreCorruptError,
    StoreNewerError,
)
from tenure_sidecar.engine.turn import Message
from tenure_sidecar.etcd import EtcdClient, Get, Put, prefix_end
from tenure_sidecar.store.etcd import Address, EtcdStore
from tenure_sidecar.store.etcd.keys import Keys, span
from tenure_sidecar.store.port import Commit, Committed, Create, Deliver, Delivery, Query

T = TypeVar("T")
SHORT = 1.0  # seconds that a call of the store behind the proxy may take


@pytest.fixture
def app() -> str:
    return uuid.uuid4().hex


@pytest.fixture
async def raw(etcd_server: Cluster) -> AsyncIterator[EtcdClient]:
    """A client that is nobody's store."""
    client = EtcdClient(etcd_server.urls, clock=monotonic)
    yield client
    await client.close()


@pytest.fixture
async def proxy(etcd_server: Cluster) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(etcd_server.members[0].client_port) as proxy:
        yield proxy


@pytest.fixture
async def far(etcd_server: Cluster, proxy: FaultProxy, app: str) -> AsyncIterator[Hub]:
    """The owner of an app, behind the proxy."""
    store = an_etcd_store(etcd_server, app=app, urls=[proxy.url], timeout=SHORT)
    await store.open()
    hub = Hub(store)
    await hub.own()
    yield hub
    proxy.resume()
    await store.close()


@pytest.fixture
async def near(etcd_server: Cluster, app: str, far: Hub) -> AsyncIterator[EtcdStore]:
    """Another handle of the app, with a sound network; it owns nothing."""
    store = an_etcd_store(etcd_server, app=app)
    await store.open()
    yield store
    await store.close()


async def again(act: Callable[[], Awaitable[T]]) -> T:
    """Repeat what may be repeated until etcd can be reached."""
    while True:
        try:
            return await act()
        except (EtcdUnavailableError, OutcomeUnknownError):
            continue


# --- unknown outcomes -----------------------------------------------------------------------------


async def test_a_turn_without_an_answer_is_resolved_by_its_commit_id(
    far: Hub, proxy: FaultProxy
) -> None:
    await far.running("a")
    proxy.cut((FROM,))
    with pytest.raises(OutcomeUnknownError):
        await far.commit_blind("a", commit_id="c-2", append=events("second"))
    proxy.resume()
    loaded = await again(lambda: far.loaded("a"))
    assert loaded.head.commit_id == "c-2"
    assert len(loaded.history) == 4  # two turns: once each
    far.versions["a"] = loaded.version
    assert isinstance(await far.commit("a", append=events("third")), Committed)


async def test_a_turn_that_never_arrived_is_known_not_to_be_there(
    far: Hub, near: EtcdStore, proxy: FaultProxy
) -> None:
    await far.running("a")
    proxy.cut((TO,))
    with pytest.raises(OutcomeUnknownError):
        await far.commit_blind("a", commit_id="c-2", append=events("second"))
    proxy.reset()  # what was kept by the proxy is gone for good
    proxy.resume()
    loaded = await again(lambda: far.loaded("a"))
    assert loaded.head.commit_id != "c-2"
    assert isinstance(await far.commit("a", append=events("other")), Committed)
    assert await Hub(near).loaded("a") == await far.loaded("a")


async def test_a_delivery_without_an_answer_is_not_done_twice(
    far: Hub, near: EtcdStore, proxy: FaultProxy
) -> None:
    await far.running("a")
    proxy.cut((FROM,))
    with pytest.raises(OutcomeUnknownError):
        await far.deliver("a", "k")
    proxy.resume()
    assert await again(lambda: far.deliver("a", "k")) is Delivery.DUPLICATE
    assert await Hub(near).inbox("a") == ["k"]


async def test_a_late_request_of_before_the_doubt_is_shut_out(
    far: Hub, raw: EtcdClient, proxy: FaultProxy, app: str
) -> None:
    """It lay in a stopped server, say, and is carried out when everybody has gone on."""
    store = far.store
    assert isinstance(store, EtcdStore)
    await far.running("a")
    before = store.barrier.compare
    late = Put(Keys("test", app).root + b"late", b"")
    assert (await raw.txn((before,), (late,))).succeeded  # in time, it would have been done
    proxy.cut((FROM,))
    with pytest.raises(OutcomeUnknownError):
        await far.deliver("a", "k")
    proxy.resume()
    assert await again(lambda: far.inbox("a")) == ["k"]  # from here on the past must not change
    assert not (await raw.txn((before,), (late,))).succeeded
    assert (await raw.txn((store.barrier.compare,), (late,))).succeeded


async def test_every_write_compares_the_barrier(far: Hub, raw: EtcdClient, app: str) -> None:
    store = far.store
    assert isinstance(store, EtcdStore)
    await far.running("a")
    writes: list[Callable[[], Awaitable[object]]] = [
        lambda: far.create("b"),
        lambda: far.deliver("a", "k"),
        lambda: far.commit("a", append=events("second")),
        lambda: far.purge("b"),
        lambda: store.put("document", b"", version=0),
    ]
    for count, write in enumerate(writes, 1):
        await raw.put(Keys("test", app).writer(store.handle), b"%d" % count)
        await write()  # is refused, raises the barrier anew, and is done
        assert store.barrier.raised == count


async def test_the_barrier_is_raised_once_for_each_doubt(far: Hub, proxy: FaultProxy) -> None:
    store = far.store
    assert isinstance(store, EtcdStore)
    await far.running("a")
    assert store.barrier.raised == 0
    for doubts in (1, 2):
        proxy.cut((FROM,))
        with pytest.raises(OutcomeUnknownError):
            await far.deliver("a", f"k{doubts}")
        proxy.resume()
        for _ in range(3):
            await again(lambda: far.inbox("a"))
        assert store.barrier.raised == doubts


async def test_while_in_doubt_nothing_is_read_or_written(far: Hub, proxy: FaultProxy) -> None:
    await far.running("a")
    proxy.cut((FROM,))
    with pytest.raises(OutcomeUnknownError):
        await far.deliver("a", "k")
    with pytest.raises(EtcdUnavailableError):
        await far.store.load("a")
    proxy.resume()
    assert await again(lambda: far.inbox("a")) == ["k"]


async def test_an_unreachable_cluster_refuses_and_changes_nothing(
    far: Hub, proxy: FaultProxy, near: EtcdStore
) -> None:
    await far.running("a")
    await proxy.refuse()
    while True:  # until the client has seen it
        try:
            await far.deliver("a", "k")
        except OutcomeUnknownError:
            continue
        except EtcdUnavailableError:
            break
    await proxy.listen()
    await again(lambda: far.deliver("a", "k2"))
    assert await Hub(near).inbox("a") == ["k2"]


# --- very large turns -----------------------------------------------------------------------------


async def test_the_next_owner_sends_what_a_large_turn_left(
    etcd_server: Cluster, raw: EtcdClient, app: str
) -> None:
    one = an_etcd_store(etcd_server, app=app, lease=2)
    await one.open()
    hub = Hub(one)
    await hub.own()
    await hub.running("parent", "sink")
    children = [f"child-{n:03}" for n in range(300)]
    told = [f"told-{n:03}" for n in range(100)]
    turn = a_turn(
        "parent",
        append=events("fan"),
        creations=tuple([a_creation(child) for child in children]),
        messages=tuple([Message("sink", an_item(key)) for key in told]),
    )
    outbox = span(Keys("test", app).root + b"outbox/")
    watch = raw.watch(*outbox)
    await watch.started()
    commit = asyncio.create_task(one.write([hub.commit_of(turn)]))
    await anext(watch)  # the turn is true, and what it sends is not sent yet
    commit.cancel()
    await asyncio.gather(commit, return_exceptions=True)
    await one.client.close()  # the process is gone
    watch.close()

    two = an_etcd_store(etcd_server, app=app, lease=2)
    await two.open()
    heir = Hub(two)
    await heir.own()
    assert (await raw.range(Get(*outbox))).count == 0
    assert await two.count(Query(id_prefix="child-")) == len(children)
    for child in (children[0], children[-1]):
        assert await heir.inbox(child) == ["start"]
    assert await heir.inbox("sink") == told
    await two.close()


async def test_pieces_of_a_value_that_no_turn_names_do_not_stay(
    far: Hub, raw: EtcdClient, app: str
) -> None:
    """A turn is refused after its large value was staged: the pieces hang on a lease."""
    await far.running("a")
    stale = a_turn("a", append=events("x"), output="y" * 600_000)
    await far.commit("a", append=events("first"))
    wrong = Commit(far.fence("a"), far.versions["a"], stale)
    await far.own("another")  # the old fence is worth nothing now
    (result,) = await far.store.write([wrong])
    assert not isinstance(result, Committed)
    root = Keys("test", app).root + b"blob/"
    left = await raw.range(Get(root, prefix_end(root)))
    assert left.kvs
    assert all(kv.lease for kv in left.kvs)


async def test_pieces_of_a_message_that_nobody_takes_do_not_stay(
    etcd_server: Cluster, raw: EtcdClient, app: str
) -> None:
    """By an end, a repeat, and an instance that is not there; of what is taken they stay."""
    store = an_etcd_store(etcd_server, app=app)
    await store.open()
    hub = Hub(store)
    await hub.own()
    await hub.running("a", "b", "ended")
    await hub.finish("ended")
    large = an_item("large", input="y" * 1_200_000)
    sent = [await hub.one(Deliver(one, large)) for one in ("ended", "nobody", "a", "a")]
    assert sent == [Delivery.REFUSED, Delivery.MISSING, Delivery.DELIVERED, Delivery.DUPLICATE]
    await hub.commit("b", messages=tuple(Message(one, large) for one in ("ended", "a", "b")))
    blobs = Keys("test", app).root + b"blob/"
    left = await raw.range(Get(blobs, prefix_end(blobs), keys_only=True))
    stay = [kv.key[len(blobs) :].split(b"/")[0] for kv in left.kvs if not kv.lease]
    assert stay == [b"a"] * 3 + [b"b"] * 3
    for name in ("a", "b"):
        assert (await hub.loaded(name)).inbox == (large,)
    await store.close()


async def test_a_large_turn_without_an_answer_sends_before_it_is_read(
    far: Hub, near: EtcdStore, proxy: FaultProxy
) -> None:
    await far.running("parent")
    children = [f"child-{n:03}" for n in range(300)]
    turn = a_turn(
        "parent",
        append=events("fan"),
        creations=tuple([a_creation(child) for child in children]),
    )
    proxy.cut((FROM,))
    with pytest.raises(OutcomeUnknownError):
        await far.store.write([far.commit_of(turn)])
    proxy.resume()
    assert await near.count(Query(id_prefix="child-")) == 0
    loaded = await again(lambda: far.loaded("parent"))  # nothing else is written meanwhile
    assert loaded.head.commit_id == turn.head.commit_id
    assert await near.count(Query(id_prefix="child-")) == len(children)


async def test_a_large_turn_whose_next_owner_was_faster(
    etcd_server: Cluster, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = an_etcd_store(etcd_server, app=app)
    await one.open()
    hub = Hub(one)
    await hub.own()
    await hub.running("parent")
    two = an_etcd_store(etcd_server, app=app)
    await two.open()
    outbox = one._reader.outbox

    async def late(*given: Any) -> Any:
        await two.recover(range(one.partitions))  # as whoever takes the partition does
        return await outbox(*given)

    monkeypatch.setattr(one._reader, "outbox", late)
    children = [f"child-{n:03}" for n in range(300)]
    turn = a_turn(
        "parent",
        append=events("fan"),
        creations=tuple([a_creation(child) for child in children]),
    )
    with pytest.raises(OutcomeUnknownError, match="another owner sent"):
        await one.write([hub.commit_of(turn)])
    assert await two.count(Query(id_prefix="child-")) == len(children)
    await two.close()
    await one.close()


# --- a full server --------------------------------------------------------------------------------


async def test_a_full_server_refuses_reads_on_and_resumes(tmp_path: Path) -> None:
    with Cluster(tmp_path, extra=["--quota-backend-bytes", str(16 << 20)]) as cluster:
        store = an_etcd_store(cluster)
        await store.open()
        hub = Hub(store)
        await hub.own()
        await hub.running("kept")
        created = 0

        async def fill() -> None:
            nonlocal created
            while True:
                await hub.create(f"bulk-{created}", input="x" * 200_000)
                created += 1

        with pytest.raises(EtcdFullError, match="disarm"):
            await fill()
        assert created > 0
        kept = await store.count(Query())
        # etcd may do the write that finds it full, and say that there is no room (apply with quota).
        assert kept - 1 in (created, created + 1)
        with pytest.raises(EtcdFullError):
            await hub.commit("kept", append=events("more"))
        assert await store.count(Query()) == kept
        assert (await hub.loaded("kept")).head.instance_id == "kept"
        assert len((await store.heads(Query(), limit=5)).heads) == 5
        # What an administrator does: a larger quota, and the alarm taken back.
        (member,) = cluster.members
        member.kill()
        member.start([*member.arguments[:-1], str(64 << 20)])
        await again(lambda: store.client.alarms(disarm=True))
        await again(lambda: hub.purge("bulk-0"))
        assert isinstance(await hub.commit("kept", append=events("more")), Committed)
        await store.close()


# --- what is there already ------------------------------------------------------------------------


async def test_the_number_of_partitions_is_fixed(etcd_server: Cluster, app: str) -> None:
    address = Address(endpoints=tuple(etcd_server.urls))
    first = EtcdStore(address, namespace="test", app=app, partitions=7)
    await first.open()
    await first.close()
    other = EtcdStore(address, namespace="test", app=app, partitions=8)
    with pytest.raises(ConfigConflictError, match="7 partitions"):
        await other.open()
    unsaid = EtcdStore(address, namespace="test", app=app)
    await unsaid.open()
    assert unsaid.partitions == 7
    await unsaid.close()
    with pytest.raises(BadSettingError, match="between 1 and"):
        EtcdStore(address, namespace="test", app=app, partitions=0)


@pytest.mark.parametrize(
    ("value", "error"),
    [(b'{"layout":2,"partitions":64}', StoreNewerError), (b"something", StoreCorruptError)],
)
async def test_keys_of_another_program(
    etcd_server: Cluster, raw: EtcdClient, app: str, value: bytes, error: type[Exception]
) -> None:
    meta = Keys("test", app).meta
    await raw.put(meta, value)
    store = an_etcd_store(etcd_server, app=app)
    with pytest.raises(error, match="nothing was changed"):
        await store.open()
    found = await raw.get(meta)
    assert found is not None
    assert found.value == value


async def test_apps_and_prefixes_do_not_see_each_other(etcd_server: Cluster, app: str) -> None:
    urls = tuple(etcd_server.urls)
    stores = [
        EtcdStore(Address(endpoints=urls, prefix=prefix), namespace=namespace, app=name)
        for prefix, namespace, name in [
            ("tenure", "test", app),
            ("tenure/x", "test", app),
            ("tenure", "test/x", app),
            ("tenure", "test", f"{app}/x"),
        ]
    ]
    for n, store in enumerate(stores):
        await store.open()
        await store.write([Create(a_creation(f"mine-{n}"))])
    for store in stores:
        assert await store.count(Query()) == 1
        await store.close()


async def test_a_damaged_value_is_named_and_not_believed(
    etcd_server: Cluster, raw: EtcdClient, app: str
) -> None:
    store = an_etcd_store(etcd_server, app=app)
    await store.open()
    await store.write([Create(a_creation("a")), Create(a_creation("b"))])
    keys = Keys("test", app)
    found = await raw.get(keys.head("a"))
    assert found is not None
    flipped = bytearray(found.value)
    flipped[len(flipped) // 2] ^= 1
    for wrong in (bytes(flipped), (await raw.range(Get(keys.head("b")))).kvs[0].value):
        await raw.put(keys.head("a"), wrong)
        with pytest.raises(StoreCorruptError, match="head/a"):
            await store.load("a")
    assert (await store.load("b")) is not None
    await store.close()
