"""The codec of the Dapr flavour: durabletask-dapr, dapr-ext-workflow, and Dapr's SDKs for Java, Go,
.NET and JavaScript."""

from __future__ import annotations

from collections.abc import Sequence

from tenure_sidecar.engine.actions import Response
from tenure_sidecar.engine.events import Event, TaskScheduled, TraceContext
from tenure_sidecar.engine.head import Head
from tenure_sidecar.wire import items
from tenure_sidecar.wire._generated import dapr_pb2
from tenure_sidecar.wire.codec import ActivityResult, Hello, TurnResult
from tenure_sidecar.wire.dapr_actions import dapr_action
from tenure_sidecar.wire.dapr_events import encoders
from tenure_sidecar.wire.events_in import version_info
from tenure_sidecar.wire.frame import delimited, integer, string
from tenure_sidecar.wire.values_in import parse, text
from tenure_sidecar.wire.values_out import continued


class DaprCodec:
    """One app's codec: messages name the app that they come from."""

    flavour = "dapr"

    def __init__(self, *, app_id: str, namespace: str) -> None:
        """Args:
        app_id, namespace: of the app that this engine serves.
        """
        router = string(b"\x0a", app_id)
        self._encoders = encoders(app_id=app_id, namespace=namespace, router=router)
        self._router = delimited(b"\x3a", router)

    def event(self, event: Event) -> bytes:
        """The event as ``varint length + HistoryEvent``; empty when workers must not see it."""
        return self._encoders[type(event)](event)

    def turn_item(  # noqa: PLR0913 - the port
        self,
        head: Head,
        *,
        past: Sequence[bytes],
        new: Sequence[bytes],
        token: str,
        cached: int | None = None,
        stream_history: bool = False,
    ) -> bytes:
        """A WorkItem with a workflow request; ``stream_history`` has no meaning here."""
        del stream_history
        tail = self._router
        if cached:
            tail += delimited(b"\x4a", integer(b"\x08", cached))
        return items.turn(head, past=past, new=new, token=token, tail=tail)

    def activity_item(self, head: Head, task: TaskScheduled, *, token: str) -> bytes:
        """A WorkItem with an activity request."""
        tail = string(b"\x3a", task.task_execution_id)
        return items.activity(head, task, token=token, tail=tail)

    def health_ping(self) -> bytes:
        """A WorkItem with a health ping, which only workers that announced it know."""
        return b"\x32\x00"

    def hello(self, request: bytes) -> Hello:
        """Decode a GetWorkItemsRequest.  Raises: BadRequestError."""
        r = parse(dapr_pb2.GetWorkItemsRequest, request, method="GetWorkItems")
        capabilities = frozenset(r.capabilities)
        return Hello(
            max_turns=r.max_workflows if r.max_workflows > 0 else None,
            max_activities=r.max_activities if r.max_activities > 0 else None,
            health_ping=dapr_pb2.CAPABILITY_HEALTH_PING in capabilities,
            stateful_history=dapr_pb2.CAPABILITY_STATEFUL_HISTORY in capabilities,
        )

    def turn_result(self, request: bytes) -> TurnResult:
        """Decode a workflow's answer.  Raises: BadRequestError."""
        r = parse(dapr_pb2.WorkflowResponse, request, method="CompleteOrchestratorTask")
        return TurnResult(
            r.instance_id,
            r.completion_token,
            Response(
                actions=tuple(map(dapr_action, r.actions)),
                # Some SDKs always send an empty status; a real one is JSON.
                custom_status=text(r.custom_status),
                processed=(
                    r.num_events_processed.value if r.HasField("num_events_processed") else None
                ),
                version=version_info(r.version) if r.HasField("version") else None,
            ),
        )

    def activity_result(self, request: bytes) -> ActivityResult:
        """Decode an activity's answer.  Raises: BadRequestError."""
        return items.activity_result(request)

    def activity_trace(self, task: TaskScheduled, span_id: str) -> TraceContext | None:
        """The activity's trace context under a new span."""
        return continued(task.trace, span_id)
