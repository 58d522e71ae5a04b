"""Runs scenarios in the background, many at once, so that the suite is not the sum of their waits.

One thread has an event loop for the whole session; the tests only collect outcomes.  A ``Run`` is
one SDK: its driver process, which serves the engines of all transports, and its scenarios.  Runs
follow each other in the order of the tests, but the next one begins as soon as the last scenario of
the one before has begun, so that slow ones (an SDK that waits before it connects again) cost
nothing while there is other work.

Lone scenarios borrow an engine from a pool.  It comes back when the scenario passed and the last of
its workers is gone; it goes with the scenario when that failed or has flags of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from conformance.driver import Driver
from conformance.sdks import Sdk
from conformance.stage import PATIENCE, POLL, App, Stage
from conformance.suite import Scenario
from support.engine import EngineProcess
from support.sdks import environment

SIDE_BY_SIDE = 12  # scenarios at once on shared engines
ENGINES = 6  # lone scenarios at once
LIMIT = 180.0  # seconds for one scenario; a bound for a hang, not a target

Pair = tuple[str, Scenario]  # transport and scenario
Outcome = concurrent.futures.Future[str | None]  # None when it passed, else what went wrong


class Runner:
    """The background loop, and the runs in their order."""

    def __init__(self, folder: Path, plan: Mapping[str, tuple[Sdk, Sequence[Pair]]]) -> None:
        self._folder = folder
        self._plan = plan
        self._engines = Engines(folder / "engines")
        self._outcomes: dict[tuple[str, str, str], Outcome] = {
            (key, transport, scenario.name): Outcome()
            for key, (_, pairs) in plan.items()
            for transport, scenario in pairs
        }
        self._shared_limit = asyncio.Semaphore(SIDE_BY_SIDE)
        self._lone_limit = asyncio.Semaphore(ENGINES)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="conformance")
        self._thread.start()
        self._work = asyncio.run_coroutine_threadsafe(self._conduct(), self._loop)

    def result(self, sdk: Sdk, transport: str, scenario: Scenario) -> str | None:
        """Wait for the outcome of a scenario: None when it passed, else what went wrong."""
        return self._outcomes[sdk.key, transport, scenario.name].result()

    def close(self) -> None:
        """End everything."""
        if any(not outcome.done() for outcome in self._outcomes.values()):
            self._work.cancel()  # the session was broken off
        with contextlib.suppress(concurrent.futures.CancelledError):
            self._work.result()
        asyncio.run_coroutine_threadsafe(self._engines.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _conduct(self) -> None:
        before: asyncio.Task[None] | None = None
        async with asyncio.TaskGroup() as group:
            for sdk, pairs in self._plan.values():
                begun = asyncio.Event()
                run = group.create_task(self._run(sdk, pairs, begun))
                await begun.wait()
                if before is not None:
                    await before
                before = run

    async def _run(self, sdk: Sdk, pairs: Sequence[Pair], begun: asyncio.Event) -> None:
        run = Run(sdk, self._folder / sdk.key, self._engines)
        waiting = len(pairs)

        async def play(transport: str, scenario: Scenario) -> None:
            nonlocal waiting
            async with self._lone_limit if scenario.lone else self._shared_limit:
                waiting -= 1
                if not waiting:
                    begun.set()
                outcome = await run.play(transport, scenario)
            self._outcomes[sdk.key, transport, scenario.name].set_result(outcome)

        try:
            await run.open({transport for transport, one in pairs if not one.lone})
            async with asyncio.TaskGroup() as group:
                for transport, scenario in pairs:
                    group.create_task(play(transport, scenario))
        except Exception:
            why = traceback.format_exc()
            for transport, scenario in pairs:
                outcome = self._outcomes[sdk.key, transport, scenario.name]
                if not outcome.done():
                    outcome.set_result(why)
        finally:
            begun.set()
            await run.close()


class Engines:
    """Engines to borrow, by transport."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = 0
        self._idle: dict[str, list[EngineProcess]] = {}

    async def start(self, transport: str, args: Sequence[str] = ()) -> EngineProcess:
        """A new engine."""
        self._started += 1
        folder = self._folder / str(self._started)
        folder.mkdir(parents=True)
        engine = EngineProcess(folder, args=[f"--transport={transport}", *args])
        await asyncio.to_thread(engine.start)
        return engine

    @contextlib.asynccontextmanager
    async def lend(self, transport: str, args: Sequence[str]) -> AsyncIterator[EngineProcess]:
        """An engine for one scenario."""
        idle = self._idle.setdefault(transport, [])
        engine = idle.pop() if idle and not args else await self.start(transport, args)
        try:
            yield engine
            if not args:
                await _left(engine)
        except BaseException as error:
            error.add_note(f"engine's log:\n{engine.tail()}")
            await asyncio.to_thread(engine.close)
            raise
        if args:
            await asyncio.to_thread(engine.close)
        else:
            idle.append(engine)

    async def close(self) -> None:
        """End the engines that nobody has borrowed."""
        for engines in self._idle.values():
            for engine in engines:
                await asyncio.to_thread(engine.close)


async def _left(engine: EngineProcess) -> None:
    """Wait until the engine has seen the end of every worker; the next scenario may want none."""
    async with asyncio.timeout(PATIENCE):
        while await asyncio.to_thread(engine.workers):
            await asyncio.sleep(POLL)


class Run:
    """One SDK: its driver, and an engine and an app per transport that scenarios share."""

    def __init__(self, sdk: Sdk, folder: Path, engines: Engines) -> None:
        self._sdk = sdk
        self._folder = folder
        self._engines = engines
        self._driver: Driver | None = None
        self._shared: dict[str, EngineProcess] = {}
        self._apps: dict[str, App] = {}

    async def open(self, transports: set[str]) -> None:
        """Start the driver, and what is shared on ``transports``."""
        env = await asyncio.to_thread(environment, self._sdk)
        self._folder.mkdir(parents=True)
        self._driver = await Driver.start(
            env.command,
            env={**os.environ, **env.variables},
            folder=self._folder,
            log=self._folder / "driver.log",
        )
        for transport in sorted(transports):
            engine = self._shared[transport] = await self._engines.start(transport)
            stage = Stage(self._sdk, f"shared-{transport}", engine, self._driver)
            self._apps[transport] = await stage.open("app", worker={"max_activities": 64})

    async def play(self, transport: str, scenario: Scenario) -> str | None:
        """Play a scenario; returns what went wrong."""
        try:
            async with asyncio.timeout(LIMIT):
                if scenario.lone:
                    async with self._engines.lend(transport, scenario.engine_args) as engine:
                        await self._act(transport, scenario, engine)
                else:
                    await self._act(transport, scenario, self._shared[transport])
        except (Exception, pytest.fail.Exception):
            return traceback.format_exc()
        return None

    async def _act(self, transport: str, scenario: Scenario, engine: EngineProcess) -> None:
        assert self._driver is not None
        # The driver serves all transports, and its memory is by the ids that a stage gives.
        stage = Stage(self._sdk, f"{transport[0]}-{scenario.name}", engine, self._driver)
        stage.shared = None if scenario.lone else self._apps[transport]
        try:
            await scenario.body(stage)
        finally:
            await stage.close()

    async def close(self) -> None:
        """End the driver and the shared engines."""
        if self._driver is not None:
            await self._driver.close()
        for engine in self._shared.values():
            await asyncio.to_thread(engine.close)
