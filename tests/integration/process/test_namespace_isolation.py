"""Namespaces that share one etcd: an engine with one namespace's certificate gets no further.

In scope: users and roles of etcd as the chart's page makes them, with client certificates alone.  Out
of scope: how Kubernetes keeps the certificates apart (it keeps Secrets by namespace).
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.engine import EngineProcess
from support.etcd import Certificates, Cluster


class Shared:
    """An etcd with a user for each namespace, known by the common name of a certificate."""

    def __init__(self, cluster: Cluster, certificates: Certificates) -> None:
        self.cluster = cluster
        self._certificates = certificates
        cert, key = certificates.issue("root")
        self._root = ("--cacert", str(certificates.ca), "--cert", str(cert), "--key", str(key))
        self.ctl("user", "add", "root", "--no-password")
        self.ctl("user", "grant-role", "root", "root")
        for name in ("shop", "bank"):
            self.ctl("role", "add", name)
            self.ctl(
                "role", "grant-permission", name, "--prefix=true", "readwrite", f"/tenure/{name}/"
            )
            self.ctl("user", "add", name, "--no-password")
            self.ctl("user", "grant-role", name, name)
        self.ctl("auth", "enable")

    def ctl(self, *words: str) -> str:
        return self.cluster.ctl(*words, tls=self._root)

    def engine(self, folder: Path, *, user: str, namespace: str) -> EngineProcess:
        cert, key = self._certificates.issue(user)
        host = self.cluster.urls[0].removeprefix("https://")
        folder.mkdir()
        return EngineProcess(
            folder,
            role="sidecar",
            store=f"etcd://{host}",
            args=[
                f"--namespace={namespace}",
                f"--etcd-ca={self._certificates.ca}",
                f"--etcd-cert={cert}",
                f"--etcd-key={key}",
            ],
        )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    folder = tmp_path_factory.mktemp("etcd")
    with Cluster(folder, certificates=certificates, client_certificates=True) as cluster:
        yield Shared(cluster, certificates)


def ask(engine: EngineProcess, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own server
        engine.http_url + path, data, method=method
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.load(answer)


def unready(engine: EngineProcess) -> str:
    """Why it is not ready; empty while nobody says."""
    try:
        with urllib.request.urlopen(f"{engine.health_url}/readyz"):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except urllib.error.URLError:
        return ""


def test_each_namespace_runs_under_its_own_user(shared: Shared, tmp_path: Path) -> None:
    for name in ("shop", "bank"):
        engine = shared.engine(tmp_path / name, user=name, namespace=name)
        try:
            engine.start()
            where = f"/v1alpha1/apps/test/instances/{name}-1"
            ask(engine, "PUT", where, {"workflow": "order"})
            assert ask(engine, "GET", where)["status"] == "PENDING"
            page = ask(engine, "GET", "/v1alpha1/apps/test/instances")
            assert [one["instanceId"] for one in page["instances"]] == [f"{name}-1"]
            assert engine.stop() == 0, engine.tail()
        finally:
            engine.close()


def test_a_foreign_namespace_cannot_be_had(shared: Shared, tmp_path: Path) -> None:
    before = shared.ctl("get", "--prefix", "--keys-only", "/tenure/bank/")
    engine = shared.engine(tmp_path / "engine", user="shop", namespace="bank")
    try:
        engine.launch()
        deadline = time.monotonic() + 60
        while "TN0603" not in unready(engine):
            assert time.monotonic() < deadline, engine.tail()
            time.sleep(0.05)
        assert engine.stop() == 0
    finally:
        engine.close()
    assert shared.ctl("get", "--prefix", "--keys-only", "/tenure/bank/") == before
