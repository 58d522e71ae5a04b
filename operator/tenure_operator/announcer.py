"""Kubernetes Events about resources: sent in the background, and never at any cost.

An Event is a courtesy.  Under load the ordinary ones are left out, as client-go's recorder does it;
warnings have room of their own and go first.  One that the API server does not take now is put aside and
tried again, for a minute and a half, while others are sent; then it is counted and forgotten.

Its name is made of what it tells: the version of the resource that the news is about, and the words.
So a repeat, after an answer that was lost, finds that the Event is there already.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from tenure_common.errors import ClusterUnavailableError, TenureError
from tenure_common.names import API_GROUP, API_VERSION
from tenure_common.times import NANOS
from tenure_operator.cluster import Body, Cluster
from tenure_operator.link import ConflictError, GoneError, PauseError
from tenure_operator.reconcile.conditions import stamp
from tenure_operator.reconcile.steps import Announcement
from tenure_operator.resources import Resource

_log = structlog.get_logger(__name__)

BURST: Final = 100
PER_SECOND: Final = 10
BACKLOG: Final = 1000  # of each sort, with those that were put aside
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0)  # seconds between attempts
_NAME: Final = 230  # characters of a resource's name; an Event's has 253 at most
_LONGEST: Final = 1000  # characters that the API server takes
SOURCE: Final = "tenure-operator"


class _News:
    """Events of one sort: due ones, and those that were put aside and are due later."""

    def __init__(self) -> None:
        self.due: deque[tuple[Body, int]] = deque()  # with the number of attempts so far
        self.later: set[asyncio.TimerHandle] = set()

    @property
    def full(self) -> bool:
        return len(self.due) + len(self.later) >= BACKLOG


class Announcer:
    """Sends Events from ``run`` on."""

    def __init__(
        self, cluster: Cluster, clock: Callable[[], int], *, pauses: Sequence[float] = PAUSES
    ) -> None:
        """``clock``: wall clock, nanoseconds since the epoch; ``pauses`` in seconds."""
        self._cluster = cluster
        self._clock = clock
        self._pauses = pauses
        self._warnings, self._others = _News(), _News()
        self._some = asyncio.Event()
        self._tokens = float(BURST)
        self._filled = clock()
        self.sent = 0
        self.dropped = 0

    def announce(self, resource: Resource, *announcements: Announcement) -> None:
        """Send these soon, or leave them out."""
        for one in announcements:
            news = self._warnings if one.warning else self._others
            if news.full or not (one.warning or self._allowed()):
                self.dropped += 1
                continue
            self._add(news, self._event(resource, one), 0)

    async def run(self) -> None:
        """Send for ever; when it is cancelled, what is left is not sent."""
        try:
            while True:
                news = self._warnings if self._warnings.due else self._others
                if not news.due:
                    self._some.clear()
                    await self._some.wait()
                    continue
                await self._send(news, *news.due.popleft())
        finally:
            for handle in (*self._warnings.later, *self._others.later):
                handle.cancel()

    async def _send(self, news: _News, event: Body, attempts: int) -> None:
        """Create it, unless it is there."""
        try:
            await self._cluster.create_event(event)
            self.sent += 1
        except ConflictError:  # the answer to an earlier attempt was lost
            self.sent += 1
        except ClusterUnavailableError as error:
            if attempts >= len(self._pauses):
                self._drop(event, error)
                return
            asked = error.seconds if isinstance(error, PauseError) else 0.0
            self._put_aside(news, event, attempts + 1, max(self._pauses[attempts], asked))
        except (TenureError, GoneError) as error:  # its namespace is going away
            self._drop(event, error)

    def _put_aside(self, news: _News, event: Body, attempts: int, seconds: float) -> None:
        def back() -> None:
            news.later.discard(handle)
            self._add(news, event, attempts)

        handle = asyncio.get_running_loop().call_later(seconds, back)
        news.later.add(handle)

    def _add(self, news: _News, event: Body, attempts: int) -> None:
        news.due.append((event, attempts))
        self._some.set()

    def _drop(self, event: Body, error: Exception) -> None:
        self.dropped += 1
        _log.info("event not sent", reason=event["reason"], error=str(error))

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
    told = f"{meta.uid}/{meta.resource_version}/{one.reason}/{one.message}"
    short = meta.name[:_NAME].rstrip("-.")
    return f"{short}.{hashlib.sha256(told.encode()).hexdigest()[:16]}"
