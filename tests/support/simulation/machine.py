"""The machine: an event loop in virtual time whose callbacks belong to processes.

A process is a set of callbacks: whatever runs because of it carries it in its context.  So it can be
paused (SIGSTOP: its callbacks queue up, while time and the rest of the world go on), resumed (they
run, in the order in which they became ready) and killed (they never run again, not even a
``finally``: that is what SIGKILL does).

Processes share nothing: one reaches another only by ``post``, which is how the network is made.

Everything that happens is determined by the order of callbacks, and that by the times at which they
are due.  There are no threads, no sockets and no real time.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

from support.virtual import EPOCH_NS, StuckError

_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
_STEPS = 500_000  # of one simulation; they have some 15,000
_RUNNING, _PAUSED, _DEAD = "running", "paused", "dead"


class Process:
    """One process; see the module docstring.

    Args:
        loop: the machine.
        name: for the trace; not unique when a process is started again.
        host: where it runs, as others address it.
        skew: seconds by which its wall clock is ahead.
    """

    def __init__(self, loop: Machine, name: str, *, host: str = "", skew: float = 0.0) -> None:
        self.loop = loop
        self.name = name
        self.host = host or name
        self.skew = skew
        self.at_death: list[Callable[[], None]] = []  # what the kernel does then
        self._state = _RUNNING
        self._held: list[asyncio.Handle] = []
        context = copy_context()
        context.run(_PROCESS.set, self)
        self._context: Context = context

    @property
    def alive(self) -> bool:
        """Not killed; it may be paused."""
        return self._state != _DEAD

    @property
    def running(self) -> bool:
        """Neither killed nor paused."""
        return self._state == _RUNNING

    def wall_ns(self) -> int:
        """Its wall clock, nanoseconds since the Unix epoch."""
        return EPOCH_NS + round((self.loop.time() + self.skew) * 1e9)

    def hold(self, handle: asyncio.Handle) -> bool:
        """Keep a callback back that is ready; False when it may run."""
        if self._state == _RUNNING:
            return False
        self._held.append(handle)
        return True

    # --- doing things in it -------------------------------------------------------------------

    def post(self, callback: Callable[..., object], *args: Any, after: float = 0.0) -> None:
        """Call ``callback`` in the process, ``after`` seconds from now."""
        context = self._context.copy()
        if after > 0:
            self.loop.call_later(after, callback, *args, context=context)
        else:
            self.loop.call_soon(callback, *args, context=context)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "") -> asyncio.Task[Any]:
        """Run ``work`` as a task of the process."""
        return self.loop.create_task(
            work, name=f"{self.name}: {name or 'main'}", context=self._context.copy()
        )

    # --- signals ------------------------------------------------------------------------------

    def pause(self) -> None:
        """SIGSTOP."""
        if self._state == _RUNNING:
            self._state = _PAUSED

    def resume(self) -> None:
        """SIGCONT."""
        if self._state == _PAUSED:
            self._release()

    def kill(self) -> None:
        """SIGKILL: nothing in it runs any more."""
        if self._state == _DEAD:
            return
        self._state = _DEAD
        told, self.at_death = self.at_death, []
        for tell in told:
            tell()

    def _release(self) -> None:
        self._state = _RUNNING
        held, self._held = self._held, []
        self.loop.ready(held)

    def exhume(self) -> None:
        """After the simulation: let what is left of it run to its end."""
        self._release()


def current() -> Process:
    """The process that runs now."""
    process = _PROCESS.get()
    assert process is not None, "this belongs to a process"
    return process


def who() -> str:
    """The name of the process that runs now; empty outside of all."""
    process = _PROCESS.get()
    return "" if process is None else process.name


class _Timer(asyncio.TimerHandle):
    """Also of what is to run at once; made without what only a debugger asks for."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context,
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = self._scheduled = False
        self._source_traceback = self._repr = None


class Machine(asyncio.BaseEventLoop):
    """See the module docstring."""

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        # Beside each timer when it is due and its number: what is due at once runs in this order, and
        # numbers are compared faster than timers are.
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = 0
        self._tasks: list[asyncio.Task[Any]] = []  # kept, so that none is finished by the collector
        self.processes: list[Process] = []
        self.steps = 0
        self.connect: Callable[..., Coroutine[Any, Any, Any]]  # made by the network
        self.listen: Callable[..., Coroutine[Any, Any, Any]]

    def time(self) -> float:
        return self._now

    def wall_ns(self) -> int:
        """True time, nanoseconds since the Unix epoch."""
        return EPOCH_NS + round(self._now * 1e9)

    def process(self, name: str, *, host: str = "", skew: float = 0.0) -> Process:
        """A new process."""
        process = Process(self, name, host=host, skew=skew)
        self.processes.append(process)
        return process

    def ready(self, handles: list[asyncio.Handle]) -> None:
        """These may run."""
        self._ready.extend(handles)

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        timer = _Timer(when, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, timer))
        return timer

    def call_soon(
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context
        handle = _Timer(self._now, callback, args, self, context)
        self._ready.append(handle)
        return handle

    def create_task(self, coro: Any, **more: Any) -> asyncio.Task[Any]:
        task = super().create_task(coro, **more)
        self._tasks.append(task)
        return task

    # --- connections: what asyncio.start_server and asyncio.open_connection ask for -----------

    async def create_server(
        self, factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        return await self.listen(factory, host, port)

    async def create_connection(
        self, factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        return await self.connect(factory, host, port)

    # --- turning ------------------------------------------------------------------------------

    def _write_to_self(self) -> None:  # nobody waits in a system call
        pass

    def _run_once(self) -> None:
        timers, ready = self._timers, self._ready
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not ready:
            if not timers:
                if self._stopping:  # type: ignore[attr-defined]
                    return
                message = "no callback is ready and no timer is set"
                raise StuckError(message)
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            one = ready.popleft()
            if one._cancelled:  # type: ignore[attr-defined]
                continue
            process = one._context.get(_PROCESS)  # type: ignore[attr-defined]
            if process is None or not process.hold(one):
                self.steps += 1
                one._run()
        if self.steps > _STEPS:
            message = f"more than {_STEPS} callbacks ran: something goes round in circles"
            raise StuckError(message)

    # --- the end ------------------------------------------------------------------------------

    async def finish(self) -> None:
        """End everything that is left: tasks are cancelled, those of the dead too."""
        self.set_exception_handler(lambda _loop, _context: None)
        for process in self.processes:
            process.exhume()
        me = asyncio.current_task()
        for _ in range(100):
            left = [task for task in self._tasks if task is not me and not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.sleep(1.0)
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.exception()  # whoever would have asked is gone
        self._tasks.clear()
