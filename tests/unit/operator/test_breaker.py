"""The breaker: open from the first failure to the first answer."""

from __future__ import annotations

import asyncio

from tenure_operator.breaker import Breaker


async def test_it_asks_until_it_is_answered_and_says_so_once() -> None:
    answers = iter([False, False, True])
    told = asyncio.Event()
    calls: list[int] = []

    async def probe() -> bool:
        return next(answers)

    def back() -> None:
        calls.append(1)
        told.set()

    breaker = Breaker(probe, first=0.0, last=0.0)
    breaker.listeners.append(back)
    breaker.trip("no answer")
    breaker.trip("still none")
    assert breaker.open
    assert breaker.trips == 1
    await told.wait()
    assert not breaker.open
    assert calls == [1]


async def test_an_answer_to_anything_closes_it() -> None:
    async def probe() -> bool:
        raise AssertionError("nobody has to ask")

    breaker, calls = Breaker(probe, first=3600.0), []
    breaker.listeners.append(lambda: calls.append(1))
    breaker.closed()
    assert calls == [], "it was not open"
    breaker.trip("no answer")
    breaker.closed()
    assert not breaker.open
    assert calls == [1]


async def test_a_closed_operator_asks_no_more() -> None:
    breaker = Breaker(lambda: asyncio.sleep(0, result=False), first=0.0)
    breaker.trip("no answer")
    breaker.close()
    assert not breaker.open


async def test_one_request_without_an_answer_does_not_make_the_server_away() -> None:
    breaker = Breaker(lambda: asyncio.sleep(0, result=True), first=3600.0)
    assert not await breaker.suspect("no answer to one of many")
    assert not breaker.open
    assert breaker.trips == 0


async def test_a_server_that_does_not_answer_a_small_question_either_is_away() -> None:
    breaker = Breaker(lambda: asyncio.sleep(0, result=False), first=3600.0)
    assert await breaker.suspect("no answer")
    assert breaker.open
    assert breaker.reason == "no answer"
    breaker.close()


async def test_an_open_breaker_is_not_asked_for_more() -> None:
    async def probe() -> bool:
        raise AssertionError("it is known to be away")

    breaker = Breaker(probe, first=3600.0)
    breaker.trip("no answer")
    assert await breaker.suspect("no answer")
    breaker.close()


async def test_a_pause_that_was_asked_for_comes_before_the_next_question() -> None:
    asked: list[int] = []

    async def probe() -> bool:
        asked.append(1)
        return False

    breaker = Breaker(probe, first=0.0)
    assert await breaker.suspect("told to come back", seconds=3600.0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(asked) == 1
    breaker.close()
