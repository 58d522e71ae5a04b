"""A worker and client played by hand: messages as bytes over grpcio, no SDK in between.

``Hand`` is one connection.  A test takes work items off a stream, answers them when and how it
likes, and sends what no SDK would send.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import grpc
from google.protobuf import wrappers_pb2
from google.protobuf.message import Message

from tenure_sidecar.wire._generated import common_pb2 as common
from tenure_sidecar.wire._generated import dapr_pb2 as dapr
from tenure_sidecar.wire._generated import microsoft_pb2 as microsoft

SERVICE = "/TaskHubSidecarService/"
PATIENCE = 15.0  # seconds until something that should come is missed
WINDOW = 65_535  # bytes of an HTTP/2 stream's first flow-control window

M = TypeVar("M", bound=Message)


def text(value: str) -> wrappers_pb2.StringValue:
    """A StringValue."""
    return wrappers_pb2.StringValue(value=value)


class Work:
    """A stream of work items, read one at a time."""

    def __init__(self, call: Any, item: type[Any]) -> None:
        self._call = call
        self._item = item

    async def next(self) -> Any:
        """The next item that is not a health ping."""
        async with asyncio.timeout(PATIENCE):
            while True:
                raw = await self._call.read()
                assert raw is not grpc.aio.EOF, "the stream ended"
                item = self._item.FromString(raw)
                if item.WhichOneof("request") != "health_ping":
                    return item

    async def end(self) -> grpc.StatusCode:
        """Wait for the stream's end and give its status."""
        async with asyncio.timeout(PATIENCE):
            while await self._call.read() is not grpc.aio.EOF:
                pass
            return await self._call.code()

    def cancel(self) -> None:
        """End the stream from the worker's side."""
        self._call.cancel()


class Hand:
    """One connection to the engine."""

    def __init__(self, address: str, *, flavour: str = "microsoft") -> None:
        options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.aio.insecure_channel(address, options=options)
        self.pb = microsoft if flavour == "microsoft" else dapr
        self._items = self.pb.WorkItem

    async def close(self) -> None:
        """Close the connection, and with it every stream."""
        await self._channel.close()

    async def raw(self, method: str, request: bytes, *, service: str = SERVICE) -> bytes:
        """A unary call, bytes in and bytes out.  Raises: grpc.aio.AioRpcError."""
        call = self._channel.unary_unary(service + method)
        return bytes(await call(request, timeout=PATIENCE))

    async def ask(self, method: str, request: Message, answer: type[M]) -> M:
        """A unary call with messages."""
        return answer.FromString(await self.raw(method, request.SerializeToString()))

    def work(
        self, request: bytes | None = None, *, metadata: tuple[tuple[str, str], ...] = ()
    ) -> Work:
        """Open a work stream; ``request`` is the GetWorkItemsRequest."""
        if request is None:
            request = self.pb.GetWorkItemsRequest(
                max_workflows=10, max_activities=10
            ).SerializeToString()
        stream = self._channel.unary_stream(SERVICE + "GetWorkItems")
        return Work(stream(request, metadata=metadata or None), self._items)

    async def start(self, instance: str, value: str | None = None) -> None:
        """Start an instance of ``flow``."""
        request = common.CreateInstanceRequest(instance_id=instance, name="flow")
        if value is not None:
            request.input.value = value
        await self.ask("StartInstance", request, common.CreateInstanceResponse)

    async def state(self, instance: str, *, wait: bool = False) -> common.WorkflowState:
        """The state now, or at the end."""
        method = "WaitForInstanceCompletion" if wait else "GetInstance"
        request = common.GetInstanceRequest(instance_id=instance, get_inputs_and_outputs=True)
        answer = await self.ask(method, request, common.GetInstanceResponse)
        assert answer.exists
        return answer.state

    async def answer_turn(self, item: Any, *actions: Message, token: str | None = None) -> None:
        """Complete a turn with actions."""
        kind = self.pb.WorkflowResponse if self.pb is dapr else self.pb.OrchestratorResponse
        answer = kind(
            instance_id=item.workflow_request.instance_id,
            actions=actions,
            completion_token=item.completion_token if token is None else token,
        )
        await self.raw("CompleteOrchestratorTask", answer.SerializeToString())

    async def answer_activity(self, item: Any, result: str, *, token: str | None = None) -> None:
        """Complete an activity."""
        request = item.activity_request
        answer = common.ActivityResponse(
            instance_id=request.instance.instance_id,
            task_id=request.task_id,
            result=text(result),
            completion_token=item.completion_token if token is None else token,
        )
        await self.raw("CompleteActivityTask", answer.SerializeToString())

    def schedule(self, number: int, name: str = "work", value: str = "null") -> Message:
        """The action that schedules an activity."""
        kind = self.pb.WorkflowAction if self.pb is dapr else self.pb.OrchestratorAction
        action = kind(id=number)
        action.schedule_task.name = name
        action.schedule_task.input.value = value
        return action

    def complete(self, number: int, result: str) -> Message:
        """The action that completes the workflow."""
        kind = self.pb.WorkflowAction if self.pb is dapr else self.pb.OrchestratorAction
        action = kind(id=number)
        action.complete.status = common.STATUS_COMPLETED
        action.complete.result.value = result
        return action
