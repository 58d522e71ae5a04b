"""The whole on real pods: the chart by helm, an etcd, and an app that asks for the engine.

The app's namespace and the chart's enforce the Pod Security Standard *restricted*.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.helm import CHART, Helm
from support.kube import images
from support.kube.certificates import Pair
from support.kube.cluster import Cluster
from support.kube.kubectl import Kubectl, KubectlError
from support.kube.objects import API

SYSTEM, DATA, APP = "tenure-system", "data", "shop"
ETCD = f"etcd.{DATA}.svc"
WITHIN = 90.0  # seconds; a bound for a loaded machine, not a target
SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Shop:
    """The app in its namespace, and the engine beside it."""

    def __init__(self, cluster: Cluster, helm: Helm) -> None:
        self._helm = helm
        self.node = cluster.node
        self.kubectl: Kubectl = cluster.plane.kubectl.using("-n", APP)

    def release(self, verb: str, *values: str) -> None:
        """Install or upgrade the chart, and wait until its pods are ready."""
        repository, _, tag = images.TENURE.rpartition(":")
        given = (
            f"image.repository={repository},image.tag={tag}",
            f"externalEtcd.endpoints={{{ETCD}:2379}}",
            *values,
        )
        self._helm(
            *(verb, "tenure", CHART, "--namespace", SYSTEM, "--wait", "--timeout=120s"),
            *(word for one in given for word in ("--set", one)),
        )

    def apply(self, name: str, workflow: str, given: object) -> None:
        """A Workflow resource."""
        spec = {"appID": "shop", "workflow": workflow, "input": given}
        meta = {"name": name, "namespace": APP}
        self.kubectl.apply({"apiVersion": API, "kind": "Workflow", "metadata": meta, "spec": spec})

    def phase(self, name: str) -> str:
        return str(self.kubectl.get("workflow", name).get("status", {}).get("phase", ""))

    def completed(self, name: str) -> Any:
        """The output of a Workflow resource that must complete."""
        self.until(lambda: self.phase(name) == "Completed")
        return self.kubectl.get("workflow", name)["status"]["output"]

    def pods(self, app: str = "shop") -> list[dict[str, Any]]:
        """Pods of the app that are not on their way out."""
        found = json.loads(self.kubectl("get", "pods", "-l", f"app={app}", "-o", "json"))
        return [one for one in found["items"] if "deletionTimestamp" not in one["metadata"]]

    def ready(self, count: int = 1) -> list[str]:
        """Names of the pods once there are ``count``, and all are ready."""
        names: list[str] = []

        def are_ready() -> bool:
            names[:] = [one["metadata"]["name"] for one in self.pods() if is_ready(one)]
            return len(names) == count == len(self.pods())

        self.until(are_ready)
        return sorted(names)

    def tenure(self, *words: str) -> str:
        """What the command line prints, in the engine's own container of a pod that is ready."""
        pod = next(one["metadata"]["name"] for one in self.pods() if is_ready(one))
        return self.kubectl("exec", pod, "-c", "tenure", "--", "/usr/local/bin/tenure", *words)

    def start(self, workflow: str, instance_id: str, given: object) -> None:
        self.tenure("run", workflow, "--id", instance_id, "--input", json.dumps(given))

    def state(self, instance_id: str) -> dict[str, Any]:
        """The instance; empty while no engine answers."""
        try:
            return dict(json.loads(self.tenure("get", instance_id, "-o", "json")))
        except (KubectlError, StopIteration):
            return {}

    def ended(self, instance_id: str) -> Any:
        """The output of an instance that must complete."""
        self.until(lambda: self.state(instance_id).get("status") == "COMPLETED")
        return self.state(instance_id)["output"]

    def steps(self, instance_id: str) -> int:
        """Steps that are done."""
        events = json.loads(self.tenure("history", instance_id, "-o", "json"))
        return str(events).count("TaskCompleted")

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN
        while not true():
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.1)

    def told(self) -> str:
        """What there is to see when something does not happen."""
        return "\n".join(
            self.kubectl(*words)
            for words in (
                ("get", "pods", "-o", "wide"),
                ("get", "events"),
                ("get", "workflows", "-o", "wide"),
                ("logs", "-l", "app=shop", "-c", "tenure", "--tail=20", "--prefix"),
                ("-n", SYSTEM, "get", "pods"),
                ("-n", SYSTEM, "logs", "deployment/tenure-operator", "--tail=20"),
                ("-n", SYSTEM, "logs", "deployment/tenure-gateway", "--tail=20"),
            )
        )


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


