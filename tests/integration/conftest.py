"""The real etcd servers that several folders of tests share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from support.etcd import Cluster, binaries


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
        return iter(binaries())

    def __len__(self) -> int:
        return len(binaries())


@pytest.fixture(scope="session")
def etcd_clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """The servers by version."""
    with ExitStack() as stack:
        yield Clusters(stack, tmp_path_factory)


@pytest.fixture(params=binaries(), ids=lambda version: f"etcd-{version}")
def etcd_server(request: pytest.FixtureRequest, etcd_clusters: Clusters) -> Cluster:
    """The server of each version in turn."""
    return etcd_clusters[request.param]
