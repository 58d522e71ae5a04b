"""The whole path on real pods: helm, the webhook, an injected sidecar, etcd, a released SDK.

In scope: what Kubernetes does to pods while workflows run.  The app's namespace enforces the Pod
Security Standard *restricted*.  Out of scope: what the injector writes (unit), API objects without
a node (tests/kubernetes), faults of the engine itself (tests/cluster).
"""

from __future__ import annotations

import json
from pathlib import Path

from support.kube import images
from support.kube.cluster import Cluster
from support.kube.plugin import Plugin
from support.kube.whole import APP, SYSTEM, Shop, deployment, pod

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
    shop.kubectl("rollout", "status", "deployment/shop", "--timeout=240s")
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
    shop.kubectl("wait", "--for=condition=Complete", "job/batch", "--timeout=240s")
    assert "3" in shop.kubectl("logs", "job/batch", "-c", "app").splitlines()


def test_an_app_of_daprs_keeps_its_annotations(shop: Shop) -> None:
    """Coming from Dapr on Kubernetes: `compat.dapr`, and nothing of the app is changed."""
    shop.node.load(images.dapr_shop())
    shop.release("upgrade", "compat.dapr=true")
    # Those of before go on answering for a moment, by their own settings.
    injectors = ("-n", SYSTEM, "get", "pods", "-l", "app.kubernetes.io/component=injector")
    shop.until(lambda: len(shop.kubectl(*injectors, "-o", "name").split()) == 2)
    try:
        asking = {"dapr.io/enabled": "true", "dapr.io/app-id": "orders", "dapr.io/app-port": "6001"}
        of_dapr = deployment("dapr-shop", image=images.DAPR_SHOP, annotations=asking)
        shop.kubectl.apply(of_dapr)
        shop.kubectl("rollout", "status", "deployment/dapr-shop", "--timeout=240s")
        shop.apply("of-dapr", "order", 3, app="orders")
        assert shop.completed("of-dapr") == 3
        (one,) = shop.pods("dapr-shop")
        (app,) = one["spec"]["containers"]
        assert {"name": "DAPR_GRPC_PORT", "value": "50001"} in app["env"]
    finally:
        shop.kubectl("delete", "deployment", "dapr-shop", "--ignore-not-found")
        shop.release("upgrade")


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
    shop.kubectl("wait", "--for=condition=Completed", "workflow/described", "--timeout=60s")
    line = shop.kubectl("get", "workflows", "described", "--no-headers")
    assert line.split()[:4] == ["described", "Completed", "shop", "order"]


def test_kubectl_tenure_goes_through_the_cluster(
    shop: Shop, cluster: Cluster, tmp_path: Path
) -> None:
    shop.ready()
    shop.apply("seen", "order", 3)
    assert shop.completed("seen") == 3
    run = shop.kubectl.get("workflow", "seen")["status"]["instanceID"]
    plugin = Plugin(tmp_path, cluster.plane, cluster.plane.admin)
    assert run in plugin("list", "-o", "name", "-n", APP, "--app", "shop").split()
    assert "order" in plugin("history", run, "-n", APP, "--app", "shop")
    plugin("run", "order", "--input", "2", "--wait", "-n", APP, "--app", "shop")


def test_a_resource_is_started_and_ended_while_no_pod_of_the_app_runs(shop: Shop) -> None:
    shop.kubectl("scale", "deployment/shop", "--replicas=0")
    shop.kubectl("wait", "--for=delete", "pods", "-l", "app=shop", "--timeout=240s")
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
