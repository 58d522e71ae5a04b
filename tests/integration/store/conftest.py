"""The stores that every conformance case runs on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from integration.conftest import of_version
from integration.store.samples import Hub
from support.etcd import Cluster, versions
from tenure_sidecar.store.etcd import Address, EtcdStore
from tenure_sidecar.store.etcd import check as check_etcd
from tenure_sidecar.store.etcd.keys import Keys
from tenure_sidecar.store.memory import MemoryStore
from tenure_sidecar.store.port import Store
from tenure_sidecar.store.sqlite import SqliteStore, check


@pytest.fixture(params=["memory", "sqlite", *(f"etcd-{version}" for version in versions())])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open, empty store; a durable one must be sound when the test is over."""
    kind, _, version = request.param.partition("-")
    if kind == "etcd":
        opened: Store = an_etcd_store(
            of_version(request, request.getfixturevalue("etcd_clusters"), version)
        )
    else:
        opened = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "tenure.db")
    await opened.open()
    yield opened
    if isinstance(opened, EtcdStore):
        keys = Keys("test", opened.app)
        assert await check_etcd(opened.client, keys) == []
    await opened.close()
    if kind == "sqlite":
        assert check(tmp_path / "tenure.db") == []


def an_etcd_store(
    cluster: Cluster,
    *,
    app: str | None = None,
    urls: Sequence[str] = (),
    lease: int = 10,
    timeout: float = 20.0,
) -> EtcdStore:
    """A handle to an app (a new one unless named) on the cluster, reached by ``urls`` if given."""
    address = Address(endpoints=tuple(urls or cluster.urls), lease=lease, timeout=timeout)
    return EtcdStore(address, namespace="test", app=app or uuid.uuid4().hex)


@pytest.fixture
async def hub(store: Store) -> Hub:
    """The store with every partition owned."""
    hub = Hub(store)
    await hub.own()
    return hub
