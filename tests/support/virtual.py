"""An event loop in virtual time: hours of timers run in milliseconds, and the same way every time.

Nothing real may be waited for on it: when no callback is ready and no timer is set, the program is
stuck, and the loop says so instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

EPOCH_NS = 1_767_225_600 * 1_000_000_000  # 2026-01-01T00:00:00Z, where virtual time begins


class StuckError(AssertionError):
    """Everything waits for something that nobody will do."""


class _NoWaiting(selectors.BaseSelector):
    """A selector that moves the clock instead of waiting."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            message = "no callback is ready and no timer is set"
            raise StuckError(message)
        if timeout > 0:
            self.now += timeout
        return self._inner.select(0)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def get_map(self) -> Any:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module docstring.  ``skew`` seconds is added to the wall clock it stands for."""

    def __init__(self) -> None:
        self._virtual = _NoWaiting()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return EPOCH_NS + round(self._virtual.now * 1e9)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end in virtual time; left-over tasks are cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that is a coroutine, run in virtual time."""

    @wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return wrapper


async def passes(seconds: float) -> None:
    """Let virtual time pass."""
    await asyncio.sleep(seconds)
