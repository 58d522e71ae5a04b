"""The operator of a whole cluster: several namespaces through one gateway, over HTTPS, by token.

In scope: whose run is whose, the gateway's answer to a caller that it does not know, apps without a
worker.  Real etcd, sidecars, gateway and API server.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.engine import EngineProcess
from support.etcd import Cluster
from support.gated import Files
from support.gateway import GatewayProcess
from support.kube.controlplane import ControlPlane
from support.kube.objects import app, event, workflow
from support.kube.operating import ACCOUNT, app_process, rules, until
from support.kube.operator_process import operator_process

APP = Path(__file__).parent / "apps" / "orders.py"
TOKEN = "operator-0123456789abcdef"


@dataclass
class Shop:
    """Two namespaces, each with an app ``orders``, and one ``closed`` that the gateway keeps from the
    operator; ``token`` is the operator's file."""

    control_plane: ControlPlane
    namespaces: tuple[str, str]
    closed: str
    sidecars: dict[str, EngineProcess]
    token: Path

    def apply(self, namespace: str, *objects: dict[str, Any]) -> None:
        self.control_plane.kubectl.using("-n", namespace).apply(*objects)

    def status(self, namespace: str, name: str) -> dict[str, Any]:
        found = self.control_plane.kubectl.using("-n", namespace).get("workflow", name)
        return dict(found.get("status", {}))

    def reaches(self, namespace: str, name: str, phase: str) -> dict[str, Any]:
        def there() -> bool:
            return bool(self.status(namespace, name).get("phase") == phase)

        until(f"{name} {phase}", there)
        return self.status(namespace, name)


