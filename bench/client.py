"""The driver's side: starts instances and waits for them over ``grpc.aio``, with raw bytes.

It is a process of its own, so that the app's CPU time is the SDK worker's alone.  The same client
talks to NULL and to Tenure: the messages that it uses are the same in both flavours.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import grpc
from messages import COMPLETED, SERVICE, Proto, new, parse

_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
Json = Any  # a value that JSON can hold
_PATIENCE = 300.0  # seconds for one workflow: a benchmark that hangs must fail, not wait


class WrongResultError(Exception):
    """A workflow failed or returned something else than it should."""


@dataclass(frozen=True)
class Ended:
    """How one workflow went; times in seconds."""

    acknowledged: float  # from the start call to its answer
    completed: float  # from the start call until the completion is known here


class Client:
    """One channel to an engine."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS)
        self._start = self._method("StartInstance")
        self._wait = self._method("WaitForInstanceCompletion")
        self._get = self._method("GetInstance")
        self._raise = self._method("RaiseEvent")
        self._clock = asyncio.get_running_loop().time

    def _method(self, name: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
        return self._channel.unary_unary(f"/{SERVICE}/{name}", None, None)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(None)

    async def start(self, name: str, instance: str, *, value: Json, due: int | None = None) -> None:
        """Start ``instance`` of the workflow ``name``; ``due``: Unix seconds of its first turn."""
        request = new(
            "CreateInstance",
            instanceId=instance,
            name=name,
            input=new("Text", value=json.dumps(value)),
        )
        if due is not None:
            request.scheduledStart.seconds = due
        await self._start(request.SerializeToString(), timeout=_PATIENCE)

    async def state(self, instance: str) -> Proto:
        """The instance's state message; None when there is no such instance."""
        request = new("GetInstance", instanceId=instance, withPayloads=True)
        answer = parse("GetInstanceResponse", await self._get(request.SerializeToString()))
        return answer.state if answer.exists else None

    async def finish(self, instance: str, *, expected: Json) -> None:
        """Wait for the end.  Raises WrongResultError unless it completed with ``expected``."""
        request = new("GetInstance", instanceId=instance, withPayloads=True)
        answer = await self._wait(request.SerializeToString(), timeout=_PATIENCE)
        state = parse("GetInstanceResponse", answer).state
        if state.status != COMPLETED or json.loads(state.output.value or "null") != expected:
            message = f"{instance}: {state} instead of {expected!r}"
            raise WrongResultError(message)

    async def raise_event(self, instance: str, name: str, *, value: Json) -> None:
        """Send an external event."""
        request = new(
            "RaiseEvent",
            instanceId=instance,
            name=name,
            input=new("Text", value=json.dumps(value)),
        )
        await self._raise(request.SerializeToString(), timeout=_PATIENCE)

    async def run(self, name: str, instance: str, *, value: Json, expected: Json) -> Ended:
        """Start and finish one instance."""
        begun = self._clock()
        await self.start(name, instance, value=value)
        acknowledged = self._clock()
        await self.finish(instance, expected=expected)
        return Ended(acknowledged - begun, self._clock() - begun)
