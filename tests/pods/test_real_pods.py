"""The whole path on real pods: helm, the webhook, an injected sidecar, etcd, a released SDK.

In scope: what Kubernetes does to pods while workflows run.  The app's namespace enforces the Pod
Security Standard *restricted*.  Out of scope: what the injector writes (unit), API objects without
a node (tests/kubernetes), faults of the engine itself (tests/cluster).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.helm import CHART, Helm
from support.kube import images
from support.kube.certificates import Pair
from support.kube.fixtures import Cluster
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
            names[:] = [one["metadata"]["name"] for one in self.pods() if _is_ready(one)]
            return len(names) == count == len(self.pods())

        self.until(are_ready)
        return sorted(names)

    def tenure(self, *words: str) -> str:
        """What the command line prints, in the engine's own container of a pod that is ready."""
        pod = next(one["metadata"]["name"] for one in self.pods() if _is_ready(one))
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


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


@pytest.fixture(scope="session")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Shop:
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
    shop = Shop(cluster, Helm(tmp_path_factory.mktemp("helm"), kubeconfig=cluster.plane.admin))
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


# --- the tests ------------------------------------------------------------------------------------


def test_an_annotated_pod_runs_a_workflow(shop: Shop) -> None:
    (name,) = shop.ready()
    (one,) = shop.pods()
    (engine,) = one["spec"]["initContainers"]
    assert (engine["name"], engine["restartPolicy"]) == ("tenure", "Always")
    assert engine["image"] == images.TENURE
    assert engine["securityContext"]["readOnlyRootFilesystem"] is True
    shop.start("order", "first", 3)
    assert shop.ended("first") == 3
    assert name in shop.kubectl("get", "pods", "-o", "name")


def test_a_pod_that_is_deleted_in_the_middle(shop: Shop) -> None:
    (name,) = shop.ready()
    shop.start("order", "moved", 40)
    shop.until(lambda: shop.steps("moved") > 2)
    shop.kubectl("delete", "pod", name, "--wait=false")
    assert shop.ended("moved") == 40
    assert shop.ready() != [name]


def test_an_engine_that_is_killed_in_the_middle(shop: Shop) -> None:
    shop.ready()
    shop.start("order", "killed", 40)
    shop.until(lambda: shop.steps("killed") > 2)
    (one,) = shop.pods()
    (engine,) = one["status"]["initContainerStatuses"]
    container = engine["containerID"].removeprefix("containerd://")
    shop.node.run("ctr", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container)
    assert shop.ended("killed") == 40
    (after,) = shop.pods()
    assert after["metadata"]["uid"] == one["metadata"]["uid"]
    assert after["status"]["initContainerStatuses"][0]["restartCount"] == engine["restartCount"] + 1


def test_a_rolling_update_under_load(shop: Shop) -> None:
    shop.kubectl("scale", "deployment/shop", "--replicas=2")
    before = shop.ready(2)
    ids = [f"load-{number}" for number in range(8)]
    for one in ids:
        shop.start("order", one, 30)
    shop.kubectl("rollout", "restart", "deployment/shop")
    shop.kubectl("rollout", "status", "deployment/shop", "--timeout=90s")
    assert [shop.ended(one) for one in ids] == [30] * len(ids)
    assert not set(before) & set(shop.ready(2))
    shop.kubectl("scale", "deployment/shop", "--replicas=1")
    shop.ready()


def test_without_any_pod_work_waits_and_goes_on(shop: Shop) -> None:
    shop.start("approval", "asked", None)
    shop.until(lambda: shop.state("asked").get("status") == "RUNNING")
    shop.kubectl("scale", "deployment/shop", "--replicas=0")
    shop.until(lambda: not shop.pods())
    shop.kubectl("scale", "deployment/shop", "--replicas=1")
    shop.ready()
    shop.tenure("raise", "asked", "decision", "--data", '"yes"')
    assert shop.ended("asked") == "yes"


def test_a_job_with_an_engine_ends(shop: Shop) -> None:
    template = pod("batch", "job", "3", restartPolicy="Never")
    template["metadata"]["annotations"]["tenure.dev/app-id"] = "batch"
    shop.kubectl.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "batch", "namespace": APP},
            "spec": {"template": template, "backoffLimit": 0},
        }
    )
    shop.kubectl("wait", "--for=condition=Complete", "job/batch", "--timeout=90s")
    assert "3" in shop.kubectl("logs", "job/batch", "-c", "app").splitlines()


def test_a_pod_that_asks_for_nothing_gets_nothing(shop: Shop) -> None:
    template = pod("plain", "job", "1")
    template["metadata"]["annotations"] = {}
    body = {"apiVersion": "v1", "kind": "Pod", **template}
    body["metadata"] |= {"name": "plain", "namespace": APP}
    shop.kubectl.apply(body)
    made = json.loads(shop.kubectl("get", "pod", "plain", "-o", "json"))
    assert "initContainers" not in made["spec"]
    shop.kubectl("delete", "pod", "plain", "--wait=false")


def test_a_resource_runs_a_workflow(shop: Shop) -> None:
    shop.apply("described", "order", 3)
    assert shop.completed("described") == 3
    shop.kubectl("wait", "--for=condition=Completed", "workflow/described", "--timeout=1s")
    line = shop.kubectl("get", "workflows", "described", "--no-headers")
    assert line.split()[:4] == ["described", "Completed", "shop", "order"]


def test_a_resource_is_started_and_ended_while_no_pod_of_the_app_runs(shop: Shop) -> None:
    shop.kubectl("scale", "deployment/shop", "--replicas=0")
    shop.kubectl("wait", "--for=delete", "pods", "-l", "app=shop", "--timeout=90s")
    shop.apply("early", "order", 3)
    shop.apply("unwanted", "approval", None)
    shop.until(lambda: "instanceID" in shop.kubectl.get("workflow", "unwanted").get("status", {}))
    shop.kubectl(
        "patch", "workflow", "unwanted", "--type=merge", "-p", '{"spec":{"terminate":true}}'
    )
    shop.until(lambda: shop.phase("unwanted") == "Terminated")
    assert shop.phase("early") != "Completed"
    shop.kubectl("scale", "deployment/shop", "--replicas=1")
    shop.ready()
    assert shop.completed("early") == 3


def test_an_upgrade_of_the_chart_under_load(shop: Shop) -> None:
    shop.ready()
    names = [f"upgraded-{number}" for number in range(6)]
    for name in names:
        shop.apply(name, "order", 60)
    shop.until(lambda: all(shop.phase(name) == "Running" for name in names))
    shop.release("upgrade", "log.level=debug")  # every pod of the chart is made anew
    shop.apply("after", "order", 1)
    assert [shop.completed(name) for name in (*names, "after")] == [*[60] * len(names), 1]