@pytest.fixture(scope="module")
def shop(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("gateway")
    home, closed, *names = (
        f"{name}-{secrets.token_hex(3)}" for name in ("tenure", "vault", "shop", "bank")
    )
    files = Files(folder / "files")
    files.write_access({"operator": {"tokens": [TOKEN], "namespaces": names}})
    token = folder / "token"
    token.write_text(TOKEN)
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(Cluster(folder / "etcd"))
        store = f"etcd://127.0.0.1:{cluster.members[0].client_port}/cluster?lease=2"
        sidecars: dict[str, EngineProcess] = {}
        for name in (home, closed, *names):
            installed.kubectl("create", "namespace", name)
            stack.callback(installed.kubectl, "delete", "namespace", name, "--wait=false")
        for name in names:
            (folder / name).mkdir()
            sidecar = EngineProcess(
                folder / name,
                role="sidecar",
                app_id="orders",
                store=store,
                args=[f"--namespace={name}"],
            )
            stack.callback(sidecar.close)
            sidecar.start()
            app = app_process(APP, sidecar, folder / name)
            stack.callback(app.kill)
            sidecars[name] = sidecar
        callers = (f"--tls-cert={files.cert}", f"--tls-key={files.key}")
        access = f"--access-file={files.access}"
        gateway = GatewayProcess(folder, store, args=(*callers, access), scheme="https")
        stack.callback(gateway.close)
        gateway.start()
        installed.kubectl.apply(*rules(home))
        operator = operator_process(
            folder,
            kubeconfig=installed.account_kubeconfig(home, ACCOUNT),
            gateway=f"{gateway.url}/v1alpha1/namespaces/{{namespace}}",
            lease=home,
            gateway_token_file=str(token),
            gateway_ca=str(files.ca),
        )
        stack.callback(operator.stop)
        operator.ready()
        yield Shop(installed, (names[0], names[1]), closed, sidecars, token)


def test_the_same_names_in_two_namespaces_are_two_runs(shop: Shop) -> None:
    for namespace in shop.namespaces:
        given = {"workflow": "echo", "instanceID": "same", "input": namespace}
        shop.apply(namespace, workflow("same", **given))
    for namespace in shop.namespaces:
        assert shop.reaches(namespace, "same", "Completed")["output"] == namespace


def test_an_event_reaches_the_run_of_its_namespace_only(shop: Shop) -> None:
    ours, theirs = shop.namespaces
    for namespace in shop.namespaces:
        shop.apply(namespace, workflow("waits", workflow="approval", instanceID="waits"))
        shop.reaches(namespace, "waits", "Running")
    shop.apply(ours, event("approve", workflowName="waits", data=1))
    assert shop.reaches(ours, "waits", "Completed")["output"] == {"approved": 1}
    assert shop.status(theirs, "waits")["phase"] == "Running"


def test_a_token_that_the_gateway_does_not_know_is_told_and_a_new_one_is_taken(
    shop: Shop,
) -> None:
    namespace = shop.namespaces[0]
    shop.token.write_text("nobody-0123456789abcdef")
    shop.apply(namespace, workflow("stranger", workflow="echo"))
    status = shop.reaches(namespace, "stranger", "Pending")
    assert status["reason"] == "GatewayRefused"
    for word in ("does not know the operator", "--gateway-token-file", "TN0805"):
        assert word in status["message"]
        assert word in told(shop, namespace, "stranger", "GatewayRefused")
    shop.token.write_text(TOKEN)
    shop.reaches(namespace, "stranger", "Completed")


def test_a_namespace_that_the_gateway_keeps_from_the_operator_is_told(shop: Shop) -> None:
    served = shop.namespaces[0]
    shop.apply(shop.closed, workflow("kept", workflow="echo"), event("e", workflowName="kept"))
    status = shop.reaches(shop.closed, "kept", "Pending")
    assert status["reason"] == "NotPermitted"
    (started,) = [one for one in status["conditions"] if one["type"] == "Started"]
    assert (started["status"], started["reason"]) == ("False", "NotPermitted")
    kubectl = shop.control_plane.kubectl.using("-n", shop.closed)
    assert "NotPermitted" in kubectl("get", "workflow", "kept")
    for text in (status["message"], told(shop, shop.closed, "kept", "NotPermitted")):
        assert f"may not use namespace '{shop.closed}'" in text
        assert "access file" in text, "what to do"
        assert "TN0713" in text
    shop.apply(served, workflow("untouched", workflow="echo"))
    shop.reaches(served, "untouched", "Completed")
    kubectl("delete", "workflowevent", "e")
    kubectl("delete", "workflow", "kept", "--wait=false")


def test_the_settings_of_an_app_reach_its_sidecars_and_no_other_app(shop: Shop) -> None:
    ours, theirs = shop.namespaces
    shop.apply(ours, app(retention={"any": "9d"}))
    shop.apply(theirs, app())
    for namespace in shop.namespaces:
        kubectl = shop.control_plane.kubectl.using("-n", namespace)
        kubectl("wait", "--for=condition=Ready", "workflowapp/orders", "--timeout=60s")
        status = dict(kubectl.get("workflowapp", "orders")["status"])
        assert (status["store"], status["partitions"], status["ownedPartitions"]) == (
            "etcd",
            64,
            64,
        )
        assert (status["sidecars"], status["workers"]) == (1, 1)
    until("a run that is kept for 9 days", lambda: "expiresAt" in run(shop, ours))
    assert "expiresAt" not in run(shop, theirs)
    kubectl = shop.control_plane.kubectl.using("-n", ours)
    kubectl("delete", "workflowapp", "orders", "--timeout=60s")
    until("a run that is kept for ever", lambda: "expiresAt" not in run(shop, ours))


def run(shop: Shop, namespace: str) -> dict[str, Any]:
    """A run that has ended, as the sidecar tells of it."""
    url = f"{shop.sidecars[namespace].http_url}/v1alpha1/apps/orders/instances"
    start = urllib.request.Request(  # noqa: S310 - the sidecar's
        url, b'{"workflow": "echo"}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(start) as answer:  # noqa: S310
        started = json.load(answer)["instance"]["instanceId"]
    with urllib.request.urlopen(f"{url}/{started}/wait?timeout=60") as answer:  # noqa: S310
        waited = json.load(answer)
    assert waited["reached"]
    return dict(waited["instance"])


def told(shop: Shop, namespace: str, name: str, reason: str) -> str:
    """The message of the Kubernetes Event with that reason about a resource."""
    chosen = f"--field-selector=involvedObject.name={name},reason={reason}"
    kubectl = shop.control_plane.kubectl.using("-n", namespace)
    found = until(f"{reason} about {name}", lambda: kubectl.items("events", chosen))
    return str(found[0]["message"])


def test_a_run_whose_app_is_away_can_be_ended(shop: Shop) -> None:
    namespace = shop.namespaces[1]
    shop.apply(namespace, workflow("left", workflow="later", deletionPolicy="Purge"))
    shop.reaches(namespace, "left", "Running")
    assert shop.sidecars[namespace].stop() == 0
    kubectl = shop.control_plane.kubectl.using("-n", namespace)
    kubectl("delete", "workflow", "left", "--timeout=60s")
