"""FAILOVER: how long a workflow stands still when the sidecar that runs it goes away.

Three sidecars of one app on one etcd member, each with a process of a stock Durable Task app, and a
client that keeps orders in flight.  One sidecar after the other is struck:

* ``killed``: SIGKILL, and it stays away until the others have its partitions;
* ``again``: SIGKILL, and the container of the same pod is started again at once;
* ``stopped``: SIGTERM;
* ``silent``: SIGSTOP until the others have its partitions: to them a node that is gone, whose
  connections say nothing.  Only its lease tells.

"Ran again" counts activities that were executed a second time until all was well after a strike.
"Works again" is how long after the victim was back (ready, or going on) its app executed an activity,
which says how soon a stock SDK looks for its engine.
The stall of an instance is the longest time without an event in its history, from the fault on;
measured are those that the victim owned and that were under way.  Orders with a slow activity are
left out.  A timer of 0.1 seconds is in every order, so a stall of that is none.

It goes on, a round of all kinds at a time, until so many partitions have gone from one process to
another that "no commit of an old owner" says something: ``--takeovers``, a thousand unless given.

``python bench/failover.py`` takes some minutes, ``--repeats 1 --takeovers 0`` one.  Needs tests/ on the
path, which it puts there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from stats import percentile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.audit import Audit
from support.etcd import BUILT, Cluster
from support.fleet import Fleet, Sidecar
from support.orders import Effect, Window, repeats
from tenure_sidecar.actors.sharing.records import owner_of
from tenure_sidecar.store.coordination import Held
from tenure_sidecar.store.etcd.keys import Keys
from tenure_sidecar.store.partition import partition_of

_CONSOLE = Console()
_SLOW_EVERY = 4  # every so manieth order has a slow activity
_NANOS = 1e9


@dataclass(frozen=True)
class Strike:
    """One fault: of which kind, when (nanoseconds since the Unix epoch), what the victim owned, how
    many activities ran again until all was well, and when the victim was back and its app at work."""

    kind: str
    at: int
    owned: frozenset[int]
    repeated: int = 0
    back: int = 0
    worked: int = 0


@dataclass(frozen=True)
class Figures:
    """Of one kind of fault; seconds."""

    kind: str
    strikes: int
    instances: int  # that were in flight on a victim
    p50: float
    p99: float
    longest: float
    repeated: int  # activities
    works_again: float  # the longest time


def killed(fleet: Fleet, one: Sidecar) -> None:
    """SIGKILL, and back when all is well."""
    fleet.kill(one)
    fleet.until(fleet.owned, "the others own what it owned")
    fleet.again(one)


def again(fleet: Fleet, one: Sidecar) -> None:
    """SIGKILL and a restart."""
    fleet.kill(one)
    fleet.again(one)


def stopped(fleet: Fleet, one: Sidecar) -> None:
    """SIGTERM, and back when all is well."""
    fleet.stop(one)
    fleet.settled()
    fleet.again(one)


def silent(fleet: Fleet, one: Sidecar) -> None:
    """SIGSTOP, until its lease has ended and the others have its partitions."""
    fleet.pause(one)
    fleet.go_on(one)


KINDS: dict[str, Callable[[Fleet, Sidecar], None]] = {
    "killed": killed,
    "again": again,
    "stopped": stopped,
    "silent": silent,
}


def owned_by(fleet: Fleet, name: str) -> frozenset[int]:
    """The partitions that are the sidecar's, by their keys."""
    keys = Keys("default", fleet.app_id).owners
    printed = fleet.cluster.ctl("get", "--prefix", keys.first.decode(), "--write-out", "json")
    found: set[int] = set()
    for kv in json.loads(printed).get("kvs", ()):
        held = Held(b64decode(kv["value"]), kv["mod_revision"], kv.get("lease", 0))
        partition, *running = b64decode(kv["key"])[len(keys.first) :].split(b"/")
        if not running and owner_of(held).name == name:
            found.add(int(partition))
    return frozenset(found)


def slow(instance_id: str) -> bool:
    """Whether the instance, or its parent, has a slow activity."""
    return int(instance_id.partition(":")[0].rpartition("-")[2]) % _SLOW_EVERY == 0


def stall(times: Sequence[int], at: int) -> float | None:
    """Seconds without an event, the longest from ``at`` on; None when it was not under way then."""
    later = [one for one in times if one > at]
    if not later or times[0] > at:
        return None
    points = [at, *later]
    return max(b - a for a, b in zip(points, later, strict=False)) / _NANOS


