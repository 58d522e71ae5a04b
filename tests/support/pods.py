"""Pods and reviews that tests send to the injector, and its answers applied."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch

from tenure_injector import admission, review
from tenure_injector.admission import Outcome
from tenure_injector.config import Config

Json = dict[str, Any]
CONFIG = Config()
ASKING = {"tenure.dev/inject": "true"}


def pod(
    *,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    owner: tuple[str, str] | None = None,
    name: str = "orders",
    generate_name: str = "",
    **spec: Any,
) -> Json:
    """A small pod that asks for the engine, unless ``annotations`` say otherwise.  With
    ``generate_name`` it has the start of a name only, as a ReplicaSet makes it."""
    named = {"generateName": generate_name} if generate_name else {"name": name}
    metadata: Json = {**named, "annotations": dict(ASKING | dict(annotations or {}))}
    if labels is not None:
        metadata["labels"] = dict(labels)
    if owner is not None:
        kind, owner_name = owner
        metadata["ownerReferences"] = [
            {
                "apiVersion": "apps/v1",
                "kind": kind,
                "name": owner_name,
                "uid": f"uid-of-{owner_name}",
                "controller": True,
            }
        ]
    app = {"name": "app", "image": "example.org/orders:1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [app], **spec},
    }


def body(of: object, *, namespace: str = "shop", uid: str = "review-1", **request: Any) -> bytes:
    """An AdmissionReview as the API server sends it for a new pod."""
    described = {
        "uid": uid,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": of,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        **request,
    }
    return json.dumps(
        {"apiVersion": review.VERSION, "kind": review.KIND, "request": described}
    ).encode()


def considered(of: object, *, config: Config = CONFIG, namespace: str = "shop") -> Outcome:
    """What the injector decides, through the codec."""
    return admission.consider(review.decode(body(of, namespace=namespace)), config)


def admitted(of: Json, *, config: Config = CONFIG, namespace: str = "shop") -> Json:
    """The pod as the API server stores it; it must be allowed."""
    outcome = considered(of, config=config, namespace=namespace)
    reply = json.loads(review.encode(outcome.answer))["response"]
    assert reply["allowed"], reply
    return applied(of, reply)


def applied(of: Json, response: Mapping[str, Any]) -> Json:
    """A pod with the patch of a response, by an implementation of RFC 6902 that is not ours."""
    if "patch" not in response:
        return of
    assert response["patchType"] == "JSONPatch"
    operations: Sequence[Json] = json.loads(base64.b64decode(response["patch"]))
    changed: Json = jsonpatch.apply_patch(of, list(operations))
    return changed


def engine(of: Json) -> Json:
    """The engine's container in a pod."""
    spec = of["spec"]
    (found,) = [
        one
        for one in (*(spec.get("initContainers") or []), *spec["containers"])
        if one["name"] == "tenure"
    ]
    return dict(found)


def variables(container: Json) -> dict[str, Any]:
    """Variables with plain values."""
    return {one["name"]: one["value"] for one in container.get("env") or [] if "value" in one}
