"""Any turn and any answer: written, read by the generated classes, and back.

In scope: envelopes of work items with any history; actions and answers with any content.  Out of
scope: single events (test_events_round_trip).
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenure_sidecar.engine.actions import CreateChild, CreateTimer, ScheduleTask, SendEvent
from tenure_sidecar.engine.events import (
    Instant,
    Status,
    TaskScheduled,
    TraceContext,
    WorkflowStarted,
)
from tenure_sidecar.engine.head import Head
from tenure_sidecar.wire._generated import common_pb2, dapr_pb2, microsoft_pb2
from tenure_sidecar.wire.dapr import DaprCodec
from tenure_sidecar.wire.microsoft import MicrosoftCodec

DAPR = DaprCodec(app_id="shop", namespace="prod")
MICROSOFT = MicrosoftCodec()

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
maybe = st.none() | text
number = st.integers(-(2**31), 2**31 - 1)
heads = st.builds(
    Head,
    instance_id=text,
    name=text,
    status=st.just(Status.RUNNING),
    execution_id=text,
    created_at=st.just(0),
    updated_at=st.just(0),
    started_at=st.integers(0, 2**62),
    span_id=maybe,
)
tasks = st.builds(
    TaskScheduled,
    st.just(1),
    number,
    name=text,
    version=maybe,
    input=maybe,
    task_execution_id=text,
    trace=st.none() | st.builds(TraceContext, text, text, maybe),
    tags=st.dictionaries(text, text, max_size=3),
)
times = st.lists(st.integers(0, 2**62), max_size=30)


@given(heads, times, times, text, st.none() | st.integers(1, 10**6))
def test_dapr_turns(
    head: Head, past: list[int], new: list[int], token: str, cached: int | None
) -> None:
    item = dapr_pb2.WorkItem.FromString(
        DAPR.turn_item(
            head,
            past=[DAPR.event(WorkflowStarted(at)) for at in past],
            new=[DAPR.event(WorkflowStarted(at)) for at in new],
            token=token,
            cached=cached,
        )
    )
    request = item.workflow_request
    assert item.completion_token == token
    assert (request.instance_id, request.execution_id.value) == (
        head.instance_id,
        head.execution_id,
    )
    assert [e.timestamp.ToNanoseconds() for e in request.past_events] == past
    assert [e.timestamp.ToNanoseconds() for e in request.new_events] == new
    assert request.router == common_pb2.TaskRouter(source_app_id="shop")
    assert request.HasField("cached_history") is (cached is not None)
    assert request.cached_history.event_count == (cached or 0)


@given(heads, times, times, text, st.booleans())
def test_microsoft_turns(
    head: Head, past: list[int], new: list[int], token: str, streamed: bool
) -> None:
    item = microsoft_pb2.WorkItem.FromString(
        MICROSOFT.turn_item(
            head,
            past=[MICROSOFT.event(WorkflowStarted(at)) for at in past],
            new=[MICROSOFT.event(WorkflowStarted(at)) for at in new],
            token=token,
            stream_history=streamed,
        )
    )
    request = item.workflow_request
    assert item.completion_token == token
    assert (request.instance_id, request.execution_id.value) == (
        head.instance_id,
        head.execution_id,
    )
    assert [e.timestamp.ToNanoseconds() for e in request.past_events] == ([] if streamed else past)
    assert [e.timestamp.ToNanoseconds() for e in request.new_events] == new
    assert request.requires_history_streaming is streamed
    assert request.trace.span_id.value == (head.span_id or "")
    started = head.started_at if head.span_id else 0
    assert request.trace.span_started_at.ToNanoseconds() == started


@given(heads, tasks, text)
def test_activities(head: Head, task: TaskScheduled, token: str) -> None:
    d = dapr_pb2.WorkItem.FromString(DAPR.activity_item(head, task, token=token))
    m = microsoft_pb2.WorkItem.FromString(MICROSOFT.activity_item(head, task, token=token))
    assert d.activity_request.task_execution_id == task.task_execution_id
    assert dict(m.activity_request.tags) == task.tags
    for item in (d, m):
        request = item.activity_request
        assert item.completion_token == token
        assert request.name == task.name
        assert request.task_id == task.task_id
        assert request.instance.instance_id == head.instance_id
        assert request.instance.execution_id.value == head.execution_id
        assert (request.input.value if request.HasField("input") else None) == task.input
        assert (request.version.value if request.HasField("version") else None) == task.version
        assert request.HasField("parent_trace") is (task.trace is not None)
        if task.trace is not None:
            assert request.parent_trace.trace_parent == task.trace.traceparent


@given(st.lists(st.tuples(number, text, maybe), max_size=5), text, text)
def test_answers_in_both_flavours(
    tasks: list[tuple[int, str, str | None]], instance_id: str, token: str
) -> None:
    expected = tuple(ScheduleTask(i, name, input=data) for i, name, data in tasks)
    for kind, codec in (
        (dapr_pb2.WorkflowResponse, DAPR),
        (microsoft_pb2.OrchestratorResponse, MICROSOFT),
    ):
        message = kind(instance_id=instance_id, completion_token=token)
        for i, name, data in tasks:
            action = message.actions.add(id=i)
            action.schedule_task.name = name
            if data is not None:
                action.schedule_task.input.value = data
        result = codec.turn_result(message.SerializeToString())
        assert (result.instance_id, result.token) == (instance_id, token)
        assert result.response.actions == expected


@given(
    number,
    text,
    maybe,
    st.integers(-62_135_596_800, 253_402_300_799),
    st.integers(0, 999_999_999),
)
def test_other_actions_in_both_flavours(
    i: int, name: str, data: str | None, seconds: int, nanos: int
) -> None:
    for kind, codec in (
        (dapr_pb2.WorkflowResponse, DAPR),
        (microsoft_pb2.OrchestratorResponse, MICROSOFT),
    ):
        message = kind()
        child = message.actions.add(id=i).create_child
        child.name, child.instance_id = name, name
        timer = message.actions.add(id=i).create_timer
        timer.fire_at.seconds, timer.fire_at.nanos = seconds, nanos
        event = message.actions.add(id=i).send_event
        event.instance.instance_id, event.name = name, name
        if data is not None:
            child.input.value = event.data.value = data
        assert codec.turn_result(message.SerializeToString()).response.actions == (
            CreateChild(i, name, name, input=data),
            CreateTimer(i, Instant(seconds, nanos)),
            SendEvent(i, name, name, data),
        )