def install(cluster: Cluster, helm: Helm) -> Shop:
    """Chart, etcd and app, installed as a user does it."""
    kubectl = cluster.plane.kubectl
    for name in (DATA, APP, SYSTEM):
        kubectl("create", "namespace", name)
    for name in (APP, SYSTEM):
        kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    issue = cluster.plane.certificates.issue
    kubectl.apply(*etcd(cluster, issue("etcd-of-tenure", ETCD, f"{ETCD}.cluster.local")))
    kubectl.apply(secret("tenure-store", APP, cluster, issue("shop")))
    kubectl.apply(secret("tenure-store", SYSTEM, cluster, issue("gateway")))
    kubectl("-n", DATA, "rollout", "status", "deployment/etcd", "--timeout=90s")
    shop = Shop(cluster, helm)
    shop.release("install")
    kubectl.apply(deployment())
    shop.ready()
    return shop


def secret(name: str, namespace: str, cluster: Cluster, pair: Pair) -> dict[str, Any]:
    """A certificate, its key, and whom it trusts."""

    def text(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {
            "ca.crt": text(cluster.plane.certificates.authority),
            "tls.crt": text(pair.certificate),
            "tls.key": text(pair.key),
        },
    }


def etcd(cluster: Cluster, pair: Pair) -> list[dict[str, Any]]:
    """An etcd that asks every client for a certificate."""
    labels = {"app": "etcd"}
    keys = "/keys"
    return [
        secret("etcd", DATA, cluster, pair),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "etcd", "namespace": DATA},
            "spec": {"selector": labels, "ports": [{"port": 2379}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "etcd", "namespace": DATA},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "containers": [
                            {
                                "name": "etcd",
                                "image": images.ETCD,
                                "imagePullPolicy": "Never",
                                "args": [
                                    "--data-dir=/data/etcd",
                                    "--listen-client-urls=https://0.0.0.0:2379",
                                    f"--advertise-client-urls=https://{ETCD}:2379",
                                    f"--cert-file={keys}/tls.crt",
                                    f"--key-file={keys}/tls.key",
                                    f"--trusted-ca-file={keys}/ca.crt",
                                    "--client-cert-auth",
                                    "--unsafe-no-fsync",
                                ],
                                "readinessProbe": {
                                    "tcpSocket": {"port": 2379},
                                    "periodSeconds": 1,
                                },
                                "volumeMounts": [
                                    {"name": "data", "mountPath": "/data"},
                                    {"name": "keys", "mountPath": keys},
                                ],
                            }
                        ],
                        "securityContext": {"fsGroup": images.USER},
                        "volumes": [
                            {"name": "data", "emptyDir": {}},
                            {"name": "keys", "secret": {"secretName": "etcd"}},
                        ],
                    },
                },
            },
        },
    ]


def pod(name: str, *arguments: str, **more: Any) -> dict[str, Any]:
    """The template of an app's pods: one annotation, and nothing else of ours."""
    return {
        "metadata": {"labels": {"app": name}, "annotations": {"tenure.dev/inject": "true"}},
        "spec": {
            "containers": [
                {
                    "name": "app",
                    "image": images.SHOP,
                    "imagePullPolicy": "Never",
                    "args": list(arguments),
                    "securityContext": SAFE,
                }
            ],
            **more,
        },
    }


def deployment() -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": APP},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0}},
            "template": pod("shop", terminationGracePeriodSeconds=10),
        },
    }
