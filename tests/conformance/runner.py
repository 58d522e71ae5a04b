"""Runs scenarios in the background, many at once, so that the suite is not the sum of their waits.

One thread has an event loop for the whole session.  ``Runner.result`` starts all selected scenarios
of an SDK when the first of them is asked for; the tests then only collect the outcomes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import traceback
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import pytest

from conformance.driver import Driver
from conformance.sdks import Sdk
from conformance.stage import App, Stage
from conformance.suite import Scenario
from support.engine import EngineProcess
from support.sdks import Environment, environment

SIDE_BY_SIDE = 10  # scenarios at once on the shared engine
ENGINES = 2  # engines of their own at once
LIMIT = 60.0  # seconds for one scenario


class Runner:
    """The background loop, and the run of the SDK at hand."""

    def __init__(self, folder: Path, *, transport: str) -> None:
        self._folder = folder
        self._transport = transport
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="conformance")
        self._thread.start()
        self._run: Run | None = None

    def result(self, sdk: Sdk, scenario: Scenario, selected: Iterable[Scenario]) -> str | None:
        """The outcome of a scenario: None when it passed, else what went wrong."""
        if self._run is None or self._run.sdk is not sdk:
            self._end_run()
            folder = self._folder / f"{sdk.key}-{self._transport}"
            folder.mkdir(parents=True)
            self._run = Run(sdk, folder, environment(sdk), self._transport)
            self._do(self._run.start(list(selected)))
        return self._do(self._run.outcome(scenario))

    def close(self) -> None:
        """End everything."""
        self._end_run()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _end_run(self) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            self._do(run.close())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        done: concurrent.futures.Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result()


class Run:
    """One SDK: its driver, the shared engine, and the scenarios under way."""

    def __init__(self, sdk: Sdk, folder: Path, env: Environment, transport: str) -> None:
        self.sdk = sdk
        self._folder = folder
        self._env = env
        self._transport = transport
        self._tasks: dict[str, asyncio.Task[str | None]] = {}
        self._shared_limit = asyncio.Semaphore(SIDE_BY_SIDE)
        self._lone_limit = asyncio.Semaphore(ENGINES)
        self._driver: Driver
        self._engine: EngineProcess | None = None
        self._app: App | None = None

    async def start(self, scenarios: list[Scenario]) -> None:
        """Start the driver, the engine where it is needed, and all scenarios."""
        self._driver = await Driver.start(
            self._env.command,
            env={**os.environ, **self._env.variables},
            folder=self._folder,
            log=self._folder / "driver.log",
        )
        if any(not one.lone for one in scenarios):
            self._engine = await self._new_engine("shared", ())
            stage = Stage(self.sdk, "shared", self._engine, self._driver)
            self._app = await stage.open("app", worker={"max_activities": 64})
        for one in scenarios:
            self._tasks[one.name] = asyncio.create_task(self._play(one), name=one.name)

    async def _new_engine(self, name: str, args: tuple[str, ...]) -> EngineProcess:
        folder = self._folder / name
        folder.mkdir()
        engine = EngineProcess(folder, args=[f"--transport={self._transport}", *args])
        await asyncio.to_thread(engine.start)
        return engine

    async def _play(self, scenario: Scenario) -> str | None:
        limit = self._lone_limit if scenario.lone else self._shared_limit
        async with limit:
            try:
                async with asyncio.timeout(LIMIT):
                    await (self._alone(scenario) if scenario.lone else self._beside(scenario))
            except (Exception, pytest.fail.Exception):
                return traceback.format_exc()
        return None

    async def _beside(self, scenario: Scenario) -> None:
        assert self._engine is not None
        stage = Stage(self.sdk, scenario.name, self._engine, self._driver)
        stage.shared = self._app
        try:
            await scenario.body(stage)
        finally:
            await stage.close()

    async def _alone(self, scenario: Scenario) -> None:
        engine = await self._new_engine(scenario.name, scenario.engine_args)
        stage = Stage(self.sdk, scenario.name, engine, self._driver)
        try:
            await scenario.body(stage)
        except BaseException as error:
            error.add_note(f"engine's log:\n{engine.tail()}")
            raise
        finally:
            try:
                await stage.close()
            finally:
                await asyncio.to_thread(engine.close)

    async def outcome(self, scenario: Scenario) -> str | None:
        """Wait for a scenario's outcome."""
        return await self._tasks[scenario.name]

    async def close(self) -> None:
        """End the driver and the engine."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._driver.close()
        if self._engine is not None:
            await asyncio.to_thread(self._engine.close)
