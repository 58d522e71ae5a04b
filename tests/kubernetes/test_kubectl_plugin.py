"""``kubectl tenure`` through a real API server: whose rights count, and what is said when it fails.

A gateway process on this machine is a part of the Kubernetes API, by the chart's objects.  In scope:
verbs by kubectl, RBAC, trust between API server and gateway, paths made to confuse the two.  Out of
scope: what the verbs do (process/test_cli_verbs), the gateway's own gate (integration/gateway).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.etcd import Cluster
from support.gateway import seed
from support.helm import Helm
from support.kube.controlplane import ControlPlane
from support.kube.operating import until
from support.kube.plugin import AggregatedGateway, Plugin

SLASHED = "2026/11 %2e"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "kubectl-plugin.md"
MANAGE = "/apis/manage.tenure.dev/v1alpha1"


class Rig:
    """A gateway, two namespaces (``shop`` has one app, ``bank`` two), people with roles."""

    def __init__(self, plane: ControlPlane, gateway: AggregatedGateway, folder: Path) -> None:
        self.plane = plane
        self.gateway = gateway
        self.folder = folder
        self.shop, self.bank = (f"{name}-{secrets.token_hex(3)}" for name in ("shop", "bank"))
        self.admin = Plugin(folder / "admin", plane, plane.admin)

    def person(self, role: str, namespace: str) -> Plugin:
        """Somebody with one of the cluster's own roles in one namespace."""
        name = f"{role or 'nobody'}-{secrets.token_hex(3)}"
        kubectl = self.plane.kubectl.using("-n", namespace)
        kubectl("create", "serviceaccount", name)
        account = f"--serviceaccount={namespace}:{name}"
        if role:
            kubectl("create", "rolebinding", name, f"--clusterrole={role}", account)
        return Plugin(
            self.folder / name, self.plane, self.plane.account_kubeconfig(namespace, name)
        )


