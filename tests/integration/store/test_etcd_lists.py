"""Pages of lists on etcd: complete and in order however the instances lie, from small ranges.

With small windows, so that a few hundred instances are what a hundred thousand are otherwise.
In scope: how many keys etcd counts for a page.  Out of scope: conditions (test_store_listing), time
(``bench/listing.py --etcd``).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable

import pytest

from integration.store.conftest import an_etcd_store
from integration.store.samples import Hub, a_creation
from support.etcd import Cluster
from tenure_sidecar.etcd import Get, Range
from tenure_sidecar.store.etcd import EtcdStore, pages, windows
from tenure_sidecar.store.port import Create, Order, Query

COUNT = 420
STEP = 5
MANY = 40
SECOND = 10**9
BEGAN = 1_760_000_000 * SECOND
TIMES: dict[str, Callable[[int], int]] = {
    "one a second": lambda n: BEGAN + n * SECOND,
    "at one instant": lambda _: BEGAN,
    "two bursts, a year apart": lambda n: BEGAN + n * 1_000 + n % 2 * 31_536_000 * SECOND,
}
IDS: dict[str, Callable[[int], str]] = {
    "numbers": lambda n: f"instance-{n * 7919 % 1_000_003:06}",
    "random": lambda n: hashlib.md5(b"%d" % n, usedforsecurity=False).hexdigest(),
    "of all lengths": lambda n: "aé/b%"[n % 5] * (1 + n % 7) + str(n),
}


class Counted:
    """How many keys etcd counted, and for how many reads."""

    def __init__(self, store: EtcdStore) -> None:
        self._range = store.client.range
        store.client.range = self.range  # type: ignore[method-assign]
        self.keys: list[int] = []

    async def range(self, op: Get, *, within: float | None = None) -> Range:
        found = await self._range(op, within=within)
        self.keys.append(found.count)
        return found


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_STEP", STEP)
    monkeypatch.setattr(pages, "MANY", MANY)
    monkeypatch.setattr(windows, "MANY", MANY)
    monkeypatch.setattr(windows, "WANTED", 2 * STEP)


@pytest.fixture
async def etcd_store(etcd_server: Cluster) -> AsyncIterator[EtcdStore]:
    store = an_etcd_store(etcd_server)
    await store.open()
    yield store
    await store.close()


async def fill(store: EtcdStore, name: Callable[[int], str], at: Callable[[int], int]) -> Hub:
    hub = Hub(store)
    await hub.own()
    ops = [Create(a_creation(name(n), created_at=at(n))) for n in range(COUNT)]
    for begin in range(0, COUNT, 60):
        await hub.write(*ops[begin : begin + 60])
    return hub


async def walk(store: EtcdStore, query: Query) -> list[str]:
    """Everything, page by page, each by a handle's call of its own."""
    found: list[str] = []
    cursor = None
    while True:
        page = await store.heads(query, limit=STEP, cursor=cursor)
        found += [head.instance_id for head in page.heads]
        cursor = page.cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("at", TIMES.values(), ids=TIMES)
async def test_by_time(etcd_store: EtcdStore, at: Callable[[int], int]) -> None:
    name = IDS["numbers"]
    await fill(etcd_store, name, at)
    expected = sorted(map(name, range(COUNT)))
    times = {name(n): at(n) for n in range(COUNT)}
    expected.sort(key=lambda one: (times[one], one))
    counted = Counted(etcd_store)
    assert await walk(etcd_store, Query(order=Order.NEWEST)) == expected[::-1]
    newest = sum(counted.keys)
    counted.keys.clear()
    assert await walk(etcd_store, Query(order=Order.CREATED)) == expected
    if at is not TIMES["at one instant"]:
        pages_of_all = COUNT // STEP
        assert newest <= pages_of_all * 4 * MANY
        assert sum(counted.keys) <= pages_of_all * 4 * MANY


@pytest.mark.parametrize("name", IDS.values(), ids=IDS)
async def test_by_id(etcd_store: EtcdStore, name: Callable[[int], str]) -> None:
    await fill(etcd_store, name, TIMES["one a second"])
    expected = sorted(map(name, range(COUNT)), key=str.encode)
    counted = Counted(etcd_store)
    for again in range(2):
        counted.keys.clear()
        assert await walk(etcd_store, Query(order=Order.ID)) == expected, again
    assert (
        sum(counted.keys) <= COUNT * COUNT // STEP / 4
    )  # half of the square, when all are counted
    prefix = expected[COUNT // 2][:2]
    found = await walk(etcd_store, Query(order=Order.ID, id_prefix=prefix))
    assert found == [one for one in expected if one.startswith(prefix)]
