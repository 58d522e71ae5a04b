"""The codec of the Microsoft flavour: durabletask, @microsoft/durabletask-js, and Microsoft's SDKs
for Java and .NET."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tenure_sidecar.engine.actions import Response
from tenure_sidecar.engine.events import Event, TaskScheduled, TraceContext
from tenure_sidecar.engine.head import Head
from tenure_sidecar.wire import items
from tenure_sidecar.wire._generated import microsoft_pb2
from tenure_sidecar.wire.codec import ActivityResult, Filters, Hello, TurnResult
from tenure_sidecar.wire.frame import delimited, strings, time, wrapped
from tenure_sidecar.wire.microsoft_actions import microsoft_action
from tenure_sidecar.wire.microsoft_events import MICROSOFT_ENCODERS
from tenure_sidecar.wire.values_in import parse, text
from tenure_sidecar.wire.values_out import continued

_STREAM_HISTORY = b"\x30\x01"


class MicrosoftCodec:
    """Needs to know nothing of the app."""

    flavour = "microsoft"

    def event(self, event: Event) -> bytes:
        """The event as ``varint length + HistoryEvent``; empty when workers must not see it."""
        return MICROSOFT_ENCODERS[type(event)](event)

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
        """A WorkItem with an orchestrator request; ``cached`` has no meaning here."""
        del cached
        tail = b""
        if stream_history:
            tail = _STREAM_HISTORY
            past = ()
        if head.span_id:
            # The worker continues the span of its earlier turns instead of starting another.
            body = wrapped(b"\x0a", head.span_id)
            if head.started_at:
                body += b"\x12" + time(head.started_at)
            tail += delimited(b"\x42", body)
        return items.turn(head, past=past, new=new, token=token, tail=tail)

    def activity_item(self, head: Head, task: TaskScheduled, *, token: str) -> bytes:
        """A WorkItem with an activity request."""
        return items.activity(head, task, token=token, tail=strings(b"\x3a", task.tags))

    def health_ping(self) -> bytes:
        """A WorkItem with a health ping."""
        return b"\x22\x00"

    def hello(self, request: bytes) -> Hello:
        """Decode a GetWorkItemsRequest.  Raises: BadRequestError."""
        r = parse(microsoft_pb2.GetWorkItemsRequest, request, method="GetWorkItems")
        filters = Filters()
        if r.HasField("filters"):
            filters = Filters(
                workflows=_filter(r.filters.workflows),
                activities=_filter(r.filters.activities),
                entities=tuple(f.name.lower() for f in r.filters.entities),
            )
        return Hello(
            max_turns=r.max_workflows if r.max_workflows > 0 else None,
            max_activities=r.max_activities if r.max_activities > 0 else None,
            health_ping=True,
            history_streaming=microsoft_pb2.CAPABILITY_HISTORY_STREAMING in r.capabilities,
            filters=filters,
        )

    def turn_result(self, request: bytes) -> TurnResult:
        """Decode an orchestrator's answer.  Raises: BadRequestError."""
        r = parse(microsoft_pb2.OrchestratorResponse, request, method="CompleteOrchestratorTask")
        return TurnResult(
            r.instance_id,
            r.completion_token,
            Response(
                actions=tuple(map(microsoft_action, r.actions)),
                # Dapr's JavaScript SDK, which this codec serves too, always sends an empty status;
                # a real one is JSON.
                custom_status=text(r.custom_status),
                processed=(
                    r.num_events_processed.value if r.HasField("num_events_processed") else None
                ),
                span_id=text(r.trace.span_id) if r.HasField("trace") else None,
            ),
            partial=r.is_partial,
            chunk=r.chunk_index.value if r.HasField("chunk_index") else None,
            requires_history=r.requires_history,
        )

    def activity_result(self, request: bytes) -> ActivityResult:
        """Decode an activity's answer.  Raises: BadRequestError."""
        return items.activity_result(request)

    def activity_trace(self, task: TaskScheduled, span_id: str) -> TraceContext | None:
        """The activity's trace context under a new span."""
        return continued(task.trace, span_id)


def _filter(
    named: Iterable[microsoft_pb2.WorkflowFilter | microsoft_pb2.ActivityFilter],
) -> dict[str, tuple[str, ...]]:
    """Versions by lower-case name; no version = any.  A name may be given more than once."""
    names: dict[str, tuple[str, ...]] = {}
    for one in named:
        name = one.name.lower()
        names[name] = names.get(name, ()) + tuple(one.versions)
    return names
