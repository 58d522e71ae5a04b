"""The simulation is not blind: bugs that are planted are found, within a few seeds.

In scope: a sample of ``support/simulation/planted.py``, those that few seeds find.  ``make sim`` with
``ARGS=--table`` plays all of them.
"""

from __future__ import annotations

import pytest

from support.simulation.planted import found_by

FEW = 25  # seeds


@pytest.mark.parametrize(
    ("bug", "rule"),
    [
        ("no-fence", "I4"),
        ("wrong-fence", "I4"),
        ("two-owners", "I4"),
        ("early-ack", "I1"),
        ("early-timers", "I7"),
        ("dropped-events", "I5"),
    ],
)
def test_a_planted_bug_is_found(bug: str, rule: str) -> None:
    took, rules = found_by(bug, range(FEW))
    assert took
    assert rule in rules.split(", ")
