"""Pods of one namespace work together under TLS, and those of another one are kept out.

In scope: what a pod's certificates are good for, tried from inside of an engine's container.  Out of
scope: what else is refused at these doors (tests/integration/peers, tests/integration/etcd).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.kube import intruder
from support.kube.cluster import Cluster
from support.kube.whole import APP, SYSTEM, Shop, deployment, is_ready, namespace

OTHER = "market"
LATE = "evening"
ETCD = f"tenure-etcd.{SYSTEM}.svc:2379"
PYTHON = "/usr/local/bin/python3"


def address(pod: dict[str, Any]) -> str:
    """Where other engines reach this pod's."""
    return f"{pod['status']['podIP']}:50002"


def tried(at: Shop, pod: str, target: str, *, of: str = APP) -> dict[str, Any]:
    """What a pod of ``at`` gets of the app ``shop`` in a namespace, and of its engine at ``target``."""
    text = Path(intruder.__file__).read_text(encoding="utf-8")
    words = (PYTHON, "-c", text, ETCD, of, "shop", target)
    return dict(json.loads(at.kubectl("exec", pod, "-c", "tenure", "--", *words)))


def test_two_pods_share_the_activities_of_one_workflow(shop: Shop) -> None:
    shop.kubectl("scale", "deployment/shop", "--replicas=2")
    pods = shop.ready(2)
    shop.until(lambda: all(metric(shop, pod, "tenure_peers_listening") == 1 for pod in pods))
    shop.start("wide", "wide-in-pods", 160)
    shares = shop.ended("wide-in-pods")
    assert sum(shares.values()) == 160
    assert sorted(shares) == pods
    assert min(shares.values()) > 20, shares  # of 80
    shop.kubectl("scale", "deployment/shop", "--replicas=1")
    shop.ready()


def test_a_pod_of_another_namespace_is_kept_out(shop: Shop, cluster: Cluster) -> None:
    namespace(cluster, OTHER)
    shop.release("upgrade", f"store.namespaces={{{APP},{OTHER}}}")
    market = Shop(cluster, shop.helm, namespace=OTHER)
    try:
        market.kubectl.apply(deployment("shop", namespace=OTHER))
        (theirs,) = market.ready()
        (ours,) = shop.ready()
        market.until(lambda: metric(market, theirs, "tenure_peers_listening") == 1)
        (target,) = map(address, shop.pods())

        own = tried(shop, ours, target)
        assert own["etcd"]["write"] == "written"
        assert int(own["etcd"]["read"].split()[0]) > 10
        assert own["engine"].startswith("NOT_FOUND"), "it is let in, and does not know the word"

        other = tried(market, theirs, target)
        for what in ("read", "write"):
            assert other["etcd"][what].startswith("EtcdAccessError"), other
        refused = f"is for *.{OTHER}.peers.tenure.dev, not for shop.{APP}.peers.tenure.dev"
        assert other["engine"].startswith("PERMISSION_DENIED")
        assert refused in other["engine"]

        for found in (own, other):
            # Neither certificate is good for the other's purpose, and nothing is without one.
            for answer in found["etcd with the peers' certificate"].values():
                assert "Error" in answer, found
            assert "no DNS name" in found["engine with the store's certificate"]
            assert found["engine without a certificate"].startswith("UNAVAILABLE")
        shop.start("order", "untouched", 2)
        assert shop.ended("untouched") == 2
        market.start("order", "of-the-market", 2)
        assert market.ended("of-the-market") == 2
    finally:
        market.kubectl("delete", "deployment", "shop", "--ignore-not-found")
        shop.release("upgrade")


def test_a_label_lets_a_pod_start_and_its_end_keeps_it_out(shop: Shop, cluster: Cluster) -> None:
    """Nobody runs helm in between; what was written before is there when access is back."""
    namespace(cluster, LATE)
    admin = cluster.plane.kubectl
    shop.release("upgrade", "store.byLabel=true")
    late = Shop(cluster, shop.helm, namespace=LATE)
    try:
        late.kubectl.apply(deployment("shop", namespace=LATE))
        late.until(lambda: "tenure-store" in events(late))  # what its pod waits for
        assert not any(is_ready(one) for one in late.pods())
        admin("label", "namespace", LATE, "tenure.dev/store=true")
        (pod,) = late.ready()
        late.start("order", "before", 2)
        assert late.ended("before") == 2
        (target,) = map(address, late.pods())
        assert tried(late, pod, target, of=LATE)["etcd"]["write"] == "written"

        admin("label", "namespace", LATE, "tenure.dev/store-")
        late.until(lambda: "StoreEnded" in events(late))
        for what in ("read", "write"):
            refused = tried(late, pod, target, of=LATE)["etcd"][what]
            assert refused.startswith("EtcdAccessError"), refused
        shop.start("order", "meanwhile", 2)
        assert shop.ended("meanwhile") == 2

        admin("label", "namespace", LATE, "tenure.dev/store=true")
        late.ended("before")
        late.start("order", "after", 2)
        assert late.ended("after") == 2
    finally:
        late.kubectl("delete", "deployment", "shop", "--ignore-not-found")
        shop.release("upgrade")


def events(at: Shop) -> str:
    """What has been said of a namespace's objects: why, and in words."""
    return str([(one["reason"], one["message"]) for one in at.kubectl.items("events")])


def metric(at: Shop, pod: str, name: str) -> float:
    """One metric of a pod's engine."""
    path = f"/api/v1/namespaces/{at.namespace}/pods/{pod}:3501/proxy/metrics"
    lines = at.kubectl("get", "--raw", path).splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))
