"""Three members of etcd on real pods: each goes once while workflows run, and comes back.

A second release beside the first: its own etcd, upkeep and namespace of apps.  The first one's injector
puts the engine into the app's pod, and an annotation names this etcd.  Members that are cut off,
paused or lose their disk are in tests/cluster/test_members.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.helm import CHART
from support.kube import images
from support.kube.cluster import Cluster
from support.kube.kubectl import Kubectl
from support.kube.whole import (
    APP,
    CLIENT_SIDE,
    ONE,
    SYSTEM,
    Shop,
    deployment,
    is_ready,
    namespace,
    volume,
)

RELEASE, HERE, THEIRS = "trio", "tenure-trio", "trio-apps"
ETCD = f"{RELEASE}-tenure-etcd"
MEMBERS = tuple(f"{ETCD}-{number}" for number in range(3))
VALUES = (
    "image.repository={},image.tag={}".format(*images.TENURE.rsplit(":", 1)),
    "store.etcd.image.repository={},store.etcd.image.tag={}".format(*images.ETCD.rsplit(":", 1)),
    f"store.namespaces={{{THEIRS}}},store.etcd.members=3,store.etcd.persistence.size=1Gi",
    "store.etcd.resources.requests.cpu=20m,store.etcd.resources.requests.memory=64Mi",
    "crds.enabled=false,gateway.enabled=false,operator.enabled=false,injector.replicas=1",
    f"injector.excludeNamespaces={{kube-system,{SYSTEM},{APP},{THEIRS}}}",
)
URL = "etcd://" + ",".join(f"{one}.{ETCD}-peers.{HERE}.svc:2379" for one in MEMBERS)
STEPS = 300


@pytest.fixture
def trio(shop: Shop, cluster: Cluster) -> Iterator[Shop]:
    """An app on an etcd of three members."""
    for name in (HERE, THEIRS):
        namespace(cluster, name)
    for number in range(3):
        cluster.plane.kubectl.apply(volume(cluster, f"trio-{number}"))
    made = Shop(cluster, shop.helm, namespace=THEIRS)
    try:
        shop.helm(
            *("install", RELEASE, CHART, "--namespace", HERE, "--wait", "--timeout=300s"),
            CLIENT_SIDE,
            *(word for one in VALUES for word in ("--set", one)),
        )
        annotations = {**ONE, "tenure.dev/store": URL}
        made.kubectl.apply(deployment("shop", namespace=THEIRS, annotations=annotations))
        made.ready()
        yield made
    finally:
        made.kubectl("delete", "deployment", "shop", "--ignore-not-found")
        shop.helm("uninstall", RELEASE, "--namespace", HERE, "--ignore-not-found")
        for name in (HERE, THEIRS):
            cluster.plane.kubectl("delete", "namespace", name, "--wait=false")


def test_each_member_goes_once_under_load(trio: Shop) -> None:
    etcd = trio.kubectl.using("-n", HERE)
    before = {name: etcd.get("pod", name)["metadata"]["uid"] for name in MEMBERS}
    started: list[str] = []
    for name in MEMBERS:
        ids = [f"{name}-{number}" for number in range(2)]
        for one in ids:
            trio.start("order", one, STEPS)
        started += ids
        assert trio.steps(ids[-1]) < STEPS / 2, "there is little left to do when the member goes"
        etcd("delete", "pod", name, "--wait=false")
        trio.until(lambda name=name: came_back(etcd, name, before[name]))  # type: ignore[misc]
    assert [trio.ended(one) for one in started] == [STEPS] * len(started)
    held = etcd.get("statefulset", ETCD)
    assert held["status"]["readyReplicas"] == 3


def came_back(etcd: Kubectl, name: str, before: str) -> bool:
    """Whether a member is ready again, as another pod than it was."""
    found = [one for one in etcd.items("pods") if one["metadata"]["name"] == name]
    return any(one["metadata"]["uid"] != before and is_ready(one) for one in found)
