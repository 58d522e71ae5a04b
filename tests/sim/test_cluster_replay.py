"""A seed plays the same way every time, whatever the process hashes strings to.

The digest is of every write to etcd, execution, answer, fault and warning, with its time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.simulation.simulate import simulate

TESTS = Path(__file__).resolve().parents[1]
_PROGRAM = (
    "import sys; from support.simulation.simulate import simulate; "
    "print(simulate(int(sys.argv[1])).digest)"
)


def elsewhere(seed: int, hash_seed: str) -> str:
    """The digest in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", _PROGRAM, str(seed)]
    return subprocess.run(
        command, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("seed", [1, 8, 93, 149])
def test_a_seed_plays_the_same_way_again(seed: int) -> None:
    first = simulate(seed)
    again = simulate(seed)
    assert (again.digest, again.steps, again.last) == (first.digest, first.steps, first.last)
    assert elsewhere(seed, "1") == elsewhere(seed, "2") == first.digest


def test_another_seed_plays_another_way() -> None:
    assert simulate(1).digest != simulate(2).digest
