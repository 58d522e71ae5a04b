"""``tenure gateway`` as a process, on a real etcd: apps of several namespaces, failures, its end.

In scope: which apps are served and how, an etcd that is away, an app that is sick, TLS and callers from
settings, SIGTERM.  Out of scope: the matrix of callers (test_gateway_access.py), apps that come, go and
fall idle (test_fleet.py).
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.by_wire import Client, Worker
from support.engine import EngineProcess
from support.etcd import Cluster
from support.gated import Files
from support.gateway import GatewayProcess, seed
from tenure_sidecar.rpc.ports import addresses

TOKEN = "shop-0123456789abcdef"


def address(cluster: Cluster, prefix: str, options: str = "") -> str:
    return f"etcd://127.0.0.1:{cluster.members[0].client_port}/{prefix}{options}"


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def store(etcd: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two namespaces, three apps, an instance or two in each."""
    place = address(etcd, "gateway-process", "?lease=2")
    folder = tmp_path_factory.mktemp("seed")
    seed(folder / "a", place, "shop", "orders", ["o-1", "o-2"])
    seed(folder / "b", place, "shop", "stock", ["s-1"])
    seed(folder / "c", place, "bank", "orders", ["b-1"])
    return place


@pytest.fixture
def gateway(store: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path, store)
    gateway.start()
    yield gateway
    if gateway.process is not None and gateway.process.poll() is None:
        assert gateway.stop() == 0, gateway.tail()
    gateway.close()


def test_it_serves_every_app_of_every_namespace(gateway: GatewayProcess) -> None:
    status, apps = gateway.ask("GET", "/v1alpha1/apps")
    assert status == 200
    assert apps["items"] == [
        {"namespace": "bank", "app": "orders"},
        {"namespace": "shop", "app": "orders"},
        {"namespace": "shop", "app": "stock"},
    ]
    for namespace, app, ids in (
        ("bank", "orders", ["b-1"]),
        ("shop", "orders", ["o-1", "o-2"]),
        ("shop", "stock", ["s-1"]),
    ):
        where = f"/v1alpha1/namespaces/{namespace}/apps/{app}/instances?order=id"
        status, page = gateway.ask("GET", where)
        assert status == 200, page
        assert [one["instanceId"] for one in page["instances"]] == ids
    assert gateway.metric("tenure_gateway_apps") == 3


def test_it_carries_out_what_needs_no_app(gateway: GatewayProcess) -> None:
    stock = "/v1alpha1/namespaces/shop/apps/stock/instances"
    assert gateway.ask("PUT", f"{stock}/new", {"workflow": "Order"})[0] == 201
    assert gateway.ask("POST", f"{stock}/new/suspend", {})[1]["status"] == "SUSPENDED"
    assert gateway.ask("POST", f"{stock}/new/events/Paid", {"data": 1})[0] == 202
    assert gateway.ask("POST", f"{stock}/new/resume", {})[1]["status"] == "PENDING"
    assert gateway.ask("POST", f"{stock}/new/terminate", {})[1]["status"] == "TERMINATED"
    assert gateway.ask("POST", f"{stock}/new/purge", {}) == (200, {"deleted": 1})
    assert gateway.ask("GET", f"{stock}/new")[1]["code"] == "TN0101"


def test_an_app_that_never_was_is_not_made(gateway: GatewayProcess, etcd: Cluster) -> None:
    where = "/v1alpha1/namespaces/shop/apps/odrers/instances"
    for method, body in (("GET", None), ("POST", {"workflow": "Order"})):
        status, said = gateway.ask(method, where, body)
        assert (status, said["code"]) == (404, "TN0109")
        assert "from the first start of its sidecar on" in said["message"]
    keys = etcd.ctl("get", "--prefix", "--keys-only", "/gateway-process/shop/odrers")
    assert keys.strip() == ""


def test_the_dash_and_paths_without_a_namespace(store: str, tmp_path: Path) -> None:
    gateway = GatewayProcess(
        tmp_path, store, args=["--default-namespace=bank", "--namespaces=bank"]
    )
    gateway.start()
    try:
        status, page = gateway.ask("GET", "/v1alpha1/apps/-/instances")
        assert (status, page["instances"][0]["instanceId"]) == (200, "b-1")
        status, said = gateway.ask("GET", "/v1alpha1/namespaces/shop/apps/orders/instances")
        assert (status, said["code"]) == (404, "TN0109")
        assert "does not serve namespace 'shop', only bank" in said["message"]
        assert gateway.ask("GET", "/v1alpha1/apps")[1] == {
            "apps": ["orders"],
            "items": [{"namespace": "bank", "app": "orders"}],
        }
        assert gateway.stop() == 0  # the next one must not wait for its lease
    finally:
        gateway.close()


def test_a_sick_app_is_sick_alone(gateway: GatewayProcess, etcd: Cluster) -> None:
    etcd.ctl("put", "/gateway-process/shop/newer/meta", '{"layout":99,"partitions":64}')
    try:
        for _ in range(3):
            status, said = gateway.ask("GET", "/v1alpha1/namespaces/shop/apps/newer/instances")
            assert (status, said["code"]) == (503, "TN0402")
        assert gateway.ask("GET", "/v1alpha1/namespaces/shop/apps/orders/counts")[0] == 200
        assert gateway.health("/readyz") == (200, "ok")
        assert gateway.metric("tenure_gateway_apps_ailing") == 1
    finally:
        etcd.ctl("del", "/gateway-process/shop/newer/meta")


