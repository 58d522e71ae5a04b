"""Metrics that cost nothing until somebody looks.

The hot path counts in plain integers of its own; a metric here is a name, a help text and a
function that reads the number when Prometheus asks.  So there is no lock and no dictionary lookup
per event, and ``prometheus_client`` with all that it imports is loaded by the first scrape.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tenure_common.names import METRIC_PREFIX

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# One number, or one for each tuple of label values.
Reading = float | Mapping[tuple[str, ...], float]
_NAME: Final = re.compile(rf"{METRIC_PREFIX}[a-z][a-z0-9_]*")


class _Source(NamedTuple):
    kind: Literal["counter", "gauge"]
    name: str
    text: str
    labels: tuple[str, ...]
    read: Callable[[], Reading]


class Histogram:
    """Counts of observations per bucket; ``observe`` is a binary search and three additions."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """``bounds``: the buckets' upper bounds, ascending, inclusive; infinity is added."""
        self.bounds = tuple(bounds)
        if list(self.bounds) != sorted(set(self.bounds)):
            message = f"bucket bounds must ascend: {self.bounds}"
            raise ValueError(message)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        self._sources: list[_Source] = []
        self._histograms: list[tuple[str, str, Histogram]] = []
        self._names: set[str] = set()

    def counter(
        self, name: str, text: str, read: Callable[[], Reading], *, labels: Sequence[str] = ()
    ) -> None:
        """A number that only grows; ``name`` ends in ``_total``."""
        if not name.endswith("_total"):
            message = f"a counter's name ends in _total: {name}"
            raise ValueError(message)
        self._claim(name)
        self._sources.append(_Source("counter", name, text, tuple(labels), read))

    def gauge(
        self, name: str, text: str, read: Callable[[], Reading], *, labels: Sequence[str] = ()
    ) -> None:
        """A number that goes up and down."""
        self._claim(name)
        self._sources.append(_Source("gauge", name, text, tuple(labels), read))

    def histogram(self, name: str, text: str, bounds: Sequence[float]) -> Histogram:
        """A distribution; the caller keeps the returned histogram and observes."""
        self._claim(name)
        histogram = Histogram(bounds)
        self._histograms.append((name, text, histogram))
        return histogram

    def collect(self) -> Iterable[Metric]:
        """Read everything (``prometheus_client`` calls this)."""
        from prometheus_client.core import (  # noqa: PLC0415 - loaded by the first scrape
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        for source in self._sources:
            family = CounterMetricFamily if source.kind == "counter" else GaugeMetricFamily
            metric = family(source.name, source.text, labels=source.labels)
            reading = source.read()
            values = reading if isinstance(reading, Mapping) else {(): reading}
            for labels, value in values.items():
                metric.add_metric(labels, value)
            yield metric
        for name, text, histogram in self._histograms:
            family_of = HistogramMetricFamily(name, text)
            buckets: list[tuple[str, float]] = []
            seen = 0
            for bound, count in zip(
                (*histogram.bounds, float("inf")), histogram.counts, strict=True
            ):
                seen += count
                label = "+Inf" if bound == float("inf") else repr(float(bound))
                buckets.append((label, seen))
            family_of.add_metric((), buckets, histogram.total)
            yield family_of

    def render(self) -> bytes:
        """The Prometheus text format (0.0.4), with the process's own CPU, memory and files."""
        from prometheus_client import (  # noqa: PLC0415 - loaded by the first scrape
            CollectorRegistry,
            ProcessCollector,
            generate_latest,
        )

        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def _claim(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            message = f"a metric's name begins with {METRIC_PREFIX}: {name}"
            raise ValueError(message)
        if name in self._names:
            message = f"there is a metric {name} already"
            raise ValueError(message)
        self._names.add(name)
