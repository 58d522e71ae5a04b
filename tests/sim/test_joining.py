"""A sidecar joins under load: workflows whose partitions stay where they are do not stand still.

On a real machine the start of a process costs all others time, which hides what the protocol costs.
In virtual time nothing costs time but the network, etcd and the apps, so the longest pause between
two turns of a workflow says what joining does to it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import chain, pairwise
from typing import NamedTuple
from unittest.mock import patch

import pytest
import structlog

from support.simulation import app
from support.simulation.clients import Clients
from support.simulation.machine import Machine
from support.simulation.peer_streams import peer_streams
from support.simulation.story import read
from support.simulation.world import PARTITIONS, World

EACH = 2  # workflows of a partition
ALLOWED = 0.05  # seconds, above the longest pause before
HANDED_OVER = 0.2  # the same for what goes to another owner


class Pauses(NamedTuple):
    """The longest time between two turns of a workflow, in seconds.

    Attributes:
        before: the sidecar joins.
        stayed: while it joins, of workflows whose partition stays.
        moved: the same of the others.
    """

    before: float
    stayed: float
    moved: float


async def _join(loop: Machine, seed: int) -> Pauses:
    world = World(loop, seed, pods=4)
    *there, new = world.apps
    world.pods = there
    await world.start()
    clients = Clients(world)
    names: dict[int, list[str]] = defaultdict(list)
    number = 0
    while sum(map(len, names.values())) < PARTITIONS * EACH:
        number += 1
        own = names[world.keys.partition(f"chain-{number}")]
        if len(own) < EACH:
            own.append(f"chain-{number}")
    for name in chain.from_iterable(names.values()):
        assert (await clients.start("chain", name, "100")).value == "started"
    await asyncio.sleep(1.0)
    joins = loop.time()
    new.boot()
    await asyncio.sleep(1.5)
    ends = loop.time()
    assert new.engine is not None, "it did not come up"
    story = read(list(world.servers.model.changes), world.keys)
    world.trace.open = False
    world.network.close()
    await loop.finish()

    turns: dict[str, list[float]] = defaultdict(list)
    owners: dict[int, set[str]] = defaultdict(set)
    for revision, name, partition, process, _ in story.commits:
        turns[name].append(world.times[revision])
        owners[partition].add(process)
    stayed = {partition for partition, of in owners.items() if len(of) == 1}

    def longest(of: set[int], begin: float, end: float) -> float:
        spans = [
            two - one
            for partition in of
            for name in names[partition]
            for one, two in pairwise(turns[name])
            if begin <= one and two <= end
        ]
        assert len(spans) > 20 * EACH * len(of), "too little happened"
        return max(spans)

    every = set(owners)
    assert every - stayed, "nothing moved: this shows nothing"
    return Pauses(
        before=longest(every, joins - 1.0, joins),
        stayed=longest(stayed, joins, ends),
        moved=longest(every - stayed, joins, ends),
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_does_not_move_does_not_stand_still(seed: int) -> None:
    loop = Machine()
    quick = patch.object(app, "_LONG", 0)  # no activity takes long by itself
    with quick, peer_streams(), structlog.testing.capture_logs():
        found = loop.run_until_complete(_join(loop, seed))
    loop.close()
    assert found.stayed <= found.before + ALLOWED, found
    assert found.moved <= found.before + HANDED_OVER, found
