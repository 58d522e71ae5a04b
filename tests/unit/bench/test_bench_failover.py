"""The stall of one instance, from the times of its events."""

from __future__ import annotations

import pytest
from failover import slow, stall

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1, 2, 9, 10], 6.0),  # nothing came from the fault at 3 until 9
        ([1, 4, 5, 12, 13], 7.0),  # it went on, and stood still later
        ([1, 2], None),  # it was over
        ([4, 5], None),  # it had not begun
        ([], None),
    ],
)
def test_the_longest_time_without_an_event(times: list[int], expected: float | None) -> None:
    assert stall([one * SECOND for one in times], 3 * SECOND) == expected


def test_slow_orders_and_their_children_are_known() -> None:
    assert slow("order-8")
    assert slow("order-8:000a")
    assert not slow("order-7")
    assert not slow("order-7:000a")