def figures(kind: str, strikes: Sequence[Strike], found: Audit, partitions: int) -> Figures:
    """What a kind of fault came to.  Raises: ValueError when nothing was in flight."""
    stalls = [
        seconds
        for strike in strikes
        if strike.kind == kind
        for instance_id, times in found.times.items()
        if partition_of(instance_id, partitions) in strike.owned and not slow(instance_id)
        if (seconds := stall(times, strike.at)) is not None
    ]
    return Figures(
        kind,
        sum(strike.kind == kind for strike in strikes),
        len(stalls),
        percentile(stalls, 50),
        percentile(stalls, 99),
        max(stalls),
        sum(strike.repeated for strike in strikes if strike.kind == kind),
        max((one.worked - one.back) / _NANOS for one in strikes if one.kind == kind),
    )


def with_repeats(
    strikes: Sequence[Strike], windows: Sequence[Window], effects: Sequence[Effect]
) -> list[Strike]:
    """The strikes, each with the activities that ran again in its window."""
    again = repeats(effects)
    return [
        replace(strike, repeated=sum(window.begin <= one.at <= window.end for one in again))
        for strike, window in zip(strikes, windows, strict=True)
    ]


def works(fleet: Fleet, one: Sidecar, since: int) -> int:
    """When its app executed an activity again, the first time."""
    found: list[int] = []

    def has() -> bool:
        effects = fleet.effects.read()
        found[:] = [effect.at for effect in effects if effect.app == one.name and effect.at > since]
        return bool(found)

    fleet.until(has, "its app works again")
    return min(found)


async def takeovers(fleet: Fleet) -> int:
    """How often a partition has gone from one process to another by now."""
    async with fleet.client() as client:
        await fleet.story.read(client)
    return fleet.story.found.takeovers


def run(folder: Path, *, count: int, least: int, lease: int, width: int) -> dict[str, object]:
    """Strike ``count`` times in each way, and until there were ``least`` take-overs; the figures.

    Raises: AssertionError.
    """
    strikes: list[Strike] = []
    with Cluster(folder / "etcd", version=BUILT) as cluster:
        fleet = Fleet(folder, cluster, lease=lease, wired=False)
        try:
            fleet.start()
            fleet.begin(width=width)
            number = 0
            while number < count or asyncio.run(takeovers(fleet)) < least:
                number += 1
                for kind, strike in KINDS.items():
                    one = fleet.sidecars[(number + len(strikes)) % len(fleet.sidecars)]
                    fleet.progress(200)
                    owned = owned_by(fleet, one.name)
                    with fleet.fault():
                        at = time.time_ns()
                        strike(fleet, one)
                        back = time.time_ns()
                        worked = works(fleet, one, back)
                        strikes.append(Strike(kind, at, owned, back=back, worked=worked))
            found, wrong = asyncio.run(fleet.verdict())
        finally:
            fleet.close()
    assert not wrong, wrong[:20]
    strikes = with_repeats(strikes, fleet.windows, fleet.effects.read())
    rows = [figures(kind, strikes, found, found.partitions) for kind in KINDS]
    return {
        "lease": lease,
        "width": width,
        "rows": [asdict(row) for row in rows],
        "stale": found.stale,
        "takeovers": found.takeovers,
    }


def show(result: dict[str, object]) -> None:
    """The figures as a table."""
    table = Table(
        title=f"stall of the instances in flight on the victim, lease {result['lease']} s"
    )
    for title in (
        "fault",
        "strikes",
        "instances",
        "p50 s",
        "p99 s",
        "longest s",
        "ran again",
        "works s",
    ):
        table.add_column(title, justify="left" if title == "fault" else "right")
    rows = result["rows"]
    assert isinstance(rows, list)
    for row in rows:
        seconds = (f"{row[key]:.2f}" for key in ("p50", "p99", "longest"))
        counts = (str(row[key]) for key in ("strikes", "instances"))
        works_again = f"{row['works_again']:.2f}"
        table.add_row(row["kind"], *counts, *seconds, str(row["repeated"]), works_again)
    _CONSOLE.print(table)
    _CONSOLE.print(
        f"commits of an old owner: {result['stale']} in {result['takeovers']} take-overs of a partition"
    )


def main() -> int:
    """Run; exit status 1 when an old owner committed anything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="strikes of each kind (default 5)")
    parser.add_argument(
        "--takeovers", type=int, default=1000, help="go on until there were so many (default 1000)"
    )
    parser.add_argument("--lease", type=int, default=10, help="seconds (default 10, as Tenure's)")
    parser.add_argument("--width", type=int, default=16, help="orders in flight (default 16)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tenure-failover-") as folder:
        result = run(
            Path(folder),
            count=given.repeats,
            least=given.takeovers,
            lease=given.lease,
            width=given.width,
        )
    show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    return int(bool(result["stale"]))


if __name__ == "__main__":
    sys.exit(main())
