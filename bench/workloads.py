"""The workloads: what runs, how much of it, and what must come out.

A load is data (``Load``) and a shape is a function that drives it.  Names and definitions are
those that published figures of other engines use, so that they can be compared; the counts are
scaled so that the whole set runs in minutes, and are shown with every figure.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from client import Client, Ended

CITIES = ("Tokyo", "London", "Seattle", "Lagos", "Lima")
GREETINGS = [f"Hello, {city}!" for city in CITIES]
TURNS_PER_SECOND = 400  # what a stock Python worker surely manages; sets the lead of timer bursts


@dataclass(frozen=True)
class Load:
    """``count`` workflows, ``in_flight`` at a time (0 = all started at once)."""

    name: str
    what: str
    workflow: str
    count: int
    in_flight: int
    value: Any
    expected: Any
    activities: int  # of one workflow
    shape: str = "run"
    repeats: int | None = None  # fewer than usual for long ones
    tenure_only: bool = False

    @property
    def total(self) -> int:
        """Activities of all workflows."""
        return self.count * self.activities

    @property
    def units(self) -> int:
        """What costs are divided by: activities, or workflows where there are none."""
        return self.total or self.count


def scaled(load: Load, factor: float) -> Load:
    """The same load with ``factor`` times the workflows, at least one and one per slot."""
    if load.count == 1:
        return load
    least = max(1, min(load.count, load.in_flight))
    return replace(load, count=max(least, math.ceil(load.count * factor)))


def hc5(count: int, in_flight: int, *, name: str = "HC5") -> Load:
    """Five greetings in sequence, ``count`` times."""
    at_once = f"{in_flight} in flight" if in_flight else "all started at once"
    what = f"{count} workflows x 5 sequential activities, {at_once}"
    return Load(name, what, "hello_cities", count, in_flight, None, GREETINGS, 5)


def sequence(steps: int, count: int, in_flight: int, *, name: str) -> Load:
    """``steps`` echo activities in sequence, ``count`` times."""
    what = f"{count} workflow{'s'[: count > 1]} x {steps} sequential activities"
    total = sum(range(steps))
    return Load(name, what, "sequence", count, in_flight, steps, total, steps)


def fan(width: int, count: int, in_flight: int, *, name: str, repeats: int | None = None) -> Load:
    """``width`` echo activities in parallel, ``count`` times."""
    what = f"{count} workflow{'s'[: count > 1]} x {width:,} parallel activities"
    total = sum(range(width))
    return Load(name, what, "fan", count, in_flight, width, total, width, repeats=repeats)


CHAINS = (
    replace(hc5(200, 1, name="HC5-1"), count=100, what="100 workflows x 5 activities, one by one"),
    hc5(200, 16, name="HC5-16"),
    hc5(300, 64, name="HC5-64"),
    hc5(400, 256, name="HC5-256"),
    hc5(300, 0, name="HC5-all"),
)
SEQ_1 = sequence(300, 1, 1, name="SEQ-1")
SEQ_15 = sequence(15, 100, 0, name="SEQ-15")
FAN_1K = fan(1_000, 1, 1, name="FAN-1k")
FAN_10K = fan(10_000, 1, 1, name="FAN-10k", repeats=3)
START = Load(
    "START", "500 empty workflows, one by one", "empty", 500, 1, None, "done", 0, shape="run"
)
TIMER_BURST = Load(
    "TIMER-BURST", "1,000 timers due at one moment", "timer", 1_000, 0, None, "fired", 0, "burst"
)
IDLE = Load("IDLE", "10 s with a worker and no work", "", 10, 0, None, None, 0, shape="idle")

# The rows of the table measured with the peer's engine: same shapes, same counts.
PEER = (
    sequence(1, 200, 1, name="P-1ACT"),
    sequence(20, 20, 1, name="P-20SEQ"),
    hc5(500, 50, name="P-HC5-50"),
    hc5(500, 200, name="P-HC5-200"),
    fan(5, 500, 50, name="P-PAR5-50"),
    fan(5, 500, 200, name="P-PAR5-200"),
    fan(100, 1, 1, name="P-FAN100"),
    fan(1_000, 1, 1, name="P-FAN1000"),
    Load("P-TREE", "100 parents x 10 children of 1 activity", "tree", 100, 0, 10, 10, 10),
    Load("P-TIMER5", "1,000 timers of 5 s", "timer", 1_000, 0, 5.0, "fired", 0, "timers"),
    Load("P-CAN", "continue-as-new x 100", "loop", 1, 1, 100, "done", 0, "run", tenure_only=True),
    Load(
        "P-CAN-ACT",
        "continue-as-new x 100, one activity each",
        *("loop_with_activity", 1, 1, 100, "done", 100, "run"),
        tenure_only=True,
    ),
    Load("P-EVENT", "500 external events", "approval", 500, 0, "yes", "yes", 0, "events"),
)


async def run(load: Load, client: Client, prefix: str) -> list[Ended]:
    """``in_flight`` at a time: each slot starts, waits, starts the next."""
    names = iter(f"{prefix}-{number}" for number in range(load.count))

    async def slot() -> list[Ended]:
        return [
            await client.run(load.workflow, name, value=load.value, expected=load.expected)
            for name in names
        ]

    slots = load.in_flight or load.count
    done = await asyncio.gather(*(slot() for _ in range(min(slots, load.count))))
    return [ended for one in done for ended in one]


async def burst(load: Load, client: Client, prefix: str) -> list[Ended]:
    """All timers are due at one moment, far enough away for all to be set before it."""
    due = math.ceil(time.time() + 1 + load.count / TURNS_PER_SECOND)
    at_that_moment = replace(load, value=float(due))
    return await run(at_that_moment, client, prefix)


async def timers(load: Load, client: Client, prefix: str) -> list[Ended]:
    """Each timer is due ``value`` seconds after its own start call."""

    async def one(number: int) -> Ended:
        due = round(time.time() + load.value, 3)
        name = f"{prefix}-{number}"
        return await client.run(load.workflow, name, value=due, expected=load.expected)

    return list(await asyncio.gather(*(one(number) for number in range(load.count))))


async def events(load: Load, client: Client, prefix: str) -> list[Ended]:
    """All workflows wait first; then every one gets its event.  Counted from the raise call."""
    names = [f"{prefix}-{number}" for number in range(load.count)]
    for name in names:
        await client.start(load.workflow, name, value=None)
    clock = asyncio.get_running_loop().time

    async def one(name: str) -> Ended:
        begun = clock()
        await client.raise_event(name, "go", value=load.value)
        acknowledged = clock()
        await client.finish(name, expected=load.expected)
        return Ended(acknowledged - begun, clock() - begun)

    return list(await asyncio.gather(*map(one, names)))


async def idle(load: Load, _client: Client, _prefix: str) -> list[Ended]:
    """``count`` seconds of nothing."""
    await asyncio.sleep(load.count)
    return []


SHAPES: dict[str, Callable[[Load, Client, str], Awaitable[list[Ended]]]] = {
    "run": run,
    "burst": burst,
    "timers": timers,
    "events": events,
    "idle": idle,
}
