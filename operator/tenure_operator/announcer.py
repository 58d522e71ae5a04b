"""Kubernetes Events about resources: sent in the background, and never at any cost.

An Event is a courtesy.  Under load the ordinary ones are left out, as client-go's recorder does it;
warnings have room of their own.  One that the API server does not take is tried a few times more, and
then counted and forgotten.

Its name is made of what it tells: the version of the resource that the news is about, and the reason.
So a repeat, after an answer that was lost, finds that the Event is there already.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

import structlog

from tenure_common.errors import ClusterUnavailableError, TenureError
from tenure_common.names import API_GROUP, API_VERSION
from tenure_common.times import NANOS
from tenure_operator.cluster import Body, Cluster
from tenure_operator.link import ConflictError, GoneError
from tenure_operator.reconcile.conditions import stamp
from tenure_operator.reconcile.steps import Announcement
from tenure_operator.resources import Resource

_log = structlog.get_logger(__name__)

BURST: Final = 100
PER_SECOND: Final = 10
BACKLOG: Final = 1000
PAUSES: Final = (0.5, 1.0, 2.0, 4.0)  # seconds between attempts
_NAME: Final = 230  # characters of a resource's name; an Event's has 253 at most
_LONGEST: Final = 1000  # characters that the API server takes
SOURCE: Final = "tenure-operator"


class Announcer:
    """Sends Events from ``run`` on."""

    def __init__(self, cluster: Cluster, clock: Callable[[], int]) -> None:
        """``clock``: wall clock, nanoseconds since the epoch."""
        self._cluster = cluster
        self._clock = clock
        self._queue: asyncio.Queue[Body] = asyncio.Queue(BACKLOG)
        self._tokens = float(BURST)
        self._filled = clock()
        self.sent = 0
        self.dropped = 0

    def announce(self, resource: Resource, *announcements: Announcement) -> None:
        """Send these soon, or leave them out."""
        for one in announcements:
            if not (one.warning or self._allowed()) or self._queue.full():
                self.dropped += 1
                continue
            self._queue.put_nowait(self._event(resource, one))

    async def run(self) -> None:
        """Send for ever."""
        while True:
            event = await self._queue.get()
            try:
                await self._send(event)
                self.sent += 1
            except (TenureError, GoneError) as error:  # its namespace is going away
                self.dropped += 1
                _log.info("event not sent", reason=event["reason"], error=str(error))

    async def _send(self, event: Body) -> None:
        """Create it, unless it is there.  Raises: GoneError, TenureError."""
        for pause in (*PAUSES, None):
            try:
                await self._cluster.create_event(event)
            except ConflictError:
                return
            except ClusterUnavailableError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                return

    def _allowed(self) -> bool:
        now = self._clock()
        gained = (now - self._filled) / NANOS * PER_SECOND
        self._tokens = min(float(BURST), self._tokens + max(gained, 0.0))
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _event(self, resource: Resource, one: Announcement) -> Body:
        now, meta = self._clock(), resource.metadata
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": meta.namespace, "name": _name(resource, one)},
            "involvedObject": {
                "apiVersion": f"{API_GROUP}/{API_VERSION}",
                "kind": resource.key.kind,
                "namespace": meta.namespace,
                "name": meta.name,
                "uid": meta.uid,
            },
            "type": "Warning" if one.warning else "Normal",
            "reason": one.reason,
            "message": one.message[:_LONGEST],
            "source": {"component": SOURCE},
            "firstTimestamp": stamp(now),
            "lastTimestamp": stamp(now),
            "count": 1,
        }


def _name(resource: Resource, one: Announcement) -> str:
    meta = resource.metadata
    told = f"{meta.uid}/{meta.resource_version}/{one.reason}"
    short = meta.name[:_NAME].rstrip("-.")
    return f"{short}.{hashlib.sha256(told.encode()).hexdigest()[:16]}"
