"""Random programs, on our engine and on the one that the makers of an SDK ship for tests.

The scenarios beside this show what we thought of; this shows that two engines written apart agree on
what nobody thought of.  The other engine (``drivers/python/other_engine.py``, Microsoft flavour, in
memory) runs each program through its own SDK; ours runs it through the SDK under test.  Status,
output, custom status and failure must be the same, as far as the SDK shows them.  Types of failures
are not compared: each language has its own, and the other engine forgets those of children.

A second test kills our engine again and again meanwhile: that must make no difference either.
``SEEDS=200-400`` plays others, ``CONFORMANCE_SDKS`` limits the SDKs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conformance.driver import Driver, SdkError
from conformance.random_programs import Play, play
from conformance.sdks import BY_KEY, Sdk
from conformance.stage import App, Stage, State
from support.engine import EngineProcess
from support.ports import free_ports
from support.sdks import environment

JUDGE = BY_KEY["ms-py"]  # the SDK that ships the other engine
# The Dapr SDKs for JavaScript pass no value that is false, and drop the second event of a name.
PLAYED = [sdk for sdk in BY_KEY.values() if not (sdk.language == "js" and sdk.flavour == "dapr")]
CHOSEN = os.environ.get("CONFORMANCE_SDKS", ",".join(BY_KEY)).split(",")
FIRST, _, LAST = os.environ.get("SEEDS", "0-39").partition("-")
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)
SIDE_BY_SIDE = 8
KILLS = 6
OTHER = Path(__file__).parent / "drivers/python/other_engine.py"

Outcome = dict[str, Any]


@contextlib.asynccontextmanager
async def driver_of(sdk: Sdk, folder: Path) -> AsyncIterator[Driver]:
    """A driver process of an SDK."""
    env = await asyncio.to_thread(environment, sdk)
    folder.mkdir(parents=True)
    variables = {**os.environ, **env.variables}
    driver = await Driver.start(
        env.command, env=variables, folder=folder, log=folder / "driver.log"
    )
    try:
        yield driver
    finally:
        await driver.close()


@contextlib.asynccontextmanager
async def other_engine(folder: Path) -> AsyncIterator[int]:
    """The other engine; its port."""
    env = await asyncio.to_thread(environment, JUDGE)
    folder.mkdir(parents=True)
    (port,) = free_ports(1)
    with (folder / "engine.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(env.command[0], str(OTHER), str(port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline(), (folder / "engine.log").read_text()
        yield port
    finally:
        process.stdin.close()
        await process.wait()


@pytest.fixture
async def judge(tmp_path: Path) -> AsyncIterator[App]:
    """A worker and a client of the other engine."""
    async with other_engine(tmp_path / "other") as port, driver_of(JUDGE, tmp_path / "judge") as d:
        app = App(d, "judge")
        await app.ask("open", host="127.0.0.1", port=port, worker={"max_activities": 64})
        yield app
        await app.close()


@dataclass(frozen=True)
class Player:
    """Plays on one engine.

    ``patiently`` repeats a call that finds no engine there.  ``suspends`` is off for the other
    engine: being suspended makes no difference to an outcome, but that engine gives a suspension to
    the generation that is ending and the resume to the next one, which its SDK does not forgive.
    ``details`` is off for an SDK that does not show why a workflow failed.
    """

    app: App
    patiently: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None = None
    suspends: bool = True
    details: bool = True

    def id(self, one: Play) -> str:
        """The instance of a play."""
        return f"play-{one.seed}"

    async def begin(self, one: Play) -> None:
        """Start it, and do to it what is done from outside."""
        own = self.id(one)
        variables = {"base": f"{self.app.name}-{own}", "self": own, "log": [], "round": 0}
        await self.app.start(one.program, own, vars=variables)
        for name, value in one.raised:
            await self.app.event(own, name, value)
        if one.suspended and self.suspends:
            await self.app.ask("suspend", instance=own)
            await self.app.ask("resume", instance=own)

    async def end(self, one: Play) -> Outcome:
        """Wait for its end, and give what came of it."""

        async def ended() -> State:
            return await self.app.done(self.id(one))

        try:
            state = await (self.patiently(ended) if self.patiently else ended())
        except SdkError as error:
            return dict.fromkeys(("status", "output", "custom status", "failure"), str(error))
        return {
            "status": state.status,
            "output": self._plain(state.output),
            "custom status": state.custom_status,
            "failure": self._failure(state),
        }

    def _failure(self, state: State) -> str | None:
        """Why it failed; None where the SDK does not show it."""
        if not self.details:
            return None
        return _reason(state.raw["failure"]["message"]) if state.raw.get("failure") else ""

    def _plain(self, value: Any) -> Any:
        """An output without what differs by language: types and framing of caught failures."""
        if isinstance(value, list):
            if value[:1] == ["caught"]:
                return ["caught", _reason(str(value[2]))]
            return [self._plain(part) for part in value]
        if isinstance(value, dict):
            return {key: self._plain(part) for key, part in value.items()}
        return value


def _reason(message: str) -> str:
    """The message that the code gave, without the SDK's own words before it."""
    return re.sub(
        r"^(?:(?:task failed with an error: )+"
        r"|.*?(?:Task|Activity task|activity|orchestrat\w+).* (?:failed|exception): )",
        "",
        message,
    )


