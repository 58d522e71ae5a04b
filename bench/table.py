"""From samples to rows: which figures of a load are shown, and what each should reach.

A row is one figure of one load under one SDK: NULL and Tenure as median (minimum to maximum), their
ratio, and the goal.  ``run.py`` shows rows in colour, ``report.py`` writes them as Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stats import Spread, spread


@dataclass(frozen=True)
class Figure:
    """One number of a sample."""

    key: str
    title: str
    unit: str
    digits: int = 2
    higher_is_better: bool = False


@dataclass(frozen=True)
class Goal:
    """An upper limit (a lower one where more is better) for Tenure's figure or for the ratio."""

    limit: float
    ratio: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    load: str
    what: str
    sdk: str
    figure: Figure
    null: Spread | None
    tenure: Spread | None
    goal: Goal | None

    @property
    def ratio(self) -> float | None:
        """Tenure's median by NULL's."""
        if self.null is None or self.tenure is None or not self.null.median:
            return None
        return self.tenure.median / self.null.median

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal or without the figure."""
        if self.goal is None:
            return None
        tenure = None if self.tenure is None else self.tenure.median
        value = self.ratio if self.goal.ratio else tenure
        if value is None:
            return None
        limit = self.goal.limit
        return value >= limit if self.figure.higher_is_better else value <= limit


STEP = Figure("step_p50", "per activity, p50", "ms")
STEP99 = Figure("step_p99", "per activity, p99", "ms")
RATE = Figure("rate", "throughput", "act/s", 0, higher_is_better=True)
WORKFLOWS = Figure("rate", "throughput", "wf/s", 0, higher_is_better=True)
SECONDS = Figure("seconds", "time", "s")
DONE = Figure("done_p50", "workflow, p50", "ms", 1)
DONE99 = Figure("done_p99", "workflow, p99", "ms", 1)
ACK = Figure("ack_p50", "start acknowledged, p50", "ms")
ACK99 = Figure("ack_p99", "start acknowledged, p99", "ms")
LATE = Figure("late_p50", "timer late, p50", "ms", 1)
LATE99 = Figure("late_p99", "timer late, p99", "ms", 1)
LATE_MAX = Figure("late_max", "timer late, max", "ms", 1)
EVENT = Figure("done_p50", "raise to done, p50", "ms", 1)
EVENT99 = Figure("done_p99", "raise to done, p99", "ms", 1)
CPU = Figure("engine_cpu_us", "engine CPU", "us", 0)
APP_CPU = Figure("app_cpu_us", "app CPU", "us", 0)
COMMITS = Figure("commits", "commits", "", 3)
WRITTEN = Figure("written", "written to disk", "B", 0)
PEAK = Figure("engine_peak_mb", "peak RSS", "MB", 1)
RSS = Figure("engine_rss_mb", "RSS", "MB", 1)
CORES = Figure("engine_cores", "CPU", "cores", 4)

_COST = (CPU, APP_CPU, COMMITS, PEAK)
_CHAIN = (STEP, STEP99, RATE, *_COST)
_FAN = (SECONDS, RATE, *_COST)
_BY_PREFIX: tuple[tuple[str, tuple[Figure, ...]], ...] = (
    ("HC5", _CHAIN),
    ("SEQ", _CHAIN),
    ("FAN", _FAN),
    ("START", (ACK, ACK99, CPU, COMMITS)),
    ("TIMER", (LATE, LATE99, LATE_MAX, CPU, COMMITS)),
    ("IDLE", (RSS, CORES)),
    ("P-TIMER", (LATE, LATE99, LATE_MAX)),
    ("P-EVENT", (WORKFLOWS, EVENT, EVENT99)),
    ("P-1ACT", (DONE, DONE99)),
    ("P-20SEQ", (STEP,)),
    ("P-CAN", (SECONDS,)),
    ("P-FAN", (SECONDS, *_COST)),
    ("P-", (RATE, DONE, DONE99, *_COST)),
)

GOALS: dict[tuple[str, str], Goal] = {
    **{(load, "step_p50"): Goal(1.05, ratio=True) for load in ("HC5-1", "SEQ-1", "SEQ-15")},
    **{
        (load, "rate"): Goal(0.95, ratio=True)
        for load in ("HC5-1", "HC5-16", "HC5-64", "HC5-256", "HC5-all", "SEQ-1", "SEQ-15")
    },
    ("HC5-64", "engine_cpu_us"): Goal(1_000),
    ("HC5-64", "commits"): Goal(1.0),
    ("SEQ-1", "commits"): Goal(2.2),
    ("FAN-1k", "seconds"): Goal(1.1, ratio=True),
    ("FAN-1k", "engine_cpu_us"): Goal(400),
    ("FAN-1k", "commits"): Goal(0.2),
    ("START", "ack_p50"): Goal(1.5),
    ("IDLE", "engine_rss_mb"): Goal(60),
    ("IDLE", "engine_cores"): Goal(0.005),
}


def figures(load: str) -> tuple[Figure, ...]:
    """The figures that are shown for a load.  Raises KeyError for an unknown one."""
    for prefix, found in _BY_PREFIX:
        if load.startswith(prefix):
            return found
    raise KeyError(load)


def rows(results: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """Rows of a result file's ``results``, in their order."""
    for result in results:
        load = result["load"]
        for figure in figures(load):
            null, tenure = (
                _spread(result["samples"].get(engine, []), figure.key)
                for engine in ("null", "tenure")
            )
            if null is not None or tenure is not None:
                yield Row(
                    load,
                    result["what"],
                    result["sdk"],
                    figure,
                    null,
                    tenure,
                    GOALS.get((load, figure.key)),
                )


def _spread(samples: Sequence[dict[str, float]], key: str) -> Spread | None:
    values = [sample[key] for sample in samples if key in sample]
    return spread(values) if values else None


def shown(value: Spread | None, figure: Figure) -> str:
    """``median (low to high)``, or a dash."""
    if value is None:
        return "-"
    middle, low, high = (
        f"{one:,.{figure.digits}f}" for one in (value.median, value.low, value.high)
    )
    if value.count == 1:
        return middle
    return f"{middle} ({low} to {high})"


def goal_text(row: Row) -> str:
    """The goal in words and whether it is met; empty without one."""
    if row.goal is None or row.met is None:
        return ""
    sign = ">=" if row.figure.higher_is_better else "<="
    of = " x NULL" if row.goal.ratio else ""
    return f"{'met' if row.met else 'MISSED'}: {sign} {row.goal.limit:,g}{of}"
