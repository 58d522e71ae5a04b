"""A thread that does one job at a time, for an event loop that must not block.

A SQLite connection belongs to one thread; a lane is that thread.  Jobs run in the order in which
they were handed in.  A job that was handed in is done even if its caller no longer waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from tenure_common.errors import StoreUnavailableError

T = TypeVar("T")


class _Job:
    """A call, and the future on its caller's loop that hears of its end."""

    __slots__ = ("call", "future", "loop")

    def __init__(
        self,
        call: Callable[[], Any],
        future: asyncio.Future[Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.call = call
        self.future = future
        self.loop = loop

    def run(self) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = self.call()
        except BaseException as failure:  # noqa: BLE001 - it is raised where the job came from
            error = failure
        # A closed loop has nobody left who waits.
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(_finish, self.future, result, error)


def _finish(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class Lane:
    """One thread and its queue.  ``name`` is the thread's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; the process may end while a job hangs in the disk (daemon)."""
        self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether jobs are taken."""
        return self._thread is not None

    async def run(self, call: Callable[[], T]) -> T:
        """What ``call()`` returns or raises, from the thread.  Raises: StoreUnavailableError when
        the lane is closed."""
        if self._thread is None:
            message = f"the store is closed ({self._name})"
            raise StoreUnavailableError(message)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(_Job(call, future, loop))
        result: T = await future
        return result

    async def close(self) -> None:
        """Finish what was handed in, then end the thread."""
        if self._thread is None:
            return
        loop = asyncio.get_running_loop()
        last: asyncio.Future[None] = loop.create_future()
        self._jobs.put(_Job(lambda: None, last, loop))
        self._jobs.put(None)
        self._thread = None
        await last

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
