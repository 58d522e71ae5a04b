"""Resources and runs as the operator knows them, for tests of its decisions: short, and all fields
that a test does not name are as after an ordinary creation."""

from __future__ import annotations

from typing import Any

import msgspec

from tenure_common.times import parse_time
from tenure_operator.instance import Instance
from tenure_operator.reconcile.workflow import request_key
from tenure_operator.resources import (
    ANNOTATION_ENDED,
    FINALIZER,
    FINALIZER_SETTINGS,
    Workflow,
    WorkflowApp,
    WorkflowEvent,
    WorkflowSchedule,
    decode,
)

CREATED = "2026-01-01T00:00:00Z"
NOW = parse_time("2026-01-01T00:00:10Z")
UID = "0123456789abcdef"


def meta(name: str, **given: Any) -> dict[str, Any]:
    """Metadata as the API server gives them."""
    return {
        "name": name,
        "namespace": "shop",
        "uid": UID,
        "resourceVersion": "1",
        "creationTimestamp": CREATED,
        "generation": 1,
        **given,
    }


def workflow(
    *,
    status: dict[str, Any] | None = None,
    held: bool = True,
    deleted: str | None = None,
    name: str = "order-1",
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> Workflow:
    """A Workflow; ``held``: it has the finalizer."""
    extra = {"finalizers": [FINALIZER] if held else []}
    if deleted is not None:
        extra["deletionTimestamp"] = deleted
    body = {
        "metadata": meta(name, **{**extra, **(metadata or {})}),
        "spec": {"appID": "orders", "workflow": "Order", **spec},
        "status": status or {},
    }
    return decode(body, Workflow)


def schedule(*, status: dict[str, Any] | None = None, **spec: Any) -> WorkflowSchedule:
    """A WorkflowSchedule that is due each hour."""
    metadata = spec.pop("metadata", {})
    template = {"spec": {"appID": "orders", "workflow": "Order"}}
    body = {
        "metadata": meta("hourly", **metadata),
        "spec": {"schedule": "0 * * * *", "workflowTemplate": template, **spec},
        "status": status or {},
    }
    return decode(body, WorkflowSchedule)


def event(*, status: dict[str, Any] | None = None, **spec: Any) -> WorkflowEvent:
    """A WorkflowEvent for Workflow ``order-1``."""
    metadata = spec.pop("metadata", {})
    given = {} if "instanceID" in spec else {"workflowName": "order-1"}
    body = {
        "metadata": meta("approve", **metadata),
        "spec": {"event": "Approve", **given, **spec},
        "status": status or {},
    }
    return decode(body, WorkflowEvent)


def app(
    name: str = "orders",
    *,
    status: dict[str, Any] | None = None,
    held: bool = True,
    deleted: str | None = None,
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> WorkflowApp:
    """A WorkflowApp; ``held``: it has the finalizer."""
    extra: dict[str, Any] = {"uid": f"uid-{name}"}
    extra["finalizers"] = [FINALIZER_SETTINGS] if held else []
    if deleted is not None:
        extra["deletionTimestamp"] = deleted
    body = {"metadata": meta(name, **{**extra, **(metadata or {})}), "spec": spec}
    return decode({**body, "status": status or {}}, WorkflowApp)


def run(of: Workflow, status: str = "RUNNING", *, ours: bool = True, **given: Any) -> Instance:
    """The run of a Workflow as a watch tells of it."""
    key = request_key(of) if ours else "another"
    known = Instance(
        instance_id=of.instance_id,
        workflow=of.spec.workflow,
        status=status,
        started_at=None if status == "PENDING" else "2026-01-01T00:00:02.500000000Z",
        completed_at=None,
        tags={"tenure.dev/request-key": key},
        payloads=True,
    )
    if known.ended:
        known = msgspec.structs.replace(known, completed_at="2026-01-01T00:00:05.000000000Z")
    return msgspec.structs.replace(known, **given)


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    """A condition of a status."""
    return {
        "type": kind,
        "status": status,
        "reason": kind,
        "message": "",
        "lastTransitionTime": CREATED,
    }


KEPT = {
    "annotations": {
        ANNOTATION_ENDED: '{"namespace":"shop","name":"order-1","uid":"0123456789abcdef",'
        '"phase":"Completed","instanceID":"order-1-01234567","at":"2026-01-01T00:00:05Z"}'
    }
}  # metadata, after the end
FINISHED = {
    "observedGeneration": 1,
    "phase": "Completed",
    "instanceID": "order-1-01234567",
    "completionTime": "2026-01-01T00:00:05Z",
    "conditions": [condition("Finished"), condition("Completed")],
}
STARTED = {
    "observedGeneration": 1,
    "phase": "Running",
    "instanceID": "order-1-01234567",
    "conditions": [condition("Started")],
}
