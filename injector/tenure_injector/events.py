"""Kubernetes Events, sent beside the reviews: a review never waits for one.

The queue is bounded; what does not fit is dropped and counted, because an Event explains and
decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from tenure_common.errors import ClusterApiError
from tenure_injector.meters import Meters
from tenure_injector.notices import Notice, Recent, event
from tenure_injector.pods import Json

_log = structlog.get_logger(__name__)

QUEUE: Final = 1000


class Cluster(Protocol):
    """The call that is made (``api.Api``)."""

    async def create_event(self, event: Json) -> None:
        """Write one Event."""
        ...


class Events:
    """Sends notices as Events, each of them once in a while."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        instance: str,
        wall_ns: Callable[[], int],
        monotonic: Callable[[], float],
        meters: Meters,
    ) -> None:
        """Nothing is sent before ``run``; ``instance`` is the name of the injector's pod."""
        self._cluster = cluster
        self._instance = instance
        self._wall_ns = wall_ns
        self._monotonic = monotonic
        self._meters = meters
        self._recent = Recent()
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(QUEUE)

    def offer(self, notice: Notice) -> None:
        """Send it soon, unless it was sent lately."""
        if not self._recent.is_new(notice, now=self._monotonic()):
            self._meters.events["repeated",] += 1
            return
        try:
            self._queue.put_nowait(notice)
        except asyncio.QueueFull:
            self._meters.events["dropped",] += 1

    async def run(self) -> None:
        """Send what is offered, for ever."""
        while True:
            notice = await self._queue.get()
            try:
                await self._cluster.create_event(
                    event(notice, instance=self._instance, now=self._wall_ns())
                )
                self._meters.events["sent",] += 1
            except ClusterApiError as error:
                self._meters.events["failed",] += 1
                _log.warning("cannot write an event", error=str(error), reason=notice.reason)
