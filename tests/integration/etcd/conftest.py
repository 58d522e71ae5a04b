"""Clients of real etcd servers."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from support.etcd import Cluster
from support.proxy import FaultProxy
from tenure_common.errors import EtcdUnavailableError
from tenure_sidecar.etcd import EtcdClient


@pytest.fixture
async def client(etcd_server: Cluster) -> AsyncIterator[EtcdClient]:
    """A client of the shared server."""
    client = EtcdClient(etcd_server.urls, clock=monotonic)
    yield client
    await client.close()


@pytest.fixture
def prefix() -> bytes:
    """Keys that no other test uses begin with it."""
    return f"/{uuid.uuid4().hex}/".encode()


@pytest.fixture
async def proxy(etcd_server: Cluster) -> AsyncIterator[FaultProxy]:
    """A proxy before the shared server."""
    async with FaultProxy(etcd_server.members[0].client_port) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: FaultProxy) -> AsyncIterator[EtcdClient]:
    """A client of the shared server behind the proxy, connected; it gives up soon, but not because
    a busy machine takes a second for what nobody disturbs."""
    client = EtcdClient([proxy.url], clock=monotonic, timeout=5.0, connect_timeout=2.0, silence=0.2)
    connected = False
    while not connected:  # on a busy machine the first try may take longer
        with contextlib.suppress(EtcdUnavailableError):
            await client.get(b"nothing")
            connected = True
    yield client
    await client.close()


@pytest.fixture
async def patient(proxy: FaultProxy) -> AsyncIterator[EtcdClient]:
    """The same, but it never connects anew because an answer takes long: for tests that count."""
    client = EtcdClient(
        [proxy.url], clock=monotonic, timeout=60.0, connect_timeout=60.0, silence=3600.0
    )
    yield client
    await client.close()
