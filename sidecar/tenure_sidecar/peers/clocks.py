"""How far the wall clocks of other members are from this one's, pure: an estimate of each, and whether
that is too far.

A member is asked what its clock says.  It answers at some moment between question and answer, so the
middle of the two is wrong by half of the round trip at most, as in NTP.  What is told is the least by
which clocks differ, so that a slow network or a machine that is busy is not taken for a wrong clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

# Seconds.  NTP keeps clocks far closer.  Timers look at the clock once a second anyway, so that a
# smaller difference is not seen in them; and it is what etcd bears of its own members.
BOUND = 1.0
_CALM = BOUND / 2  # seconds; no end before, or who is near the bound would be told of all the time


class Estimate(NamedTuple):
    """Of a member's clock.

    Attributes:
        ahead: seconds that it is before this one's; negative = behind.
        error: seconds by which that may be wrong.
    """

    ahead: float
    error: float

    @property
    def least(self) -> float:
        """Seconds by which the clocks differ at least."""
        return max(0.0, abs(self.ahead) - self.error)

    @property
    def most(self) -> float:
        """Seconds by which they differ at most."""
        return abs(self.ahead) + self.error


def estimate(*, asked: float, heard: float, here: float, there: float) -> Estimate | None:
    """Of one question; None when the answer took too long to say anything.

    Args:
        asked, heard: when question and answer were here, monotonic, seconds.
        here: this wall clock when the answer was here, seconds.
        there: the member's in its answer, seconds.
    """
    half = (heard - asked) / 2
    return Estimate(there - (here - half), half) if half < BOUND else None


def skew(known: Mapping[str, Estimate]) -> float:
    """Seconds by which this clock and that of any member differ at least."""
    return max((one.least for one in known.values()), default=0.0)


def differ(known: Mapping[str, Estimate], *, before: bool) -> bool:
    """Whether clocks differ too much; ``before``: whether they did so far."""
    if not before:
        return skew(known) > BOUND
    # Of nobody nothing is known: what was true stays so.
    return not known or any(one.most > _CALM for one in known.values())


class Clocks:
    """What is known of the clocks of the members that one is connected to."""

    def __init__(self) -> None:
        self.differ = False  # now
        self._known: dict[str, Estimate] = {}

    @property
    def skew(self) -> float:
        """See ``skew``."""
        return skew(self._known)

    def take(self, name: str, found: Estimate) -> bool:
        """Whether that of a member makes ``differ`` another one than it was."""
        self._known[name] = found
        before, self.differ = self.differ, differ(self._known, before=self.differ)
        return before != self.differ

    def keep(self, names: Collection[str]) -> None:
        """Forget all others."""
        self._known = {name: one for name, one in self._known.items() if name in names}
