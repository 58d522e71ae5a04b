"""Background loops that fail: started again, seen, and never in a tight circle."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from support.one_engine import OneEngine
from support.toy import Sleep
from support.virtual import in_virtual_time, passes
from tenure_common.errors import StoreUnavailableError
from tenure_sidecar.actors.loops import SOUND, Loops


class Failing:
    """A loop that fails the first ``times`` times, then runs."""

    def __init__(self, times: int, *, after: float = 0.0, error: Exception | None = None) -> None:
        self.left = times
        self.after = after
        self.error = error
        self.begun: list[float] = []
        self.running = False

    @property
    def gaps(self) -> list[float]:
        """Seconds between beginnings."""
        pairs = zip(self.begun, self.begun[1:], strict=False)
        return [round(later - earlier, 6) for earlier, later in pairs]

    async def __call__(self) -> None:
        self.begun.append(asyncio.get_running_loop().time())
        if self.left:
            self.left -= 1
            await asyncio.sleep(self.after)
            if self.error is not None:
                raise self.error
            return
        self.running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.running = False


@pytest.mark.parametrize("error", [KeyError("a bug"), StoreUnavailableError("away"), None])
@in_virtual_time
async def test_a_loop_that_fails_or_ends_is_started_again(error: Exception | None) -> None:
    loops = Loops()
    loop = Failing(3, error=error)
    loops.start("timers", loop)
    await passes(60)
    assert loop.running
    assert loops.failures == {"timers": 3}
    await loops.stop()
    assert not loop.running


@in_virtual_time
async def test_it_is_named_until_it_has_run_soundly_for_a_while() -> None:
    loops = Loops()
    loop = Failing(1, error=KeyError("a bug"))
    loops.start("timers", loop)
    loops.start("sound", Failing(0))
    assert loops.failing == []
    await passes(1)
    assert loop.running
    assert loops.failing == ["timers fails and is restarted (KeyError: 'a bug')"]
    await passes(SOUND)
    assert loops.failing == []
    await loops.stop()


@in_virtual_time
async def test_a_loop_that_fails_for_ever_backs_off_and_stays_named() -> None:
    loops = Loops()
    loop = Failing(10**9, error=KeyError("a bug"))
    loops.start("timers", loop)
    await passes(600)
    gaps = loop.gaps
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (0.1, 30.0)
    assert len(loops.failing) == 1
    await loops.stop()
    begun = len(loop.begun)
    await passes(60)
    assert len(loop.begun) == begun


@in_virtual_time
async def test_a_loop_that_failed_after_long_is_restarted_fast() -> None:
    loops = Loops()
    loop = Failing(5, after=SOUND * 2, error=KeyError("a bug"))
    loops.start("timers", loop)
    await passes(120)
    assert loop.gaps == [SOUND * 2 + 0.1] * 5
    await loops.stop()


@in_virtual_time
async def test_timers_fire_although_their_loop_failed() -> None:
    def nap(_given: str | None) -> Generator[Any, Any, Any]:
        yield Sleep(30)
        return "awake"

    one = OneEngine(workflows={"nap": nap}, activities={})
    await one.start()
    due = one.store.due
    errors = [KeyError("a bug"), KeyError("a bug")]

    async def failing(*args: Any, **kwargs: Any) -> Any:
        if errors:
            raise errors.pop()
        return await due(*args, **kwargs)

    one.store.due = failing  # type: ignore[method-assign]
    instance_id = await one.begin("nap")
    await passes(20)
    assert errors == []
    assert await one.finish(instance_id, within=60) == "awake"
    assert one.host.loops.failures == {"reminders": 2}
    await one.host.stop()
