"""Sidecars whose connections to each other are slow, dead, broken or refused, while they lend.

Real parts only, each a process: etcd, three sidecars, their stock SDK apps; a proxy between each pair of
sidecars.  In scope: F6 (cut from each other only, both ways and one way), F10 for the peers (slow,
resets), and that false suspicions come ever more rarely.  etcd can be reached all the time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from support.audit import audit
from support.etcd import Cluster
from support.fleet import PARTITIONS, Fleet, Sidecar, Wires
from support.proxy import FROM, TO, FaultProxy
from support.wide import SLOTS, Wide

PROGRAM = (str(Path(__file__).parent / "behind_wires.py"),)
COUNT = 240
SECONDS = 0.2  # of an activity
LEASE = 10  # seconds: the default, so that none is ended by a busy machine; none is waited for

pytestmark = pytest.mark.timeout(600)


class Between:
    """The wires between the sidecars of a fleet."""

    def __init__(self, fleet: Fleet, wires: Wires) -> None:
        self.fleet = fleet
        self._wires = wires
        self._pairs: dict[tuple[str, str], FaultProxy] = {}
        for one in fleet.sidecars:
            routes: dict[str, str] = {}
            for other in fleet.sidecars:
                if other is not one:
                    proxy = wires.make(other.peers_port)
                    self._pairs[one.name, other.name] = proxy
                    routes[f"127.0.0.1:{other.peers_port}"] = f"127.0.0.1:{proxy.port}"
            one.engine.program = PROGRAM
            (one.engine.folder / "wires.json").write_text(json.dumps(routes))

    def of(self, one: Sidecar) -> list[FaultProxy]:
        """The wires on which others reach the sidecar, and it reaches them."""
        return [wire for pair, wire in self._pairs.items() if one.name in pair]

    def to(self, one: Sidecar) -> list[FaultProxy]:
        """The wires on which others reach the sidecar."""
        return [wire for (_, other), wire in self._pairs.items() if other == one.name]

    def every(self) -> list[FaultProxy]:
        """All wires."""
        return list(self._pairs.values())

    def do(self, wires: list[FaultProxy], what: Callable[[FaultProxy], None]) -> None:
        """Do something with wires."""
        for wire in wires:
            self._wires.call(partial(what, wire))

    def refuse(self, wires: list[FaultProxy]) -> None:
        """Nobody listens at their ends, though the sidecar is there."""
        for wire in wires:
            self._wires.run(wire.refuse())

    def listen(self, wires: list[FaultProxy]) -> None:
        """Somebody does again."""
        for wire in wires:
            self._wires.run(wire.listen())


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[tuple[Wide, Between]]:
    with Cluster(tmp_path / "etcd") as cluster:
        fleet = Fleet(tmp_path, cluster, lease=LEASE, wired=False, app=("wide.py", str(SLOTS)))
        wires = Wires()
        try:
            between = Between(fleet, wires)
            fleet.start()
            yield Wide(fleet), between
        finally:
            fleet.close()
            wires.close()


def suspected(fleet: Fleet) -> float:
    """How many take another one for dead."""
    return sum(one.metric("tenure_members_suspected") for one in fleet.sidecars)


async def nothing_was_lost(fleet: Fleet) -> None:
    """Every commit was its owner's, every history is whole, no message was missed."""
    found = await audit(fleet.cluster.urls, app=fleet.app_id)
    assert found.wrong == []
    assert found.stale == 0
    assert [one.metric("tenure_messages_missed_total") for one in fleet.sidecars] == [0, 0, 0]


async def test_a_slow_network_costs_time_and_nothing_else(wide: tuple[Wide, Between]) -> None:
    many, between = wide
    taken = many.fleet.taken()
    between.do(between.every(), lambda wire: wire.delay(0.3))
    many.begin(COUNT, seconds=SECONDS)
    shares = many.end()
    assert many.again == 0
    assert len(shares) == 3
    assert many.fleet.taken() == taken
    assert suspected(many.fleet) == 0
    await nothing_was_lost(many.fleet)


async def test_a_silent_network_is_no_reason_to_take_over(wide: tuple[Wide, Between]) -> None:
    """Both ways, and then one way."""
    many, between = wide
    taken = many.fleet.taken()
    many.begin(COUNT, seconds=SECONDS)
    for round_, ways in enumerate(((TO, FROM), (FROM,)), 1):
        owner, _ = many.parts()
        between.do(between.of(owner), partial(FaultProxy.cut, ways=ways))
        many.end()  # what was lent and not heard of ran again
        assert many.again <= round_ * 2 * SLOTS
        between.do(between.of(owner), partial(FaultProxy.resume, ways=ways))
        many.begin(COUNT, seconds=SECONDS)
    many.parts()  # they are connected again
    many.end()
    assert many.fleet.taken() == taken
    await nothing_was_lost(many.fleet)


async def test_connections_that_break_are_made_anew(wide: tuple[Wide, Between]) -> None:
    many, between = wide
    taken = many.fleet.taken()
    many.begin(COUNT, seconds=SECONDS)
    owner, _ = many.parts()
    for _ in range(3):
        between.do(between.of(owner), FaultProxy.reset)
        many.fleet.progress(SLOTS)
    many.end()
    assert many.again <= 3 * 2 * SLOTS
    assert many.fleet.taken() == taken
    await nothing_was_lost(many.fleet)


async def test_whoever_is_taken_for_dead_by_mistake_comes_back_and_is_suspected_more_rarely(
    wide: tuple[Wide, Between],
) -> None:
    many, between = wide
    fleet = many.fleet
    many.begin(2 * COUNT, seconds=SECONDS)
    owner, _ = many.parts()
    taken = fleet.taken()
    between.refuse(between.to(owner))
    fleet.until(lambda: fleet.taken() > taken, "others took what it owns")
    between.listen(between.to(owner))
    fleet.settled()
    fleet.until(lambda: suspected(fleet) == 0, "nobody is suspected")
    many.end()  # by its new owner; what the old one ran and committed too late was refused
    taken = fleet.taken()
    for _ in range(5):  # each for a shorter time than the next suspicion waits
        between.refuse(between.to(owner))
        between.listen(between.to(owner))
    many.begin(COUNT, seconds=SECONDS)
    many.end()
    assert fleet.taken() - taken <= 2 * PARTITIONS
    await nothing_was_lost(fleet)
