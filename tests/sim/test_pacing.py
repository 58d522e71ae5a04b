"""What the engine waits for between turns, in virtual time.

In scope: how many turns a fan-out takes when turns are long, that nothing waits when there is
nothing to wait for, and that a result is not written twice when its turn comes soon.  Turns are what
costs: a stock SDK replays the whole history in each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from typing import Any

import pytest

from support.one_engine import OneEngine
from support.toy import All, Call
from support.virtual import run

TURN = 0.1  # seconds that the worker takes for anything, at least
STEPS = 10  # of a chain, or activities side by side
WIDTH = 400  # over the worker's cap of activities in flight


def fan(given: str | None) -> Generator[Any, Any, Any]:
    results = yield All([Call("add", str(i)) for i in range(int(given or "0"))])
    return str(sum(map(int, results)))


class Slow(OneEngine):
    """Every item takes ``TURN``, and each a millisecond more than the one before, up to 100."""

    def __init__(self) -> None:
        super().__init__(workflows={"fan": fan}, activities={"add": lambda given: given})
        self._more = itertools.cycle(range(100))

    def _later(self, callback: Callable[[], None]) -> None:
        self.loop.call_later(TURN + next(self._more) / 1e3, callback)


def test_a_fan_out_takes_few_turns() -> None:
    async def main() -> None:
        one = Slow()
        await one.start()
        assert await one.finish(await one.begin("fan", str(WIDTH))) == str(sum(range(WIDTH)))
        (worker,) = one.workers
        assert worker.turns <= 4
        await one.host.stop()

    run(main())


@pytest.mark.parametrize("width", [1, 2, 20, 100])
def test_the_turn_after_the_last_result_does_not_wait(width: int) -> None:
    async def main() -> None:
        one = Slow()
        await one.start()
        begun = one.loop.time()
        assert await one.finish(await one.begin("fan", str(width))) == str(sum(range(width)))
        # One turn that schedules, the activities side by side, one turn that ends it; up to one
        # more that began when the first results were in.
        assert one.loop.time() - begun < 4 * 2 * TURN
        await one.host.stop()

    run(main())


def chain(given: str | None) -> Generator[Any, Any, Any]:
    total = 0
    for step in range(int(given or "0")):
        total += int((yield Call("add", str(step))))
    return str(total)


class Even(OneEngine):
    """Every item takes ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            workflows={"chain": chain, "fan": fan}, activities={"add": lambda given: given}
        )
        self._seconds = seconds

    def _later(self, callback: Callable[[], None]) -> None:
        self.loop.call_later(self._seconds, callback)


@pytest.mark.parametrize(
    ("seconds", "rows"), [pytest.param(0.003, 0, id="soon"), pytest.param(0.02, STEPS, id="late")]
)
def test_a_result_is_written_alone_only_when_its_turn_takes_long(seconds: float, rows: int) -> None:
    async def main() -> None:
        one = Even(seconds)
        await one.start()
        await one.finish(await one.begin("chain", str(STEPS)))
        # The start, and each turn's commit.
        assert one.writer.written == 1 + (STEPS + 1) + rows
        assert one.writer.withdrawn == STEPS - rows
        await one.host.stop()

    run(main())


def test_a_result_among_many_does_not_wait_for_the_turn() -> None:
    async def main() -> None:
        one = Even(0.003)
        await one.start()
        await one.finish(await one.begin("fan", str(STEPS)))
        assert one.writer.withdrawn <= 1
        await one.host.stop()

    run(main())
