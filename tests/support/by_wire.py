"""A client and a worker that a test plays by hand, over a real connection and raw bytes.

Message types are those of the Durable Task SDK, from its own descriptors.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import grpc

from support.peers import MS, peer

SERVICE = "/TaskHubSidecarService/"
WITHIN = 90.0  # seconds until a call that does not end fails the test
COMPLETED = 1  # the number of the status


def _as_is(data: bytes) -> bytes:
    return data


class Client:
    """Calls of one connection."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self._types = peer(MS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.channel.close()

    def call(self, method: str, request: bytes) -> bytes:
        """One call.  Raises: grpc.RpcError."""
        unary = self.channel.unary_unary(SERVICE + method, _as_is, _as_is)
        return bytes(unary(request, timeout=WITHIN))

    def ask(self, method: str, kind: str, answer: str, **fields: Any) -> dict[str, Any]:
        """One call with a message of type ``kind``; the answer as plain values."""
        request = self._types.new(kind, **fields).SerializeToString()
        return self._types.read(answer, self.call(method, request))

    def start(self, instance_id: str, given: str | None = None) -> None:
        """Start an instance of the workflow 'flow'."""
        fields: dict[str, Any] = {"instanceId": instance_id, "name": "flow"}
        if given is not None:
            fields["input"] = given
        self.ask("StartInstance", "CreateInstanceRequest", "CreateInstanceResponse", **fields)

    def state(self, instance_id: str) -> dict[str, Any] | None:
        """The instance, as clients see it."""
        answer = self.ask(
            "GetInstance",
            "GetInstanceRequest",
            "GetInstanceResponse",
            instanceId=instance_id,
            getInputsAndOutputs=True,
        )
        found: dict[str, Any] | None = answer.get("orchestrationState")
        return found if answer.get("exists") else None

    def terminate(self, instance_id: str) -> None:
        """End an instance from outside."""
        fields: dict[str, Any] = {"instanceId": instance_id, "recursive": True}
        self.ask("TerminateInstance", "TerminateRequest", "TerminateResponse", **fields)

    def purge(self, instance_id: str) -> None:
        """Delete an instance that has ended."""
        self.ask(
            "PurgeInstances",
            "PurgeInstancesRequest",
            "PurgeInstancesResponse",
            instanceId=instance_id,
        )

    def output(self, instance_id: str) -> str | None:
        """Wait for the end; the output."""
        answer = self.ask(
            "WaitForInstanceCompletion",
            "GetInstanceRequest",
            "GetInstanceResponse",
            instanceId=instance_id,
            getInputsAndOutputs=True,
        )
        output: str | None = answer["orchestrationState"].get("output")
        return output


class Worker:
    """One work stream of a client's connection; ``activities``: how many it takes at a time, 0 = as
    many as the engine gives one that does not say."""

    def __init__(self, client: Client, *, activities: int = 0) -> None:
        self._client = client
        self._types = peer(MS)
        self._items: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reads = threading.Event()
        self._reads.set()
        caps = {"maxConcurrentActivityWorkItems": activities} if activities else {}
        request = self._types.new("GetWorkItemsRequest", **caps).SerializeToString()
        self._stream = client.channel.unary_stream(SERVICE + "GetWorkItems", _as_is, _as_is)(
            request
        )
        self._reader = threading.Thread(target=self._read, args=(self._stream,), daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.cancel()
        self.read(True)
        self._reader.join()

    def read(self, on: bool) -> None:
        """Take what comes off the stream, or leave it there."""
        (self._reads.set if on else self._reads.clear)()

    def _read(self, stream: Iterator[bytes]) -> None:
        try:
            for message in stream:
                self._reads.wait()
                self._items.put(self._types.read("WorkItem", message))
        except grpc.RpcError:
            return

    def next(self, within: float = WITHIN) -> dict[str, Any]:
        """Wait for the next item, whatever it is.  Raises: queue.Empty, after so many seconds."""
        while True:
            item = self._items.get(timeout=within)
            if "healthPing" not in item:
                return item

    def turn(self, instance_id: str, within: float = WITHIN) -> dict[str, Any]:
        """Wait for the instance's next turn; others that come before it are left unanswered.

        Raises: queue.Empty, when nothing came for so many seconds.
        """
        while True:
            item = self.next(within)
            if item.get("orchestratorRequest", {}).get("instanceId") == instance_id:
                return item

    def activity(self, instance_id: str) -> dict[str, Any]:
        """Wait for an activity of the instance; others that come before it are left unanswered."""
        while True:
            item = self.next()
            asked = item.get("activityRequest", {})
            if asked.get("orchestrationInstance", {}).get("instanceId") == instance_id:
                return item

    def complete(self, item: dict[str, Any], output: str, *, token: str | None = None) -> None:
        """Answer a turn: the workflow ends with ``output``."""
        end = {"orchestrationStatus": 1, "result": output}
        self._answer(item, [{"id": 0, "completeOrchestration": end}], token)

    def anew(self, item: dict[str, Any], given: str) -> None:
        """Answer a turn: the workflow begins anew with another input."""
        end = {"orchestrationStatus": 2, "result": given}
        self._answer(item, [{"id": 0, "completeOrchestration": end}], None)

    def call(self, item: dict[str, Any], *inputs: str) -> None:
        """Answer a turn: the workflow calls the activity 'work' with each of the inputs, by ids
        from 0 on, and waits."""
        calls = [
            {"id": number, "scheduleTask": {"name": "work", "input": given}}
            for number, given in enumerate(inputs)
        ]
        self._answer(item, calls, None)

    def rewind(self, item: dict[str, Any]) -> None:
        """Answer a turn with a rewind, which nobody may ask for."""
        self._answer(item, [{"id": 0, "rewindOrchestration": {}}], None)

    def result(
        self,
        item: dict[str, Any],
        output: str,
        *,
        task: int | None = None,
        token: str | None = None,
    ) -> None:
        """Answer an activity, or say that the answer is of another task, or for another token."""
        asked = item["activityRequest"]
        self._client.ask(
            "CompleteActivityTask",
            "ActivityResponse",
            "CompleteTaskResponse",
            instanceId=asked["orchestrationInstance"]["instanceId"],
            taskId=asked.get("taskId", 0) if task is None else task,
            result=output,
            completionToken=item["completionToken"] if token is None else token,
        )

    def _answer(self, item: dict[str, Any], actions: list[Any], token: str | None) -> None:
        self._client.ask(
            "CompleteOrchestratorTask",
            "OrchestratorResponse",
            "CompleteTaskResponse",
            instanceId=item["orchestratorRequest"]["instanceId"],
            completionToken=item["completionToken"] if token is None else token,
            actions=actions,
        )
