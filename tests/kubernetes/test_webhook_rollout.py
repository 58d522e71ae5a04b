"""Both injectors are replaced while pods are being made, as a rolling update does it.

Real parts: API server, injector processes, the chart's configuration, their signals.  A balancer
stands for the Service: it passes connections on and hears late of a replica that is being stopped,
as kube-proxy does.  What must hold: every pod that asks is created with its engine, none is refused,
and no connection is cut on which reviews are sent.

Out of scope: how one replica stops (integration/injector/test_injector_stop.py).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.balancer import Balancer
from support.fleet import Wires
from support.helm import Helm
from support.injector import Injector
from support.kube.controlplane import ControlPlane
from support.kube.operating import until
from support.proxy import FaultProxy
from support.webhook import PATIENT, Fresh, Site, Stream, has_engine, pod

LIVES = ("--certificate-life=20", "--authority-life=40")
HOURS = (
    "--drain=3600"  # so that nothing depends on how fast this machine is; a second signal ends it
)
AT_ONCE = (
    40  # reviews; the API server keeps 25 idle connections at most, and the streams have a few
)
REVIEWS = "tenure_injector_reviews_total"

pytestmark = pytest.mark.timeout(600)


class Shared(Site):
    """Two injectors behind one address."""

    balancer: Balancer

    def _entrance(self) -> FaultProxy:
        self.balancer = self._wires.share(*(one.port for one in self.injectors))
        return self.balancer

    def leave(self, one: Injector) -> None:
        """The Service hears that it should not be called any more."""
        self._wires.call(lambda: self.balancer.leave(one.port))

    def join(self, one: Injector) -> None:
        """The Service hears that it is there."""
        self._wires.call(lambda: self.balancer.join(one.port))


@pytest.fixture
def site(
    request: pytest.FixtureRequest, control_plane: ControlPlane, helm: Helm, tmp_path: Path
) -> Iterator[Shared]:
    """Two replicas at work; the parameter is more flags of theirs."""
    wires = Wires()
    site = Shared(
        control_plane,
        helm,
        tmp_path,
        wires,
        flags=(HOURS, *getattr(request, "param", ())),
        replicas=2,
        values=PATIENT,
    )
    try:
        site.open()
        yield site
    finally:
        site.close()
        wires.close()


class Pods:
    """Pods of a namespace that ask for an engine."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._request = control_plane.request
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._pod = pod("", asks=True)
        self._pod["metadata"]["generateName"] = "asking-"

    def review(self) -> None:
        """One that is not made."""
        answer = self._request(f"{self._path}?dryRun=All", method="POST", body=self._pod)
        assert has_engine(answer), answer

    def make(self) -> None:
        """One that is made, and deleted."""
        answer = self._request(self._path, method="POST", body=self._pod)
        assert has_engine(answer), answer
        path = f"{self._path}/{answer['metadata']['name']}"
        assert has_engine(self._request(path, method="DELETE", body={}))


@pytest.fixture
def pods(site: Shared, control_plane: ControlPlane, namespace: str) -> Pods:
    assert site.injectors, "who reviews them is there"
    return Pods(control_plane, namespace)


@pytest.fixture
def streams(site: Shared, control_plane: ControlPlane, pods: Pods) -> Iterator[list[Stream]]:
    """Pods are made all the time, some of them for good; and an API server that has just been
    started, and so has no open connection, asks about one."""
    fresh = Fresh(control_plane, site, [f"https://127.0.0.1:{site.balancer.port}/mutate"])
    streams = [Stream(one) for one in (pods.make, pods.review, pods.review, fresh)]
    try:
        yield streams
    finally:
        for one in streams:
            one.end()


def restart(site: Shared, one: Injector, streams: list[Stream], pods: Pods) -> None:
    """A pod of the Deployment is replaced, and nobody notices."""

    def let_go() -> bool:
        # Asked so much at a time, the API server uses connections that were idle, too; the rest it lets
        # go of after 90 seconds.  One that it begins to use in the very moment in which the process
        # ends would fail a review, with HTTP/1.1.
        with ThreadPoolExecutor(AT_ONCE) as several:
            for done in [several.submit(pods.review) for _ in range(AT_ONCE)]:
                done.result()
        return not site.balancer.open_to(one.port)

    def reviews(more_than: float) -> bool:
        return one.metric(REVIEWS) > more_than or any(stream.failed for stream in streams)

    until("reviews there", lambda: reviews(0))
    one.terminate()
    until("it to be not ready", lambda: "being stopped" in one.not_ready())
    late = one.metric(REVIEWS) + 20
    until("reviews that still come", lambda: reviews(late))
    site.leave(one)
    until("the API server to let go of it", let_go)
    one.stop()
    one.start()
    site.join(one)
    until("reviews at the new one", lambda: reviews(0))


@pytest.mark.parametrize("site", [LIVES], indirect=True)
def test_no_pod_is_refused_while_replicas_and_authority_are_replaced(
    site: Shared, streams: list[Stream], pods: Pods
) -> None:
    first, second = site.injectors
    before = base64.b64decode(site.authority())
    restart(site, first, streams, pods)
    until("another authority", lambda: before not in base64.b64decode(site.authority()))
    restart(site, second, streams, pods)
    restart(site, first, streams, pods)
    for one in streams:
        one.end()
    assert [one.failed for one in streams] == [[], [], [], []]
    assert all(one.done for one in streams)


def test_a_replica_that_goes_at_once_is_noticed(site: Shared, streams: list[Stream]) -> None:
    """The streams can fail: without the draining, reviews do until the Service has heard."""
    one = site.injectors[0]
    until("reviews there", lambda: one.metric(REVIEWS) > 0)
    one.stop()
    until("a failed review", lambda: any(stream.failed for stream in streams))
    assert any("onnection re" in text for stream in streams for text in stream.failed)
