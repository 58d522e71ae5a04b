"""A seed plays the same way every time, whatever the process hashes strings to.

The digest is of every write to etcd, execution, answer, fault and warning, with its time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
SEEDS = (1, 8, 93, 149)
_PROGRAM = """
import sys
from support.simulation.simulate import simulate

for seed in sys.argv[1:]:
    one = simulate(int(seed))
    print(seed, one.digest, one.steps, len(one.last))
"""


def begun(seeds: Sequence[int], hash_seed: str) -> subprocess.Popen[str]:
    """A process of its own that plays the seeds one after the other."""
    env = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", _PROGRAM, *map(str, seeds)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def told(player: subprocess.Popen[str]) -> set[str]:
    """What it said, a line for each time that it played a seed."""
    out, _ = player.communicate()
    assert player.returncode == 0
    return set(out.splitlines())


def test_a_seed_plays_the_same_way_whatever_was_played_before() -> None:
    one, other = begun(SEEDS, "1"), begun((*reversed(SEEDS), SEEDS[-1]), "2")
    first = told(one)
    assert told(other) == first
    assert len({line.split()[1] for line in first}) == len(SEEDS)
