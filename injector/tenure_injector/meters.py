"""What the injector counts, and how Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tenure_common.telemetry import Metrics

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5)


class Meters:
    """Plain numbers that the other modules add to."""

    def __init__(self) -> None:
        self.reviews: Counter[tuple[str, ...]] = Counter()  # (verdict, reason)
        self.rejected: Counter[tuple[str, ...]] = Counter()  # (why,): no review at all
        self.events: Counter[tuple[str, ...]] = Counter()  # (outcome,)
        self.api_failures: Counter[tuple[str, ...]] = Counter()  # (call,)
        self.certificates: Counter[tuple[str, ...]] = Counter()  # (step,)
        self.certificate_end = 0.0  # seconds since the Unix epoch
        metrics = Metrics()
        metrics.counter(
            "tenure_injector_reviews_total",
            "Reviews by verdict and reason.",
            lambda: self.reviews,
            labels=("verdict", "reason"),
        )
        metrics.counter(
            "tenure_injector_rejected_total",
            "Requests that were no reviews.",
            lambda: self.rejected,
            labels=("why",),
        )
        metrics.counter(
            "tenure_injector_events_total",
            "Kubernetes Events: sent, repeated (not sent again), dropped, failed.",
            lambda: self.events,
            labels=("outcome",),
        )
        metrics.counter(
            "tenure_injector_api_failures_total",
            "Calls to the Kubernetes API that failed.",
            lambda: self.api_failures,
            labels=("call",),
        )
        metrics.counter(
            "tenure_injector_certificate_steps_total",
            "Steps of the certificates' renewal that this replica took.",
            lambda: self.certificates,
            labels=("step",),
        )
        metrics.gauge(
            "tenure_injector_certificate_expiry_timestamp_seconds",
            "When the certificate in use ends.",
            lambda: self.certificate_end,
        )
        self.seconds = metrics.histogram(
            "tenure_injector_review_seconds", "From a review's last byte to its answer.", _SECONDS
        )
        self.metrics = metrics
