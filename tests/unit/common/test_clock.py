"""The clock module reads the clocks that it says.

Out of scope: whether the rest of the tree keeps away from time (ruff and import-linter see to it;
test_layout.py shows that they do).
"""

from __future__ import annotations

import time

from tenure_common import clock


def test_wall_is_nanoseconds_since_the_epoch() -> None:
    before = time.time_ns()
    assert before <= clock.wall_ns() <= time.time_ns()


def test_monotonic_is_seconds() -> None:
    before = time.monotonic()
    assert before <= clock.monotonic() <= time.monotonic()
