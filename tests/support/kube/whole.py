"""The whole on real pods: the chart by helm, its etcd, and an app that asks for the engine.

The app's namespace and the chart's enforce the Pod Security Standard *restricted*.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from support.helm import CHART, Helm
from support.kube import images
from support.kube.cluster import Cluster
from support.kube.kubectl import Kubectl, KubectlError
from support.kube.node import NAME as NODE
from support.kube.objects import API

SYSTEM, APP = "tenure-system", "shop"
ETCD = (  # the chart's own
    "store.etcd.image.repository={},store.etcd.image.tag={}".format(*images.ETCD.rsplit(":", 1)),
    "store.etcd.persistence.size=1Gi",
    f"store.namespaces={{{APP}}}",
)
# Helm 4.0 is at odds with itself on the server: an install refuses objects that an uninstall has
# left, an upgrade those that a rollback has written.
CLIENT_SIDE = "--server-side=false"
WITHIN = 240.0  # seconds; a bound for a loaded machine, not a target
ONE = {"tenure.dev/inject": "true"}
SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Shop:
    """The app in its namespace, and the engine beside it."""

    def __init__(self, cluster: Cluster, helm: Helm, *, namespace: str = APP) -> None:
        self.helm = helm
        self.node = cluster.node
        self.kubectl: Kubectl = cluster.plane.kubectl.using("-n", namespace)
        self.namespace = namespace

    def release(self, verb: str, *values: str) -> None:
        """Install or upgrade the chart, and wait until its pods are ready."""
        repository, _, tag = images.TENURE.rpartition(":")
        given = (
            f"image.repository={repository},image.tag={tag}",
            *ETCD,
            *values,
        )
        self.helm(
            *(verb, "tenure", CHART, "--namespace", SYSTEM, "--wait", "--timeout=300s"),
            CLIENT_SIDE,
            *(word for one in given for word in ("--set", one)),
        )

    def apply(self, name: str, workflow: str, given: object, *, app: str = "shop") -> None:
        """A Workflow resource."""
        spec = {"appID": app, "workflow": workflow, "input": given}
        meta = {"name": name, "namespace": self.namespace}
        self.kubectl.apply({"apiVersion": API, "kind": "Workflow", "metadata": meta, "spec": spec})

    def phase(self, name: str) -> str:
        return str(self.kubectl.get("workflow", name).get("status", {}).get("phase", ""))

    def completed(self, name: str) -> Any:
        """The output of a Workflow resource that must complete."""
        self.until(lambda: self.phase(name) == "Completed")
        return self.kubectl.get("workflow", name)["status"]["output"]

    def pods(self, app: str = "shop") -> list[dict[str, Any]]:
        """Pods of the app that are not on their way out."""
        found = self.kubectl.items("pods", f"--selector=app={app}")
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    def ready(self, count: int = 1) -> list[str]:
        """Names of the pods once there are ``count``, and all are ready."""
        names: list[str] = []

        def are_ready() -> bool:
            there = self.pods()
            names[:] = [one["metadata"]["name"] for one in there if is_ready(one)]
            return len(names) == count == len(there)

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
        """The output of an instance that must complete.

        The engine is asked to wait: each command that is run in a pod costs half a second of a
        processor.
        """
        told: list[dict[str, Any]] = []

        def has() -> bool:
            words = ("wait", instance_id, "--timeout", "20s", "-o", "json")
            with contextlib.suppress(KubectlError, StopIteration):
                told[:] = [json.loads(self.tenure(*words))]
            return bool(told)

        self.until(has)
        return told[0]["output"]

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


def prepared(cluster: Cluster, helm: Helm) -> Shop:
    """What is there before anything is installed: namespaces, and a disk for etcd."""
    for name in (APP, SYSTEM):
        namespace(cluster, name)
    cluster.plane.kubectl.apply(volume(cluster, "etcd-0"))
    return Shop(cluster, helm)


def namespace(cluster: Cluster, name: str) -> None:
    """A namespace that enforces the Pod Security Standard *restricted*."""
    kubectl = cluster.plane.kubectl
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")


def install(cluster: Cluster, helm: Helm) -> Shop:
    """Chart and app, installed as a user does it."""
    shop = prepared(cluster, helm)
    shop.release("install")
    shop.kubectl.apply(deployment())
    shop.ready()
    return shop


def volume(cluster: Cluster, name: str) -> dict[str, Any]:
    """A folder of the node's for a claim, there as long as the cluster."""
    folder = cluster.node.folder / "volumes" / name
    folder.mkdir(parents=True)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def pod(
    name: str,
    *arguments: str,
    image: str = images.SHOP,
    annotations: Mapping[str, str] = ONE,
    **more: Any,
) -> dict[str, Any]:
    """The template of an app's pods: one annotation, and nothing else of ours."""
    return {
        "metadata": {"labels": {"app": name}, "annotations": dict(annotations)},
        "spec": {
            "containers": [
                {
                    "name": "app",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "args": list(arguments),
                    "securityContext": SAFE,
                }
            ],
            **more,
        },
    }


def deployment(name: str = "shop", *, namespace: str = APP, **more: Any) -> dict[str, Any]:
    """An app with one pod; ``more`` is ``pod``'s."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0}},
            "template": pod(name, terminationGracePeriodSeconds=10, **more),
        },
    }
