"""An engine that serves the management API, for each test its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.served import Served, served


@pytest.fixture
async def engine() -> AsyncIterator[Served]:
    """No worker is connected."""
    async with served() as running:
        yield running
