"""A borrower whose lender is gone: the workers must hear of it whatever way the stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.by_hand import HandWorker
from support.one_engine import OneEngine
from support.virtual import in_virtual_time, passes
from tenure_common.errors import ShuttingDownError
from tenure_sidecar.dispatch.loans import Borrowed
from tenure_sidecar.engine import events as ev
from tenure_sidecar.peers import frames
from tenure_sidecar.peers.borrower import Borrower


def lent(number: int) -> bytes:
    """A message with one activity."""
    scheduled = ev.TaskScheduled(at=0, task_id=number, name="work", input=None)
    return frames.join([frames.encode(frames.Lent(Borrowed(f"t{number}", "w", "e", scheduled)))])


@in_virtual_time
@pytest.mark.parametrize("ends", ["cancelled", "broken and cancelled"])
async def test_workers_are_answered_when_the_lender_is_gone(ends: str) -> None:
    """grpc.aio ends a stream that broke and cancels its handler, which may be ending by itself."""
    one = OneEngine(workflows={}, activities={})
    await one.start(workers=0)
    worker = HandWorker(one.dispatcher)
    broken = asyncio.Event()

    async def incoming() -> AsyncIterator[bytes]:
        yield lent(0)
        yield lent(1)
        await broken.wait()

    async def write(_: bytes) -> None:
        try:
            await asyncio.Event().wait()  # nobody reads any more
        finally:
            await asyncio.sleep(1)  # it takes a while to let go

    lender = Borrower("lender", one.dispatcher, clock=one.clock, look=lambda: None)
    serving = asyncio.create_task(lender.serve(incoming(), write))
    await passes(1)
    first, second = worker.tasks
    under_way = worker.complete(first, "x")
    assert not under_way.acknowledged
    if ends == "broken and cancelled":
        broken.set()
        await passes(0.5)
    serving.cancel()
    await asyncio.wait([serving])
    assert [type(error) for error in under_way.errors] == [ShuttingDownError], "its worker waits"
    assert worker.complete(second, "y").acknowledged, "nobody waits for this one"
