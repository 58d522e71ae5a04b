"""Resources as tests write them: the shortest valid ones, and what a test adds."""

from __future__ import annotations

from typing import Any

API = "tenure.dev/v1alpha1"


def workflow(name: str = "order-1", **spec: Any) -> dict[str, Any]:
    """A Workflow of app ``orders``."""
    return _object("Workflow", name, {"appID": "orders", "workflow": "Order", **spec})


def schedule(name: str = "nightly", *, run: dict[str, Any] | None = None, **spec: Any) -> Any:
    """A WorkflowSchedule; ``run`` goes into the Workflows' spec."""
    template = {"spec": {"appID": "orders", "workflow": "Order", **(run or {})}}
    given = {"schedule": "0 3 * * *", "workflowTemplate": template, **spec}
    return _object("WorkflowSchedule", name, given)


def event(name: str = "approval", **spec: Any) -> dict[str, Any]:
    """A WorkflowEvent ``Approve``; the run is the test's to name."""
    return _object("WorkflowEvent", name, {"event": "Approve", **spec})


def app(name: str = "orders", **spec: Any) -> dict[str, Any]:
    """A WorkflowApp; the app is that of its name unless ``appID`` says another."""
    return _object("WorkflowApp", name, spec)


def without(resource: dict[str, Any], *fields: str) -> dict[str, Any]:
    """The resource without these fields of its spec."""
    kept = {name: value for name, value in resource["spec"].items() if name not in fields}
    return {**resource, "spec": kept}


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