@pytest.fixture(scope="module")
def rig(
    installed: ControlPlane, helm: Helm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("plugin")
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(Cluster(folder / "etcd"))
        store = f"etcd://127.0.0.1:{cluster.members[0].client_port}/cluster?lease=2"
        home = f"tenure-{secrets.token_hex(3)}"
        gateway = AggregatedGateway(folder / "gateway", installed, helm, home=home, store=store)
        stack.callback(gateway.close)
        rig = Rig(installed, gateway, folder)
        for name in (rig.shop, rig.bank):
            installed.kubectl("create", "namespace", name)
            stack.callback(installed.kubectl, "delete", "namespace", name, "--wait=false")
        seed(folder / "orders", store, rig.shop, "orders", ["one", "two", SLASHED])
        for app in ("orders", "loans"):
            seed(folder / f"bank-{app}", store, rig.bank, app, [f"{app}-1"])
        gateway.process.start()
        until("the API to be a part of the cluster's", gateway.available)
        yield rig


# --- verbs ----------------------------------------------------------------------------------------


def test_verbs_reach_the_gateway(rig: Rig) -> None:
    kubectl_tenure = rig.admin
    where = ("-n", rig.shop)
    assert set(kubectl_tenure("list", "-o", "name", *where).splitlines()) == {"one", "two", SLASHED}
    assert json.loads(kubectl_tenure("get", "one", "-o", "json", *where))["workflow"] == "Order"
    kubectl_tenure("run", "Order", "--id", "three", "--input", '{"a": 1}', *where)
    assert kubectl_tenure.fails("wait", "three", "--timeout", "0s", *where, code=8)
    kubectl_tenure("suspend", "three", *where)
    kubectl_tenure("terminate", "--id-prefix", "three", "--yes", *where)
    state = json.loads(kubectl_tenure("get", "three", "-o", "json", *where))
    assert state["status"] == "TERMINATED"
    told = json.loads(kubectl_tenure("history", "three", "-o", "json", *where))
    assert "ExecutionTerminated" in {event["type"] for event in told["events"]}
    kubectl_tenure("purge", "three", *where)
    assert "TN0101" in kubectl_tenure.fails("get", "three", *where, code=3)
    assert kubectl_tenure.left() == []


def test_the_commands_of_the_page_work(rig: Rig) -> None:
    rig.admin("run", "Order", "--id", "order-42", "-n", rig.shop)
    rig.admin("terminate", "order-42", "-n", rig.shop)  # so that following it comes to an end
    typed = [line for line in PAGE.read_text().splitlines() if line.startswith("kubectl tenure ")]
    assert len(typed) == 4
    for line in typed:
        words = [rig.shop if word == "shop" else word for word in line.split()[2:]]
        assert rig.admin(*words).strip(), line


def test_flags_may_stand_in_front_of_the_verb(rig: Rig) -> None:
    assert "one" in rig.admin("-n", rig.shop, "list", "-o", "name").split()


def test_an_id_with_a_slash_is_found(rig: Rig) -> None:
    found = json.loads(rig.admin("get", SLASHED, "-o", "json", "-n", rig.shop))
    assert found["instanceId"] == SLASHED


def test_the_namespace_is_that_of_the_context(rig: Rig, tmp_path: Path) -> None:
    config = json.loads(rig.plane.admin.read_text())
    config["contexts"][0]["context"]["namespace"] = rig.shop
    mine = tmp_path / "config"
    mine.write_text(json.dumps(config))
    assert "one" in rig.admin("list", "-o", "name", "--kubeconfig", str(mine)).split()


def test_one_of_several_apps_has_to_be_named(rig: Rig) -> None:
    said = rig.admin.fails("list", "-n", rig.bank, code=2)
    assert "--app loans or --app orders" in said
    assert rig.admin("list", "-o", "name", "-n", rig.bank, "--app", "loans") == "loans-1\n"
    assert "no app" in rig.admin.fails("list", "-n", "default", code=2)


def test_a_watch_follows_and_leaves_nothing_behind(rig: Rig) -> None:
    rig.admin("run", "Order", "--id", "followed", "-n", rig.shop)
    words = rig.admin.command("watch", "followed", "-o", "json", "-n", rig.shop)
    with subprocess.Popen(words, env=rig.admin.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["instance"]["instanceId"] == "followed"
        rig.admin("terminate", "followed", "-n", rig.shop)
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait(timeout=120) == 0
    assert lines[-1]["instance"]["status"] == "TERMINATED"
    assert rig.admin.left() == []


def test_a_watch_that_is_ended_ends_kubectl_too(rig: Rig) -> None:
    words = rig.admin.command("watch", "-o", "json", "-n", rig.shop)
    with subprocess.Popen(words, env=rig.admin.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert rig.admin.left()
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=120) == 143
    assert rig.admin.left() == []


# --- rights ---------------------------------------------------------------------------------------


def test_whoever_may_view_may_look_and_no_more(rig: Rig) -> None:
    viewer = rig.person("view", rig.shop)
    until("the roles to be added up", lambda: not viewer.run("list", "-n", rig.shop).returncode)
    assert "one" in viewer("list", "-o", "name", "-n", rig.shop).split()
    for words in (
        ("terminate", "one"),
        ("run", "Order", "--id", "theirs"),
        ("purge", "--all", "--yes"),
        ("suspend", "one"),
    ):
        said = viewer.fails(*words, "-n", rig.shop, code=6)
        assert "TN0714" in said
        assert "cannot create resource" in said
    assert "TN0714" in viewer.fails("list", "-n", rig.bank, code=6)
    assert json.loads(rig.admin("get", "one", "-o", "json", "-n", rig.shop))["status"] == "PENDING"


def test_whoever_may_edit_may_change_in_that_namespace(rig: Rig) -> None:
    editor = rig.person("edit", rig.shop)
    until("the roles to be added up", lambda: not editor.run("list", "-n", rig.shop).returncode)
    editor("run", "Order", "--id", "edited", "-n", rig.shop)
    editor("terminate", "--id-prefix", "edited", "--yes", "-n", rig.shop)
    said = editor.fails("terminate", "orders-1", "--app", "orders", "-n", rig.bank, code=6)
    assert "TN0714" in said


def test_whoever_has_no_role_sees_nothing(rig: Rig) -> None:
    said = rig.person("", rig.shop).fails("list", "--app", "orders", "-n", rig.shop, code=6)
    assert "cannot list resource" in said or "cannot get resource" in said
    as_somebody = rig.admin.fails("list", "-n", rig.shop, "--as", "somebody", code=6)
    assert 'User "somebody" cannot list resource "apps"' in as_somebody


def test_paths_that_could_be_read_in_two_ways_are_refused(rig: Rig) -> None:
    """A role for one namespace must not lead into another by a path that is read differently."""
    everything = {"apiGroups": ["manage.tenure.dev"], "resources": ["*"], "verbs": ["*"]}
    rig.plane.kubectl.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "all", "namespace": rig.shop},
            "rules": [everything],
        }
    )
    kubectl = rig.plane.kubectl.using("-n", rig.shop)
    kubectl("create", "serviceaccount", "sly")
    kubectl("create", "rolebinding", "sly", "--role=all", f"--serviceaccount={rig.shop}:sly")
    token = kubectl("create", "token", "sly").strip()

    def ask(method: str, path: str) -> tuple[int, str]:
        return raw(rig.plane, method, path, token)

    own = f"{MANAGE}/namespaces/{rig.shop}/apps/orders/instances"
    until("the role to count", lambda: ask("GET", own)[0] == 200)
    nested = quote(quote(f"{rig.shop}/../{rig.bank}", safe=""), safe="")
    for inside in (
        f"namespaces/{rig.shop}/../{rig.bank}/apps/orders/instances",
        f"namespaces/{rig.shop}%2F..%2F{rig.bank}/apps/orders/instances",
        f"namespaces/{rig.shop}/%2E%2E/{rig.bank}/apps/orders/instances",
        f"namespaces/{rig.shop}//apps/orders/instances",
        f"namespaces//{rig.bank}/apps/orders/instances",
        f"./namespaces/{rig.bank}/apps/orders/instances",
        f"namespaces/{nested}/apps/orders/instances",
        f"namespaces/{rig.bank}/apps/orders/instances?namespace={rig.shop}",
    ):
        status, text = ask("GET", f"{MANAGE}/{inside}")
        assert status in {400, 403, 404}, (inside, text)
        assert "orders-1" not in text
    # The API server takes any method under `watch` for the verb watch.
    status, _ = ask(
        "POST", f"{MANAGE}/watch/namespaces/{rig.shop}/apps/orders/instances/one/terminate"
    )
    assert status in {403, 404, 405}
    assert json.loads(rig.admin("get", "one", "-o", "json", "-n", rig.shop))["status"] == "PENDING"