async def compare(judge: Player, ours: Player, plays: list[Play]) -> None:
    """Play all on both, and compare."""
    limit = asyncio.Semaphore(SIDE_BY_SIDE)

    async def outcome(player: Player, one: Play) -> Outcome:
        async with limit:
            await player.begin(one)
            return await player.end(one)

    async def pair(one: Play) -> str:
        wanted, found = await asyncio.gather(outcome(judge, one), outcome(ours, one))
        return _differing(one, wanted, found)

    texts = await asyncio.gather(*map(pair, plays))
    assert not any(texts), "\n".join(filter(None, texts))


def _differing(one: Play, wanted: Outcome, found: Outcome) -> str:
    lines = [
        f"  {part}: {_short(wanted[part])} on the other engine, {_short(found[part])} on ours"
        for part in wanted
        if wanted[part] != found[part] and not (part == "failure" and found[part] is None)
    ]
    return "\n".join([f"seed {one.seed}:", *lines]) if lines else ""


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("x" * 3_000, "x…x")[:1_000]


@pytest.mark.parametrize(
    "sdk", [pytest.param(sdk, id=sdk.key) for sdk in PLAYED if sdk.key in CHOSEN]
)
async def test_same_outcome_as_on_another_engine(sdk: Sdk, judge: App, tmp_path: Path) -> None:
    """Programs end as they do on an engine that others wrote."""
    engine = EngineProcess(tmp_path)
    async with driver_of(sdk, tmp_path / sdk.key) as driver:
        await asyncio.to_thread(engine.start)
        stage = Stage(sdk, "random", engine, driver)
        app = await stage.open("ours", worker={"max_activities": 64})
        plays = [play(seed, lacks=sdk.lacks) for seed in SEEDS]
        try:
            ours = Player(app, details="failure-details" not in sdk.lacks)
            await compare(Player(judge, suspends=False), ours, plays)
        finally:
            await stage.close()
            await asyncio.to_thread(engine.close)


@pytest.mark.parametrize("key", ["ms-py", "dapr-py-1.19"])
async def test_same_outcome_though_killed(key: str, judge: App, tmp_path: Path) -> None:
    """The engine is killed again and again in the middle, and nothing ends otherwise."""
    sdk = BY_KEY[key]
    engine = EngineProcess(tmp_path)
    plays = [play(seed, lacks=sdk.lacks, counted=False) for seed in SEEDS]
    async with driver_of(sdk, tmp_path / sdk.key) as driver:
        await asyncio.to_thread(engine.start)
        stage = Stage(sdk, "random", engine, driver)
        app = await stage.open("ours", worker=None)
        other, ours = Player(judge, suspends=False), Player(app, stage.patiently)
        try:
            for one in plays:  # acknowledged before the first kill, and begun after it
                await asyncio.gather(other.begin(one), ours.begin(one))
            app.worker = {"max_activities": 8}
            await app.ask("start_worker", options=app.worker)
            ended = [asyncio.create_task(ours.end(one)) for one in plays]
            for kill in range(1, KILLS + 1):
                # A kill for every few that ended, so that all of them find work under way.
                part = len(plays) * kill // (KILLS + 2)
                async with asyncio.timeout(120):
                    while sum(task.done() for task in ended) < part:
                        await asyncio.wait(
                            [task for task in ended if not task.done()],
                            return_when=asyncio.FIRST_COMPLETED,
                        )
                await stage.restart_engine()
            found = await asyncio.gather(*ended)
            wanted = await asyncio.gather(*map(other.end, plays))
        finally:
            await stage.close()
            await asyncio.to_thread(engine.close)
    texts = list(map(_differing, plays, wanted, found))
    assert not any(texts), "\n".join(filter(None, texts))
