"""The pytest side of a driver: one process that holds an SDK, spoken to in JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LINE_LIMIT = 64 * 1024 * 1024  # bytes; a state with a large payload is one line
GONE_WITHIN = 10.0  # seconds for a driver to end after its input was closed


class SdkError(Exception):
    """What the SDK raised: a gRPC status code or the name of its own exception, and its text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class DriverGoneError(AssertionError):
    """The driver's process ended; carries what it printed."""


class Driver:
    """A running driver process."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, command: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path
    ) -> Driver:
        """Start ``command`` in ``folder``; its standard error goes to ``log``."""
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=dict(env),
                cwd=folder,
                limit=LINE_LIMIT,
            )
        return cls(process, log)

    async def ask(self, op: str, **arguments: Any) -> Any:
        """Do a command and give its result.

        Raises: SdkError with what the SDK raised; DriverGoneError when the process ended.
        """
        if self._reader.done():
            raise self._gone()
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "op": op, **arguments})
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()
            return await answer
        except ConnectionError as error:
            raise self._gone() from error
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                self._resolve(json.loads(line))
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(self._gone())

    def _resolve(self, line: dict[str, Any]) -> None:
        answer = self._waiting.get(line["id"])
        if answer is None or answer.done():
            return
        if "error" in line:
            answer.set_exception(SdkError(line["error"]["code"], line["error"]["message"]))
        else:
            answer.set_result(line.get("ok"))

    def _gone(self) -> DriverGoneError:
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        tail = "\n".join(text.splitlines()[-40:])
        return DriverGoneError(f"the driver ended (code {self._process.returncode})\n{tail}")

    async def close(self) -> None:
        """Let the driver end, or end it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), GONE_WITHIN)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
