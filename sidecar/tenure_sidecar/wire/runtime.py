"""Dapr's runtime service, from bytes to records and back: its workflow methods and its metadata.

Every reader raises BadRequestError with the method and what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tenure_sidecar.wire._generated import runtime_pb2
from tenure_sidecar.wire.values_in import parse

EMPTY = b""
_NANOS = 1_000_000_000


class Start(NamedTuple):
    """StartWorkflowRequest, without the component."""

    name: str
    instance_id: str
    options: Mapping[str, str]
    given: bytes
    app_id: str


class One(NamedTuple):
    """A request that names an instance, without the component."""

    instance_id: str
    app_id: str


class Raise(NamedTuple):
    """RaiseEventWorkflowRequest, without the component."""

    instance_id: str
    event: str
    data: bytes
    app_id: str


class State(NamedTuple):
    """What GetWorkflowResponse says; times in nanoseconds since the epoch."""

    instance_id: str
    name: str
    created_at: int
    updated_at: int
    status: str
    properties: Mapping[str, str]


class Metadata(NamedTuple):
    """What GetMetadataResponse says."""

    app_id: str
    version: str
    actors: Mapping[str, int]
    running: bool
    workers: int
    extended: Mapping[str, str]


def start(request: bytes) -> Start:
    """StartWorkflow."""
    r = parse(runtime_pb2.StartWorkflowRequest, request, method="StartWorkflow")
    return Start(r.workflow_name, r.instance_id, dict(r.options), r.input, r.app_id)


def one(request: bytes, *, method: str) -> One:
    """GetWorkflow, PauseWorkflow, ResumeWorkflow, TerminateWorkflow, PurgeWorkflow: they have the
    same form."""
    r = parse(runtime_pb2.GetWorkflowRequest, request, method=method)
    return One(r.instance_id, r.app_id)


def raise_event(request: bytes) -> Raise:
    """RaiseEventWorkflow."""
    r = parse(runtime_pb2.RaiseEventWorkflowRequest, request, method="RaiseEventWorkflow")
    return Raise(r.instance_id, r.event_name, r.event_data, r.app_id)


def attribute(request: bytes) -> tuple[str, str]:
    """SetMetadata: key and value."""
    r = parse(runtime_pb2.SetMetadataRequest, request, method="SetMetadata")
    return r.key, r.value


def started(instance_id: str) -> bytes:
    """StartWorkflowResponse."""
    return runtime_pb2.StartWorkflowResponse(instance_id=instance_id).SerializeToString()


def state(found: State) -> bytes:
    """GetWorkflowResponse."""
    r = runtime_pb2.GetWorkflowResponse(
        instance_id=found.instance_id,
        workflow_name=found.name,
        runtime_status=found.status,
        properties=found.properties,
    )
    r.created_at.seconds, r.created_at.nanos = divmod(found.created_at, _NANOS)
    r.last_updated_at.seconds, r.last_updated_at.nanos = divmod(found.updated_at, _NANOS)
    return r.SerializeToString()


def metadata(found: Metadata) -> bytes:
    """GetMetadataResponse."""
    actors = [
        runtime_pb2.ActiveActorsCount(type=kind, count=count)
        for kind, count in sorted(found.actors.items())
    ]
    runtime = runtime_pb2.ActorRuntime
    return runtime_pb2.GetMetadataResponse(
        id=found.app_id,
        active_actors_count=actors,
        extended_metadata=found.extended,
        runtime_version=found.version,
        actor_runtime=runtime(
            runtime_status=runtime.RUNNING if found.running else runtime.INITIALIZING,
            active_actors=actors,
            host_ready=found.running,
        ),
        workflows=runtime_pb2.MetadataWorkflows(connected_workers=found.workers),
    ).SerializeToString()
