"""StreamInstanceHistory (Microsoft): a history in chunks, for clients and for workers whose work item
left it out because it would not fit one message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import NoSuchInstanceError, TenureError
from tenure_sidecar.rpc.transport import Sent
from tenure_sidecar.wire import client, replies

if TYPE_CHECKING:
    from tenure_sidecar.actors.operations import Operations
    from tenure_sidecar.dispatch.dispatcher import Dispatcher
    from tenure_sidecar.rpc.transport import Stream
    from tenure_sidecar.wire.codec import Codec
    from tenure_sidecar.wire.requests import HistoryRequest

CHUNK = 1024 * 1024  # bytes

_log = structlog.get_logger(__name__)


class HistoryStreams:
    """See the module docstring."""

    def __init__(self, operations: Operations, dispatcher: Dispatcher, codec: Codec) -> None:
        self._verbs = operations
        self._dispatcher = dispatcher
        self._codec = codec
        self._running: set[asyncio.Task[None]] = set()

    def stream(self, stream: Stream) -> None:
        """The handler."""
        task = asyncio.get_running_loop().create_task(self._answer(stream))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        stream.on_cancel(lambda: _cancel(task))

    async def _answer(self, stream: Stream) -> None:
        try:
            asked = client.history_microsoft(stream.request)
            events = await self._events(asked)
            for chunk in replies.history_chunks(events, limit=CHUNK):
                await self._send(stream, chunk)
        except asyncio.CancelledError:
            raise  # the client is gone
        except TenureError as error:
            stream.fail(error.grpc, f"{error.message} [{error.code}]")
        except Exception as error:  # noqa: BLE001 - any error must end the stream
            _log.exception("streaming a history failed")
            stream.fail("INTERNAL", f"{type(error).__name__}: {error} [TN0001]")
        else:
            stream.end()

    async def _events(self, asked: HistoryRequest) -> list[bytes]:
        sent = self._dispatcher.turn_of(asked.instance_id) if asked.for_work_item else None
        if sent is not None:
            # What the turn at the worker was computed on, not what has come in since.
            return list(sent.instance.encoded(self._codec))
        head, events = await self._verbs.history(asked.instance_id)
        if asked.execution_id and asked.execution_id != head.execution_id:
            message = (
                f"no such instance exists: '{asked.instance_id}' with execution "
                f"'{asked.execution_id}'; its present execution is '{head.execution_id}'"
            )
            raise NoSuchInstanceError(message)
        return [e for e in map(self._codec.event, events) if e]

    async def _send(self, stream: Stream, chunk: bytes) -> None:
        while (outcome := stream.send(chunk)) is Sent.FULL:
            ready = asyncio.Event()
            stream.on_ready(ready.set)
            await ready.wait()
        if outcome is Sent.CLOSED:
            raise asyncio.CancelledError


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
