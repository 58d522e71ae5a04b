"""DORMANT: many instances that wait for a timer of a far day, and what they cost.

The worker here is our own, on raw messages, because a stock SDK would need minutes for the first
turns; each instance is real: started by a client, its first turn answered with a timer, all of it
durable.  Then the engine is killed and started again on the same database, with some timers that
came due while it was away, and others due soon after.

Measured: memory of a fresh engine with nothing and with ``count`` dormant instances, from the start
of the process to the first timer seen by the worker, lateness (never below 0), bytes on disk.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import signal
import time
from collections.abc import AsyncIterable, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import procfs
from client import Client, WrongResultError
from engines import Engine, start_tenure
from messages import COMPLETED, SERVICE, new, parse
from stats import percentile

_IN_FLIGHT = 64
_DAY = 86_400
_OVERDUE = 100  # timers that come due while the engine is away
_SOON = 200  # timers that come due shortly after its restart
_SETTLE = 3.0  # seconds before memory is read
_SLOTS = 1_000  # work items in flight that the worker announces


@dataclass(frozen=True)
class Figures:
    """Results; memory in MB, times in seconds unless the name says otherwise."""

    count: int
    created_per_second: float
    rss_none: float
    rss_after_load: float
    rss_dormant: float
    rss_delta: float
    ready: float  # from the start of the process to its ready line
    first_fired: float  # from the start of the process to the first timer at the worker
    late_p50_ms: float
    late_max_ms: float
    bytes_per_instance: float


class Worker:
    """Answers first turns with a timer and fired timers with completion."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self._answer = self._channel.unary_unary(f"/{SERVICE}/CompleteOrchestratorTask", None, None)
        self._items = self._channel.unary_stream(f"/{SERVICE}/GetWorkItems", None, None)
        self._background: set[asyncio.Task[None]] = set()
        self.armed = 0
        self.fired: dict[str, float] = {}  # instance -> Unix time
        self.due: dict[str, float] = {}
        self.progress = asyncio.Event()

    async def connect(self) -> None:
        """Open the work stream."""
        hello = new("GetWorkItems", maxTurns=_SLOTS, maxActivities=_SLOTS)
        stream = self._items(hello.SerializeToString())
        self._spawn(self._read(stream))

    async def close(self) -> None:
        """Drop the connection."""
        for task in self._background:
            task.cancel()
        await self._channel.close(None)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _read(self, stream: AsyncIterable[bytes]) -> None:
        async for item in stream:
            work = parse("WorkItem", item)
            if not work.HasField("turn"):
                continue  # a ping
            turn = work.turn
            if any(event.HasField("timerFired") for event in turn.newEvents):
                self.fired[turn.instanceId] = time.time()
                action = new("Action", id=2, complete=new("Complete", status=COMPLETED))
            else:
                value = next(
                    event.executionStarted.input.value
                    for event in turn.newEvents
                    if event.HasField("executionStarted")
                )
                due = json.loads(value)
                self.due[turn.instanceId] = due
                action = new("Action", id=1, createTimer=new("CreateTimer", fireAt=moment(due)))
            response = new(
                "TurnResponse",
                instanceId=turn.instanceId,
                completionToken=work.completionToken,
                actions=[action],
            )
            self._spawn(self._reply(response.SerializeToString()))

    async def _reply(self, response: bytes) -> None:
        await self._answer(response)
        self.armed += 1
        self.progress.set()

    async def until(self, count: int, counted: str) -> None:
        """Wait until ``armed`` answers were acknowledged, or ``fired`` timers were seen."""
        while True:
            done = self.armed if counted == "armed" else len(self.fired)
            if done >= count:
                return
            self.progress.clear()
            await asyncio.wait_for(self.progress.wait(), 60)


def moment(seconds: float) -> object:
    """A Time message of a Unix time."""
    whole = math.floor(seconds)
    return new("Time", seconds=whole, nanos=int((seconds - whole) * 1e9))


async def _create(client: Client, names: list[str], due: list[float]) -> None:
    work = iter(zip(names, due, strict=True))

    async def slot() -> None:
        for name, at in work:
            await client.start("dormant", name, value=at)

    await asyncio.gather(*(slot() for _ in range(_IN_FLIGHT)))


@asynccontextmanager
async def _running(folder: Path, database: str) -> AsyncIterator[tuple[Engine, Worker, Client]]:
    engine = start_tenure(folder, database=database)
    port = engine.ports["microsoft"]
    worker, client = Worker(port), Client(port)
    try:
        await worker.connect()
        yield engine, worker, client
    finally:
        await client.close()
        await worker.close()
        engine.process.end(how=signal.SIGKILL)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("dormant.db*"))


async def _rss(engine: Engine) -> float:
    await asyncio.sleep(_SETTLE)
    return procfs.read(engine.pid).rss / 1e6


async def measure(count: int, *, folder: Path, seed: int = 1) -> Figures:
    """All figures for ``count`` dormant instances.  Raises: WrongResultError when one was lost,
    came early or twice."""
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    async with _running(folder, "none.db") as (engine, _, _):
        rss_none = await _rss(engine)

    async with _running(folder, "dormant.db") as (engine, worker, client):
        now = time.time()
        names = [f"dormant-{number}" for number in range(count)]
        due = [round(now + _DAY * dice.uniform(1, 30), 3) for _ in names]
        begun = time.perf_counter()
        await _create(client, names, due)
        await worker.until(count, "armed")
        rate = count / (time.perf_counter() - begun)
        rss_after_load = await _rss(engine)
        now = time.time()
        overdue = [f"overdue-{number}" for number in range(_OVERDUE)]
        soon = [f"soon-{number}" for number in range(_SOON)]
        away = 3.0
        await _create(client, overdue, [round(now + away / 2, 3)] * _OVERDUE)
        spread = [round(now + away + 4 + dice.uniform(0, 3), 3) for _ in soon]
        await _create(client, soon, spread)
        await worker.until(count + _OVERDUE + _SOON, "armed")
        if worker.fired:
            message = f"fired before they were due: {sorted(worker.fired)[:5]}"
            raise WrongResultError(message)
        armed_due = worker.due
    await asyncio.sleep(max(0.0, now + away - time.time()))
    size = _size(folder)

    begun = time.time()
    async with _running(folder, "dormant.db") as (engine, worker, _):
        ready = time.time() - begun
        await worker.until(1, "fired")
        first = min(worker.fired.values()) - begun
        await worker.until(_OVERDUE + _SOON, "fired")
        late = [worker.fired[name] - armed_due[name] for name in soon]
        if set(worker.fired) != {*overdue, *soon} or min(late) < 0:
            message = f"{len(worker.fired)} fired, earliest {min(late):.4f} s late"
            raise WrongResultError(message)
        rss_dormant = await _rss(engine)
    return Figures(
        count=count,
        created_per_second=rate,
        rss_none=rss_none,
        rss_after_load=rss_after_load,
        rss_dormant=rss_dormant,
        rss_delta=rss_dormant - rss_none,
        ready=ready,
        first_fired=first,
        late_p50_ms=percentile(late, 50) * 1e3,
        late_max_ms=max(late) * 1e3,
        bytes_per_instance=size / count,
    )
