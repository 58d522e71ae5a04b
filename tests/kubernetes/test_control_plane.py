"""The control plane that the other tests stand on is a real one.

In scope: versions, controllers and the scheduler at work, RBAC, service account tokens, an API
server that goes away and comes back.
"""

from __future__ import annotations

import json
import subprocess

from support.kube.controlplane import ControlPlane
from support.kube.kubectl import Kubectl
from support.kube.programs import HELM, KUBERNETES, PACKAGES, programs


def test_all_programs_are_there_and_say_their_versions(control_plane: ControlPlane) -> None:
    folder = programs()
    assert {one.name for one in folder.iterdir() if one.name != ".ready"} == set(PACKAGES)
    shown = json.loads(control_plane.kubectl("version", "-o", "json"))
    assert shown["serverVersion"]["gitVersion"] == f"v{KUBERNETES}"
    assert shown["clientVersion"]["gitVersion"] == f"v{KUBERNETES}"
    helm = subprocess.run(
        [folder / "helm", "version", "--short"], capture_output=True, text=True, check=True
    )
    assert helm.stdout.startswith(f"v{HELM}")
    etcd = subprocess.run(
        [folder / "etcd", "--version"], capture_output=True, text=True, check=True
    )
    assert "etcd Version: 3.6" in etcd.stdout


def test_controllers_work(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=example.invalid/web", "--replicas=2")
    kubectl("wait", "--for=create", "pod", "--selector=app=web", "--timeout=120s")
    kubectl("wait", "--for=jsonpath={.status.replicas}=2", "deployment/web", "--timeout=120s")


def test_the_scheduler_says_that_there_is_no_node(kubectl: Kubectl) -> None:
    kubectl("run", "alone", "--image=example.invalid/alone")
    kubectl("wait", "--for=condition=PodScheduled=False", "pod/alone", "--timeout=120s")
    scheduled = kubectl.get("pod", "alone")["status"]["conditions"][0]
    assert "no nodes available" in scheduled["message"]


def test_a_service_account_may_do_what_its_role_says(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("create", "serviceaccount", "reader")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
    kubectl(
        "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader"
    )
    path = control_plane.account_kubeconfig(namespace, "reader")
    reader = Kubectl(
        kubectl.program, path, cache=control_plane.folder / "cache", flags=("-n", namespace)
    )
    assert reader.items("configmaps")
    assert "forbidden" in reader.fails("get", "secrets")
    assert "forbidden" in reader.fails("delete", "configmap", "kube-root-ca.crt")


def test_nobody_is_let_in_without_a_credential(
    control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    assert "forbidden" in kubectl.using("--as=system:anonymous").fails("get", "configmaps")


def test_the_api_server_goes_and_comes_back_with_its_data(
    control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    kubectl("create", "configmap", "kept", "--from-literal=a=b")
    control_plane.apiserver.kill()
    assert "refused" in kubectl.fails("get", "configmap", "kept")
    control_plane.start_apiserver()
    assert kubectl.get("configmap", "kept")["data"] == {"a": "b"}
