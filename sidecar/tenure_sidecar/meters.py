"""Which numbers of the engine /metrics shows.  Every one is read from a plain counter on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tenure_common.telemetry import Metrics

if TYPE_CHECKING:
    from tenure_sidecar.actors.host import Host
    from tenure_sidecar.dispatch.dispatcher import Dispatcher
    from tenure_sidecar.store.group import GroupWriter


def engine_metrics(host: Host, dispatcher: Dispatcher, writer: GroupWriter) -> Metrics:
    """The engine's metrics."""
    metrics = Metrics()
    metrics.gauge("tenure_workers", "Connected work streams", lambda: dispatcher.workers)
    metrics.gauge(
        "tenure_work_items_in_flight", "Work items at workers", lambda: dispatcher.in_flight
    )
    metrics.gauge(
        "tenure_work_items_queued",
        "Work items that wait for a worker",
        lambda: {("turn",): dispatcher.queued[0], ("activity",): dispatcher.queued[1]},
        labels=("kind",),
    )
    metrics.gauge(
        "tenure_activities_lent",
        "Activities that run at other sidecars of the app",
        lambda: dispatcher.lent,
    )
    metrics.gauge(
        "tenure_activities_borrowed",
        "Activities of other sidecars of the app that run here",
        lambda: len(dispatcher.loans),
    )
    metrics.counter(
        "tenure_activities_borrowed_total",
        "Activities of other sidecars of the app that were begun here",
        lambda: dispatcher.loans.taken,
    )
    metrics.counter(
        "tenure_work_items_redelivered_total",
        "Work items sent again because a worker was lost or slow",
        lambda: dispatcher.redelivered,
    )
    metrics.counter(
        "tenure_completions_ignored_total",
        "Answers with an unknown or stale completion token",
        lambda: dispatcher.ignored,
    )
    metrics.counter(
        "tenure_workflows_finished_total",
        "Workflows that reached a terminal status",
        lambda: {(status,): count for status, count in host.writes.completed.items()},
        labels=("status",),
    )
    metrics.gauge("tenure_instances_resident", "Instances in memory", lambda: host.resident_count)
    metrics.gauge("tenure_waits", "Clients that wait for an instance", lambda: len(host.waiters))
    metrics.gauge("tenure_reminders_in_window", "Timers in memory", lambda: host.reminders.waiting)
    metrics.counter(
        "tenure_store_commits_total", "Write transactions of the store", lambda: writer.writes
    )
    metrics.counter(
        "tenure_store_ops_total", "Operations written to the store", lambda: writer.written
    )
    metrics.counter(
        "tenure_store_ops_folded_total",
        "Inbox rows that a turn's own commit made unnecessary",
        lambda: writer.withdrawn,
    )
    metrics.counter(
        "tenure_store_write_failures_total", "Writes that failed", lambda: writer.failed
    )
    sharing = host.sharing
    if sharing is not None:
        metrics.gauge(
            "tenure_partitions_owned", "Partitions that are owned", lambda: len(host.fences())
        )
        metrics.counter(
            "tenure_partitions_taken_total", "Partitions taken over", lambda: sharing.taken
        )
        metrics.counter(
            "tenure_messages_missed_total",
            "Messages that the watch missed and the sweep found; must stay 0",
            lambda: sharing.inboxes.missed,
        )
        metrics.gauge(
            "tenure_members", "Sidecars and gateways of the app", lambda: len(sharing.members)
        )
        metrics.gauge(
            "tenure_members_suspected",
            "Members that this one or another takes for dead, before their lease ends",
            lambda: len(sharing.suspects),
        )
        metrics.gauge(
            "tenure_peers_listening",
            "1 while other sidecars can connect to this one; 0 = activities are not lent",
            lambda: int(sharing.reachable),
        )
        metrics.gauge(
            "tenure_name_in_use_twice",
            "1 while another live process of the app runs under this one's name",
            lambda: int(sharing.doubled),
        )
    metrics.gauge("tenure_store_queue", "Operations queued or being written", lambda: writer.depth)
    return metrics


def peer_metrics(metrics: Metrics, skew: Callable[[], float]) -> None:
    """Add those of the connections to other sidecars; ``skew``: seconds."""
    metrics.gauge(
        "tenure_clock_skew_seconds",
        "Least by which this wall clock and that of another sidecar of the app differ",
        skew,
    )
