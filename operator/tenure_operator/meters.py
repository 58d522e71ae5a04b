"""The operator's metrics: names, and where the numbers are read."""

from __future__ import annotations

from tenure_common.telemetry import Metrics
from tenure_operator.controller import Controller
from tenure_operator.leader import Leader
from tenure_operator.rounds.desk import Desk


def meters(desk: Desk, controller: Controller, leader: Leader) -> Metrics:
    """All metrics of one operator."""
    metrics = Metrics()
    gauge, counter, tally = metrics.gauge, metrics.counter, desk.tally
    gauge("tenure_operator_leading", "1 while this operator works.", lambda: float(leader.leads))
    gauge(
        "tenure_operator_resources",
        "Resources known, by kind and phase.",
        desk.cache.count,
        labels=("kind", "phase"),
    )
    gauge("tenure_operator_queue_due", "Resources due for a look.", lambda: len(desk.queue))
    gauge("tenure_operator_queue_later", "Resources to look at later.", lambda: desk.queue.later)
    gauge("tenure_operator_streams", "Watches of the gateway.", lambda: desk.runs.streams)
    counter("tenure_operator_rounds_total", "Looks at a resource.", lambda: tally.rounds)
    counter("tenure_operator_writes_total", "Writes to the API server.", lambda: tally.writes)
    counter(
        "tenure_operator_conflicts_total", "Writes that came too late.", lambda: tally.conflicts
    )
    counter("tenure_operator_failures_total", "Looks that went wrong.", lambda: tally.failures)
    counter(
        "tenure_operator_refusals_total",
        "Calls that the gateway refused, by reason.",
        lambda: tally.refusals,
        labels=("reason",),
    )
    counter(
        "tenure_operator_lines_total", "Lines of the gateway's watches.", lambda: desk.runs.lines
    )
    counter("tenure_operator_breaks_total", "Watches that broke.", lambda: desk.runs.breaks)
    counter("tenure_operator_events_total", "Kubernetes Events sent.", lambda: desk.announcer.sent)
    counter(
        "tenure_operator_events_dropped_total",
        "Kubernetes Events left out.",
        lambda: desk.announcer.dropped,
    )
    away = desk.gateway.breaker
    counter(
        "tenure_operator_gateway_away_total", "Times the gateway went away.", lambda: away.trips
    )
    server = controller.breaker
    counter(
        "tenure_operator_api_away_total", "Times the API server went away.", lambda: server.trips
    )
    return metrics
