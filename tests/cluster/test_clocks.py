"""Wall clocks of sidecars that are wrong, under load (F12): timers follow them, and nothing else does.

Real parts, as in ``test_faults``; the sidecars' clocks are set by ``wrong_clock.py``.  In scope:
clocks that differ, one that jumps back and is set right, one that jumps forward, and that the
sidecars see it themselves.  Leases, elections and pauses are by the monotonic clock: no partition may
change its owner, and nothing may run twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.wrong_clock import FILE
from support.etcd import Cluster
from support.fleet import Fleet, Sidecar

WIDTH = 12
LEASE = 10  # seconds: the default, so that a lease is not ended by a busy machine
PROGRAM = (str(Path(__file__).parent / "wrong_clock.py"),)
HOUR = 3600
SKEW = "tenure_clock_skew_seconds"
DIFFER, AGREE = "TN0010", "clocks of sidecars agree again"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Three sidecars under load whose clocks can be set."""
    with Cluster(tmp_path / "etcd") as cluster:
        made = Fleet(tmp_path, cluster, lease=LEASE, program=PROGRAM)
        with made.under_load(WIDTH):
            yield made


def put(one: Sidecar, ahead: float) -> None:
    """Set the clock of a sidecar so many seconds ahead."""
    new = one.engine.folder / "next"
    new.write_text(str(ahead))
    new.rename(one.engine.folder / FILE)


def seen(fleet: Fleet, *least: float) -> None:
    """Wait until each sidecar measures that its clock differs from another's by so much at least."""
    fleet.until(
        lambda: all(
            one.metric(SKEW) > seconds for one, seconds in zip(fleet.sidecars, least, strict=True)
        ),
        "all see that clocks differ",
    )


def said(fleet: Fleet, what: str) -> list[int]:
    """How often each sidecar logged something."""
    return [one.engine.log.read_text(errors="replace").count(what) for one in fleet.sidecars]


async def check(fleet: Fleet, *, ahead: float) -> None:
    """Every promise was kept; timers by clocks that were ahead by so many seconds at most."""
    found, wrong = await fleet.verdict(ahead=ahead)
    assert not wrong, f"{wrong[:20]}\n{fleet.tail()}"
    assert found.commits > 10 * WIDTH
    assert found.stale == 0


async def test_clocks_that_differ_cost_no_lease_and_no_order(fleet: Fleet) -> None:
    one, two, three = fleet.sidecars
    before = fleet.taken()
    assert said(fleet, DIFFER) == [0, 0, 0]
    with fleet.move():
        put(one, 5)
        put(two, -5)
        fleet.progress(200)
        seen(fleet, 9, 9, 4)
    assert fleet.taken() == before
    assert said(fleet, DIFFER) == [1, 1, 1]
    with fleet.fault():  # what it timed goes on by the clocks of others
        fleet.kill(one)
        fleet.again(one)
    with fleet.move():  # and what moves because one is stopped
        fleet.stop(three)
        fleet.settled()
        fleet.again(three)
    await check(fleet, ahead=10)


async def test_a_clock_that_jumps_costs_no_lease_and_no_order(fleet: Fleet) -> None:
    one, *_ = fleet.sidecars
    before = fleet.taken()
    with fleet.move():
        put(one, -HOUR)  # its orders wait
        fleet.progress(100)
        seen(fleet, *[HOUR - 1] * 3)
        put(one, 0)  # and go on
        fleet.progress(100)
        fleet.until(lambda: said(fleet, AGREE) == [1, 1, 1], "all see that it is right again")
    assert all(item.metric(SKEW) < 1 for item in fleet.sidecars)
    with fleet.move():
        put(one, HOUR)
        fleet.progress(200)
        seen(fleet, *[HOUR - 1] * 3)
    assert fleet.taken() == before
    assert said(fleet, DIFFER) == [2, 2, 2]
    await check(fleet, ahead=HOUR)