def test_it_gives_everything_back_when_it_is_stopped(
    gateway: GatewayProcess, etcd: Cluster, store: str, tmp_path: Path
) -> None:
    orders = "/v1alpha1/namespaces/bank/apps/orders"
    assert gateway.ask("GET", f"{orders}/counts")[0] == 200
    assert "owners/" in etcd.ctl("get", "--prefix", "--keys-only", "/gateway-process/bank/orders/")
    assert gateway.stop() == 0
    left = etcd.ctl("get", "--prefix", "--keys-only", "/gateway-process/")
    assert "/owners/" not in left
    assert "/members/" not in left
    assert "/writers/" not in left
    seed(tmp_path / "again", store, "bank", "orders", [])  # its sidecar need not wait


def test_an_app_whose_sidecar_runs_is_served_by_both(
    gateway: GatewayProcess, store: str, tmp_path: Path
) -> None:
    """The gateway owns what has no worker, gives way to one that comes, and takes over again."""
    where = "/v1alpha1/namespaces/bank/apps/loans/instances"
    sidecar = EngineProcess(
        tmp_path, role="sidecar", app_id="loans", store=store, args=["--namespace=bank"]
    )
    sidecar.start()
    try:
        body = {"workflow": "flow", "instanceId": "l-1", "input": 7}
        status, _ = gateway.ask("POST", where, body)
        assert status == 201
        with Client(sidecar.taskhub_address) as client, Worker(client) as worker:
            worker.complete(worker.turn("l-1"), '"done"')
            gateway.until(lambda: gateway.ask("GET", f"{where}/l-1")[1]["status"] == "COMPLETED")
        assert gateway.ask("POST", where, {"workflow": "flow", "instanceId": "l-2"})[0] == 201
        assert sidecar.stop() == 0
    finally:
        sidecar.close()
    # No sidecar at all: what needs no worker still works.
    assert gateway.ask("POST", f"{where}/l-2/terminate", {})[0] in {200, 202}
    gateway.until(lambda: gateway.ask("GET", f"{where}/l-2")[1]["status"] == "TERMINATED")


def test_an_etcd_that_is_away(tmp_path: Path) -> None:
    with Cluster(tmp_path / "etcd") as cluster:
        (member,) = cluster.members
        store = address(cluster, "tenure", "?timeout=1")
        seed(tmp_path / "seed", address(cluster, "tenure"), "shop", "orders", ["o-1"])
        member.kill()
        gateway = GatewayProcess(tmp_path, store)
        where = "/v1alpha1/namespaces/shop/apps/orders/instances"
        try:
            gateway.launch()
            gateway.until(lambda: "TN0605" in gateway.health("/readyz")[1])
            assert gateway.health("/healthz") == (200, "ok")
            status, said = gateway.ask("GET", where)
            assert (status, said["code"]) == (503, "TN0605")
            member.start()
            gateway.until(lambda: gateway.health("/readyz") == (200, "ok"))
            gateway.until(lambda: gateway.ask("GET", where)[0] == 200)
            assert gateway.stop() == 0
        finally:
            gateway.close()


def test_tls_and_callers_come_from_settings(store: str, tmp_path: Path) -> None:
    files = Files(tmp_path / "files")
    files.write_access({"shop": {"tokens": [TOKEN], "namespaces": ["shop"]}})
    (tmp_path / "token").write_text(TOKEN)
    settings = tmp_path / "tenure.toml"
    settings.write_text(
        f"tls-cert = {json.dumps(str(files.cert))}\n"
        f"tls-key = {json.dumps(str(files.key))}\n"
        f"client-ca = {json.dumps(str(files.client_ca))}\n"
        f"access-file = {json.dumps(str(files.access))}\n"
        'namespaces = ["shop", "bank"]\n'
        'app-id = "of another command"\n'
    )
    gateway = GatewayProcess(
        tmp_path, store, args=["--config", str(settings), "--gateway-host="], scheme="https"
    )
    contexts = tmp_path / "home" / "tenure" / "contexts.toml"
    contexts.parent.mkdir(parents=True)
    contexts.write_text(
        f'current = "here"\n[contexts.here]\nserver = "{gateway.url}"\nnamespace = "shop"\n'
        f'app = "orders"\nca-file = "{files.ca}"\ntoken-file = "{tmp_path / "token"}"\n'
    )

    def tenure(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tenure_cli", *words],
            capture_output=True,
            text=True,
            check=False,
            env={"XDG_CONFIG_HOME": str(tmp_path / "home"), "PYTHONPATH": ":".join(sys.path)},
        )

    try:
        gateway.start()
        if len(addresses("")) > 1:  # all addresses, of both kinds
            socket.create_connection(("::1", gateway.port)).close()
        assert tenure("list", "-o", "name", "--id-prefix", "o-").stdout.split() == ["o-2", "o-1"]
        assert json.loads(tenure("get", "o-1", "-o", "json").stdout)["app"] == "orders"
        refused = tenure("list", "--namespace", "bank")
        assert refused.returncode == 6
        assert "TN0713" in refused.stderr
        assert gateway.stop() == 0
    finally:
        gateway.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "TN0003: --store (or TENURE_STORE) must be given"),
        (["--store=sqlite:x.db"], "a gateway serves the apps of an etcd store"),
        (["--store=etcd://h", "--gateway-host=0.0.0.0"], "nobody may call from there unencrypted"),
        (["--store=etcd://h", "--client-ca=x"], "--client-ca is of no use without"),
        (["--store=etcd://h", "--tls-cert=x"], "--tls-cert and --tls-key go together"),
        (["--store=etcd://h", "--access-file=/none"], "cannot read the access file"),
        (["--store=etcd://h", "--retention=soon"], "--retention: "),
        (["--store=etcd://h", "--etcd-password=x"], "without --etcd-user"),
        (["--store=etcd://h", "--app-id=x"], "flag --app-id is not known"),
    ],
)
def test_settings_that_cannot_be(arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "tenure_sidecar", "gateway", "--health-port=0", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
