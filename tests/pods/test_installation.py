"""What the chart makes on real pods: its certificates, its etcd, and that `helm test` says so."""

from __future__ import annotations

from support.kube.administrator import SYSTEM, etcdctl
from support.kube.whole import Shop


def test_helm_test_runs_a_workflow(shop: Shop) -> None:
    said = shop.helm("test", "tenure", "--namespace", SYSTEM, "--logs", "--timeout=300s")
    assert "Succeeded" in said
    assert "42" in said


def test_etcd_asks_who_a_client_is(shop: Shop) -> None:
    assert "Authentication Status: true" in etcdctl(shop.kubectl, "auth", "status")
    users = etcdctl(shop.kubectl, "user", "list").split()
    assert users == ["root", "tenure-gateway", "tenure:shop"]
