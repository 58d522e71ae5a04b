"""Any event: written by hand, read by the generated classes, and back.

In scope: that bytes mean the event in each flavour, for any content; that what a flavour cannot say
is left out and nothing else.  Out of scope: what SDKs make of it (tests/unit/wire).
"""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st

from tenure_sidecar.engine.events import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    DetachedCreated,
    Event,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    Failure,
    Instant,
    Parent,
    StallReason,
    Status,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
    TraceContext,
    VersionInfo,
    WorkflowStarted,
)
from tenure_sidecar.wire._generated import dapr_pb2, microsoft_pb2
from tenure_sidecar.wire.dapr import DaprCodec
from tenure_sidecar.wire.events_in import DAPR, MICROSOFT, decode
from tenure_sidecar.wire.microsoft import MicrosoftCodec

APP, NAMESPACE = "shop", "prod"
CODECS = DaprCodec(app_id=APP, namespace=NAMESPACE), MicrosoftCodec()

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
some = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
maybe = st.none() | text
version = st.none() | some  # an empty version is none
at = st.integers(0, 2**63 - 1)
number = st.integers(-(2**31), 2**31 - 1)
tags = st.dictionaries(text, text, max_size=3)
instants = st.builds(
    Instant, st.integers(-62_135_596_800, 253_402_300_799), st.integers(0, 999_999_999)
)
traces = st.none() | st.builds(TraceContext, some, text, maybe)
values = st.builds(lambda t: Value(string_value=t).SerializeToString(), text)
failures = st.recursive(
    st.builds(Failure, text, text, maybe),
    lambda inner: st.builds(
        Failure, text, text, maybe, inner, st.booleans(), st.dictionaries(text, values, max_size=2)
    ),
    max_leaves=3,
)
# A parent of another app says so; one of the own may leave it out.
parents = st.none() | st.builds(Parent, text, text, number, text, version, some, some)
origins = st.none() | st.just(TimerOrigin(1)) | st.builds(TimerOrigin, st.integers(2, 4), text)
versions = st.none() | st.builds(VersionInfo, maybe, st.lists(text, max_size=3).map(tuple))
scope = st.none() | st.integers(0, 2)

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        ExecutionStarted,
        at,
        instance_id=text,
        execution_id=text,
        name=text,
        version=version,
        input=maybe,
        parent=parents,
        scheduled_start=st.none() | instants,
        trace=traces,
        span_id=st.none() | some,
        tags=tags,
    ),
    st.builds(ExecutionCompleted, at, number, st.sampled_from(Status), maybe, st.none() | failures),
    st.builds(ExecutionTerminated, at, maybe, st.booleans()),
    st.builds(TaskScheduled, at, number, text, version, maybe, text, traces, tags, maybe, scope),
    st.builds(TaskCompleted, at, number, maybe, text),
    st.builds(TaskFailed, at, number, failures, text),
    st.builds(
        ChildCreated, at, number, text, text, version, maybe, traces, tags, maybe, scope, maybe
    ),
    st.builds(ChildCompleted, at, number, maybe),
    st.builds(ChildFailed, at, number, failures),
    st.builds(TimerCreated, at, number, instants, maybe, origins, maybe),
    st.builds(TimerFired, at, number, instants),
    st.builds(WorkflowStarted, at, versions),
    st.builds(EventSent, at, number, text, text, maybe),
    st.builds(EventRaised, at, text, maybe),
    st.builds(ExecutionSuspended, at, maybe),
    st.builds(ExecutionResumed, at, maybe),
    st.builds(
        ExecutionRewound, at, maybe, maybe, maybe, maybe, version, maybe, parents, traces, tags
    ),
    st.builds(ExecutionStalled, at, st.sampled_from(StallReason), maybe),
    st.builds(DetachedCreated, at, number, text),
)

# What a flavour leaves out of an event, and which events it leaves out.
NOT_DAPR: dict[type, dict[str, Any]] = {
    TaskScheduled: {"tags": {}},
    ChildCreated: {"tags": {}},
}
NOT_MICROSOFT: dict[type, dict[str, Any]] = {
    TaskScheduled: {"task_execution_id": "", "rerun_parent": None, "propagation": None},
    TaskCompleted: {"task_execution_id": ""},
    TaskFailed: {"task_execution_id": ""},
    ChildCreated: {"rerun_parent": None, "propagation": None, "retry_parent": None},
    TimerCreated: {"name": None, "origin": None, "rerun_parent": None},
    WorkflowStarted: {"version": None},
}
HIDDEN_FROM_DAPR = (EventSent, ExecutionRewound)
HIDDEN_FROM_MICROSOFT = (ExecutionStalled, DetachedCreated)


def cut(event: Event, left_out: dict[type, dict[str, Any]]) -> Event:
    """The event without what the flavour leaves out."""
    return msgspec.structs.replace(event, **left_out.get(type(event), {}))


def without_apps(event: Event) -> Event:
    """A parent as the flavour without apps knows it."""
    if isinstance(event, ExecutionStarted | ExecutionRewound) and event.parent is not None:
        parent = msgspec.structs.replace(event.parent, app_id=None, namespace=None)
        return msgspec.structs.replace(event, parent=parent)
    return event


@given(events)
def test_dapr(event: Event) -> None:
    data = CODECS[0].event(event)
    if isinstance(event, HIDDEN_FROM_DAPR):
        assert data == b""
        return
    (read,) = dapr_pb2.GetInstanceHistoryResponse.FromString(b"\x0a" + data).events
    assert decode(read, DAPR) == cut(event, NOT_DAPR)
    assert read.event_id == event.event_id
    assert read.HasField("router") is isinstance(event, ExecutionStarted)


@given(events)
def test_microsoft(event: Event) -> None:
    data = CODECS[1].event(event)
    if isinstance(event, HIDDEN_FROM_MICROSOFT):
        assert data == b""
        return
    (read,) = microsoft_pb2.HistoryChunk.FromString(b"\x0a" + data).events
    assert decode(read, MICROSOFT) == without_apps(cut(event, NOT_MICROSOFT))
    assert read.event_id == event.event_id


@given(events)
def test_bytes_are_those_of_the_generated_classes(event: Event) -> None:
    # Fields in order, defaults not written, nothing twice: writing what was read changes nothing.
    # Maps have no order, so that only sizes can be compared.
    for codec, kind in zip(
        CODECS, (dapr_pb2.GetInstanceHistoryResponse, microsoft_pb2.HistoryChunk), strict=True
    ):
        data = codec.event(event)
        if data:
            again = kind.FromString(b"\x0a" + data).SerializeToString(deterministic=True)
            assert sorted(again) == sorted(b"\x0a" + data)
