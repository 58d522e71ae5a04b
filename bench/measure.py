"""One measurement: run a load against one engine, check what came out, divide what it cost.

CPU time, memory, switches and bytes are the kernel's counters of the engine's and the app's
process, before and after.  Commits are the store's own counter.  A load that executed a wrong
number of activities, gave a wrong result or fired a timer early is an error, not a figure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import procfs
from client import Client, WrongResultError
from engines import App, Engine
from stats import percentile
from workloads import SHAPES, Load

_EARLY = -2e-6  # clocks are read in whole microseconds
Sample = dict[str, float]


async def measure(load: Load, engine: Engine, app: App, client: Client, *, prefix: str) -> Sample:
    """Figures of one run: times in ms, costs per unit (activity, or workflow without any).

    Raises: WrongResultError.
    """
    app.reset()
    procfs.forget_peak(engine.pid)
    commits = engine.commits()
    pids = (engine.pid, app.pid, os.getpid())
    before = [procfs.read(pid) for pid in pids]
    busy = procfs.machine_busy()
    begun = time.perf_counter()
    ended = await SHAPES[load.shape](load, client, prefix)
    seconds = time.perf_counter() - begun
    busy = procfs.machine_busy() - busy
    after = [procfs.read(pid) for pid in pids]
    report = app.report()
    _check(load, report)

    cpu = [later.cpu - earlier.cpu for earlier, later in zip(before, after, strict=True)]
    units = load.units
    sample: Sample = {
        "seconds": seconds,
        "rate": units / seconds,
        "engine_cpu_us": cpu[0] / units * 1e6,
        "app_cpu_us": cpu[1] / units * 1e6,
        "engine_cores": cpu[0] / seconds,
        "others_cores": max(0.0, busy - sum(cpu)) / seconds,
        "switches": (after[0].switches - before[0].switches) / units,
        "written": (after[0].written - before[0].written) / units,
        "engine_rss_mb": after[0].rss / 1e6,
        "engine_peak_mb": after[0].peak / 1e6,
        "app_rss_mb": after[1].rss / 1e6,
    }
    if commits is not None:
        sample["commits"] = ((engine.commits() or 0) - commits) / units
    sample |= _percentiles("step", report["gaps"])
    sample |= _percentiles("late", report["lateness"])
    sample |= _percentiles("done", [one.completed for one in ended])
    sample |= _percentiles("ack", [one.acknowledged for one in ended])
    return sample


def _check(load: Load, report: dict[str, Any]) -> None:
    executed = report["executed"]
    if executed != load.total:
        message = f"{load.name}: {executed} activities ran instead of {load.total}"
        raise WrongResultError(message)
    if load.workflow == "timer":
        late = report["lateness"]
        if len(late) != load.count or min(late) < _EARLY:
            message = f"{load.name}: {len(late)} of {load.count} fired, earliest {min(late):.6f} s"
            raise WrongResultError(message)


def _percentiles(name: str, seconds: Sequence[float]) -> Sample:
    if not seconds:
        return {}
    figures = {f"{name}_p{p}": percentile(seconds, p) * 1e3 for p in (50, 90, 99)}
    figures[f"{name}_max"] = max(seconds) * 1e3
    return figures
