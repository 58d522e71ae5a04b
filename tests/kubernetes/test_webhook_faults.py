"""The webhook is down, slow, expired, trusted wrongly or being rotated; seen from the API server.

Real parts: API server, kubectl, controllers, injector processes, the chart's configuration.  Two
proxies stand between API server and injector, one for each way.  In scope: fault F22.  What must
hold in each case: a pod that does not ask is created, without the injector being asked; Tenure's own
and the system's pods are created; a pod that asks is refused with the cause, never created without
the engine; the injector puts right what is its own, by itself.

Out of scope: the schedule of certificates (unit/injector), pods that run (tests/pods).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from support.fleet import Wires
from support.helm import Helm
from support.kube.controlplane import ControlPlane, RefusedError
from support.kube.kubectl import Kubectl
from support.kube.operating import until
from support.webhook import PATIENT, Fresh, Site, Stream, has_engine, pod

ASKS = "label.inject.tenure.dev"  # the webhook that a labelled pod meets

STEPS = "tenure_injector_certificate_steps_total"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def wires() -> Iterator[Wires]:
    wires = Wires()
    yield wires
    wires.close()


@pytest.fixture
def site(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    helm: Helm,
    wires: Wires,
    tmp_path: Path,
) -> Iterator[Site]:
    """A site that works; the parameter is what differs from the chart's defaults."""
    site = Site(control_plane, helm, tmp_path, wires, **getattr(request, "param", {}))
    try:
        site.open()
        yield site
    finally:
        site.close()


def refused(kubectl: Kubectl, site: Site) -> str:
    """What is said to whoever creates a pod that asks; everybody else is not concerned."""
    asked = site.to_injector.accepted
    kubectl.apply(pod("plain", asks=False))
    assert not has_engine(kubectl.get("pod", "plain"))
    assert site.to_injector.accepted == asked, "a pod that does not ask waits for nobody"
    for namespace in (site.home, "kube-system"):  # its own pods start, and the cluster's
        there = kubectl.using("-n", namespace)
        there.apply(pod("own", asks=True))
        assert not has_engine(there.get("pod", "own"))
        there("delete", "pod", "own", "--now", "--wait=false")
    assert site.to_injector.accepted == asked
    said = kubectl.refuses(pod("asking", asks=True))
    assert kubectl.run("get", "pod", "asking").returncode, "it was created without the engine"
    assert f'failed calling webhook "{ASKS}"' in said
    return said


def admitted(kubectl: Kubectl) -> None:
    """A pod that asks gets the engine."""
    kubectl.apply(pod("asking", asks=True))
    assert has_engine(kubectl.get("pod", "asking"))


def test_it_is_down(site: Site, kubectl: Kubectl) -> None:
    site.away(site.to_injector)
    assert "connection refused" in refused(kubectl, site)
    site.back(site.to_injector)
    admitted(kubectl)


def test_a_deployment_gets_its_pods_when_it_is_back(site: Site, kubectl: Kubectl) -> None:
    site.away(site.to_injector)
    template = pod("", asks=True)
    template["metadata"]["labels"]["app"] = "web"
    for key in ("apiVersion", "kind"):
        del template[key]
    kubectl.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template},
        }
    )

    def told() -> bool:
        events = kubectl.items("events", "--field-selector=reason=FailedCreate")
        return any(f'failed calling webhook "{ASKS}"' in one["message"] for one in events)

    until("the ReplicaSet to say why there are no pods", told)
    assert kubectl.items("pods") == []
    site.back(site.to_injector)
    (one,) = until("the pod", lambda: kubectl.items("pods"))
    assert has_engine(one)


def test_it_does_not_answer(site: Site, kubectl: Kubectl) -> None:
    site.silent(site.to_injector)
    said = refused(kubectl, site)
    assert "deadline exceeded" in said or "timeout" in said
    site.answers(site.to_injector)
    admitted(kubectl)


