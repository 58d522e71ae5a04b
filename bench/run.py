"""The benchmark: NULL and Tenure under the same stock app, in turn, in one run on one machine.

For each load both engines and one app for each are started; then, repeat by repeat, the
denominators are measured, the load runs on one engine and on the other (the order alternates), and
the denominators are measured again.  A repeat around which they drifted is dropped and tried
again.  Closed loop: the next workflow of a slot starts when the one before it ended.

``python bench/run.py`` takes about a quarter of an hour on two cores, ``--quick`` two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import dormant
import floor
import workloads
from client import Client
from engines import ROOT, SDKS, App, Engine, Sdk, python_of, start
from measure import Sample, measure
from rich.console import Console
from rich.table import Table
from stats import drifted
from table import goal_text, rows, shown
from workloads import Load, scaled

_CONSOLE = Console()
_ATTEMPTS = 2  # times the wanted repeats that are tried before a load is given up
_MAIN = "dapr-py-1.19"

# (SDK, loads) of the default run: everything under one SDK, the heart of it under the others.
PLAN: tuple[tuple[str, tuple[Load, ...]], ...] = (
    (
        _MAIN,
        (
            *workloads.CHAINS,
            workloads.SEQ_1,
            workloads.SEQ_15,
            workloads.FAN_1K,
            workloads.FAN_10K,
            workloads.START,
            workloads.TIMER_BURST,
            workloads.IDLE,
        ),
    ),
    ("ms-py", (workloads.CHAINS[2], workloads.SEQ_1, workloads.FAN_1K)),
    ("dapr-py-1.18", (workloads.CHAINS[2], workloads.SEQ_1)),
)
QUICK = ((_MAIN, (workloads.CHAINS[2], workloads.SEQ_1, workloads.FAN_1K, workloads.START)),)
PEER = (("dapr-py-1.18", workloads.PEER),)
SETS = {"default": PLAN, "quick": QUICK, "peer": PEER}


@dataclass
class Options:
    """What the command line said."""

    plan: tuple[tuple[str, tuple[Load, ...]], ...]
    repeats: int
    scale: float
    engines: tuple[str, ...]
    transport: str
    keep_noisy: bool
    dormant: int
    folder: Path


def main(arguments: Sequence[str]) -> int:
    """Run; exit status 1 when a goal was missed and ``--strict`` was given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--set", choices=[*SETS], default="default", help="which loads run")
    parser.add_argument("--quick", action="store_true", help="two minutes: --set quick, 2 repeats")
    parser.add_argument("--only", action="append", metavar="LOAD", help="these loads alone")
    parser.add_argument("--sdk", choices=[*SDKS], action="append", help="under these SDKs alone")
    parser.add_argument("--engine", choices=["null", "tenure"], action="append")
    parser.add_argument("--repeats", type=int, default=0, help="default 5, quick 2, peer 3")
    parser.add_argument("--scale", type=float, default=1.0, help="times the workflows of a load")
    parser.add_argument("--transport", default="native", help="Tenure's transport")
    parser.add_argument("--dormant", type=int, default=-1, help="dormant instances (0 = none)")
    parser.add_argument("--keep-noisy", action="store_true", help="drop nothing; not for figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here as well")
    parser.add_argument("--folder", type=Path, default=ROOT / ".tenure", help="on the disk to use")
    given = parser.parse_args(arguments)
    name = "quick" if given.quick else given.set
    plan = tuple(
        (sdk, tuple(load for load in loads if not given.only or load.name in given.only))
        for sdk, loads in SETS[name]
        if not given.sdk or sdk in given.sdk
    )
    if given.sdk and given.only:
        every = {load.name: load for _, loads in (*PLAN, *PEER) for load in loads}
        plan = tuple((sdk, tuple(every[only] for only in given.only)) for sdk in given.sdk)
    options = Options(
        plan=plan,
        repeats=given.repeats or {"default": 5, "quick": 2, "peer": 3}[name],
        scale=given.scale,
        engines=tuple(given.engine or ("null", "tenure")),
        transport=given.transport,
        keep_noisy=given.keep_noisy,
        dormant=given.dormant if given.dormant >= 0 else 100_000 * (plan == PLAN),
        folder=given.folder,
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    result = asyncio.run(run(options))
    result["command"] = " ".join(["python bench/run.py", *arguments])
    show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


async def run(options: Options) -> dict[str, Any]:
    """Everything that ``options`` ask for."""
    begun = time.perf_counter()
    for key, loads in options.plan:
        if loads:
            python_of(SDKS[key])  # builds the environment now, not in the middle
    _CONSOLE.print("[bold]floor[/]: bare round trip, fdatasync, raw SQLite")
    result: dict[str, Any] = {"machine": machine(), "repeats": options.repeats, "results": []}
    result["floor"] = await floor.measure(options.folder)
    for key, loads in options.plan:
        for load in loads:
            done = await one_load(scaled(load, options.scale), SDKS[key], options)
            result["results"].append(done)
    if options.dormant:
        _CONSOLE.print(f"[bold]DORMANT[/]: {options.dormant:,} instances with a timer each")
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            figures = await dormant.measure(options.dormant, folder=Path(folder))
        result["dormant"] = asdict(figures)
    result["floor_after"] = await floor.measure(options.folder)
    result["minutes"] = (time.perf_counter() - begun) / 60
    return result


async def one_load(load: Load, sdk: Sdk, options: Options) -> dict[str, Any]:
    """All repeats of one load under one SDK."""
    repeats = min(options.repeats, load.repeats or options.repeats)
    _CONSOLE.print(f"[bold]{load.name}[/] {sdk.title}: {load.what}", highlight=False)
    samples: dict[str, list[Sample]] = {}
    dropped: list[dict[str, Any]] = []
    engines = [one for one in options.engines if one != "null" or not load.tenure_only]
    async with stack(engines, sdk, options) as (rigs, echo, folder):
        for name, rig in rigs.items():
            warm = scaled(replace(load, in_flight=min(load.in_flight, 4)), 0.05)
            if load.shape != "idle":
                await measure(warm, *rig, prefix=f"warm-{load.name}-{name}")
        for attempt in itertools.count():
            kept = min(map(len, samples.values()), default=0)
            if kept >= repeats or attempt >= repeats * _ATTEMPTS:
                break
            before = await echo.probe(folder)
            order = engines if attempt % 2 else engines[::-1]
            fresh = {
                name: await measure(load, *rigs[name], prefix=f"{load.name}-{attempt}")
                for name in order
            }
            after = await echo.probe(folder)
            noisy = drifted(before, after)
            _progress(attempt, fresh, noisy)
            if noisy and not options.keep_noisy:
                dropped.append({"before": before, "after": after, "samples": fresh})
                continue
            for name, sample in fresh.items():
                samples.setdefault(name, []).append(sample)
    return {
        "load": load.name,
        "what": load.what,
        "sdk": sdk.title,
        "samples": samples,
        "dropped": dropped,
    }


Rig = tuple[Engine, App, Client]


@asynccontextmanager
async def stack(
    engines: Sequence[str], sdk: Sdk, options: Options
) -> AsyncIterator[tuple[dict[str, Rig], floor.Echo, Path]]:
    """The engines, an app and a client for each, the echo, and the folder they live in."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.folder))
    rigs: dict[str, Rig] = {}
    try:
        async with floor.echo() as echo:
            for name in engines:
                extra = ("--transport", options.transport)
                engine = start(name, folder, extra=extra)
                try:
                    app = App(sdk, engine, folder=folder)
                except BaseException:
                    engine.end()
                    raise
                rigs[name] = (engine, app, Client(engine.ports[sdk.flavour]))
            yield rigs, echo, folder
    except BaseException:
        _show_logs(folder)
        raise
    finally:
        for engine, app, client in rigs.values():
            await client.close()
            app.end()
            engine.end()
        shutil.rmtree(folder, ignore_errors=True)


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-20:]
        _CONSOLE.print(f"--- {log.name}", *lines, sep="\n", markup=False)


def _progress(attempt: int, fresh: dict[str, Sample], noisy: Sequence[str]) -> None:
    parts = [
        f"{name} {sample['seconds']:.2f} s, {sample['engine_cpu_us']:,.0f} us"
        for name, sample in sorted(fresh.items())
    ]
    mark = f" [yellow]dropped: {', '.join(noisy)} drifted[/]" if noisy else ""
    _CONSOLE.print(f"  {attempt + 1}: {'; '.join(parts)}{mark}", highlight=False)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": git.stdout.strip(),
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
    }


def show(result: dict[str, Any]) -> None:
    """The tables for people."""
    console = Console()
    base = result["floor"]
    console.print(
        f"floor: round trip {base['rtt_p50'] * 1e3:.2f} ms,"
        f" fdatasync {base['fdatasync_p50'] * 1e3:.2f} ms,"
        f" SQLite {base['sqlite_rows_1']:,.0f} / {base['sqlite_rows_100']:,.0f} rows/s"
        " at 1 / 100 rows a commit",
        highlight=False,
    )
    table = Table(title="median (min to max); costs per activity, or per workflow without any")
    for title in ("load", "figure"):
        table.add_column(title)
    for title in ("NULL", "Tenure", "ratio"):
        table.add_column(title, justify="right")
    table.add_column("goal")
    last = ""
    for row in rows(result["results"]):
        load = f"{row.load} {row.sdk}"
        if load != last:
            table.add_section()
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        style = {True: "green", False: "red", None: ""}[row.met]
        table.add_row(
            load if load != last else "",
            f"{row.figure.title} {row.figure.unit}".strip(),
            shown(row.null, row.figure),
            shown(row.tenure, row.figure),
            ratio,
            goal_text(row),
            style=style,
        )
        last = load
    console.print(table)
    if "dormant" in result:
        for name, value in result["dormant"].items():
            console.print(f"dormant {name}: {value:,.2f}", highlight=False)
    dropped = sum(len(one["dropped"]) for one in result["results"])
    console.print(f"{dropped} repeats dropped; {result['minutes']:.1f} minutes", highlight=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
