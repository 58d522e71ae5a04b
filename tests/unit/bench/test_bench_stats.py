"""Percentiles, spreads and the rule that drops a repeat.  Not in scope: measuring anything."""

from __future__ import annotations

import pytest
from stats import drifted, percentile, spread


@pytest.mark.parametrize(
    ("samples", "percent", "expected"),
    [
        pytest.param([5.0], 50, 5.0, id="one sample is every percentile"),
        pytest.param([1.0, 2.0], 50, 1.0, id="nearest rank takes a sample, never a mean"),
        pytest.param([3.0, 1.0, 2.0], 50, 2.0, id="order does not matter"),
        pytest.param([float(n) for n in range(1, 101)], 90, 90.0, id="p90 of 1 to 100"),
        pytest.param([float(n) for n in range(1, 101)], 99, 99.0, id="p99 of 1 to 100"),
        pytest.param([float(n) for n in range(1, 11)], 99, 10.0, id="p99 of ten is the largest"),
        pytest.param([1.0, 9.0], 100, 9.0, id="p100 is the largest"),
        pytest.param([1.0, 9.0], 0.1, 1.0, id="a tiny percent is the smallest"),
    ],
)
def test_percentile(samples: list[float], percent: float, expected: float) -> None:
    assert percentile(samples, percent) == expected


def test_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_spread() -> None:
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert (found.low, found.median, found.high, found.count) == (1.0, 2.5, 10.0, 4)


def test_spread_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        spread([])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(1.0, 1.0, [], id="the same"),
        pytest.param(1.0, 1.14, [], id="slower within the limit"),
        pytest.param(1.14, 1.0, [], id="faster within the limit"),
        pytest.param(1.0, 1.16, ["rtt"], id="slower beyond it"),
        pytest.param(1.16, 1.0, ["rtt"], id="faster beyond it counts alike"),
        pytest.param(1.0, 3.0, ["rtt"], id="far beyond it"),
    ],
)
def test_drift(before: float, after: float, expected: list[str]) -> None:
    assert drifted({"rtt": before, "sync": 2.0}, {"rtt": after, "sync": 2.0}) == expected


def test_drift_names_every_denominator_that_changed() -> None:
    assert drifted({"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 2.0, "b": 1.0, "c": 0.5}) == ["a", "c"]


def test_denominators_must_be_the_same_ones() -> None:
    with pytest.raises(ValueError, match="different denominators"):
        drifted({"rtt": 1.0}, {"sync": 1.0})
