"""The chart in a real API server, by real helm: install, upgrade, roll back, uninstall.

There is no node: the controllers make the pods, and they stay Pending.  The injector itself runs on
this machine, with the chart's arguments and its account's rights.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.helm import CHART, EXAMPLES, Helm, example
from support.injector import READY_WITHIN, Injector
from support.kube.controlplane import ControlPlane
from support.kube.kubectl import Kubectl

WEBHOOK = "mutatingwebhookconfiguration"
# The Prometheus operator's definitions are not in the test's cluster.
WITHOUT_FOREIGN = ("--set", "monitoring.enabled=false,monitoring.rules.enabled=false")


class Release:
    """One release in a namespace of its own, where *restricted* is enforced."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self.name = f"tenure-{secrets.token_hex(3)}"
        self.injector = f"{self.name}-injector"
        self.kubectl = control_plane.kubectl.using("-n", self.name)
        self._helm = Helm(folder, kubeconfig=control_plane.admin)
        self.kubectl("create", "namespace", self.name)
        self.kubectl(
            "label", "namespace", self.name, "pod-security.kubernetes.io/enforce=restricted"
        )

    def helm(self, verb: str, *words: str | Path) -> str:
        """One command of helm about this release."""
        return self._helm(verb, self.name, *words, "--namespace", self.name)

    def install(self, *words: str | Path) -> None:
        """Install the chart."""
        self.helm("install", CHART, *words)

    def close(self) -> None:
        """Take it away, whatever the test left of it."""
        self._helm("uninstall", self.name, "--namespace", self.name, "--ignore-not-found")
        self.kubectl("delete", "namespace", self.name, "--wait=false")


@pytest.fixture
def release(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Release]:
    release = Release(control_plane, tmp_path / "helm")
    yield release
    release.close()


def pods_of(kubectl: Kubectl, count: int) -> list[Any]:
    """The release's pods, once there are as many."""
    deadline = time.monotonic() + READY_WITHIN
    while len(items := kubectl.items("pods")) != count:
        assert time.monotonic() < deadline, kubectl("get", "events")
    return items


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_can_be_installed(name: str, release: Release) -> None:
    high = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1}
    release.kubectl.apply({**high, "metadata": {"name": "high"}})
    release.install(*example(name), *WITHOUT_FOREIGN)
    (deployment,) = release.kubectl.items("deployment")
    pods_of(release.kubectl, deployment["spec"]["replicas"])


def test_what_the_injector_made_outlives_upgrade_and_rollback_and_goes_with_the_release(
    release: Release, control_plane: ControlPlane, tmp_path: Path
) -> None:
    kubectl = release.kubectl
    release.install(*example("default"))
    injector = Injector(control_plane, kubectl.get("deployment", release.injector), tmp_path)
    injector.start()
    injector.stop()

    def made() -> tuple[Any, list[str]]:
        secret = kubectl.get("secret", f"{release.injector}-certificates")
        webhooks = kubectl.get(WEBHOOK, release.injector)["webhooks"]
        return secret["data"], [one["clientConfig"]["caBundle"] for one in webhooks]

    before = made()
    assert before[0]
    assert len(before[1]) == 2
    release.helm("upgrade", CHART, *example("ha"), *WITHOUT_FOREIGN)
    assert kubectl.get("deployment", release.injector)["spec"]["replicas"] == 3
    assert made() == before
    release.helm("rollback", "1")
    assert kubectl.get("deployment", release.injector)["spec"]["replicas"] == 2
    assert made() == before
    release.helm("uninstall")
    for kind in ("secret", "deployment", "service", WEBHOOK, "clusterrole", "clusterrolebinding"):
        left = kubectl(
            "get", kind, "-l", f"app.kubernetes.io/instance={release.name}", "-o", "name"
        )
        assert left.strip() == "", kind
