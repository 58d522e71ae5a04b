"""One workflow that fans out over all replicas, and what happens to it when one of them goes.

Real parts only, each a process: etcd, three sidecars, their stock SDK apps.  In scope: lending under
F1 (the owner, a borrower), F6, F24 (two versions) and F25 (SIGTERM of a borrower), judged by the log of
effects.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.etcd import Cluster
from support.fleet import DEFAULT, NEXT, PRESENT, Fleet
from support.wide import SLOTS, Wide

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def wide(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wide]:
    """The parameter: programs of the sidecars, one after the other."""
    with Cluster(tmp_path / "etcd") as cluster:
        fleet = Fleet(tmp_path, cluster, lease=DEFAULT, wired=False, app=("wide.py", str(SLOTS)))
        for one, program in zip(fleet.sidecars, getattr(request, "param", ()), strict=False):
            one.engine.program = program
        try:
            fleet.start()
            yield Wide(fleet)
        finally:
            fleet.close()


def test_a_thousand_activities_of_one_workflow_use_every_replica(wide: Wide) -> None:
    wide.begin(1000)
    shares = wide.end()
    assert wide.again == 0
    assert sum(shares.values()) == 1000
    assert len(shares) == 3
    assert min(shares.values()) > 200, shares  # of 333


@pytest.mark.parametrize(
    "wide", [(PRESENT, NEXT, NEXT), (NEXT, PRESENT, PRESENT)], indirect=True, ids=["one", "two"]
)
def test_replicas_of_two_versions_lend_to_each_other(wide: Wide) -> None:
    wide.begin(300)
    shares = wide.end()
    assert wide.again == 0
    assert sum(shares.values()) == 300
    assert len(shares) == 3, "whoever owns it, there are peers of the other version"


def test_the_owner_is_killed(wide: Wide) -> None:
    wide.begin(300, seconds=0.3)
    owner, _ = wide.parts()
    wide.fleet.progress(60)
    wide.fleet.kill(owner)
    wide.end()
    assert 0 < wide.again <= 3 * SLOTS


def test_the_owner_is_stopped_and_nothing_runs_twice(wide: Wide) -> None:
    wide.begin(300, seconds=0.3)
    owner, _ = wide.parts()
    wide.fleet.progress(60)
    wide.fleet.stop(owner)
    shares = wide.end()
    assert wide.again == 0
    assert sum(shares.values()) == 300


def test_a_borrower_is_killed(wide: Wide) -> None:
    wide.begin(300, seconds=0.3)
    _, borrower = wide.parts()
    wide.fleet.progress(60)
    wide.fleet.kill(borrower)
    wide.end()
    assert 0 < wide.again <= SLOTS


def test_a_borrower_is_stopped_and_nothing_runs_twice(wide: Wide) -> None:
    wide.begin(300, seconds=0.3)
    _, borrower = wide.parts()
    wide.fleet.progress(60)
    wide.fleet.stop(borrower)
    shares = wide.end()
    assert wide.again == 0
    assert sum(shares.values()) == 300
