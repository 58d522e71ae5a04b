"""Calls that wait for their server."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenure_common.errors import EtcdUnavailableError
from tenure_sidecar.etcd import EtcdClient, KeyValue

T = TypeVar("T")


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """Make the call as soon as the server answers again."""
    while True:
        with contextlib.suppress(EtcdUnavailableError):
            return await call()


async def readable(client: EtcdClient, key: bytes) -> KeyValue | None:
    """Read ``key`` as soon as the server answers again."""
    return await answered(lambda: client.get(key))
