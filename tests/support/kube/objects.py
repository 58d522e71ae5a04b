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


def webhook(name: str, *, namespace: str, port: int) -> list[dict[str, Any]]:
    """What an injector called ``name`` needs, with the rights that it has in a cluster; it listens
    on loopback, where the API server is too."""
    meta = {"name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    group = "rbac.authorization.k8s.io"

    def bound(kind: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
        version = f"{group}/v1"
        ref = {"apiGroup": group, "kind": kind, "name": name}
        own = {} if kind == "ClusterRole" else {"namespace": namespace}
        at = {"apiVersion": version, "metadata": {**meta, **own}}
        return [
            {**at, "kind": kind, "rules": rules},
            {**at, "kind": f"{kind}Binding", "roleRef": ref, "subjects": [subject]},
        ]

    def rule(api: str, resource: str, verbs: list[str], names: list[str]) -> dict[str, Any]:
        only = {"resourceNames": names} if names else {}
        return {"apiGroups": [api], "resources": [resource], "verbs": verbs, **only}

    admission = "admissionregistration.k8s.io"
    cluster = [
        rule(admission, "mutatingwebhookconfigurations", ["get", "patch"], [name]),
        rule("", "events", ["create"], []),
    ]
    configuration = {
        "apiVersion": f"{admission}/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": meta,
        "webhooks": [
            {
                "name": "pods.inject.tenure.dev",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"url": f"https://127.0.0.1:{port}/mutate"},
                "failurePolicy": "Fail",
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "NoneOnDryRun",
                "rules": [
                    {
                        "operations": ["CREATE"],
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["pods"],
                    }
                ],
            }
        ],
    }
    at = {"name": name, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": at},
        {"apiVersion": "v1", "kind": "Secret", "metadata": at, "type": "Opaque"},
        *bound("ClusterRole", cluster),
        *bound("Role", [rule("", "secrets", ["get", "update"], [name])]),
        configuration,
    ]


def without(resource: dict[str, Any], *fields: str) -> dict[str, Any]:
    """The resource without these fields of its spec."""
    kept = {name: value for name, value in resource["spec"].items() if name not in fields}
    return {**resource, "spec": kept}


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
