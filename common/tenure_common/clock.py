"""The one place that reads the time.

Everything else takes a clock as an argument, so that tests run hours of timers without waiting.
Two clocks, never mixed:

* the wall clock goes into histories and is compared with times that people and other machines
  wrote; it may jump;
* the monotonic clock measures durations and deadlines of this process; it means nothing elsewhere.
"""

from __future__ import annotations

import time


def wall_ns() -> int:
    """Wall clock, nanoseconds since the Unix epoch."""
    return time.time_ns()  # noqa: TID251 - this is the clock module


def monotonic() -> float:
    """Monotonic clock, seconds since some fixed point."""
    return time.monotonic()  # noqa: TID251 - this is the clock module


def pause(seconds: float) -> None:
    """Do nothing for a while; for programs that have nothing else to do."""
    time.sleep(seconds)
