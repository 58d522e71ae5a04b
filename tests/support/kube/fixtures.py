"""Fixtures: one control plane and one helm a session, one namespace a test, and kubectl in it.

A conftest imports what it needs by name.  The programs are built after collection and before the
first test, where no test's time limit counts and progress is seen.  On a machine that cannot build
them the tests are skipped with the reason; with ``CI=true`` they fail, because a build server that
skips them shows nothing.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.helm import Helm
from support.kube.cluster import Cluster, running
from support.kube.controlplane import ControlPlane
from support.kube.debian import tools
from support.kube.kubectl import Kubectl
from support.kube.programs import programs
from support.kube.toolchain import UnavailableError

CRDS = Path(__file__).resolve().parents[3] / "crds"
_CANNOT = pytest.StashKey[str]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the programs, when there is a test that wants them."""
    names = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if names & {"control_plane", "helm", "cluster"}:
        build_programs(session, node="cluster" in names)


def build_programs(session: pytest.Session, *, node: bool = False) -> None:
    """Build the programs, and fetch those of a ``node``; where that cannot be done,
    ``need_programs`` tells each test."""
    if session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            programs()
            if node:
                tools()
        except UnavailableError as error:
            session.config.stash[_CANNOT] = str(error)


@pytest.fixture(scope="session")
def control_plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """A running control plane."""
    need_programs(request)
    running = ControlPlane(tmp_path_factory.mktemp("kube"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A running cluster with one node, on which the images of the tests are."""
    need_programs(request)
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The real helm, without a cluster."""
    need_programs(request)
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with Tenure's resource definitions."""
    control_plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=120s")
    return control_plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(control_plane: ControlPlane, namespace: str) -> Kubectl:
    """kubectl in the test's namespace, as administrator."""
    return control_plane.kubectl.using("-n", namespace)


def need_programs(request: pytest.FixtureRequest) -> None:
    """Skip the test where the programs cannot be built; with ``CI=true`` fail it."""
    reason = request.config.stash.get(_CANNOT, None)
    if reason is None:
        return
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(
            f"the programs of a cluster cannot be built here, and CI=true allows no skip: {reason}"
        )
    pytest.skip(f"the programs of a cluster cannot be built here: {reason}")