@pytest.mark.parametrize(
    "site", [{"values": ("--set", "injector.failurePolicy=Ignore")}], indirect=True
)
def test_whoever_prefers_pods_to_engines_gets_pods(site: Site, kubectl: Kubectl) -> None:
    site.away(site.to_injector)
    kubectl.apply(pod("asking", asks=True))
    assert not has_engine(kubectl.get("pod", "asking"))


@pytest.mark.parametrize("site", [{"flags": ("--certificate-life=10",)}], indirect=True)
def test_its_certificate_has_expired(site: Site, kubectl: Kubectl) -> None:
    site.away(site.to_api)  # so it cannot be renewed
    until("it to expire", lambda: "expired" in site.injector.not_ready())
    site.broken(site.to_injector)  # who is connected knows an older one
    assert "certificate has expired" in refused(kubectl, site)
    site.back(site.to_api)
    until("it to be renewed", lambda: not site.injector.not_ready())
    admitted(kubectl)


def test_the_api_server_trusts_somebody_else(site: Site, kubectl: Kubectl) -> None:
    site.away(site.to_api)  # so it is not put right at once
    site.trust(base64.b64encode(trustme.CA().cert_pem.bytes()).decode())
    assert "certificate signed by unknown authority" in refused(kubectl, site)
    site.back(site.to_api)
    until("it to be put right", lambda: set(site.bundles()) == {site.authority()})
    admitted(kubectl)


def test_what_it_lost_is_made_anew(site: Site, kubectl: Kubectl) -> None:
    own = kubectl.using("-n", site.home)
    before = site.authority()
    own(
        "patch",
        "secret",
        f"{site.name}-certificates",
        "--type=json",
        '-p=[{"op":"remove","path":"/data"}]',
    )
    until("another authority", lambda: site.bundles()[0] not in {"", before})
    assert set(site.bundles()) == {site.authority()}
    until("the new certificate in service", lambda: site.injector.metric(STEPS) == 2)
    admitted(kubectl)


# --- rotation -------------------------------------------------------------------------------------

LIVES = ("--certificate-life=12", "--authority-life=30")


@pytest.mark.parametrize(
    "site", [{"flags": LIVES, "replicas": 2, "values": PATIENT}], indirect=True
)
def test_no_review_fails_while_everything_is_replaced(
    site: Site, control_plane: ControlPlane, namespace: str
) -> None:
    """Leaves and authority at two thirds of their lives, old authorities out of the bundle."""
    pods = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"

    def reviewed() -> None:
        answer = control_plane.request(pods, method="POST", body=pod("asking", asks=True))
        assert has_engine(answer), answer

    def steps(step: str) -> float:
        return sum(one.metric(f'{STEPS}{{step="{step}"}}') for one in site.injectors)

    before = site.authority()
    streams = [
        Stream(reviewed),
        Stream(Fresh(control_plane, site, [one.url for one in site.injectors])),
    ]
    try:
        until(
            "an authority to be replaced",
            lambda: steps("prune") >= 1 or any(one.failed for one in streams),
        )
    finally:
        for one in streams:
            one.end()
    assert [one.failed for one in streams] == [[], []]
    assert all(one.done > steps("issue") for one in streams)
    assert steps("stage") >= 1
    assert steps("issue") >= 3
    assert base64.b64decode(before) not in base64.b64decode(site.authority())


def test_streams_see_what_fails(site: Site, control_plane: ControlPlane, namespace: str) -> None:
    """The streams above can fail: with a bundle that was replaced at once they do."""
    site.away(site.to_api)
    fresh = Fresh(control_plane, site, [site.injector.url])
    fresh()
    site.trust(base64.b64encode(trustme.CA().cert_pem.bytes()).decode())
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        fresh()
    pods = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    site.broken(site.to_injector)
    with pytest.raises(RefusedError, match="unknown authority"):
        control_plane.request(pods, method="POST", body=pod("asking", asks=True))
