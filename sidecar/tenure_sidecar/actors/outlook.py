"""Watching instances that others own, for clients who wait for them here.

One watch for each instance that is waited for, however many wait; it ends with the last of them.
What it sees is told to the ``Waiters``, as the host tells them of instances of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import StoreError

if TYPE_CHECKING:
    from tenure_sidecar.actors.waiters import Waiters
    from tenure_sidecar.store.coordination import Coordination

_RETRY = 0.5  # seconds until a watch that failed is begun anew

_log = structlog.get_logger(__name__)


class Outlook:
    """See the module docstring."""

    def __init__(self, coordination: Coordination, waiters: Waiters) -> None:
        self._coordination = coordination
        self._waiters = waiters
        self._watches: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def watch(self, instance_ids: Iterable[str]) -> None:
        """Somebody waits for these, and others own them."""
        for instance_id in instance_ids:
            if instance_id not in self._watches:
                self._watches[instance_id] = asyncio.get_running_loop().create_task(
                    self._follow(instance_id), name="instance watch"
                )

    def left(self, instance_id: str) -> None:
        """A wait is over."""
        if instance_id not in self._waiters:
            watch = self._watches.pop(instance_id, None)
            if watch is not None:
                watch.cancel()

    def abort(self) -> None:
        """End all watches."""
        for watch in self._watches.values():
            watch.cancel()
        self._watches.clear()

    async def _follow(self, instance_id: str) -> None:
        while True:
            try:
                async for head in self._coordination.observe(instance_id):
                    if head is None:
                        self._waiters.gone(instance_id)
                    else:
                        self._waiters.changed(head)
            except StoreError as error:
                _log.warning("watching an instance failed", of=instance_id, error=str(error))
            await asyncio.sleep(_RETRY)
