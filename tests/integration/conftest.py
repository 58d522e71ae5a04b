"""The real etcd servers that several folders of tests share, one of each version.

The one that is built is built after collection and before the first test, where no test's time
limit counts and progress is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from support.etcd import BUILT, Cluster, versions
from support.kube.fixtures import build_programs, need_programs


class Clusters(Mapping[str, Cluster]):
    """One member of each version, started when it is asked for, without TLS or users.

    Tests use keys of their own on it.
    """

    def __init__(self, stack: ExitStack, folders: pytest.TempPathFactory) -> None:
        self._stack = stack
        self._folders = folders
        self._running: dict[str, Cluster] = {}

    def __getitem__(self, version: str) -> Cluster:
        if version not in self._running:
            cluster = Cluster(self._folders.mktemp("etcd"), version=version)
            self._running[version] = self._stack.enter_context(cluster)
        return self._running[version]

    def __iter__(self) -> Iterator[str]:
        return iter(versions())

    def __len__(self) -> int:
        return len(versions())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the server that is built, when there is a test that wants it."""
    wanted = f"etcd-{BUILT}"
    if any(wanted in getattr(item, "name", "") for item in session.items):
        build_programs(session)


@pytest.fixture(scope="session")
def etcd_clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """The servers by version."""
    with ExitStack() as stack:
        yield Clusters(stack, tmp_path_factory)


@pytest.fixture(params=versions(), ids=lambda version: f"etcd-{version}")
def etcd_server(request: pytest.FixtureRequest, etcd_clusters: Clusters) -> Cluster:
    """The server of each version in turn."""
    return of_version(request, etcd_clusters, request.param)


def of_version(request: pytest.FixtureRequest, clusters: Clusters, version: str) -> Cluster:
    """The server of that version; the test is skipped where it cannot be built."""
    if version == BUILT:
        need_programs(request)
    return clusters[version]
