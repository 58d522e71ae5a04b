"""Whoever ends first ends the wait, and the others with it."""

from __future__ import annotations

import asyncio

import pytest

from tenure_common.waits import until_first


async def test_the_first_end_cancels_the_others() -> None:
    never = asyncio.get_running_loop().create_task(asyncio.Event().wait())
    over = asyncio.Event()
    over.set()
    await until_first(over.wait(), never)
    assert never.cancelled()


async def test_an_error_of_the_first_is_raised_when_the_others_have_ended() -> None:
    async def fails() -> None:
        raise RuntimeError("broken")

    ended = asyncio.Event()

    async def tidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(RuntimeError, match="broken"):
        await until_first(tidy(), fails())
    assert ended.is_set()


async def test_whoever_waits_may_be_cancelled() -> None:
    never = asyncio.get_running_loop().create_task(asyncio.Event().wait())
    waiting = asyncio.get_running_loop().create_task(until_first(never))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert never.cancelled()
