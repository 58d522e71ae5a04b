"""The images that tests need beside Tenure's own, built without an engine or a registry.

Their names have a dot in the first part: without one, containerd looks for them at Docker's.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from oci.archive import ARCHITECTURES, Entry, Image, layer, write
from oci.product import base, build, site

from support.kube.programs import pinned, programs
from support.kube.toolchain import cache_folder

PAUSE = "test.tenure.dev/pause:1"
COREDNS = "test.tenure.dev/coredns:1"
TENURE = "tenure.dev/tenure:test"
ETCD = "test.tenure.dev/etcd:test"
ETCD_VERSION = f"v{pinned('go.etcd.io/etcd/server/v3')}"
SHOP = "test.tenure.dev/shop:1"
DAPR_SHOP = "test.tenure.dev/dapr-shop:1"
USER = 65532

SHOP_SOURCE = Path(__file__).with_name("shop.py")
DAPR_SOURCE = Path(__file__).with_name("dapr_shop.py")
_LOCKS = Path(__file__).resolve().parents[2] / "conformance" / "locks"
SHOP_LOCK = _LOCKS / "ms-py.txt"
DAPR_LOCK = _LOCKS / "dapr-py-1.19.txt"

_SLEEP = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); signal.pause()"
_COREFILE = """\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    cache 5
}
"""


def of_the_node() -> list[Path]:
    """What every node has: the process that holds a pod's namespaces, and the cluster's DNS."""
    return [_pause(), _coredns()]


def of_the_tests(folder: Path) -> list[Path]:
    """Tenure, an etcd for it, and an app with a released SDK."""
    return [tenure(folder), _etcd(), _shop()]


def tenure(folder: Path) -> Path:
    """Tenure's image, of the sources as they are."""
    path = folder / "tenure.tar"
    build(TENURE, path)
    return path


def _pause() -> Path:
    image = _image(PAUSE, "/usr/local/bin/python3", "-S", "-c", _SLEEP)
    path = _place("pause")
    write(image, [base()], path)
    return path


def _coredns() -> Path:
    path = _place("coredns")
    program = layer(
        [Entry("coredns", programs() / "coredns", mode=0o755), Entry("tmp", mode=0o1777)],
        path.with_suffix(".layer"),
    )
    write(_image(COREDNS, "/coredns"), [program], path)
    return path


def _etcd() -> Path:
    path = _place("etcd")
    program = layer(
        [Entry("usr/local/bin/etcd", programs() / "etcd", mode=0o755)], path.with_suffix(".layer")
    )
    write(_image(ETCD, "/usr/local/bin/etcd"), [program], path)
    return path


def _shop() -> Path:
    return _app("shop", SHOP, SHOP_SOURCE, SHOP_LOCK)


def dapr_shop() -> Path:
    """An app with Dapr's own SDK, for the test that wants it."""
    return _app("dapr-shop", DAPR_SHOP, DAPR_SOURCE, DAPR_LOCK)


def _app(name: str, image: str, source: Path, lock: Path) -> Path:
    path = _place(name)
    app = layer([Entry("app/shop.py", source)], path.with_suffix(".layer"))
    layers = [base(), site(name, lock), app]
    write(_image(image, "/usr/local/bin/python3", "-u", "/app/shop.py"), layers, path)
    return path


def _image(name: str, *entrypoint: str) -> Image:
    return Image(name=name, architecture=ARCHITECTURES[platform.machine()], entrypoint=entrypoint)


def _place(name: str) -> Path:
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.tar"


def coredns_objects(address: str) -> dict[str, Any]:
    """CoreDNS in the cluster, serving at ``address``."""
    name, space = "coredns", "kube-system"
    meta = {"name": name, "namespace": space}
    labels = {"k8s-app": "kube-dns"}
    container = {
        "name": name,
        "image": COREDNS,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "securityContext": {"runAsUser": 0},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["endpoints", "services", "pods", "namespaces"],
                    "verbs": ["list", "watch"],
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:coredns",
            },
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": space}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {"Corefile": _COREFILE},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": name,
                        "containers": [container],
                        "volumes": [{"name": "config", "configMap": {"name": name}}],
                    },
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": space},
            "spec": {
                "clusterIP": address,
                "selector": labels,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        },
    ]
    return {"apiVersion": "v1", "kind": "List", "items": objects}
