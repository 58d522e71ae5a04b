"""What a scenario acts with: apps (worker and client of an engine) and states of workflows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from conformance.driver import Driver, SdkError
from conformance.program import Program
from conformance.sdks import Sdk
from support.engine import EngineProcess

T = TypeVar("T")
GONE = ("UNAVAILABLE", "CANCELLED", "UNKNOWN: Stream removed")  # a connection that broke
POLL = 0.01  # seconds between looks, where the protocol has nothing to wait on
PATIENCE = 60.0  # seconds until a look that never succeeds fails the scenario
GROWING = (150, 1_500, 15_000)  # milliseconds; see Stage.in_time


@dataclass(frozen=True)
class State:
    """A workflow's state as the SDK shows it; payloads are JSON texts."""

    raw: dict[str, Any]

    @property
    def status(self) -> str:
        """``RUNNING``, ``COMPLETED``, …"""
        return str(self.raw["status"])

    @property
    def output(self) -> Any:
        """The output, decoded; None when there is none."""
        return _decoded(self.raw.get("output"))

    @property
    def input(self) -> Any:
        """The input, decoded."""
        return _decoded(self.raw.get("input"))

    @property
    def custom_status(self) -> Any:
        """The custom status, decoded; some SDKs write texts as they are, not as JSON."""
        try:
            return _decoded(self.raw.get("custom_status"))
        except json.JSONDecodeError:
            return self.raw["custom_status"]

    @property
    def failure(self) -> dict[str, Any]:
        """The failure's parts: type, message, stack, inner."""
        assert self.raw.get("failure"), f"no failure details in {self.raw}"
        return dict(self.raw["failure"])


def _decoded(text: str | None) -> Any:
    return None if text in {None, ""} else json.loads(text or "null")


class App:
    """One open app: a client, and a worker unless it was opened without."""

    def __init__(self, driver: Driver, name: str) -> None:
        self._driver = driver
        self.name = name
        self.worker: dict[str, Any] | None = None

    async def ask(self, op: str, **arguments: Any) -> Any:
        """A command to this app; arguments that are None are left out."""
        given = {key: value for key, value in arguments.items() if value is not None}
        return await self._driver.ask(op, app=self.name, **given)

    async def start(self, program: Program | str, id: str, **more: Any) -> str:
        """Start a program (or a named workflow); ``vars`` are the program's variables."""
        variables = more.pop("vars", {})
        if isinstance(program, str):
            return str(await self.ask("start", workflow=program, instance=id, **more))
        start = {"program": program, "vars": variables}
        return str(await self.ask("start", input=start, instance=id, **more))

    async def done(self, instance: str, timeout_ms: int = 60_000) -> State:
        """Wait for the end."""
        raw = await self.ask("wait_done", instance=instance, timeout_ms=timeout_ms)
        assert raw is not None, f"{instance} does not exist"
        return State(raw)

    async def run(self, program: Program | str, id: str, **more: Any) -> State:
        """Start and wait for the end."""
        return await self.done(await self.start(program, id, **more))

    async def output(self, program: Program | str, id: str, **more: Any) -> Any:
        """Run to completion and give the output."""
        state = await self.run(program, id, **more)
        assert state.status == "COMPLETED", state.raw
        return state.output

    async def get(self, instance: str, *, payloads: bool = True) -> State | None:
        """The state now."""
        raw = await self.ask("get", instance=instance, payloads=payloads)
        return None if raw is None else State(raw)

    async def until(
        self, instance: str, what: Callable[[State], bool] | str, *, why: str = ""
    ) -> State:
        """Look until a status is there, or until ``what`` holds."""
        holds = (lambda state: state.status == what) if isinstance(what, str) else what
        seen: State | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    seen = await self.get(instance)
                    if seen is not None and holds(seen):
                        return seen
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            message = f"{instance}: {why or what} never came; last seen {seen}"
            raise AssertionError(message) from error

    async def started(self, instance: str) -> State:
        """Wait until its first turn was done."""
        return State(await self.ask("wait_start", instance=instance))

    async def event(self, instance: str, name: str, value: Any = None) -> None:
        """Raise an event."""
        await self.ask("raise_event", instance=instance, name=name, value=value)

    async def close(self) -> None:
        """Stop worker and client."""
        await self.ask("close")


