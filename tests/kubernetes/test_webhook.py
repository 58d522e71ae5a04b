"""The injector as the API server's webhook: a real process, the chart's configuration, real pods.

In scope: trust (the process makes its CA and patches the configuration with rights for no more),
what the API server asks about and does with the patch, reinvocation, Pod Security, what users are
told.  Out of scope: each decision (unit/injector), hostile callers (integration/injector).  There
is no node, so pods stay Pending.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.helm import Helm, example, of_kind
from support.injector import READY_WITHIN, Injector, reached_by_url
from support.kube.controlplane import ControlPlane
from support.kube.kubectl import Kubectl, manifest

WEBHOOKS = "mutatingwebhookconfigurations"


@pytest.fixture(scope="module")
def injector(
    control_plane: ControlPlane, helm: Helm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Injector]:
    home = f"tenure-{secrets.token_hex(3)}"
    objects = helm.template(*example("injector"), release=home, namespace=home)
    (deployment,) = of_kind(objects, "Deployment")
    injector = Injector(control_plane, deployment, tmp_path_factory.mktemp("injector"))
    reached_by_url(objects, injector.url)
    rest = [one for one in objects if one is not deployment]
    control_plane.kubectl("create", "namespace", home)
    control_plane.kubectl.apply(*rest)
    try:
        injector.start()
        yield injector
    finally:
        injector.stop()
        control_plane.kubectl("delete", "-f", "-", "--wait=false", stdin=manifest(rest))
        control_plane.kubectl("delete", "namespace", home, "--wait=false")


pytestmark = pytest.mark.usefixtures("injector")


def pod(name: str = "app", **annotations: str) -> dict[str, Any]:
    """A pod as a careful user writes it: it is admitted under *restricted*."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "annotations": {f"tenure.dev/{k.replace('_', '-')}": v for k, v in annotations.items()},
        },
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "app",
                    "image": "app:1",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def engines(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The engine's containers in a pod."""
    spec = found["spec"]
    return [c for c in spec.get("initContainers", []) + spec["containers"] if c["name"] == "tenure"]


def test_a_pod_that_asks_gets_the_engine_as_a_native_sidecar(kubectl: Kubectl) -> None:
    kubectl.apply(pod(inject="true", app_id="orders"))
    found = kubectl.get("pod", "app")
    (engine,) = engines(found)
    assert engine["restartPolicy"] == "Always"
    assert engine["image"] == "registry.example.org/tenure:0.1.0"
    assert "--app-id=orders" in engine["args"]
    assert found["metadata"]["labels"]["tenure.dev/app-id"] == "orders"
    (app,) = found["spec"]["containers"]
    assert {"DAPR_GRPC_PORT", "DAPR_HTTP_PORT"} <= {one["name"] for one in app["env"]}


def test_a_label_asks_too_and_the_annotation_takes_it_back(kubectl: Kubectl) -> None:
    asking, not_asking = pod(app_id="orders"), pod("no", inject="false", app_id="orders")
    for one in (asking, not_asking):
        one["metadata"]["labels"] = {"tenure.dev/inject": "true"}
    kubectl.apply(asking, not_asking)
    assert len(engines(kubectl.get("pod", "app"))) == 1
    assert engines(kubectl.get("pod", "no")) == []


def test_a_pod_that_does_not_ask_is_as_it_was(kubectl: Kubectl) -> None:
    kubectl.apply(pod(), pod("no", inject="false", app_id="orders"))
    assert engines(kubectl.get("pod", "app")) == []
    assert engines(kubectl.get("pod", "no")) == []


def test_restricted_admits_what_is_added(kubectl: Kubectl, namespace: str) -> None:
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    kubectl.apply(pod(inject="true", app_id="orders"))
    assert len(engines(kubectl.get("pod", "app"))) == 1


def test_a_pod_that_has_the_engine_gets_no_second_one(kubectl: Kubectl) -> None:
    kubectl.apply(pod(inject="true", app_id="orders"))
    again = kubectl.get("pod", "app")
    again["metadata"] = {
        "name": "again",
        "annotations": again["metadata"]["annotations"],
        "labels": again["metadata"]["labels"],
    }
    del again["status"]
    kubectl.apply(again)
    assert len(engines(kubectl.get("pod", "again"))) == 1


def test_a_pod_that_cannot_have_it_is_refused_with_the_reason(kubectl: Kubectl) -> None:
    refused = kubectl.fails(
        "apply", "-f", "-", stdin=json.dumps(pod(inject="true", app_id="orders", grpc_port="0"))
    )
    assert "grpc-port" in refused
    assert "TN0902" in refused
    assert kubectl.run("get", "pod", "app").returncode


def test_a_typo_is_told_to_who_creates_the_pod_and_as_an_event(kubectl: Kubectl) -> None:
    typo = pod(inject="true", app_id="orders", log_levl="debug")
    warned = kubectl.run("apply", "-f", "-", stdin=json.dumps(typo)).stderr
    assert "log-levl" in warned
    assert "log-level" in warned
    deadline = time.monotonic() + READY_WITHIN
    while "log-levl" not in kubectl("get", "events", "-o", "jsonpath={.items[*].message}"):
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("marks", "meant"),
    [
        ({"annotations": {"tenure.dev/injct": "true"}}, "did you mean tenure.dev/inject?"),
        ({"labels": {"tenure.dev/inject": "yes"}}, "only 'true' asks"),
    ],
    ids=["name", "value"],
)
def test_a_slip_in_what_asks_for_the_engine_is_told(
    marks: dict[str, dict[str, str]], meant: str, kubectl: Kubectl
) -> None:
    slip = pod()
    slip["metadata"].update(marks)
    assert meant in kubectl.run("apply", "-f", "-", stdin=json.dumps(slip)).stderr
    assert engines(kubectl.get("pod", "app")) == []
    deadline = time.monotonic() + READY_WITHIN
    while meant not in kubectl("get", "events", "-o", "jsonpath={.items[*].message}"):
        assert time.monotonic() < deadline


