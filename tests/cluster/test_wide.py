"""One workflow that fans out over all replicas, and what happens to it when one of them goes.

Real parts only, each a process: etcd, three sidecars, their stock SDK apps.  In scope: lending under
F1 (the owner, a borrower), F6, F24 (two versions) and F25 (SIGTERM of a borrower), judged by the log of
effects.
"""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.etcd import Cluster
from support.fleet import NEXT, PRESENT, Fleet, Sidecar
from support.orders import repeats

SLOTS = 10  # of each app
PACE = 0.05  # seconds of an activity, so long that slots and not processors are what is short

_GOING = ("PENDING", "RUNNING")

pytestmark = pytest.mark.timeout(600)


class Wide:
    """Three sidecars with apps of ``SLOTS`` slots, and one workflow."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._id = ""
        self._count = 0

    def begin(self, count: int, *, seconds: float = PACE) -> None:
        """Start it."""
        self._id, self._count = "wide-1", count
        url = f"{self._here().engine.http_url}/v1.0/workflows/dapr/wide/start"
        given = json.dumps({"count": count, "seconds": seconds}).encode()
        request = urllib.request.Request(f"{url}?instanceID={self._id}", data=given, method="POST")  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own
            assert answer.status == 202

    def _here(self) -> Sidecar:
        return next(one for one in self.fleet.sidecars if one.here)

    def _state(self) -> dict[str, Any]:
        url = f"{self._here().engine.http_url}/v1.0/workflows/dapr/{self._id}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own
            found: dict[str, Any] = json.load(answer)
        return found

    def parts(self) -> tuple[Sidecar, Sidecar]:
        """Its owner and a borrower, once it is in full swing."""
        owner: list[Sidecar] = []
        borrowers: list[Sidecar] = []

        def found() -> bool:
            owner[:] = [s for s in self.fleet.sidecars if s.metric("tenure_activities_lent") > 0]
            borrowers[:] = [
                s for s in self.fleet.sidecars if s.metric("tenure_activities_borrowed") > 0
            ]
            return len(owner) == 1 and len(borrowers) == len(self.fleet.sidecars) - 1

        self.fleet.until(found, "the owner lends to everybody")
        return owner[0], borrowers[0]

    def end(self) -> Counter[str]:
        """Wait for it; how many activities each app ran."""
        self.fleet.until(lambda: self._state()["runtimeStatus"] not in _GOING, "the workflow ends")
        state = self._state()
        assert state["runtimeStatus"] == "COMPLETED", state
        assert state["properties"]["dapr.workflow.output"] == str(self._count), state
        effects = self.fleet.effects.read()
        assert len({one.key for one in effects}) == self._count
        return Counter(one.app for one in effects)

    @property
    def again(self) -> int:
        """Activities that ran more than once, as often as they did."""
        return len(repeats(self.fleet.effects.read()))


@pytest.fixture
def wide(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wide]:
    """The parameter: programs of the sidecars, one after the other."""
    with Cluster(tmp_path / "etcd") as cluster:
        fleet = Fleet(tmp_path, cluster, wired=False, app=("wide.py", str(SLOTS)))
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
