"""ON-ETCD: the same loads on etcd and on SQLite, in turn, in one run on one machine.

Tenure twice, each with an app of the stock Durable Task SDK: on its SQLite store, and on an etcd of one
member whose data lie on the same disk.  Repeats, denominators and what is dropped are as in ``run.py``.
Transactions are counted at etcd.  The last line is what an idle engine asks of etcd.

``python bench/on_etcd.py`` takes some four minutes, ``--repeats 1`` one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import workloads
from engines import ROOT, SDKS, python_of, start_on_etcd
from rich.console import Console
from rich.table import Table
from stats import spread

from run import Options, machine, one_load

_CONSOLE = Console()
_SDK = SDKS["ms-py"]
_LOADS = (workloads.SEQ_1, workloads.CHAINS[0], workloads.CHAINS[2], workloads.FAN_1K)
_FIGURES = (
    ("step_p50", "a step, p50 ms", "{:.2f}"),
    ("rate", "per second", "{:,.0f}"),
    ("engine_cpu_us", "engine CPU, us", "{:,.0f}"),
    ("commits", "commits (etcd: transactions)", "{:.2f}"),
)
_SETTLED = 75.0  # seconds until the looks that follow a change are over
_IDLE = 60.0  # seconds
# (load, figure) -> most that etcd may be of SQLite; None = the figure itself.
_GOALS = {
    ("SEQ-1", "step_p50"): 1.2,
    ("HC5-64", "rate"): 0.9,
    ("HC5-64", "engine_cpu_us"): 1.3,
}


async def idle(folder: Path) -> float:
    """Requests that an idle engine makes of etcd in ten seconds, its lease."""
    engine = start_on_etcd(folder)
    assert engine.etcd is not None
    (member,) = engine.etcd.members
    try:
        await asyncio.sleep(_SETTLED)
        before = asked(member)
        await asyncio.sleep(_IDLE)
        return (asked(member) - before) / _IDLE * 10
    finally:
        engine.end()


def asked(member: Any) -> float:
    """Messages that a member received so far, of unary calls and of streams."""
    return float(member.metric("grpc_server_msg_received_total"))


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    table = Table(title="median (min to max); costs per activity")
    for title in ("load", "figure"):
        table.add_column(title)
    for title in ("SQLite", "etcd", "ratio"):
        table.add_column(title, justify="right")
    table.add_column("goal")
    for one in result["results"]:
        if not one["samples"]:
            table.add_row(one["load"], "none was kept: the machine was not quiet", style="red")
            table.add_section()
            continue
        for name, title, form in _FIGURES:
            sides = [
                spread([sample[name] for sample in one["samples"][engine]])
                for engine in ("tenure", "etcd")
            ]
            ratio = sides[1].median / sides[0].median
            goal = _GOALS.get((one["load"], name))
            met = goal is None or (ratio >= goal if name == "rate" else ratio <= goal)
            bound = "" if goal is None else f"{'>=' if name == 'rate' else '<='} {goal}"
            texts = [
                f"{form.format(s.median)} ({form.format(s.low)} to {form.format(s.high)})"
                for s in sides
            ]
            style = "" if goal is None else ("green" if met else "red")
            table.add_row(one["load"], title, *texts, f"{ratio:.2f}", bound, style=style)
        table.add_section()
    _CONSOLE.print(table)
    dropped = sum(len(one["dropped"]) for one in result["results"])
    _CONSOLE.print(f"{dropped} repeats dropped", highlight=False)
    _CONSOLE.print(
        f"idle: {result['idle']:.1f} messages to etcd in the ten seconds of a lease",
        highlight=False,
    )


def main(arguments: Sequence[str]) -> int:
    """Run and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="of each load (default 5)")
    parser.add_argument("--keep-noisy", action="store_true", help="drop nothing; not for figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here as well")
    parser.add_argument("--folder", type=Path, default=ROOT / ".tenure", help="on the disk to use")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    python_of(_SDK)
    options = Options(
        plan=((_SDK.key, _LOADS),),
        repeats=given.repeats,
        scale=1.0,
        engines=("tenure", "etcd"),
        transport="native",
        keep_noisy=given.keep_noisy,
        dormant=0,
        folder=given.folder,
    )

    async def run() -> dict[str, Any]:
        results = [await one_load(load, _SDK, options) for load in _LOADS]
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            return {"machine": machine(), "results": results, "idle": await idle(Path(folder))}

    result = asyncio.run(run())
    show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
