"""The stores that every conformance case runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.store.samples import Hub
from tenure_sidecar.store.memory import MemoryStore
from tenure_sidecar.store.port import Store
from tenure_sidecar.store.sqlite import SqliteStore, check


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open, empty store; a durable one must be sound when the test is over."""
    path = tmp_path / "tenure.db"
    opened: Store = MemoryStore() if request.param == "memory" else SqliteStore(path)
    await opened.open()
    yield opened
    await opened.close()
    if request.param == "sqlite":
        assert check(path) == []


@pytest.fixture
async def hub(store: Store) -> Hub:
    """The store with every partition owned."""
    hub = Hub(store)
    await hub.own()
    return hub
