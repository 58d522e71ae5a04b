"""Small statistics: percentiles of samples, spread of repeats, and the rule that drops a repeat.

A figure is reported as minimum, median and maximum over the repeats.  Each repeat is bracketed by
the denominators (a bare round trip, an fdatasync): when one of them changed by more than
``DRIFT`` from before to after, the machine was not the same machine and the repeat is dropped.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DRIFT = 0.15


@dataclass(frozen=True)
class Spread:
    """A figure over the repeats."""

    low: float
    median: float
    high: float
    count: int


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile (0 < percent <= 100).  Raises ValueError without samples."""
    if not samples:
        message = "no samples"
        raise ValueError(message)
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> Spread:
    """Minimum, median, maximum.  Raises ValueError without values."""
    if not values:
        message = "no values"
        raise ValueError(message)
    return Spread(min(values), statistics.median(values), max(values), len(values))


def drifted(
    before: Mapping[str, float], after: Mapping[str, float], *, limit: float = DRIFT
) -> list[str]:
    """The names of the denominators that changed by more than ``limit`` (a share).

    The change is measured against the smaller value, so that slower and faster count alike.
    Raises ValueError when the two do not hold the same denominators.
    """
    if before.keys() != after.keys():
        message = f"different denominators: {sorted(before)} and {sorted(after)}"
        raise ValueError(message)
    return [
        name
        for name, value in before.items()
        if max(value, after[name]) > (1 + limit) * min(value, after[name])
    ]
