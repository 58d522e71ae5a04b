"""Background loops: none of them dies unseen (laws W8 and W9).

A loop runs until it is stopped.  One that raises or returns is started again, after a pause that
doubles while it goes on failing; until it has run soundly for a while it is named in ``failing``,
and the process says that it is not ready.  A half-alive engine (timers that never fire in a process
that looks well) is worse than one that says what is wrong with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

SOUND = 5.0  # seconds a loop must run to count as mended
_PAUSE_MIN = 0.1  # seconds before the first restart
_PAUSE_MAX = 30.0

Loop = Callable[[], Coroutine[Any, Any, None]]

_log = structlog.get_logger(__name__)


class Loops:
    """The background loops of one owner; see the module docstring."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failing: dict[str, str] = {}
        self.failures: dict[str, int] = {}  # by loop, since start

    def start(self, name: str, loop: Loop) -> None:
        """Run ``loop`` until ``stop``."""
        self.failures.setdefault(name, 0)
        self.spawn(name, self._keep(name, loop))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` once beside the loops; it is expected to handle its own failures."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("background task failed", task=task.get_name(), exc_info=error)

    @property
    def failing(self) -> list[str]:
        """What is wrong with each loop that failed and has not run soundly since."""
        return list(self._failing.values())

    async def stop(self) -> None:
        """End all loops and tasks; waits until they have."""
        tasks = tuple(self._tasks)
        self.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    def abort(self) -> None:
        """End all loops and tasks and do not wait."""
        for task in tuple(self._tasks):
            task.cancel()

    async def _keep(self, name: str, loop: Loop) -> None:
        clock = asyncio.get_running_loop()
        pause = _PAUSE_MIN
        while True:
            begun = clock.time()
            mended = clock.call_later(SOUND, self._failing.pop, name, None)
            try:
                await loop()
                reason = "it ended"
                _log.error("background loop ended, restarting it", loop=name, pause_seconds=pause)
            except Exception as error:  # noqa: BLE001 - whatever it was, the loop must go on
                reason = f"{type(error).__name__}: {error}"
                _log.exception("background loop failed, restarting it", loop=name)
            finally:
                mended.cancel()
            if clock.time() - begun >= SOUND:
                pause = _PAUSE_MIN
            self.failures[name] += 1
            self._failing[name] = f"{name} fails and is restarted ({reason})"
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSE_MAX)
