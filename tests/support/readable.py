"""A read that waits for its server."""

from __future__ import annotations

from tenure_common.errors import EtcdUnavailableError
from tenure_sidecar.etcd import EtcdClient, KeyValue


async def readable(client: EtcdClient, key: bytes) -> KeyValue | None:
    """Read ``key`` as soon as the server answers again."""
    while True:
        try:
            return await client.get(key)
        except EtcdUnavailableError:
            continue
