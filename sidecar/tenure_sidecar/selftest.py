"""``tenure selftest``: the smallest app, for a look at an installation (``helm test``).

It speaks the Durable Task protocol to the engine beside it, as an app with an SDK does, and has one
workflow, ``Selftest``, which calls one activity, ``Double``, with its input and ends with what that
returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from typing import Annotated, Any, Final

import grpc
import grpc.aio
import msgspec
from msgspec import Meta

from tenure_common import names
from tenure_sidecar.wire._generated import common_pb2 as common
from tenure_sidecar.wire._generated import microsoft_pb2 as pb

WORKFLOW: Final = "Selftest"
ACTIVITY: Final = "Double"
_SERVICE: Final = "/TaskHubSidecarService"
_AGAIN: Final = 0.2  # seconds until the engine is asked again when it is away


class SelftestConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of ``tenure selftest``."""

    taskhub_port: Annotated[
        int, Meta(ge=1, le=65535, description="gRPC port of the engine for Durable Task SDKs.")
    ] = names.PORT_TASKHUB


def turn(request: pb.OrchestratorRequest) -> list[pb.OrchestratorAction]:
    """What the workflow does now: call the activity, or end with its result."""
    given = ""
    for event in (*request.past_events, *request.new_events):
        if event.HasField("execution_started"):
            given = event.execution_started.input.value
        elif event.HasField("task_completed"):
            return [_end(common.STATUS_COMPLETED, event.task_completed.result.value)]
        elif event.HasField("task_failed"):
            return [_end(common.STATUS_FAILED, json.dumps("the activity failed"))]
    if any(event.HasField("task_scheduled") for event in request.past_events):
        return []
    action = pb.OrchestratorAction(id=0, schedule_task=pb.ScheduleTaskAction(name=ACTIVITY))
    action.schedule_task.input.value = given
    return [action]


def double(given: str) -> str:
    """The activity: JSON in, JSON out."""
    value: Any = json.loads(given or "0")
    return json.dumps(value * 2)


def _end(status: common.Status, result: str) -> pb.OrchestratorAction:
    action = pb.OrchestratorAction(id=1, complete=pb.CompleteAction(status=status))
    action.complete.result.value = result
    return action


class Worker:
    """The app, connected to the engine at one address."""

    def __init__(self, address: str) -> None:
        """Nothing is connected yet; make it inside of a loop."""
        self._channel: Any = grpc.aio.insecure_channel(address)  # grpc's own types are not complete

    async def run(self) -> None:
        """Work, for ever; connect again when the engine was away."""
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                items = self._channel.unary_stream(
                    f"{_SERVICE}/GetWorkItems",
                    request_serializer=pb.GetWorkItemsRequest.SerializeToString,
                    response_deserializer=pb.WorkItem.FromString,
                )
                async for item in items(pb.GetWorkItemsRequest(max_workflows=1, max_activities=1)):
                    await self._work(item)
            await asyncio.sleep(_AGAIN)

    async def close(self) -> None:
        """Disconnect."""
        await self._channel.close()

    async def _work(self, item: pb.WorkItem) -> None:
        token = item.completion_token
        if item.HasField("workflow_request"):
            request = item.workflow_request
            done = pb.OrchestratorResponse(
                instance_id=request.instance_id, actions=turn(request), completion_token=token
            )
            await self._answer("CompleteOrchestratorTask", done)
        elif item.HasField("activity_request"):
            activity = item.activity_request
            result = common.ActivityResponse(
                instance_id=activity.instance.instance_id,
                task_id=activity.task_id,
                completion_token=token,
            )
            result.result.value = double(activity.input.value)
            await self._answer("CompleteActivityTask", result)

    async def _answer(self, method: str, message: Any) -> None:  # noqa: ANN401 - two kinds
        call = self._channel.unary_unary(
            f"{_SERVICE}/{method}",
            request_serializer=_encoded,
            response_deserializer=common.CompleteTaskResponse.FromString,
        )
        await call(message)


def _encoded(message: Any) -> bytes:  # noqa: ANN401 - any message
    return bytes(message.SerializeToString())


def main(config: SelftestConfig) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""

    async def until_signal() -> None:
        worker = Worker(f"{names.LOOPBACK}:{config.taskhub_port}")
        task = asyncio.get_running_loop().create_task(worker.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await asyncio.gather(task, return_exceptions=True)
        await worker.close()

    asyncio.run(until_signal())
    return 0
