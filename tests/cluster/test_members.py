"""What happens to etcd under load: members, space, speed, history; seen by three sidecars.

Real parts only, as in ``test_faults``.  In scope: F5 (a leader that is killed or stands still), F6
(a majority that is gone, a sidecar that is cut off from one member), F7 (no space), F10 (slow
answers, connections that are reset) and F11 (compaction while a watch is away) of the fault matrix,
with invariants I1 to I7 and I10.  An activity whose result met a write without an answer may run again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.etcd import Cluster, Member
from support.fleet import Fleet
from support.proxy import FROM, FaultProxy
from tenure_common.errors import EtcdFullError, EtcdUnavailableError, OutcomeUnknownError
from tenure_sidecar.etcd import EtcdClient

WIDTH = 12
LEASE = 10  # seconds: the default, and longer than an election
PATIENT = 60  # seconds
QUOTA = "--quota-backend-bytes"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def fleet(
    request: pytest.FixtureRequest, tmp_path: Path, durable_etcd: str
) -> AsyncIterator[Fleet]:
    """Three sidecars under load; the parameters are etcd's size, the lease, and more arguments."""
    size, lease, *extra = request.param
    with Cluster(tmp_path / "etcd", size=size, version=durable_etcd, extra=extra) as cluster:
        made = Fleet(tmp_path, cluster, lease=lease)
        with made.under_load(WIDTH):
            yield made


async def check(fleet: Fleet) -> None:
    """Every promise was kept, and there was enough to keep."""
    found, wrong = await fleet.verdict()
    assert not wrong, f"{wrong[:20]}\n{fleet.tail()}"
    assert found.commits > 10 * WIDTH


async def fill(client: EtcdClient) -> None:
    """Write until there is no room."""
    for number in range(100):
        await client.put(b"/other/%d" % number, b"x" * 1_000_000)


async def disarm(client: EtcdClient) -> None:
    """Take the alarm back, as soon as somebody answers."""
    while True:
        try:
            assert await client.alarms(disarm=True) == []
        except (EtcdUnavailableError, OutcomeUnknownError):
            continue
        return


def leader(fleet: Fleet) -> Member:
    """The member that leads."""
    running = [one for one in fleet.cluster.members if one.process is not None]
    (found,) = [one for one in running if one.metric("etcd_server_is_leader")]
    return found


@pytest.mark.parametrize("fleet", [(3, LEASE)], indirect=True)
async def test_the_leader_changes_and_nobody_loses_a_partition(fleet: Fleet) -> None:
    before = fleet.taken()
    with fleet.fault():
        old = leader(fleet)
        old.kill()
        fleet.progress(50)
        old.start()
        old.wait_ready()
    with fleet.fault():
        old = leader(fleet)
        old.pause()
        fleet.progress(50)
        old.resume()
    assert fleet.taken() == before
    await check(fleet)


@pytest.mark.parametrize("fleet", [(3, LEASE)], indirect=True)
async def test_a_minority_decides_nothing(fleet: Fleet) -> None:
    gone = fleet.cluster.members[:2]
    with fleet.fault():
        for member in gone:
            member.kill()
        fleet.until(fleet.idle, "nobody owns anything")
        there = fleet.effects.count()
        for member in gone:
            member.start()
        fleet.cluster.wait_ready()
        fleet.until(fleet.owned, "everything is owned again")
        fleet.progress(1)
        assert fleet.effects.count() > there
    await check(fleet)


@pytest.mark.parametrize("fleet", [(3, LEASE)], indirect=True)
async def test_a_sidecar_that_one_member_does_not_answer_asks_another(fleet: Fleet) -> None:
    one, two, _ = fleet.sidecars
    before = fleet.taken()
    for member in range(3):
        with fleet.fault():
            fleet.on_wires(one, lambda wire: wire.cut([FROM]), [member])  # asked, not answered
            fleet.on_wires(two, FaultProxy.reset, [member])
            fleet.progress(100)
            fleet.on_wires(one, FaultProxy.resume, [member])
    assert fleet.taken() == before
    await check(fleet)


@pytest.mark.parametrize("fleet", [(1, LEASE)], indirect=True)
async def test_etcd_is_slow_and_breaks_connections(fleet: Fleet) -> None:
    one, two, _ = fleet.sidecars
    before = fleet.taken()
    with fleet.fault():
        fleet.on_wires(one, lambda wire: wire.delay(0.2))  # there and back
        fleet.progress(50)
        for _ in range(8):
            fleet.on_wires(two, FaultProxy.reset)
            fleet.progress(10)
        fleet.on_wires(one, FaultProxy.resume)
    assert fleet.taken() == before
    await check(fleet)


@pytest.mark.parametrize("fleet", [(1, PATIENT, QUOTA, str(24 << 20))], indirect=True)
async def test_etcd_is_full_and_has_room_again(fleet: Fleet) -> None:
    (member,) = fleet.cluster.members
    before = fleet.taken()
    with fleet.fault():
        async with fleet.client() as client:
            with pytest.raises(EtcdFullError):
                await fill(client)
        member.kill()
        member.start([*member.arguments[:-1], str(256 << 20)])
        async with fleet.client() as client:
            await disarm(client)
        member.wait_ready()
        fleet.progress(100)
    assert fleet.taken() == before
    await check(fleet)


@pytest.mark.parametrize("fleet", [(1, PATIENT)], indirect=True)
async def test_what_a_watch_missed_is_compacted(fleet: Fleet) -> None:
    one, two, _ = fleet.sidecars
    for each in (one, two):
        with fleet.fault():
            fleet.on_wires(each, FaultProxy.cut)
            fleet.progress(50)
            await fleet.compact()
            fleet.on_wires(each, FaultProxy.reset)
            fleet.on_wires(each, FaultProxy.resume)
    await check(fleet)
