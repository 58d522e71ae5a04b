"""Namespaces of apps in a real API server: what the two accounts that serve them may do, and what the
one that follows labels does.

In scope: rights, the admission policy, the process with its account's token.  Out of scope: users of
etcd, which needs a node here (tests/integration/etcd, tests/pods).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.helm import example
from support.kube.controlplane import ControlPlane
from support.kube.kubectl import Kubectl, manifest
from support.kube.operating import until
from support.kube.release import WITHOUT_DEFINITIONS, Release

YES = "tenure.dev/store=true"
UNCHECKED = ("--validate=false",)  # kubectl would ask for definitions, which is a right of its own


class World:
    """A release, namespaces beside it, and kubectl in the place of one of its accounts."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self.release = Release(control_plane, folder / "helm")
        self._kubectl = control_plane.kubectl
        self._made: list[str] = []

    def namespace(self, short: str, *labels: str) -> str:
        """Make one; its whole name."""
        name = f"{self.release.name}-{short}"
        self._kubectl("create", "namespace", name)
        self._made.append(name)
        if labels:
            self._kubectl("label", "namespace", name, *labels)
        return name

    def acting(self, account: str, namespace: str) -> Kubectl:
        """In a namespace, as an account of the release."""
        user = f"system:serviceaccount:{self.release.name}:{self.release.name}-{account}"
        return self._kubectl.using("-n", namespace, f"--as={user}")

    def rights(self, account: str, namespace: str) -> set[tuple[str, str, str]]:
        """Resource, name and verbs of all that RBAC gives an account there, beyond what any has."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }

        def of(kubectl: Kubectl) -> set[tuple[str, str, str]]:
            text = kubectl("create", *UNCHECKED, "-o", "json", "-f", "-", stdin=manifest([review]))
            return {
                (resource, name, " ".join(sorted(rule["verbs"])))
                for rule in json.loads(text)["status"]["resourceRules"]
                for resource in rule["resources"]
                for name in rule.get("resourceNames") or ["*"]
            }

        anybody = f"system:serviceaccount:{self.release.name}:default"
        return of(self.acting(account, namespace)) - of(self._kubectl.using(f"--as={anybody}"))

    def close(self) -> None:
        self.release.close()
        for name in self._made:
            self._kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def world(control_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    world = World(control_plane, tmp_path)
    yield world
    world.close()


def secret(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **more}


def create(kubectl: Kubectl, one: dict[str, Any]) -> str:
    """Why the API server would refuse it; empty when it would not."""
    ran = kubectl.run("create", *UNCHECKED, "--dry-run=server", "-f", "-", stdin=manifest([one]))
    return ran.stderr if ran.returncode else ""


def events(kubectl: Kubectl) -> list[tuple[str, str]]:
    """Reason and message of what the follower has told in a namespace."""
    found = kubectl.items("events", "--field-selector", "source=tenure-namespaces")
    assert all(one["involvedObject"]["kind"] == "Namespace" for one in found)
    return [(one["reason"], one["message"]) for one in found]


def test_the_upkeep_may_fill_two_secrets_of_a_listed_namespace_and_nothing_else(
    world: World, control_plane: ControlPlane, tmp_path: Path
) -> None:
    shop, bank = world.namespace("shop"), world.namespace("bank")
    # An API that nobody serves keeps a namespace from being deleted.
    alone = "gateway.kubernetesApi.enabled=false"
    listed = ("--set", f"store.namespaces={{{shop}}},{alone}")
    world.release.install(*example("default"), *WITHOUT_DEFINITIONS, *listed)
    seen = {("namespaces", shop, "get")}
    assert world.rights("upkeep", shop) == seen | {
        ("secrets", "tenure-store", "get update"),
        ("secrets", "tenure-peers", "get update"),
    }
    assert world.rights("upkeep", bank) == seen
    release = world.release.name
    assert world.rights("upkeep", release) == seen | {
        ("statefulsets", f"{release}-etcd", "get patch"),
        *(
            ("secrets", f"{release}-{one}", "get update")
            for one in ("ca", "etcd-tls", "etcd-root", "etcd-gateway", "gateway-certificate")
        ),
    }
    # It works with these, and tells of a namespace that is gone from one that it may not see.
    world.release.upkeep(control_plane, tmp_path, f"--app-namespaces={shop}")
    there = control_plane.kubectl.using("-n", shop).get("secret", "tenure-peers")
    assert set(there["data"]) == {"ca.crt", "tls.crt", "tls.key"}
    acting = world.acting("upkeep", shop)
    assert "cannot create" in create(acting, secret("tenure-store"))
    assert "cannot list" in acting.fails("get", "secrets")
    assert "cannot delete" in acting.fails("delete", "secret", "tenure-store")
    assert "cannot get" in acting.fails("get", "namespace", bank)
    control_plane.kubectl("delete", "namespace", shop, "--timeout=60s")
    assert "not found" in acting.fails("get", "namespace", shop)


def test_the_one_that_follows_writes_two_secrets_in_namespaces_with_the_label_alone(
    world: World,
) -> None:
    shop, bank = world.namespace("shop", YES), world.namespace("bank")
    slip, infra = world.namespace("slip", "tenure.dev/store=enabled"), world.namespace("infra", YES)
    listed, release = world.namespace("listed"), world.release.name
    world.release.kubectl("label", "namespace", release, YES)
    world.release.install(
        *(*example("default"), *WITHOUT_DEFINITIONS, "--set", "store.byLabel=true"),
        *("--set", f"injector.excludeNamespaces={{{infra}}},store.namespaces={{{listed}}}"),
    )
    everywhere = {
        ("namespaces", "*", "list watch"),
        ("events", "*", "create"),
        ("secrets", "*", "create"),
        ("secrets", "tenure-store", "get update"),
        ("secrets", "tenure-peers", "get update"),
    }
    for one in (shop, bank, "kube-system"):
        assert world.rights("namespaces", one) == everywhere
    assert world.rights("namespaces", release) == everywhere | {
        ("secrets", f"{release}-ca", "get"),
        ("secrets", f"{release}-etcd-root", "get"),
        ("statefulsets", f"{release}-etcd", "get"),
    }
    assert not {one for one in world.rights("upkeep", shop) if one[0] == "secrets"}

    acting = {
        one: world.acting("namespaces", one) for one in (shop, bank, slip, infra, listed, release)
    }
    # The API server takes a policy up a moment after it was made.
    until("the policy", lambda: "denied request" in create(acting[bank], secret("tenure-store")))
    for name in ("tenure-store", "tenure-peers"):
        assert create(acting[shop], secret(name)) == ""
        assert create(acting[listed], secret(name)) == ""
        for one in (bank, slip, infra, release):
            refused = create(acting[one], secret(name))
            assert "the namespace has no label tenure.dev/store=true, or is excluded" in refused
    # With these, Kubernetes would put the token of any account into a Secret that may be read.
    token = secret("tenure-store", type="kubernetes.io/service-account-token")
    token["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    for refused in (create(acting[shop], token), create(acting[shop], secret("other"))):
        assert "only Secrets tenure-store and tenure-peers are written, of type Opaque" in refused
    # Nobody else is asked.
    assert create(world.release.kubectl.using("-n", bank), secret("tenure-store")) == ""

    world.release.kubectl.using("-n", shop).apply(secret("tenure-store"))
    there = acting[shop].get("secret", "tenure-store")
    del there["metadata"]["resourceVersion"]  # whichever there is now
    held = manifest([there])
    acting[shop]("replace", *UNCHECKED, "-f", "-", stdin=held)
    world.release.kubectl("label", "namespace", shop, "tenure.dev/store-")
    until(
        "the label's end to be seen",
        lambda: (
            "has no label" in acting[shop].run("replace", *UNCHECKED, "-f", "-", stdin=held).stderr
        ),
    )
    assert "cannot list" in acting[shop].fails("get", "secrets")
    assert "cannot delete" in acting[shop].fails("delete", "secret", "tenure-store")
    assert "cannot patch" in acting[shop].fails("label", "secret", "tenure-store", "a=b")


def test_a_label_gives_a_namespace_its_secret_and_an_event_says_so(
    world: World, control_plane: ControlPlane, tmp_path: Path
) -> None:
    here = control_plane.kubectl
    world.release.install(
        *(*example("default"), *WITHOUT_DEFINITIONS, "--set", "store.byLabel=true"),
    )
    world.release.upkeep(control_plane, tmp_path)
    early = world.namespace("early", YES)

    def filled(namespace: str) -> bool:
        ran = here.run("-n", namespace, "get", "secret", "tenure-peers", "-o", "json")
        return ran.returncode == 0 and len(json.loads(ran.stdout).get("data") or {}) == 3

    with world.release.following(control_plane, tmp_path):
        until("one that was labelled before", lambda: filled(early))
        shop, slip = world.namespace("shop"), world.namespace("slip")
        here("label", "namespace", shop, YES)
        until("one that is labelled now", lambda: filled(shop))
        here("label", "namespace", slip, "tenure.dev/store=yes")
        until("the refusal", lambda: events(here.using("-n", slip)))
        ((reason, message),) = events(here.using("-n", slip))
        assert reason == "StoreRefused"
        assert f"kubectl label namespace {slip} tenure.dev/store=true --overwrite" in message
        # As the message says.
        here("label", "namespace", slip, YES, "--overwrite")
        until("the one with the slip", lambda: filled(slip))
        until("the good news", lambda: len(events(here.using("-n", slip))) == 2)

        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
        full = world.namespace("full")
        here.using("-n", full).apply({**quota, "spec": {"hard": {"count/secrets": "0"}}})
        until(
            "the quota",
            lambda: (
                here.using("-n", full).get("resourcequota", "none").get("status", {}).get("hard")
            ),
        )
        here("label", "namespace", full, YES)
        until("the failure", lambda: events(here.using("-n", full)))
        ((reason, message),) = events(here.using("-n", full))
        assert reason == "StoreFailed"
        assert "Secret tenure-peers" in message
        assert "exceeded quota" in message
        here("-n", full, "delete", "resourcequota", "none")
        until("what was in the way to be gone", lambda: filled(full))
    assert [reason for reason, _ in events(here.using("-n", shop))] == ["StoreReady"]
