"""From samples to rows: ratios, goals, texts.  Not in scope: how a table is printed."""

from __future__ import annotations

from typing import Any

import pytest
import workloads
from stats import spread
from table import GOALS, RATE, STEP, Figure, Goal, Row, figures, goal_text, rows, shown

MS = Figure("x", "x", "ms")
MORE = Figure("x", "x", "act/s", 0, higher_is_better=True)


def row(
    null: list[float] | None, tenure: list[float] | None, goal: Goal | None, figure: Figure = MS
) -> Row:
    return Row(
        "L",
        "what",
        "sdk",
        figure,
        None if null is None else spread(null),
        None if tenure is None else spread(tenure),
        goal,
    )


@pytest.mark.parametrize(
    ("made", "ratio", "met"),
    [
        pytest.param(row([2.0], [3.0], None), 1.5, None, id="no goal"),
        pytest.param(row([2.0], [3.0], Goal(3.0)), 1.5, True, id="limit reached exactly"),
        pytest.param(row([2.0], [3.1], Goal(3.0)), 1.55, False, id="over the limit"),
        pytest.param(row([2.0], [2.1], Goal(1.05, ratio=True)), 1.05, True, id="ratio at limit"),
        pytest.param(row([2.0], [2.2], Goal(1.05, ratio=True)), 1.1, False, id="ratio over limit"),
        pytest.param(row([100.0], [96.0], Goal(0.95, ratio=True), MORE), 0.96, True, id="enough"),
        pytest.param(row([100.0], [94.0], Goal(0.95, ratio=True), MORE), 0.94, False, id="too few"),
        pytest.param(row(None, [1.0], Goal(2.0)), None, True, id="a plain goal needs no NULL"),
        pytest.param(row(None, [1.0], Goal(2.0, ratio=True)), None, None, id="a ratio does"),
        pytest.param(row([1.0], None, Goal(2.0)), None, None, id="nothing measured, nothing met"),
        pytest.param(row([0.0], [1.0], None), None, None, id="no ratio to zero"),
        pytest.param(row([1.0, 2.0, 9.0], [4.0, 3.0, 1.0], None), 1.5, None, id="medians count"),
    ],
)
def test_ratio_and_goal(made: Row, ratio: float | None, met: bool | None) -> None:
    assert made.ratio == (None if ratio is None else pytest.approx(ratio))
    assert made.met is met


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (row([2.0], [3.0], None), ""),
        (row([2.0], [3.0], Goal(2.0)), "MISSED: <= 2"),
        (row([2.0], [2.0], Goal(1.05, ratio=True)), "met: <= 1.05 x NULL"),
        (row([2.0], [2.0], Goal(1_000), MORE), "MISSED: >= 1,000"),
        (row([2.0], None, Goal(2.0)), ""),
    ],
)
def test_goal_text(made: Row, expected: str) -> None:
    assert goal_text(made) == expected


@pytest.mark.parametrize(
    ("values", "figure", "expected"),
    [
        (None, STEP, "-"),
        ([1.234], STEP, "1.23"),
        ([1.0, 3.0, 2.0], STEP, "2.00 (1.00 to 3.00)"),
        ([1234.4, 1236.0], RATE, "1,235 (1,234 to 1,236)"),
    ],
)
def test_shown(values: list[float] | None, figure: Figure, expected: str) -> None:
    assert shown(None if values is None else spread(values), figure) == expected


def result(load: str, **samples: list[dict[str, float]]) -> dict[str, Any]:
    return {"load": load, "what": "w", "sdk": "s", "samples": samples, "dropped": []}


def test_rows_come_in_order_and_only_with_figures() -> None:
    found = list(
        rows(
            [
                result("SEQ-1", null=[{"step_p50": 2.0}], tenure=[{"step_p50": 4.0}]),
                result("START", tenure=[{"ack_p50": 1.0, "commits": 2.0}]),
                result("IDLE"),
            ]
        )
    )
    assert [(one.load, one.figure.key, one.met) for one in found] == [
        ("SEQ-1", "step_p50", False),
        ("START", "ack_p50", True),
        ("START", "commits", None),
    ]


def test_an_unknown_load_is_an_error() -> None:
    with pytest.raises(KeyError):
        figures("NOPE")


ALL = [load for load in vars(workloads).values() if isinstance(load, workloads.Load)]
ALL += [*workloads.CHAINS, *workloads.PEER]


@pytest.mark.parametrize("load", ALL, ids=lambda load: load.name)
def test_every_load_has_figures_and_a_shape(load: workloads.Load) -> None:
    assert figures(load.name)
    assert load.shape in workloads.SHAPES
    assert load.units > 0


def test_every_goal_belongs_to_a_load_and_a_figure_that_is_shown() -> None:
    shown_figures = {(load.name, figure.key) for load in ALL for figure in figures(load.name)}
    assert shown_figures >= GOALS.keys()


@pytest.mark.parametrize(
    ("count", "in_flight", "factor", "expected"),
    [
        pytest.param(100, 1, 0.5, 50, id="half"),
        pytest.param(100, 0, 0.001, 1, id="never none"),
        pytest.param(100, 64, 0.1, 64, id="every slot has work"),
        pytest.param(1, 1, 5.0, 1, id="one big workflow stays one"),
        pytest.param(3, 1, 0.5, 2, id="rounded up"),
    ],
)
def test_scaling(count: int, in_flight: int, factor: float, expected: int) -> None:
    assert workloads.scaled(workloads.hc5(count, in_flight), factor).count == expected
