"""TLS between the sidecars of an app while its certificates come, end, and are somebody else's (F23).

Real parts only, each a process: etcd, sidecars, their stock SDK apps.  What one certificate after the
other is refused for is in tests/integration/peers/test_peers_access.py; here is what becomes of work.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.etcd import Cluster
from support.fleet import DEFAULT, PARTITIONS, Fleet, Sidecar
from support.orders import repeats
from support.peer_files import PeerFiles
from tenure_sidecar.actors.sharing.placement import place
from tenure_sidecar.store.partition import partition_of

SLOTS = 10  # of each app
LIFE = 9.0  # seconds of a certificate
RENEWED = 3.0  # seconds between two; a sidecar looks at its files whenever it connects
SIDECARS = ("pod-0", "pod-1", "pod-2", "pod-3")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def files(tmp_path: Path) -> PeerFiles:
    return PeerFiles(tmp_path / "peers")


@pytest.fixture
def fleet(tmp_path: Path, files: PeerFiles) -> Iterator[Fleet]:
    with Cluster(tmp_path / "etcd") as cluster:
        made = Fleet(
            tmp_path,
            cluster,
            size=len(SIDECARS),
            lease=DEFAULT,
            wired=False,
            app=("wide.py", str(SLOTS)),
            peers=files.mounted,
        )
        try:
            yield made
        finally:
            made.close()


class Wide:
    """A workflow of ``pod-0`` that fans out."""

    def __init__(self, fleet: Fleet, name: str, count: int, *, seconds: float = 0.3) -> None:
        shares = place(PARTITIONS, SIDECARS)
        ids = (f"{name}-{number}" for number in range(10_000))
        self.id = next(one for one in ids if shares[partition_of(one, PARTITIONS)] == SIDECARS[0])
        self._fleet, self._count = fleet, count
        self._url = f"{fleet.sidecars[0].engine.http_url}/v1.0/workflows/dapr"
        given = json.dumps({"count": count, "seconds": seconds}).encode()
        url = f"{self._url}/wide/start?instanceID={self.id}"
        request = urllib.request.Request(url, data=given, method="POST")  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own
            assert answer.status == 202

    def _state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._url}/{self.id}", timeout=30) as answer:  # noqa: S310 - our own
            found: dict[str, Any] = json.load(answer)
        return found

    def end(self) -> Counter[str]:
        """Wait for it; how many activities each app ran."""
        going = ("PENDING", "RUNNING")
        self._fleet.until(lambda: self._state()["runtimeStatus"] not in going, "the workflow ends")
        state = self._state()
        assert state["runtimeStatus"] == "COMPLETED", state
        assert state["properties"]["dapr.workflow.output"] == str(self._count), state
        return Counter(
            one.app for one in self._fleet.effects.read() if one.key.startswith(f"{self.id}/")
        )


def borrowed(fleet: Fleet) -> list[float]:
    """What each sidecar but the first has borrowed so far."""
    return [one.metric("tenure_activities_borrowed_total") for one in fleet.sidecars[1:]]


def test_certificates_are_renewed_while_activities_are_out(files: PeerFiles, fleet: Fleet) -> None:
    """The first ones end in the middle; nothing is lost, and nothing runs again."""
    with files.renewed(*SIDECARS, life=LIFE, every=RENEWED):
        fleet.start()
        wide = Wide(fleet, "renewed", 2000)
        fleet.until(lambda: min(borrowed(fleet)) > 0, "everybody borrows")
        end = max(files.issue(name, life=LIFE) for name in SIDECARS)
        fleet.until(lambda: time.time() > end, "all certificates of the beginning have ended")
        before = borrowed(fleet)
        fleet.until(
            lambda: all(
                now > old + SLOTS for now, old in zip(borrowed(fleet), before, strict=True)
            ),
            "everybody goes on borrowing",
        )
        shares = wide.end()
    assert sum(shares.values()) == 2000, shares
    assert repeats(fleet.effects.read()) == []
    assert set(shares) == set(SIDECARS)


def test_who_has_no_good_certificate_is_for_itself_until_there_is_one(
    files: PeerFiles, fleet: Fleet
) -> None:
    files.issue("pod-0")
    files.issue("pod-1", namespace="elsewhere")
    files.issue("pod-2", life=60, age=120)  # it has ended
    fleet.start()  # pod-3 has none
    fleet.until(
        lambda: [one.metric("tenure_peers_listening") for one in fleet.sidecars] == [1, 1, 1, 0],
        "those with a certificate are reached",
    )
    wide = Wide(fleet, "alone", 60, seconds=0.1)
    assert wide.end() == Counter({"pod-0": 60})
    refused = "is for *.elsewhere.peers.tenure.dev, not for orders.default.peers.tenure.dev"
    fleet.until(lambda: refused in _told(fleet.sidecars[0]), "it is told who was refused")
    for name in SIDECARS[1:]:
        files.issue(name)
    fleet.until(
        lambda: all(one.metric("tenure_peers_listening") == 1 for one in fleet.sidecars),
        "everybody is reached",
    )
    wide = Wide(fleet, "together", 400)
    fleet.until(lambda: min(borrowed(fleet)) > 0, "everybody borrows")
    shares = wide.end()
    assert sum(shares.values()) == 400
    assert set(shares) == set(SIDECARS)
    assert repeats(fleet.effects.read()) == []


def _told(one: Sidecar) -> str:
    return one.engine.log.read_text(errors="replace")
