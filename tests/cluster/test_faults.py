"""Three sidecars on etcd under load from a stock SDK app, and everything that can happen to them.

Real parts only, each a process: etcd, sidecars, apps, the client.  In scope: F1, F2 (a sidecar, all
of them), F3 (an owner that was paused past its lease), F4 (a lease that is ended by hand), F5 (etcd), F6
(cut off from etcd only), F13 (the app), F25 (SIGTERM) and F26 of the fault matrix, with invariants I1
to I7 and I10.  ``make chaos`` runs the same faults in random order for as long as it is told to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.etcd import Cluster
from support.fleet import DEFAULT, PARTITIONS, Fleet
from support.orders import BRIEF, LONG

WIDTH = 16

pytestmark = pytest.mark.timeout(600)


NEVER_OVER = {"lease": 3600}  # seconds that no test waits for
# An owner that is late is caught only by a commit in that very moment: with fewer turns a second, a
# fleet without fences (``planted.py no-fence-late``) goes unnoticed.
BUSY = {"pause": BRIEF, "lease": 5}  # seconds: waited for four times; a busy machine keeps it


@pytest.fixture
async def fleet(
    request: pytest.FixtureRequest, tmp_path: Path, durable_etcd: str
) -> AsyncIterator[Fleet]:
    """Three sidecars under load; the parameter: their lease, the pause of the load's orders."""
    given = {"lease": DEFAULT, "pause": LONG, **getattr(request, "param", {})}
    with Cluster(tmp_path / "etcd", version=durable_etcd) as cluster:
        made = Fleet(tmp_path, cluster, lease=given["lease"])
        with made.under_load(WIDTH, pause=given["pause"]):
            yield made


async def check(fleet: Fleet) -> None:
    """Every promise was kept, and there was enough to keep."""
    found, wrong = await fleet.verdict()
    assert not wrong, f"{wrong[:20]}\n{fleet.tail()}"
    assert found.takeovers > 0
    assert found.commits > 10 * WIDTH


async def test_sidecars_are_killed_and_stopped(fleet: Fleet) -> None:
    one, two, three = fleet.sidecars
    with fleet.fault():  # its container is started again
        fleet.kill(one)
        fleet.again(one)
    with fleet.fault():  # it never comes back, and another pod takes its place
        fleet.kill(two)
        fleet.settled()
        fleet.retire(two)
        fleet.add()
    with fleet.fault():  # a rolling update
        fleet.stop(three)
        fleet.settled()
        fleet.again(three)
    with fleet.fault():  # all at once
        here = [each for each in fleet.sidecars if each.here]
        for each in here:
            fleet.kill(each)
        for each in here:
            fleet.again(each)
    await check(fleet)


async def test_whoever_is_told_to_stop_runs_nothing_twice(fleet: Fleet) -> None:
    for each in fleet.sidecars:
        with fleet.move():
            fleet.stop(each)
            fleet.settled()
        with fleet.move():
            fleet.again(each)
    await check(fleet)


@pytest.mark.parametrize("fleet", [NEVER_OVER], indirect=True)
async def test_a_process_that_is_gone_is_not_waited_for(fleet: Fleet) -> None:
    one, two, _ = fleet.sidecars
    with fleet.fault():  # its neighbours see that its connections end
        fleet.kill(one)
        fleet.until(fleet.owned, "the others own what it owned")
        fleet.again(one)
    with fleet.fault():
        fleet.stop(two)
        fleet.settled()
        fleet.again(two)
    await check(fleet)


@pytest.mark.parametrize("fleet", [BUSY], indirect=True)
async def test_owners_that_are_late(fleet: Fleet) -> None:
    one, two, _ = fleet.sidecars
    for each in (one, two):
        with fleet.fault():  # it wakes up and believes that it still owns everything
            fleet.pause(each)
            fleet.go_on(each)
        with fleet.fault():
            fleet.cut(each)
            fleet.mend(each)
    await check(fleet)


async def test_leases_that_somebody_ends(fleet: Fleet) -> None:
    """The owner is well, connected, and told of it by the answer to a renewal alone."""
    for each in fleet.sidecars:
        with fleet.fault():
            await fleet.end_lease(each)
    await check(fleet)


async def test_etcd_is_killed(fleet: Fleet) -> None:
    (member,) = fleet.cluster.members
    with fleet.fault():  # it is back before the leases end
        member.kill()
        member.start()
        member.wait_ready()
    with fleet.fault():  # it is back when nobody owns anything any more
        member.kill()
        fleet.until(fleet.idle, "nobody owns anything")
        member.start()
        member.wait_ready()
    await check(fleet)


async def test_the_app_is_killed_stands_still_and_comes_back(fleet: Fleet) -> None:
    one, two, three = fleet.sidecars
    with fleet.fault():
        fleet.app_gone(one)
        fleet.progress(50)
        fleet.app_back(one)
    with fleet.fault():  # its connection stays, and what it has waits for it
        assert two.app is not None
        two.app.pause()
        fleet.progress(50)
        two.app.go_on()
    with fleet.fault():  # the whole pod
        fleet.kill(three)
        assert three.app is not None
        three.app.kill()
        fleet.until(fleet.owned, "the others own what it owned")
        fleet.join(three)
    await check(fleet)


async def test_replicas_come_and_go_and_nothing_runs_twice(fleet: Fleet) -> None:
    one, *others = fleet.sidecars
    for _ in range(3):
        with fleet.move():
            others.append(fleet.add())
    for each in others:
        with fleet.move():
            fleet.stop(each)
            fleet.retire(each)
    assert one.metric("tenure_partitions_owned") == PARTITIONS
    for each in others[:2]:  # flapping: nobody waits until all is well
        fleet.again(each)
        fleet.stop(each)
        fleet.again(each)
        fleet.app_back(each)
    with fleet.move():
        fleet.settled()
    await check(fleet)
