"""The real etcd servers that several folders of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.etcd import Cluster, binaries


@pytest.fixture(scope="session", params=binaries(), ids=lambda version: f"etcd-{version}")
def etcd_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """One member of each version, without TLS or users; tests use keys of their own on it."""
    with Cluster(tmp_path_factory.mktemp("etcd"), version=request.param) as cluster:
        yield cluster
