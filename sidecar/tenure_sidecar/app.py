"""The app that ``tenure dev -- COMMAND`` runs beside the engine.

It gets the environment that ``dapr run`` gives it, its signals, and the engine's end: when the app
ends, so does the engine, with the app's exit code; when the engine stops, the app is asked to
(SIGTERM) and, after the grace time, made to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

import structlog

from tenure_common import names
from tenure_common.errors import UsageError
from tenure_common.hosts import joined, reached

_log = structlog.get_logger(__name__)


def environment(  # noqa: PLR0913 - what the app has to know
    base: Mapping[str, str],
    *,
    app_id: str,
    grpc_port: int,
    http_port: int,
    host: str = names.LOOPBACK,
    api_token: str = "",
) -> dict[str, str]:
    """The app's environment: ``base`` and the variables that SDKs look for; the API token too,
    when there is one.  ``host`` is what the engine listens on."""
    where = reached(host)
    token = {names.DAPR_API_TOKEN: api_token} if api_token else {}
    return {
        **base,
        **token,
        names.APP_ID: app_id,
        names.DAPR_GRPC_PORT: str(grpc_port),
        names.DAPR_GRPC_ENDPOINT: f"http://{joined(where, grpc_port)}",
        names.DAPR_HTTP_PORT: str(http_port),
        names.DAPR_HTTP_ENDPOINT: f"http://{joined(where, http_port)}",
    }


class App:
    """One child process in its own process group."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str]) -> App:
        """Run ``command``.  Raises: UsageError when it cannot be run."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env=dict(env), start_new_session=True
            )
        except OSError as error:
            message = f"cannot run '{command[0]}': {error.strerror or error}"
            raise UsageError(message) from error
        _log.info("app started", command=" ".join(command), pid=process.pid)
        return cls(process)

    async def wait(self) -> int:
        """The exit code; that of a shell (128 + n) when a signal ended it."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def stop(self, grace: float) -> None:
        """SIGTERM, then after ``grace`` seconds SIGKILL, to the whole group."""
        if self._process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await self._process.wait()
        except TimeoutError:
            _log.warning("app did not stop in time, killing it", grace_seconds=grace)
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
