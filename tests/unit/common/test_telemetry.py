"""Metrics: read on demand, rendered as Prometheus text, refused when their names break the rules.

Out of scope: which metrics the engine has.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tenure_common.telemetry import Histogram, Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """Sample name with labels to value, of our own metrics."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            if sample.name.startswith("tenure_"):
                found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_counter_is_read_at_each_scrape() -> None:
    count = 0
    metrics = Metrics()
    metrics.counter("tenure_commits_total", "Commits.", lambda: count)
    assert samples(metrics) == {"tenure_commits_total{}": 0}
    count = 7
    assert samples(metrics) == {"tenure_commits_total{}": 7}


def test_gauge() -> None:
    metrics = Metrics()
    metrics.gauge("tenure_workers", "Streams.", lambda: 2.5)
    assert samples(metrics) == {"tenure_workers{}": 2.5}


def test_labels() -> None:
    metrics = Metrics()
    metrics.gauge(
        "tenure_items",
        "Items.",
        lambda: {("turn", "a"): 1, ("activity", 'q"\n'): 2},
        labels=("kind", "name"),
    )
    assert samples(metrics) == {
        "tenure_items{kind=turn,name=a}": 1,
        'tenure_items{kind=activity,name=q"\n}': 2,
    }


def test_histogram_buckets_are_cumulative_and_inclusive() -> None:
    metrics = Metrics()
    histogram = metrics.histogram("tenure_wait_seconds", "Waits.", (0.1, 1))
    for value in (0.05, 0.1, 0.5, 1.0, 30.0):
        histogram.observe(value)
    assert samples(metrics) == {
        "tenure_wait_seconds_bucket{le=0.1}": 2,
        "tenure_wait_seconds_bucket{le=1.0}": 4,
        "tenure_wait_seconds_bucket{le=+Inf}": 5,
        "tenure_wait_seconds_count{}": 5,
        "tenure_wait_seconds_sum{}": 31.65,
    }


@given(st.lists(st.floats(-10, 10)))
def test_each_observation_is_in_the_first_bucket_that_holds_it(values: list[float]) -> None:
    histogram = Histogram((-1.0, 0.0, 5.0))
    for value in values:
        histogram.observe(value)
    below = [sum(1 for value in values if value <= bound) for bound in histogram.bounds]
    cumulated = [sum(histogram.counts[: i + 1]) for i in range(3)]
    assert cumulated == below
    assert sum(histogram.counts) == len(values)


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param((1.0, 0.5), id="descending"),
        pytest.param((1.0, 1.0), id="twice"),
    ],
)
def test_bounds_must_ascend(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        Histogram(bounds)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("commits_total", id="no-prefix"),
        pytest.param("tenure_Commits_total", id="capital"),
        pytest.param("tenure_9_total", id="digit-first"),
        pytest.param("tenure_a-b_total", id="dash"),
    ],
)
def test_bad_names(name: str) -> None:
    with pytest.raises(ValueError, match="tenure_"):
        Metrics().counter(name, "x", lambda: 0)


def test_counters_end_in_total() -> None:
    with pytest.raises(ValueError, match="_total"):
        Metrics().counter("tenure_commits", "x", lambda: 0)


def test_names_are_unique_over_all_kinds() -> None:
    metrics = Metrics()
    metrics.gauge("tenure_x_total", "x", lambda: 0)
    with pytest.raises(ValueError, match="already"):
        metrics.counter("tenure_x_total", "x", lambda: 0)
    with pytest.raises(ValueError, match="already"):
        metrics.histogram("tenure_x_total", "x", (1,))


def test_help_texts_are_shown() -> None:
    metrics = Metrics()
    metrics.gauge("tenure_workers", "Open work streams.", lambda: 0)
    assert b"# HELP tenure_workers Open work streams." in metrics.render()
    assert b"# TYPE tenure_workers gauge" in metrics.render()


def test_the_process_itself_is_measured() -> None:
    assert b"process_cpu_seconds_total" in Metrics().render()


def test_a_failing_reading_is_not_hidden() -> None:
    metrics = Metrics()
    metrics.gauge("tenure_broken", "x", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        metrics.render()


def test_the_library_is_loaded_by_the_first_scrape() -> None:
    code = (
        "import sys; from tenure_common.telemetry import Metrics;"
        "m = Metrics(); m.gauge('tenure_x', 'x', lambda: 1);"
        "assert 'prometheus_client' not in sys.modules;"
        "m.render(); assert 'prometheus_client' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
