"""Client requests, from bytes to records, whichever flavour sent them.

A client does not say which flavour it speaks.  It need not: where the flavours use one number for
two things, the two differ in wire type, so each reads the other's field as unknown
(``PurgeInstances`` is read twice for that).  Every function raises BadRequestError with the method
and what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tenure_common.errors import BadRequestError
from tenure_sidecar.engine.events import NANOS, Status
from tenure_sidecar.wire._generated import common_pb2, dapr_pb2, microsoft_pb2
from tenure_sidecar.wire.requests import (
    GetRequest,
    HistoryRequest,
    ListRequest,
    PurgeFilter,
    PurgeRequest,
    QueryRequest,
    RaiseRequest,
    ReasonRequest,
    RerunRequest,
    RestartRequest,
    Reuse,
    ReuseAction,
    SkipTerminationRequest,
    StartRequest,
    TerminateRequest,
)
from tenure_sidecar.wire.values_in import STATUSES, instant, moment, parse, strings, text, trace

_ACTIONS = {
    common_pb2.ReusePolicy.ERROR: ReuseAction.ERROR,
    common_pb2.ReusePolicy.IGNORE: ReuseAction.IGNORE,
    common_pb2.ReusePolicy.TERMINATE: ReuseAction.REPLACE,
}

_Routed = (
    common_pb2.CreateInstanceRequest
    | common_pb2.GetInstanceRequest
    | common_pb2.RaiseEventRequest
    | common_pb2.TerminateRequest
    | common_pb2.SuspendRequest
    | common_pb2.ResumeRequest
    | dapr_pb2.PurgeInstancesRequest
    | dapr_pb2.RerunRequest
)


# --- one instance --------------------------------------------------------------------------------


def start(request: bytes) -> StartRequest:
    """StartInstance.  A start at the epoch is what some SDKs send for "now"."""
    r = parse(common_pb2.CreateInstanceRequest, request, method="StartInstance")
    later = moment(r.scheduled_start) > 0
    return StartRequest(
        name=r.name,
        instance_id=r.instance_id,
        version=text(r.version),
        input=r.input.value if r.HasField("input") else None,
        scheduled_start=instant(r.scheduled_start) if later else None,
        execution_id=text(r.execution_id),
        tags=strings(r.tags),
        trace=trace(r.parent_trace) if r.HasField("parent_trace") else None,
        reuse=_reuse(r.reuse_policy) if r.HasField("reuse_policy") else None,
        enforce_unique=r.enforce_unique_instance_id,
        target_app=_target(r),
    )


def _reuse(policy: common_pb2.ReusePolicy) -> Reuse:
    statuses = _statuses(policy.statuses, method="StartInstance")
    if policy.HasField("action"):
        action = _ACTIONS.get(policy.action)
        if action is None:
            message = f"StartInstance: no reuse action has the number {policy.action}"
            raise BadRequestError(message)
        return Reuse(statuses, action)
    if any(not s.terminal for s in statuses) and Status.TERMINATED not in statuses:
        # A running instance is terminated before it is replaced.  SDKs match on this text.
        message = (
            "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of "
            "running instances"
        )
        raise BadRequestError(message)
    return Reuse(statuses)


def get(request: bytes, *, method: str = "GetInstance") -> GetRequest:
    """GetInstance, WaitForInstanceStart, WaitForInstanceCompletion."""
    r = parse(common_pb2.GetInstanceRequest, request, method=method)
    return GetRequest(r.instance_id, r.get_inputs_and_outputs, _target(r))


def raise_event(request: bytes) -> RaiseRequest:
    """RaiseEvent."""
    r = parse(common_pb2.RaiseEventRequest, request, method="RaiseEvent")
    return RaiseRequest(
        r.instance_id, r.name, r.input.value if r.HasField("input") else None, _target(r)
    )


def terminate(request: bytes) -> TerminateRequest:
    """TerminateInstance."""
    r = parse(common_pb2.TerminateRequest, request, method="TerminateInstance")
    return TerminateRequest(
        r.instance_id,
        r.output.value if r.HasField("output") else None,
        r.recursive,
        _target(r),
    )


def suspend(request: bytes) -> ReasonRequest:
    """SuspendInstance."""
    r = parse(common_pb2.SuspendRequest, request, method="SuspendInstance")
    return ReasonRequest(
        r.instance_id, r.reason.value if r.HasField("reason") else None, _target(r)
    )


def resume(request: bytes) -> ReasonRequest:
    """ResumeInstance."""
    r = parse(common_pb2.ResumeRequest, request, method="ResumeInstance")
    return ReasonRequest(
        r.instance_id, r.reason.value if r.HasField("reason") else None, _target(r)
    )


def rewind(request: bytes) -> ReasonRequest:
    """RewindInstance (Microsoft)."""
    r = parse(microsoft_pb2.RewindInstanceRequest, request, method="RewindInstance")
    return ReasonRequest(r.instance_id, r.reason.value if r.HasField("reason") else None)


def restart(request: bytes) -> RestartRequest:
    """RestartInstance (Microsoft)."""
    r = parse(microsoft_pb2.RestartInstanceRequest, request, method="RestartInstance")
    return RestartRequest(r.instance_id, r.restart_with_new_instance_id)


def rerun(request: bytes) -> RerunRequest:
    """RerunWorkflowFromEvent (Dapr)."""
    r = parse(dapr_pb2.RerunRequest, request, method="RerunWorkflowFromEvent")
    return RerunRequest(
        source_id=r.source_instance_id,
        event_id=r.event_id,
        new_id=r.new_instance_id,
        overwrite_input=r.overwrite_input,
        input=r.input.value if r.HasField("input") else None,
        child_id=r.new_child_instance_id,
        target_app=_target(r),
    )


# --- many instances ------------------------------------------------------------------------------


def purge(request: bytes) -> PurgeRequest:
    """PurgeInstances: one instance, a batch (Microsoft), or all that match a filter."""
    method = "PurgeInstances"
    d = parse(dapr_pb2.PurgeInstancesRequest, request, method=method)
    m = parse(microsoft_pb2.PurgeInstancesRequest, request, method=method)
    ids: tuple[str, ...] = ()
    conditions: PurgeFilter | None = None
    kind = m.WhichOneof("request")
    if kind == "filter":
        f = m.filter
        conditions = PurgeFilter(
            statuses=_statuses(f.statuses, method=method),
            created_from=_bound(f.created_from),
            created_to=_bound(f.created_to),
            timeout=_span(f.timeout),
        )
    elif kind == "batch":
        ids = tuple(m.batch.instance_ids)
    elif m.instance_id:
        ids = (m.instance_id,)
    else:
        message = f"{method}: neither an instance id, nor a batch of them, nor a filter is given"
        raise BadRequestError(message)
    return PurgeRequest(
        instance_ids=ids,
        filter=conditions,
        recursive=m.recursive,
        force=d.force,
        target_app=_target(d),
    )


def query(request: bytes) -> QueryRequest:
    """QueryInstances (Microsoft).  Names of task hubs are of no use: there is one."""
    q = parse(microsoft_pb2.QueryInstancesRequest, request, method="QueryInstances").query
    return QueryRequest(
        statuses=_statuses(q.statuses, method="QueryInstances"),
        created_from=_bound(q.created_from),
        created_to=_bound(q.created_to),
        id_prefix=text(q.instance_id_prefix),
        limit=q.max_instance_count if q.max_instance_count > 0 else None,
        cursor=text(q.continuation_token),
        with_payloads=q.fetch_inputs_and_outputs,
    )


def list_microsoft(request: bytes) -> ListRequest:
    """ListInstanceIds (Microsoft)."""
    method = "ListInstanceIds"
    r = parse(microsoft_pb2.ListInstanceIdsRequest, request, method=method)
    return ListRequest(
        statuses=_statuses(r.statuses, method=method),
        completed_from=_bound(r.completed_from),
        completed_to=_bound(r.completed_to),
        limit=r.page_size if r.page_size > 0 else None,
        cursor=text(r.last_instance_key),
    )


def list_dapr(request: bytes) -> ListRequest:
    """ListInstanceIDs (Dapr)."""
    r = parse(dapr_pb2.ListInstanceIdsRequest, request, method="ListInstanceIDs")
    return ListRequest(limit=r.page_size or None, cursor=r.continuation_token or None)


def skip_termination(request: bytes) -> SkipTerminationRequest:
    """SkipGracefulOrchestrationTerminations (Microsoft)."""
    r = parse(
        microsoft_pb2.SkipGracefulTerminationsRequest,
        request,
        method="SkipGracefulOrchestrationTerminations",
    )
    return SkipTerminationRequest(
        tuple(r.batch.instance_ids), r.reason.value if r.HasField("reason") else None
    )


# --- history, task hub, entities -----------------------------------------------------------------


def history_dapr(request: bytes) -> HistoryRequest:
    """GetInstanceHistory (Dapr)."""
    r = parse(dapr_pb2.GetInstanceHistoryRequest, request, method="GetInstanceHistory")
    return HistoryRequest(r.instance_id)


def history_microsoft(request: bytes) -> HistoryRequest:
    """StreamInstanceHistory (Microsoft)."""
    r = parse(microsoft_pb2.StreamInstanceHistoryRequest, request, method="StreamInstanceHistory")
    return HistoryRequest(r.instance_id, text(r.execution_id), r.for_work_item_processing)


def create_task_hub(request: bytes) -> bool:
    """CreateTaskHub (Microsoft): whether an existing hub is to be emptied."""
    r = parse(microsoft_pb2.CreateTaskHubRequest, request, method="CreateTaskHub")
    return r.recreate_if_exists


def entity_id(request: bytes, *, method: str) -> str:
    """SignalEntity and GetEntity (Microsoft): the entity's id."""
    # Both have it in field 1.
    return parse(microsoft_pb2.SignalEntityRequest, request, method=method).instance_id


# --- parts ---------------------------------------------------------------------------------------


def _target(request: _Routed) -> str | None:
    return request.router.target_app_id or None if request.HasField("router") else None


def _statuses(numbers: Iterable[int], *, method: str) -> frozenset[Status]:
    found: set[Status] = set()
    for number in numbers:
        status = STATUSES.get(number)
        if status is None:
            message = f"{method}: no status has the number {number}"
            raise BadRequestError(message)
        found.add(status)
    return frozenset(found)


def _bound(time: Timestamp) -> int | None:
    """A bound of a time range; the epoch is what some SDKs send for none."""
    return moment(time) or None


def _span(duration: Duration) -> int | None:
    """A duration in nanoseconds; none when not positive."""
    nanoseconds = duration.seconds * NANOS + duration.nanos
    return nanoseconds if nanoseconds > 0 else None
