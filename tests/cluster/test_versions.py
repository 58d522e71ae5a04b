"""Sidecars of two versions share an app under load: upgrade one by one, and back.

Real parts only, each a process, as in ``test_faults``.  In scope: F24 of the fault matrix with
invariants I1 to I7 and I10, and what an older version does with a record that it cannot read.  The
next version is this one with all that it may change (``next_version.py``).  Out of scope: stores that
earlier versions left behind (tests/integration/store), the chart's upgrade (tests/pods).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from support.etcd import Cluster
from support.fleet import DEFAULT, NEXT, PRESENT, Fleet, Sidecar
from tenure_sidecar.actors.sharing.records import PROTOCOL
from tenure_sidecar.etcd import prefix_end
from tenure_sidecar.store.etcd.keys import Keys
from tenure_sidecar.store.etcd.values import Book, HeadValue, unpack

WIDTH = 16

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    with Cluster(tmp_path / "etcd") as cluster:
        made = Fleet(tmp_path, cluster, lease=DEFAULT)
        with made.under_load(WIDTH):
            yield made


async def announced(fleet: Fleet) -> Counter[int]:
    """How many members there are of each version of the protocol."""
    keys = Keys("default", fleet.app_id)
    found: Counter[int] = Counter()
    async with fleet.client() as client:
        prefix = keys.root + b"members/"
        async for page in client.scan(prefix, prefix_end(prefix)):
            found.update(json.loads(kv.value)["protocol"] for kv in page.kvs)
    return found


async def written(fleet: Fleet) -> Counter[bool]:
    """How many heads the present version wrote last (False), and how many the next (True)."""
    keys = Keys("default", fleet.app_id)
    found: Counter[bool] = Counter()
    async with fleet.client() as client:
        async for page in client.scan(*keys.heads):
            for kv in page.kvs:
                unpack(kv.key, kv.value, HeadValue)  # either way it can be read
                fields = msgspec.msgpack.decode(kv.value[1:-4])
                found[len(fields[0]) > len(Book.__struct_fields__)] += 1
    return found


async def replace(fleet: Fleet, one: Sidecar, program: Sequence[str]) -> None:
    """A rolling update of one pod's engine."""
    with fleet.move():
        fleet.stop(one)
        fleet.settled()
        one.engine.program = program
        fleet.again(one)


async def test_an_upgrade_and_a_downgrade_under_load(fleet: Fleet) -> None:
    assert await announced(fleet) == {PROTOCOL: 3}
    for count, one in enumerate(fleet.sidecars, 1):
        await replace(fleet, one, NEXT)
        assert await announced(fleet) == Counter({PROTOCOL: 3 - count, PROTOCOL + 1: count})
    for count, one in enumerate(fleet.sidecars, 1):
        await replace(fleet, one, PRESENT)
        assert await announced(fleet) == Counter({PROTOCOL: count, PROTOCOL + 1: 3 - count})
    found, wrong = await fleet.verdict()
    assert not wrong, f"{wrong[:20]}\n{fleet.tail()}"
    assert found.takeovers > 0
    assert found.commits > 10 * WIDTH
    assert set(await written(fleet)) == {False, True}, "both have worked"


async def test_one_version_takes_over_from_the_other_that_was_killed(fleet: Fleet) -> None:
    one, two, _ = fleet.sidecars
    await replace(fleet, one, NEXT)
    for each, program in ((one, PRESENT), (two, NEXT), (two, PRESENT), (one, NEXT)):
        with fleet.fault():
            fleet.kill(each)
            fleet.settled()
            each.engine.program = program
            fleet.again(each)
    found, wrong = await fleet.verdict()
    assert not wrong, f"{wrong[:20]}\n{fleet.tail()}"
    assert found.takeovers > 0
    assert set(await written(fleet)) == {False, True}