def raw(plane: ControlPlane, method: str, path: str, token: str) -> tuple[int, str]:
    """A request whose path nobody tidies up."""
    host, _, port = plane.server.removeprefix("https://").partition(":")
    context = ssl.create_default_context(cafile=str(plane.certificates.authority))
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split(b" ", 2)[1]), answer.decode(errors="replace")


# --- trust ----------------------------------------------------------------------------------------


def test_only_the_api_server_may_call(rig: Rig) -> None:
    path = f"{MANAGE}/namespaces/{rig.shop}/apps"
    certificates = rig.plane.certificates

    def call(pair: Any) -> int:
        context = ssl.create_default_context(cafile=str(rig.gateway.ca))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        head = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Remote-User: admin\r\nConnection: close\r\n\r\n"
        )
        with (
            socket.create_connection(("127.0.0.1", rig.gateway.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(head.encode())
            answer = connection.recv(65536)
            if not answer:
                message = "the server has ended the connection"
                raise ConnectionError(message)
            return int(answer.split(b" ", 2)[1])

    assert call(certificates.front_proxy()) == 200
    assert call(certificates.front_proxy("another-proxy")) == 401
    # One of the cluster's other authority, whatever its name is; and none at all.
    for pair in (certificates.issue("front-proxy-client"), None):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            call(pair)


def test_a_new_certificate_is_told_to_the_api_server(rig: Rig) -> None:
    rig.gateway.certify()

    def bundle() -> str:
        found = rig.plane.kubectl.get("apiservice", "v1alpha1.manage.tenure.dev")
        return str(found["spec"].get("caBundle", ""))

    before = bundle()
    until("the new bundle", lambda: bundle() != before)
    until("requests to be passed on", lambda: not rig.admin.run("list", "-n", rig.shop).returncode)


# --- what goes wrong ------------------------------------------------------------------------------


def test_kubectl_that_cannot_be_used_is_told(rig: Rig, tmp_path: Path) -> None:
    said = rig.admin.fails("list", "--context", "nowhere", code=2)
    assert "TN0009" in said
    assert "nowhere" in said
    env = {**rig.admin.env, "PATH": str(tmp_path)}
    program = str(next(Path(rig.admin.env["PATH"].split(os.pathsep)[0]).glob("kubectl-tenure")))
    ran = subprocess.run([program, "list"], env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "TN0009: kubectl is not on the PATH" in ran.stderr


def test_a_gateway_that_is_away_or_not_installed_is_told(rig: Rig) -> None:
    rig.gateway.process.stop()
    said = rig.admin.fails("list", "-n", rig.shop, code=5)
    assert "TN0504" in said
    assert "kubectl get apiservice v1alpha1.manage.tenure.dev" in said
    rig.plane.kubectl("delete", "apiservice", "v1alpha1.manage.tenure.dev")

    def not_installed() -> bool:
        return "is Tenure's chart installed" in rig.admin.fails("list", "-n", rig.shop, code=5)

    until("the API to be gone", not_installed)
