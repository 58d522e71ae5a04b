"""How far back the newest keys of a time index are looked for: a search over times alone.

Laws: everything is found, the newest first; no range that is read is large; and what is counted and
how often is bounded, wherever the keys lie.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_sidecar.store.etcd.windows import FIRST, MANY, Windows

SECOND = 10**9
NOW = 1_800_000_000 * SECOND
STEP = 100


class Index:
    """Times as etcd has them: a read costs what it counts."""

    def __init__(self, times: Sequence[int]) -> None:
        self.times = sorted(times)
        self.counted = 0
        self.asked = 0
        self.largest = 0  # range that was read
        self.low = 0  # of the last page

    def newest(self) -> list[int]:
        """One page, found as ``pages`` does it."""
        windows, end = Windows(NOW, NOW - self.low if self.low else FIRST), len(self.times)
        while end:
            low = bisect_left(self.times, windows.low) if windows.low > 0 else 0
            count = max(0, end - low)
            self.asked += 1
            self.counted += count
            if windows.crowded(count):
                continue
            if count:
                self.largest = max(self.largest, count)
                self.low = windows.low
                return self.times[max(low, end - STEP) : end][::-1]
            end = min(end, low)
            windows.passed(windows.low, 0)
        return []


CLUSTERS = {
    "of this second": [NOW - n for n in range(100_000)],
    "of a minute, a day ago": [NOW - 86_400 * SECOND - n * 600_000 for n in range(100_000)],
    "of a minute, three years ago": [NOW - 10**17 - n * 600_000 for n in range(100_000)],
    "one a second for a day": [NOW - n * SECOND for n in range(86_400)],
    "the newest of now, the others of a minute last year": [
        NOW - 5,
        *(NOW - 3 * 10**16 - n * 600_000 for n in range(100_000)),
    ],
}


@pytest.mark.parametrize("times", CLUSTERS.values(), ids=CLUSTERS)
def test_a_page_of_a_hundred_thousand_costs_little(times: list[int]) -> None:
    index = Index(times)
    page = index.newest()
    assert page == sorted(times)[-len(page) :][::-1]
    assert page
    assert index.largest <= MANY
    assert index.counted <= 7 * len(times)
    assert index.asked <= 80
    before, asked = index.counted, index.asked
    assert index.newest() == page
    assert index.counted - before <= MANY
    assert index.asked - asked == 1


@given(
    st.lists(st.integers(0, NOW), max_size=60),
    st.lists(st.tuples(st.integers(0, NOW), st.integers(1, 3 * MANY)), max_size=3),
)
def test_the_newest_are_found_wherever_they_lie(
    single: list[int], crowds: list[tuple[int, int]]
) -> None:
    times = [*single, *(at for at, count in crowds for _ in range(count))]
    index = Index(times)
    page = index.newest()
    assert page == sorted(times)[len(times) - len(page) :][::-1]
    assert bool(page) == bool(times)
    assert index.asked <= 250
