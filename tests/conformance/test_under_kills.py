"""The scenarios through stock SDKs on three sidecars over etcd, while sidecars are killed.

In scope: every scenario that shares an engine, but those that count executions: an activity that is
under way on whoever is killed runs again.  Out of scope: what is lost or doubled (tests/cluster, which
reads etcd's whole story).
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from conformance.catalogue import SCENARIOS
from conformance.cluster import ShakyCluster
from conformance.driver import Driver
from conformance.sdks import BY_KEY, Sdk
from conformance.stage import App, Stage
from conformance.suite import Scenario
from support.sdks import environment

# What looks at how often something ran, or at an activity's own count of that.
COUNTING = re.compile(r'stage\.(counted|traced|peak)|"flaky"|flaky\(|call\("count", \w+, "')
SIDE_BY_SIDE = 8
KILLS = 4  # at least; all scenarios are played until then
TURNS = 10  # at most
# Of each language and flavour one that looks for a sidecar that was killed; for others, whatever
# runs the app has to start it again.
SDKS = (
    *("ms-py", "dapr-py-1.19", "ms-js", "dt-dapr-js"),
    *("ms-java", "dt-dapr-java", "ms-go", "dapr-go"),
)
LIMIT = 180.0  # seconds for one scenario

pytestmark = pytest.mark.timeout(900)


def fits(scenario: Scenario, sdk: Sdk) -> bool:
    """Whether the scenario is one of these; see the module docstring."""
    counts = COUNTING.search(inspect.getsource(scenario.body))
    return not scenario.lone and counts is None and scenario.why_not(sdk) is None


class Run:
    """An SDK's app on a cluster that shakes."""

    def __init__(self, sdk: Sdk, cluster: ShakyCluster, driver: Driver) -> None:
        self.sdk = sdk
        self.cluster = cluster
        self.driver = driver
        self.main: App

    async def open(self) -> None:
        """A worker at each sidecar; all of one driver, so that they share what scenarios look at."""
        for number, sidecar in enumerate(self.cluster.sidecars):
            stage = Stage(self.sdk, f"pod-{number}", sidecar, self.driver)
            app = await stage.open("app", worker={"max_activities": 64})
            if not number:
                self.main = app

    async def play(self, scenario: Scenario, turn: int) -> str | None:
        """What went wrong, if anything."""
        engine: Any = self.cluster
        stage = Stage(self.sdk, f"k{turn}-{scenario.name}", engine, self.driver)
        stage.shared = self.main
        try:
            async with asyncio.timeout(LIMIT):
                try:
                    await scenario.body(stage)
                finally:
                    await stage.close()
        except (Exception, pytest.fail.Exception):
            return traceback.format_exc()
        return None


@pytest.fixture
async def run(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Run]:
    sdk: Sdk = request.param
    env = await asyncio.to_thread(environment, sdk)
    cluster = ShakyCluster(tmp_path)
    driver: Driver | None = None
    try:
        await asyncio.to_thread(cluster.start)
        driver = await Driver.start(
            env.command,
            env={**os.environ, **env.variables},
            folder=tmp_path,
            log=tmp_path / "driver.log",
        )
        made = Run(sdk, cluster, driver)
        await made.open()
        yield made
    finally:
        if driver is not None:
            await driver.close()
        await asyncio.to_thread(cluster.close)


@pytest.mark.parametrize("run", [pytest.param(BY_KEY[key], id=key) for key in SDKS], indirect=True)
async def test_scenarios_hold_while_sidecars_are_killed(run: Run) -> None:
    scenarios = [one for one in SCENARIOS.values() if fits(one, run.sdk)]
    assert len(scenarios) > 50
    limit = asyncio.Semaphore(SIDE_BY_SIDE)

    async def play(scenario: Scenario, turn: int) -> tuple[str, str | None]:
        async with limit:
            return scenario.name, await run.play(scenario, turn)

    run.cluster.shake()
    wrong: list[str] = []
    for turn in range(TURNS):
        outcomes = await asyncio.gather(*(play(one, turn) for one in scenarios))
        wrong += [f"=== {name}\n{outcome}" for name, outcome in outcomes if outcome]
        if wrong or run.cluster.kills >= KILLS:
            break
    await run.cluster.steady()
    assert not wrong, "\n".join([*wrong, run.cluster.tail()])
    assert run.cluster.kills >= KILLS
