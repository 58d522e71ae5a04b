"""The injector as the API server's webhook: a real process, a real configuration, real pods.

In scope: trust (the process makes its CA and patches the configuration with rights for no more),
what the API server does with the patch, reinvocation, Pod Security, what users are told.  Out of
scope: each decision (unit/injector), hostile callers (integration/injector).  There is no node, so
pods stay Pending.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.engine import free_ports
from support.kube.controlplane import ControlPlane
from support.kube.kubectl import Kubectl
from support.kube.objects import webhook

READY_WITHIN = 60.0  # seconds; a bound for a broken injector, not a target
NAME = "tenure-injector"


class Injector:
    """One injector process in a namespace of its own."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self.home = f"tenure-{secrets.token_hex(3)}"
        self.name = f"{NAME}-{self.home}"
        self.port, self.health = free_ports(2)
        self.log = folder / "injector.log"
        self._kube = control_plane
        self._token = folder / "token"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Install what the process needs, start it and wait until it is ready."""
        kubectl = self._kube.kubectl
        kubectl("create", "namespace", self.home)
        objects = webhook(self.name, namespace=self.home, port=self.port)
        kubectl.apply(*objects)
        self._token.write_text(kubectl("create", "token", self.name, "-n", self.home))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tenure_injector",
                    f"--namespace={self.home}",
                    f"--webhook={self.name}",
                    f"--certificate-secret={self.name}",
                    "--certificate-names=127.0.0.1",
                    "--host=127.0.0.1",
                    f"--port={self.port}",
                    f"--health-port={self.health}",
                    f"--api-server={self._kube.server}",
                    f"--api-token-file={self._token}",
                    f"--api-ca-file={self._kube.certificates.authority}",
                    "--sidecar-image=tenure:test",
                    "--drain=0",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_ready()

    def wait_ready(self) -> None:
        """Until the API server trusts it."""
        deadline = time.monotonic() + READY_WITHIN
        while not self._ready():
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def _ready(self) -> bool:
        url = f"http://127.0.0.1:{self.health}/readyz"
        try:
            with urllib.request.urlopen(url):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        """End it, and take its configuration away."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=READY_WITHIN)
        kubectl = self._kube.kubectl
        kubectl("delete", "mutatingwebhookconfiguration", self.name)
        kubectl("delete", "namespace", self.home, "--wait=false")


@pytest.fixture(scope="module")
def injector(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Injector]:
    injector = Injector(control_plane, tmp_path_factory.mktemp("injector"))
    injector.start()
    yield injector
    injector.stop()


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
    assert engine["image"] == "tenure:test"
    assert "--app-id=orders" in engine["args"]
    assert found["metadata"]["labels"]["tenure.dev/app-id"] == "orders"
    (app,) = found["spec"]["containers"]
    assert {"DAPR_GRPC_PORT", "DAPR_HTTP_PORT"} <= {one["name"] for one in app["env"]}


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
    account = kubectl.using(f"--as=system:serviceaccount:{injector.home}:{injector.name}")
    own = ("-n", injector.home)
    assert account("auth", "can-i", "get", f"secret/{injector.name}", *own).strip() == "yes"
    for words in (
        ("get", "secret/other", *own),
        ("list", "secrets", *own),
        ("list", "pods", "-A"),
        ("patch", "mutatingwebhookconfigurations/other"),
        ("delete", f"mutatingwebhookconfigurations/{injector.name}"),
    ):
        assert account.run("auth", "can-i", *words).stdout.strip() == "no", words
