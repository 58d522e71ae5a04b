"""The whole cluster under faults, from seeds, in virtual time: I1 to I15 hold in each.

In scope: everything that sidecars promise together, through the real engine, dispatch, actors,
sharing, etcd store and etcd client.  Out of scope: SDKs and real sockets (tests/cluster), and
whether these tests would see a bug (test_cluster_planted).
"""

from __future__ import annotations

import pytest

from support.simulation.faults import LEAST
from support.simulation.simulate import simulate

SEEDS = 200
AT_ONCE = 5  # seeds of one test


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_every_promise_is_kept(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        outcome = simulate(seed)
        assert len(outcome.faults) >= LEAST
        assert outcome.numbers["commits"] > 50
        story = "\n".join((*outcome.faults, "...", *outcome.last[-40:]))
        assert not outcome.wrong, f"make sim SEEDS={seed}-{seed}\n{story}\n{outcome.wrong}"
