"""What more sidecars cost: one, two and four of one app on one etcd, with as many orders each.

All of them share the machine, so this says nothing of speed.  It says what coordination takes: if four
sidecars need as much of the processors for an activity as one does, and tell etcd as much, then more
machines are more work done.  Figures of each size:

* activities for each second of the sidecars' processor time, against one sidecar (goal: 85 % with four);
* messages that etcd got and sent for each activity, and transactions;
* how long after a workflow's end a client hears of it that waits at any sidecar, mostly another one than
  the owner (goal: 50 ms);
* the pauses of workflows that stay where they are while a sidecar with its app is added: the longest gap
  of each in that time, and in the same time before (goal: 50 ms more).

``python bench/scale.py`` takes some minutes, ``--activities 400`` one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import procfs
from client import Client
from failover import owned_by, slow
from rich.console import Console
from rich.table import Table
from stats import percentile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.etcd import BUILT, Cluster
from support.fleet import PARTITIONS, Fleet, Sidecar
from tenure_sidecar.store.partition import partition_of

_CONSOLE = Console()
SIZES = (1, 2, 4)
_WAITS = 100
_NANOS = 1_000_000_000
_MESSAGES = ("grpc_server_msg_received_total", "grpc_server_msg_sent_total")
_TXN = (
    'grpc_server_started_total{grpc_method="Txn",grpc_service="etcdserverpb.KV",grpc_type="unary"}'
)


@dataclass(frozen=True)
class Cost:
    """Of one size: per activity, and seconds."""

    sidecars: int
    activities: int
    cpu: float  # of all sidecars, for an activity
    etcd_cpu: float
    messages: float  # of etcd
    transactions: float
    lent: float  # share of the activities that ran at another sidecar than the owner's
    heard_p50: float  # after the end
    heard_p99: float


@dataclass(frozen=True)
class Pauses:
    """The longest gaps of workflows that did not move, seconds."""

    workflows: int
    before_p50: float
    before_p99: float
    during_p50: float
    during_p99: float
    moved: int  # partitions


def gaps(times: Sequence[Sequence[int]], begin: int, end: int) -> list[float]:
    """The longest time without an event of each workflow that had one before ``begin`` and one after
    it, as far as it lies in the window; seconds.  Times are nanoseconds."""
    found: list[float] = []
    for one in times:
        points = [at for at in one if at <= end]
        later = [at for at in points if at > begin]
        if later and points[0] <= begin:
            steps = zip([begin, *later], later, strict=False)
            found.append(max(b - a for a, b in steps) / _NANOS)
    return found


def measure(fleet: Fleet, activities: int, waits: Sequence[float]) -> Cost:
    """What so many activities cost, under the load that there is; ``waits`` as from ``heard``."""
    (member,) = fleet.cluster.members
    assert member.process is not None
    pids = [one.engine.pid for one in fleet.sidecars]

    def reading() -> tuple[float, float, float, float, int, float]:
        return (
            sum(procfs.read(pid).cpu for pid in pids),
            procfs.read(member.process.pid).cpu if member.process else 0.0,
            sum(map(member.metric, _MESSAGES)),
            member.metric(_TXN),
            fleet.effects.count(),
            sum(max(0.0, one.metric("tenure_activities_borrowed_total")) for one in fleet.sidecars),
        )

    before = reading()
    fleet.progress(activities)
    after = reading()
    cpu, etcd, messages, transactions, count, lent = (
        b - a for a, b in zip(before, after, strict=True)
    )
    return Cost(
        len(pids),
        int(count),
        *(one / count for one in (cpu, etcd, messages, transactions, lent)),
        heard_p50=percentile(waits, 50),
        heard_p99=percentile(waits, 99),
    )


async def heard(fleet: Fleet) -> list[float]:
    """Seconds between the end of a workflow and its end for one who waits; at rest, one by one."""
    found: list[float] = []
    clients = [Client(one.engine.taskhub_port) for one in fleet.sidecars]
    for number in range(_WAITS):
        at = number % len(clients)
        name = f"heard-{len(clients)}-{number}"
        steps = [f"{name}/ship-{i}" for i in range(2)]
        await clients[at].run("shipping", name, value=name, expected=steps)
        now = time.time()
        found.append(now - await asyncio.to_thread(ended, fleet, fleet.sidecars[at], name))
    for client in clients:
        await client.close()
    return found


def ended(fleet: Fleet, one: Sidecar, instance_id: str) -> float:
    """When it ended, Unix seconds."""
    url = f"{one.engine.http_url}/v1alpha1/apps/{fleet.app_id}/instances/{instance_id}"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own
        text: str = json.load(answer)["completedAt"]
    return datetime.fromisoformat(text).timestamp()


def cost(folder: Path, size: int, *, activities: int, width: int) -> tuple[Cost, Pauses | None]:
    """Measure one size; with the largest, what happens when another sidecar comes."""
    folder.mkdir()
    with Cluster(folder / "etcd", version=BUILT) as cluster:
        fleet = Fleet(folder, cluster, size=size, lease=10, wired=False)
        try:
            fleet.start()
            waits = asyncio.run(heard(fleet))
            fleet.begin(width=width * size)
            fleet.progress(activities // 4)
            found = measure(fleet, activities, waits)
            joined = join(fleet) if size == max(SIZES) else None
            audit, wrong = asyncio.run(fleet.verdict())
        finally:
            fleet.close()
    # The audit knows orders alone.
    wrong = [one for one in wrong if not one.startswith("heard-")]
    assert not wrong, wrong[:20]
    if joined is None:
        return found, None
    stayed, begin, end = joined
    times = [
        at
        for instance_id, at in audit.times.items()
        if partition_of(instance_id, PARTITIONS) in stayed and not slow(instance_id)
        if instance_id.startswith("order")
    ]
    before, during = gaps(times, 2 * begin - end, begin), gaps(times, begin, end)
    if not before or not during:
        sys.exit("too little ran while a sidecar joined to tell a pause: give a larger --width")
    ranks = [percentile(one, p) for one in (before, during) for p in (50, 99)]
    return found, Pauses(len(during), *ranks, moved=PARTITIONS - len(stayed))


def join(fleet: Fleet) -> tuple[frozenset[int], int, int]:
    """Add a sidecar; the partitions that stayed where they were, and from when until when it came."""
    here = list(fleet.sidecars)
    owned = {one.name: owned_by(fleet, one.name) for one in here}
    begin = time.time_ns()
    fleet.add()
    fleet.settled()
    end = time.time_ns()
    fleet.progress(200)
    stayed = frozenset[int]().union(*(owned[one.name] & owned_by(fleet, one.name) for one in here))
    return stayed, begin, end


def show(costs: Sequence[Cost], pauses: Pauses) -> None:
    """The figures as a table."""
    table = Table(title="more sidecars, as many orders each")
    for title in (
        *("sidecars", "CPU us", "against 1", "etcd us", "messages", "txns", "lent"),
        *("heard ms", "p99"),
    ):
        table.add_column(title, justify="right")
    for one in costs:
        table.add_row(
            *(str(one.sidecars), f"{one.cpu * 1e6:,.0f}"),
            *(f"{costs[0].cpu / one.cpu:.2f}", f"{one.etcd_cpu * 1e6:,.0f}"),
            *(f"{one.messages:.2f}", f"{one.transactions:.2f}", f"{one.lent:.2f}"),
            *(f"{seconds * 1e3:.1f}" for seconds in (one.heard_p50, one.heard_p99)),
        )
    _CONSOLE.print(table)
    _CONSOLE.print(
        f"another joins {costs[-1].sidecars}: {pauses.moved} partitions move; longest pause of the"
        f" {pauses.workflows} workflows that stay, p50 {pauses.during_p50 * 1e3:.0f} ms (before:"
        f" {pauses.before_p50 * 1e3:.0f}), p99 {pauses.during_p99 * 1e3:.0f} ms (before:"
        f" {pauses.before_p99 * 1e3:.0f})"
    )


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--activities", type=int, default=3_000, help="of each size (default 3000)")
    parser.add_argument(
        "--width", type=int, default=24, help="orders in flight for each sidecar (default 24)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    given = parser.parse_args()
    costs: list[Cost] = []
    pauses: Pauses | None = None
    with tempfile.TemporaryDirectory(prefix="tenure-scale-") as folder:
        for size in SIZES:
            _CONSOLE.print(f"{size} of {max(SIZES)} sidecars…")
            one, pauses = cost(
                Path(folder) / str(size), size, activities=given.activities, width=given.width
            )
            costs.append(one)
    assert pauses is not None
    show(costs, pauses)
    if given.json:
        result = {"costs": [asdict(one) for one in costs], "pauses": asdict(pauses)}
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