class Stage:
    """What one scenario has: its SDK, its engine, its driver."""

    def __init__(self, sdk: Sdk, scenario: str, engine: EngineProcess, driver: Driver) -> None:
        self.sdk = sdk
        self.engine = engine
        self.driver = driver
        self._scenario = scenario
        self._opened: list[App] = []
        self.shared: App | None = None

    def id(self, name: str = "") -> str:
        """An instance id of this scenario's own, at most 64 characters."""
        return f"{self._scenario}-{name}" if name else self._scenario

    @property
    def port(self) -> int:
        """The engine's port for this SDK's flavour."""
        flavour = self.sdk.flavour
        return self.engine.grpc_port if flavour == "dapr" else self.engine.taskhub_port

    async def app(self, name: str | None = None, **worker: Any) -> App:
        """The shared app, or one of the scenario's own when a name or worker options are given."""
        if name is None and not worker and self.shared is not None:
            return self.shared
        return await self.open(name or "main", worker=worker)

    async def open(self, name: str, *, worker: dict[str, Any] | None) -> App:
        """Open an app of the scenario's own; without a worker when ``worker`` is None."""
        app = App(self.driver, f"{self._scenario}/{name}")
        app.worker = worker
        await app.ask("open", host="127.0.0.1", port=self.port, worker=worker)
        self._opened.append(app)
        return app

    async def close(self) -> None:
        """Close the scenario's own apps."""
        for app in self._opened:
            await app.ask("close")

    def forget(self, app: App) -> None:
        """The scenario closed this app itself."""
        self._opened.remove(app)

    async def counted(self, key: str) -> int:
        """How often the activities under ``key`` ran."""
        return int(await self.driver.ask("count", key=key))

    async def traced(self, key: str) -> list[Any]:
        """What was noted under ``key``."""
        return list(await self.driver.ask("trace", key=key))

    async def peak(self, key: str) -> int:
        """How many gates ``key`` waited at once, at most."""
        return int(await self.driver.ask("peak", key=key))

    async def release(self, key: str) -> None:
        """Open a gate."""
        await self.driver.ask("release", key=key)

    async def eventually(self, look: Callable[[], Any], want: object) -> None:
        """Look until an answer is ``want``."""
        seen: Any = None
        try:
            async with asyncio.timeout(PATIENCE):
                while (seen := await look()) != want:
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            message = f"wanted {want}, last seen {seen}"
            raise AssertionError(message) from error

    async def workers(self, count: int) -> None:
        """Wait until the engine has ``count`` workers: to an SDK a worker is started before its
        stream is open, and stopped before the engine sees the stream's end."""
        await self.eventually(lambda: asyncio.to_thread(self.engine.workers), count)

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again while the SDK says that the engine is not reachable."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    return await ask()
                except SdkError as error:
                    if not any(word in str(error) for word in GONE):
                        raise
                await asyncio.sleep(POLL)

    async def in_time(self, attempt: Callable[[int], Awaitable[bool]]) -> None:
        """Play against a timer that a slow machine may lose to: ``attempt`` gets its milliseconds
        and says whether the timer was long enough for what should come before it."""
        for ms in GROWING:
            if await attempt(ms):
                return
        message = f"even a timer of {GROWING[-1]} ms was too short"
        raise AssertionError(message)

    async def restart_engine(self, *, kill: bool = True) -> None:
        """End the engine, by SIGKILL unless told otherwise, and start it on the same database.

        Workers that do not look for the engine again are started again, until it has them, as
        whatever runs the app would have to.
        """
        await asyncio.to_thread(self.engine.kill if kill else self.engine.stop)
        await asyncio.to_thread(self.engine.start)
        if kill and "reconnects" in self.sdk.lacks:
            async with asyncio.timeout(PATIENCE):
                for count, app in enumerate(self._opened, 1):
                    await self._start_worker_again(app, count)

    async def _start_worker_again(self, app: App, count: int) -> None:
        """Until the engine has ``count`` workers: the one that is started may find the connection's
        back-off of the one before."""
        while True:
            await app.ask("stop_worker")
            await app.ask("start_worker", options=app.worker)
            for _ in range(100):
                if await asyncio.to_thread(self.engine.workers) >= count:
                    return
                await asyncio.sleep(POLL)
