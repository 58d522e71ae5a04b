"""What the gateway's watches tell: the runs of the Workflows that have not ended yet.

One stream for each app that has such a Workflow; none at all when there is none.  What a stream tells
of a run wakes the resource.  That a run is gone is believed only when the stream says so or a direct
question is answered with no: a snapshot may have been taken before the run was started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from tenure_common.times import NANOS
from tenure_operator.gateway import (
    Alive,
    App,
    Broken,
    Changed,
    Deleted,
    Gateway,
    Line,
    RefusedError,
    Reset,
    Synced,
)
from tenure_operator.instance import Instance
from tenure_operator.reconcile.backoff import backoff
from tenure_operator.reconcile.workflow import MANAGED, Seen
from tenure_operator.resources import Key, Workflow

_log = structlog.get_logger(__name__)

PAUSE: Final = NANOS // 2  # before a stream that broke is opened again; doubled up to LONGEST
LONGEST: Final = 5 * NANOS
LINGER: Final = 60.0  # seconds that a stream stays open when nobody needs it any more


def app_of(workflow: Workflow) -> App:
    """The app of a Workflow's run."""
    return App(workflow.metadata.namespace, workflow.spec.app_id)


class _Stream:
    """What is known of one app's runs."""

    def __init__(self) -> None:
        self.wanted: dict[str, set[Key]] = {}  # instance id -> the resources that care
        self.known: dict[str, Instance | None] = {}
        self.told: set[str] = set()  # since the snapshot began
        self.early: set[Key] = set()  # who looked before the snapshot was told to its end
        self.synced = False
        self.cursor: str | None = None
        self.task: asyncio.Task[None] | None = None
        self.closing: asyncio.TimerHandle | None = None


class Runs:
    """The streams; ``wake`` is called with each resource whose run has changed."""

    def __init__(self, gateway: Gateway, wake: Callable[[Key], None]) -> None:
        self._gateway = gateway
        self._wake = wake
        self._streams: dict[App, _Stream] = {}
        self._where: dict[Key, tuple[App, str]] = {}
        self.lines = 0
        self.breaks = 0

    @property
    def streams(self) -> int:
        """How many streams there are."""
        return len(self._streams)

    def follow(self, workflow: Workflow) -> None:
        """Be woken when the run of this Workflow changes."""
        place = app_of(workflow), workflow.instance_id
        if self._where.get(workflow.key) == place:
            return
        self.leave(workflow.key)
        app, instance_id = self._where[workflow.key] = place
        stream = self._streams.setdefault(app, _Stream())
        stream.wanted.setdefault(instance_id, set()).add(workflow.key)
        if stream.closing is not None:
            stream.closing.cancel()
            stream.closing = None
        if stream.task is None:
            stream.task = asyncio.create_task(self._keep(app, stream))

    def leave(self, key: Key) -> None:
        """The resource does not care any more."""
        place = self._where.pop(key, None)
        if place is None:
            return
        app, instance_id = place
        stream = self._streams[app]
        stream.early.discard(key)
        keys = stream.wanted[instance_id]
        keys.discard(key)
        if not keys:
            del stream.wanted[instance_id]
            stream.known.pop(instance_id, None)
        if not stream.wanted:
            loop = asyncio.get_running_loop()
            stream.closing = loop.call_later(LINGER, self._end, app)

    def seen(self, workflow: Workflow) -> Seen:
        """What the stream has told of the run."""
        stream = self._streams.get(app_of(workflow))
        if stream is None or workflow.instance_id not in stream.known:
            return Seen()
        return Seen(known=True, instance=stream.known[workflow.instance_id])

    def learned(self, workflow: Workflow, instance: Instance) -> None:
        """The run is so, as the answer to a call says; the stream will tell of what comes after."""
        stream = self._streams.get(app_of(workflow))
        if stream is not None and workflow.instance_id in stream.wanted:
            stream.known[workflow.instance_id] = instance

    def catching_up(self, workflow: Workflow) -> bool:
        """Whether the stream has not told yet of all that there is; if so, it wakes the resource when
        it has, also when it has told of this run already: whoever is sent away must come again."""
        stream = self._streams.get(app_of(workflow))
        if stream is None or stream.synced:
            return False
        stream.early.add(workflow.key)
        return True

    async def close(self) -> None:
        """End all streams."""
        tasks = [stream.task for stream in self._streams.values() if stream.task is not None]
        for stream in self._streams.values():
            if stream.closing is not None:
                stream.closing.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, app: App) -> None:
        stream = self._streams.pop(app)
        if stream.task is not None:
            stream.task.cancel()

    async def _keep(self, app: App, stream: _Stream) -> None:
        """Hold the stream open, however often it breaks.

        One that lived for a while begins anew at once; those that break together come back one by one.
        """
        loop, attempts = asyncio.get_running_loop(), 0
        while True:
            opened, wish = loop.time(), 0.0
            try:
                tag = "=".join(MANAGED)
                async for line in self._gateway.watch(app, tag=tag, cursor=stream.cursor):
                    self.lines += 1
                    self._take(stream, line)
            except RefusedError as error:
                wish = error.refusal.seconds
                _log.info("watch broke", app=app.app_id, namespace=app.namespace, reason=str(error))
            self.breaks += 1
            attempts = 1 if (loop.time() - opened) * NANOS > LONGEST else attempts + 1
            pause = backoff(attempts, seed=str(app), first=PAUSE, last=LONGEST)
            await asyncio.sleep(max(pause / NANOS, wish))

    def _take(self, stream: _Stream, line: Line) -> None:
        match line:
            case Changed(instance, cursor):
                stream.cursor = cursor or stream.cursor
                stream.told.add(instance.instance_id)
                self._tell(stream, instance.instance_id, instance)
            case Deleted(instance_id, cursor):
                stream.cursor = cursor or stream.cursor
                self._tell(stream, instance_id, None)
            case Reset():
                stream.cursor, stream.synced = None, False
                stream.told.clear()
            case Synced(cursor):
                stream.cursor = cursor
                self._synced(stream)
            case Alive(cursor):
                stream.cursor = cursor
            case Broken(error):
                _log.info("watch ended", code=error.code, reason=error.message)

    def _tell(self, stream: _Stream, instance_id: str, instance: Instance | None) -> None:
        keys = stream.wanted.get(instance_id)
        if keys is None:
            return
        stream.known[instance_id] = instance
        for key in keys:
            self._wake(key)

    def _synced(self, stream: _Stream) -> None:
        """What was not told is asked for one by one."""
        for instance_id in [one for one in stream.known if one not in stream.told]:
            del stream.known[instance_id]
        stream.synced = True
        unknown = [keys for one, keys in stream.wanted.items() if one not in stream.known]
        for key in stream.early.union(*unknown):
            self._wake(key)
        stream.early.clear()
        stream.told.clear()
