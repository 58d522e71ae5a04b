"""The chart in a real API server, by real helm: install, upgrade, roll back, uninstall.

There is no node: the controllers make the pods, and they stay Pending.  The injector itself runs on
this machine, with the chart's arguments and its account's rights.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.helm import CHART, EXAMPLES, HelmError, example
from support.injector import READY_WITHIN, Injector
from support.kube.controlplane import ControlPlane
from support.kube.kubectl import Kubectl
from support.kube.objects import workflow
from support.kube.operating import until
from support.kube.release import WITHOUT_DEFINITIONS, Release

WEBHOOK = "mutatingwebhookconfiguration"
# The Prometheus operator's definitions are not in the test's cluster.
WITHOUT_FOREIGN = ("--set", "monitoring.enabled=false,monitoring.rules.enabled=false")
DEFINITIONS = "customresourcedefinition,validatingadmissionpolicy,validatingadmissionpolicybinding"


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
    for namespace in ("bank", "shop"):
        release.kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        )
    release.install(*example(name), *WITHOUT_FOREIGN, *WITHOUT_DEFINITIONS)
    workloads = release.kubectl.items("deployment") + release.kubectl.items("statefulset")
    replicas = sum(one["spec"]["replicas"] for one in workloads)
    pods_of(release.kubectl, replicas + len(release.kubectl.items("job")))


def test_what_was_made_outlives_upgrade_and_rollback_and_goes_with_the_release(
    release: Release, control_plane: ControlPlane, tmp_path: Path
) -> None:
    kubectl = release.kubectl
    release.install(*example("default"), *WITHOUT_DEFINITIONS)
    injector = Injector(control_plane, kubectl.get("deployment", release.injector), tmp_path)
    injector.start()
    injector.stop()
    release.upkeep(control_plane, tmp_path)

    def made() -> list[Any]:
        webhooks = kubectl.get(WEBHOOK, release.injector)["webhooks"]
        secrets = ("injector-certificates", "ca", "gateway-certificate", "gateway-access")
        return [
            *(kubectl.get("secret", f"{release.name}-{one}")["data"] for one in secrets),
            *(one["clientConfig"]["caBundle"] for one in webhooks),
        ]

    before = made()
    assert len(before) == 7
    assert all(before)
    more = (*example("ha"), *WITHOUT_FOREIGN, *WITHOUT_DEFINITIONS)
    with pytest.raises(HelmError, match=r"store.etcd.members: there are 1, and 3 are asked for"):
        release.helm("upgrade", CHART, *more)
    assert made() == before
    release.helm("upgrade", CHART, *more, "--set", "store.etcd.members=1")
    assert kubectl.get("deployment", release.injector)["spec"]["replicas"] == 3
    assert made() == before
    release.helm("rollback", "1")
    release.upkeep(control_plane, tmp_path)  # nothing is to be done
    assert kubectl.get("deployment", release.injector)["spec"]["replicas"] == 2
    assert made() == before
    release.helm("uninstall")
    assert release.left("secret") == [f"secret/{release.name}-ca"], "it is meant to stay"
    for kind in (
        "deployment",
        "statefulset",
        "cronjob",
        "job",
        "role",
        "service",
        WEBHOOK,
        "clusterrole",
        "clusterrolebinding",
    ):
        assert release.left(kind) == [], kind


def test_what_an_upgrade_added_can_be_changed_and_taken_back(release: Release) -> None:
    """Helm 4.0 owns what an upgrade adds twice, and is then in conflict with itself; other versions
    take the flag as well."""
    words = (CHART, *example("default"), *WITHOUT_DEFINITIONS, "--force-conflicts", "--set")
    release.install(*words[1:-2], "--set", "operator.enabled=false")
    release.helm("upgrade", *words, "operator.enabled=true")
    release.helm("upgrade", *words, "operator.replicas=2,log.level=debug")
    operator = f"{release.name}-operator"
    assert release.kubectl.get("deployment", operator)["spec"]["replicas"] == 2
    release.helm("rollback", "2", "--force-conflicts")
    assert release.kubectl.get("deployment", operator)["spec"]["replicas"] == 1
    release.helm("rollback", "1", "--force-conflicts")
    assert operator not in release.kubectl("get", "deployment", "-o", "name")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("fullnameOverride=other", "fullnameOverride, nameOverride: .* an upgrade does not rename"),
        ("nameOverride=other", "fullnameOverride, nameOverride: .* an upgrade does not rename"),
        ("store.etcd.persistence.enabled=false", "persistence.enabled: .* would be gone"),
        (
            "store.etcd.persistence.size=20Gi",
            "size: etcd's claims have 16Gi, and 20Gi is asked for",
        ),
        ("store.etcd.persistence.storageClass=quick", "storageClass: .* 'quick' is asked for"),
        ("store.etcd.external.endpoints={a.example:2379}", "in this release.s own etcd"),
    ],
)
def test_an_upgrade_that_would_leave_workflows_behind_is_refused_before_it_begins(
    release: Release, change: str, why: str
) -> None:
    words = (*example("default"), *WITHOUT_DEFINITIONS, "--force-conflicts", "--set")
    release.install(*words[:-2])

    def there() -> list[list[str]]:
        kinds = ("deployment", "statefulset", "secret", "service", "job", "clusterrole")
        return [release.left(kind) for kind in kinds]

    before = there()
    with pytest.raises(HelmError, match=why):
        release.helm("upgrade", CHART, *words, change)
    assert there() == before
    release.helm("upgrade", CHART, *words, "store.etcd.persistence.size=16384Mi,log.level=debug")


def test_from_an_etcd_of_somebody_else_s_to_one_of_its_own_is_refused(release: Release) -> None:
    words = (*example("default"), *WITHOUT_DEFINITIONS, "--force-conflicts", "--set")
    two = "store.etcd.external.endpoints={a.example:2379,b.example:2379}"
    release.install(*words[:-2], "--set", "store.etcd.external.endpoints={a.example:2379}")
    with pytest.raises(HelmError, match="workflows are in etcd://a.example:2379"):
        release.helm("upgrade", CHART, *words, "log.level=debug")
    assert release.left("statefulset") == []
    release.helm("upgrade", CHART, *words, two)


def test_a_failed_upgrade_can_be_taken_back(release: Release) -> None:
    words = (*example("default"), *WITHOUT_DEFINITIONS)
    release.install(*words)
    gateway = f"{release.name}-gateway"
    release.kubectl("scale", "deployment", gateway, "--replicas=5")
    with pytest.raises(HelmError, match=r"conflict with \"kubectl\" with subresource \"scale\""):
        release.helm("upgrade", CHART, *words, "--set", "gateway.replicas=3,log.level=debug")
    # What an hour does to the finished Job of the first revision.
    jobs = release.kubectl.items("job")
    assert {one["spec"]["ttlSecondsAfterFinished"] for one in jobs} == {3600}
    release.kubectl("delete", "job", "-l", "app.kubernetes.io/component=upkeep")
    release.helm("rollback", "1", "--force-conflicts")
    assert release.kubectl.get("deployment", gateway)["spec"]["replicas"] == 2
    release.helm("upgrade", CHART, *words, "--set", "gateway.replicas=3", "--force-conflicts")
    assert release.kubectl.get("deployment", gateway)["spec"]["replicas"] == 3


def test_resource_definitions_outlive_the_release(
    installed: ControlPlane, release: Release
) -> None:
    # Those of `installed` become the release's, and are in use again when it is gone.
    release.install(*example("default"), "--take-ownership", "--server-side=false")
    before = release.left(DEFINITIONS)
    assert "customresourcedefinition.apiextensions.k8s.io/workflows.tenure.dev" in before
    release.kubectl.apply(workflow("kept", workflow="w"))
    release.helm("uninstall")
    assert release.left(DEFINITIONS) == before
    assert release.kubectl.get("workflow", "kept")["spec"]["workflow"] == "w"


def test_whoever_may_view_or_edit_a_namespace_may_do_so_with_workflows(
    installed: ControlPlane, release: Release
) -> None:
    release.install(*example("default"), *WITHOUT_DEFINITIONS)
    for role in ("view", "edit"):
        release.kubectl("create", "serviceaccount", role)
        account = f"--serviceaccount={release.name}:{role}"
        release.kubectl("create", "rolebinding", role, f"--clusterrole={role}", account)

    def may(role: str, verb: str) -> bool:
        user = f"system:serviceaccount:{release.name}:{role}"
        words = ("auth", "can-i", verb, "workflows.tenure.dev", f"--as={user}")
        return release.kubectl.run(*words).stdout.strip() == "yes"

    until("the roles to be added up", lambda: may("view", "list") and may("edit", "create"))
    assert not may("view", "create")
    assert may("edit", "list")
