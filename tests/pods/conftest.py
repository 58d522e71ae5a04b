"""One cluster with real pods for all tests here, and on it Tenure with an app."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.helm import Helm
from support.kube.cluster import Cluster
from support.kube.fixtures import cluster, pytest_collection_finish
from support.kube.whole import Shop, install

LIMIT = 600.0  # seconds; a bound for a loaded machine, not a target

__all__ = ["cluster", "pytest_collection_finish"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Time limits are for the tests alone: their fixtures wait until another run's node is gone."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            own = item.get_closest_marker("timeout")
            limit = own.args[0] if own is not None else LIMIT
            item.add_marker(pytest.mark.timeout(limit, func_only=True), append=False)


@pytest.fixture(scope="session")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Chart and app."""
    return install(cluster, Helm(tmp_path_factory.mktemp("helm"), kubeconfig=cluster.plane.admin))
