"""``tenure doctor`` on etcd: damage of every kind is found and named, and nothing else is.

That sound stores are found sound is checked after every case of the store's conformance suite.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic

import pytest

from integration.store.conftest import an_etcd_store
from integration.store.samples import (
    RETENTION,
    START,
    Hub,
    a_creation,
    a_timer,
    an_item,
    parent_of,
)
from support.etcd import Cluster
from tenure_common.errors import StoreError, StoreNewerError
from tenure_sidecar import doctor
from tenure_sidecar.engine.events import Status, TaskCompleted
from tenure_sidecar.etcd import EtcdClient, Get
from tenure_sidecar.store.etcd import EtcdStore, check
from tenure_sidecar.store.etcd.keys import Keys
from tenure_sidecar.store.port import Deliver

LARGE = "x" * 600_000

Damage = Callable[["Site"], Awaitable[None]]


class Site:
    """An app with one instance of each kind, and a hand in its keys."""

    def __init__(self, client: EtcdClient, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    async def value(self, key: bytes) -> bytes:
        found = await self.client.get(key)
        assert found is not None, key
        return found.value

    async def first(self, kind: bytes) -> bytes:
        """The first key of a kind."""
        start = self.keys.root + kind + b"/"
        found = await self.client.range(Get(start, start + b"\xff", limit=1))
        return found.kvs[0].key


@pytest.fixture
async def site(etcd_server: Cluster) -> AsyncIterator[Site]:
    app = uuid.uuid4().hex
    store = an_etcd_store(etcd_server, app=app)
    await store.open()
    await fill(store)
    await store.close()
    client = EtcdClient(etcd_server.urls, clock=monotonic)
    yield Site(client, Keys("test", app, partitions=store.partitions))
    await client.close()


async def fill(store: EtcdStore) -> None:
    hub = Hub(store)
    await hub.own()
    await hub.running("run", timers_set=(a_timer("run", 5_000, 1),))
    await hub.running("a/b%c")
    await hub.deliver("run", "go")
    await hub.deliver("run", "big", input=LARGE)
    result = an_item("note", event=TaskCompleted(3_000, task_id=1, result="done"))
    await hub.write(Deliver("run", result, hub.fence("run")))
    await hub.running("ended")
    await hub.finish("ended", Status.FAILED, timers_set=(a_timer("ended", 9_000, kind=RETENTION),))
    await hub.create("later", timer=a_timer("later", 7_000, kind=START))
    await hub.create("large", input=LARGE)
    await hub.commit("run", creations=(a_creation("kid", parent=parent_of("run")),))
    assert await store.put("job/1", b"{}", version=0)


async def found(site: Site) -> list[str]:
    return await check(site.client, Keys("test", app_of(site.keys)))


def app_of(keys: Keys) -> str:
    return keys.root.decode().split("/")[3]


async def test_what_is_sound(site: Site) -> None:
    assert await found(site) == []


def gone(key: Callable[[Keys], bytes]) -> Damage:
    async def damage(site: Site) -> None:
        assert await site.client.get(key(site.keys)) is not None
        await site.client.delete(key(site.keys))

    return damage


def put(key: Callable[[Keys], bytes], value: bytes) -> Damage:
    async def damage(site: Site) -> None:
        await site.client.put(key(site.keys), value)

    return damage


def flipped(key: Callable[[Keys], bytes]) -> Damage:
    async def damage(site: Site) -> None:
        name = key(site.keys)
        value = bytearray(await site.value(name))
        value[len(value) // 2] ^= 1
        await site.client.put(name, bytes(value))

    return damage


def moved(source: Callable[[Keys], bytes], target: Callable[[Keys], bytes]) -> Damage:
    """The value of one key under another."""

    async def damage(site: Site) -> None:
        await site.client.put(target(site.keys), await site.value(source(site.keys)))

    return damage


async def a_piece_gone(site: Site) -> None:
    await site.client.delete(await site.first(b"blob"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(gone(lambda k: k.state("run")), ["state/run", "missing"], id="no-state"),
        pytest.param(put(lambda k: k.state("run"), b"e"), ["state/run", "b'o'"], id="other-state"),
        pytest.param(
            gone(lambda k: k.created(1_000, "ended")), ["created/", "missing"], id="index"
        ),
        pytest.param(
            put(lambda k: k.created(77, "run"), b""), ["created/", "no instance"], id="two-indexes"
        ),
        pytest.param(gone(lambda k: k.child("run", "kid")), ["child/run/kid"], id="no-child"),
        pytest.param(gone(lambda k: k.timer(a_timer("run", 5_000, 1))), ["timer/"], id="no-timer"),
        pytest.param(
            put(lambda k: k.timer(a_timer("run", 6_000, 2)), b"0"), ["timer/"], id="alien-timer"
        ),
        pytest.param(
            gone(lambda k: k.timer(a_timer("ended", 9_000, kind=RETENTION))),
            ["expire/"],
            id="would-never-expire",
        ),
        pytest.param(gone(lambda k: k.delayed("later")), ["delayed/"], id="no-delay"),
        pytest.param(
            gone(lambda k: k.turn("run", 0, 0)),
            ["hist/run/00000000/00000000", "missing", "events"],
            id="lost-turn",
        ),
        pytest.param(
            flipped(lambda k: k.turn("run", 0, 0)), ["hist/run", "damaged"], id="bad-turn"
        ),
        pytest.param(
            moved(lambda k: k.turn("run", 0, 0), lambda k: k.turn("a/b%c", 0, 0)),
            ["hist/a%2Fb%25c", "damaged"],
            id="turn-of-another",
        ),
        pytest.param(flipped(lambda k: k.head("run")), ["head/run", "damaged"], id="bad-head"),
        pytest.param(gone(lambda k: k.head("run")), ["hist/run", "no instance"], id="no-head"),
        pytest.param(flipped(lambda k: k.item("run", "go")), ["inbox/", "damaged"], id="bad-item"),
        pytest.param(
            flipped(lambda k: k.item("run", "note", own=True)), ["own/", "damaged"], id="bad-note"
        ),
        pytest.param(
            put(lambda k: k.item("nobody", "go"), b""), ["inbox/", "nobody"], id="item-of-nobody"
        ),
        pytest.param(flipped(lambda k: k.input("large")), ["input/large"], id="bad-input"),
        pytest.param(a_piece_gone, ["lacks pieces"], id="lost-piece"),
        pytest.param(
            put(lambda k: k.blobs("run", "i/x/0/").first + b"000000", b"x"),
            ["blob/run", "nothing names"],
            id="orphan-piece",
        ),
        pytest.param(flipped(lambda k: k.documents.first + b"job/1"), ["doc/job/1"], id="document"),
        pytest.param(put(lambda k: k.root + b"inbox/x", b""), ["not one of"], id="alien-key"),
        pytest.param(put(lambda k: k.root + b"sonst", b""), ["no instance"], id="alien-kind"),
    ],
)
async def test_damage_is_named(site: Site, damage: Damage, says: list[str]) -> None:
    await damage(site)
    problems = await found(site)
    assert problems
    for part in says:
        assert any(part in problem for problem in problems), problems


async def test_a_damaged_head_is_one_problem(site: Site) -> None:
    """What follows from it is not called an orphan: it will be right when the head is restored."""
    await flipped(lambda k: k.head("run"))(site)
    problems = await found(site)
    assert len(problems) == 1, problems


async def test_an_app_that_is_not_there(site: Site) -> None:
    with pytest.raises(StoreError, match="no app under /tenure/test/nothing/"):
        await check(site.client, Keys("test", "nothing"))


async def test_an_app_of_a_newer_version(site: Site) -> None:
    await site.client.put(site.keys.meta, b'{"layout":99,"partitions":64}')
    with pytest.raises(StoreNewerError, match="99"):
        await found(site)


def test_the_command(
    etcd_server: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENURE_CONFIG", raising=False)
    address = f"etcd://127.0.0.1:{etcd_server.members[0].client_port}"
    assert doctor.main(["--store", address, "--app-id", "nothing"]) == StoreError.exit
    assert "no app under /tenure/default/nothing/" in capsys.readouterr().err