def test_a_deployment_names_the_app_and_its_pods_get_the_engine(kubectl: Kubectl) -> None:
    template = pod(inject="true")
    metadata = {"annotations": template["metadata"]["annotations"], "labels": {"app": "web"}}
    kubectl.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": metadata, "spec": template["spec"]},
            },
        }
    )
    deadline = time.monotonic() + READY_WITHIN
    while not (items := json.loads(kubectl("get", "pods", "-l", "app=web", "-o", "json"))["items"]):
        assert time.monotonic() < deadline
    (engine,) = engines(items[0])
    assert "--app-id=web" in engine["args"]


def test_the_processs_account_may_do_what_it_does_and_no_more(
    kubectl: Kubectl, injector: Injector
) -> None:
    account = kubectl.using(f"--as=system:serviceaccount:{injector.namespace}:{injector.name}")
    own = ("-n", injector.namespace)
    secret = f"secret/{injector.name}-certificates"
    for words in (("get", secret, *own), ("patch", f"{WEBHOOKS}/{injector.name}")):
        assert account("auth", "can-i", *words).strip() == "yes", words
    for words in (
        ("get", "secret/other", *own),
        ("list", "secrets", *own),
        ("list", "pods", "-A"),
        ("patch", f"{WEBHOOKS}/other"),
        ("delete", f"{WEBHOOKS}/{injector.name}"),
    ):
        assert account.run("auth", "can-i", *words).stdout.strip() == "no", words


def test_pods_that_do_not_ask_are_created_while_the_injector_is_down(
    kubectl: Kubectl, injector: Injector
) -> None:
    injector.stop()
    try:
        kubectl.apply(pod(), pod("no", inject="false"), pod("other", log_level="debug"))
        refused = kubectl.refuses(pod("asks", inject="true", app_id="orders"))
        assert "inject.tenure.dev" in refused
    finally:
        injector.start()
