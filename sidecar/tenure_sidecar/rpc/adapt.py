"""Turning a coroutine into a handler: one task per call, errors as statuses, cancel on disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tenure_sidecar.rpc.status import fail

if TYPE_CHECKING:
    from tenure_sidecar.rpc.transport import Call, UnaryHandler

_running: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly


def handler(answer: Callable[[bytes], Awaitable[bytes]]) -> UnaryHandler:
    """A handler that answers with what ``answer(request)`` returns, or with the error it raises."""

    async def respond(call: Call) -> None:
        try:
            response = await answer(call.request)
        except asyncio.CancelledError:
            raise  # the client is gone
        except Exception as error:  # noqa: BLE001 - any error must end the call
            fail(call, error)
        else:
            call.reply(response)

    def handle(call: Call) -> None:
        task = asyncio.get_running_loop().create_task(respond(call))
        _running.add(task)
        task.add_done_callback(_running.discard)
        call.on_cancel(lambda: _cancel(task))

    return handle


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
