"""Takes what the watches tell, and lets workers look at one resource after another.

Nothing that goes wrong with one resource stops the others, or slows them down.  What was in conflict or
gone is read again, since the watch may be late, and forgotten when it is not there.  All waits while the
API server is away.  What fails while the API server answers others is tried again by itself, with
pauses that grow to five minutes; news of its run do not shorten them, a change of its spec does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from tenure_common.errors import BadResourceError, ClusterUnavailableError, TenureError
from tenure_common.times import NANOS
from tenure_operator.breaker import Breaker
from tenure_operator.link import ConflictError, GoneError, PauseError
from tenure_operator.reconcile.backoff import backoff
from tenure_operator.reconcile.steps import Announcement
from tenure_operator.resources import (
    Key,
    Resource,
    Workflow,
    WorkflowApp,
    WorkflowEvent,
    WorkflowSchedule,
    decode,
)
from tenure_operator.rounds.apps import app_round
from tenure_operator.rounds.desk import Desk, turn
from tenure_operator.rounds.events import event_round
from tenure_operator.rounds.schedules import schedule_round
from tenure_operator.rounds.workflows import workflow_round

_log = structlog.get_logger(__name__)

TOLD_AFTER: Final = 3  # rounds in a row that failed: whoever asks for the resource is told, too
STUCK_AFTER: Final = 600.0  # seconds; every call of a round has a deadline, and they are fewer

Round = Callable[[Desk, Key], Awaitable[None]]
ROUNDS: Final[Mapping[str, Round]] = {
    "Workflow": workflow_round,
    "WorkflowSchedule": schedule_round,
    "WorkflowEvent": event_round,
    "WorkflowApp": app_round,
}
KINDS: Final[Mapping[str, type[Resource]]] = {
    "Workflow": Workflow,
    "WorkflowSchedule": WorkflowSchedule,
    "WorkflowEvent": WorkflowEvent,
    "WorkflowApp": WorkflowApp,
}


class Controller:
    """All rounds of all resources."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._failures: dict[Key, int] = {}  # rounds in a row
        self._not_before: dict[Key, float] = {}  # of those, on the loop's clock
        self._parked: set[Key] = set()  # wait for the API server
        self.breaker = Breaker(self._answers)
        self.breaker.listeners.append(self._back)
        desk.gateway.breaker.listeners.append(desk.gateway_back)

    def told(self, kind: str, change: str | None, body: Mapping[str, Any]) -> None:
        """The API server tells of a resource; ``change`` is DELETED when it is gone."""
        meta = body["metadata"]
        key = Key(kind, meta["namespace"], meta["name"])
        if change == "DELETED":
            self._forget(key)
            return
        if self._desk.cache.known(key, meta["uid"], meta["resourceVersion"]):
            return  # what was written here was taken from the answer
        try:
            resource = decode(body, KINDS[kind])
        except BadResourceError as error:
            _log.error("resource not read", resource=str(key), error=str(error))
            return
        before = self._desk.cache.get(key, KINDS[kind])
        if self._desk.cache.put(resource):
            if before is not None and turn(before) != turn(resource):
                self._excuse(key)
            self._desk.changed(resource)

    def stuck(self) -> str:
        """What does not go on, in words; empty while all goes on."""
        keys = self._desk.queue.stuck(STUCK_AFTER)
        return f"{keys[0]} has been looked at for {STUCK_AFTER:.0f} s" if keys else ""

    def not_ready(self) -> str:
        """Why nothing can be done, in words; empty while the API server answers.

        An operator that waits for the lease is ready: a rolling update waits for it otherwise.
        """
        return self.breaker.reason if self.breaker.open else ""

    async def work(self) -> None:
        """Do rounds for ever; several may work at a time."""
        queue = self._desk.queue
        while True:
            key = await queue.get()
            try:
                await self._round(key)
            finally:
                queue.done(key)

    async def _round(self, key: Key) -> None:
        if self.breaker.open:
            self._parked.add(key)
            return
        desk = self._desk
        rest = self._not_before.get(key, 0.0) - asyncio.get_running_loop().time()
        if rest > 0:
            desk.queue.add_after(key, rest)
            return
        desk.tally.rounds += 1
        try:
            await ROUNDS[key.kind](desk, key)
            self._excuse(key)
        except ConflictError:
            desk.tally.conflicts += 1
            await self._read_again(key)
        except GoneError:  # this resource, or another one that the round was about
            await self._read_again(key)
        except ClusterUnavailableError as error:
            await self._unanswered(key, error)
        except TenureError as error:
            _log.error("round failed", resource=str(key), error=str(error))
            self._later(key, str(error))
        except Exception as error:  # noqa: BLE001 - one resource must not stop the others
            _log.exception("round broke", resource=str(key))
            self._later(key, repr(error))

    async def _read_again(self, key: Key) -> None:
        """Somebody else wrote; the watch may take a while to tell of it.

        The first time the round is done again at once: that is the ordinary case.
        """
        desk = self._desk
        try:
            desk.take(await desk.cluster.get(key), KINDS[key.kind])
        except GoneError:
            self._forget(key)
        except ClusterUnavailableError as error:
            await self._unanswered(key, error)
        except TenureError as error:
            _log.error("resource not read", resource=str(key), error=str(error))
            self._later(key, str(error))
        else:
            if key in self._failures:
                self._later(key, "it is changed by somebody else again and again")
            else:
                self._failures[key] = 0
                desk.queue.add(key)

    async def _unanswered(self, key: Key, error: ClusterUnavailableError) -> None:
        """No answer, or the wish for a pause: of the server, or with this resource alone?"""
        seconds = error.seconds if isinstance(error, PauseError) else 0.0
        if await self.breaker.suspect(error.message, seconds=seconds):
            self._parked.add(key)
            return
        _log.warning("round not answered", resource=str(key), error=error.message)
        self._later(key, error.message, at_least=seconds)

    def _later(self, key: Key, why: str, *, at_least: float = 0.0) -> None:
        """Not now, whoever asks for it; ``at_least`` in seconds."""
        self._desk.tally.failures += 1
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        if failures >= TOLD_AFTER:
            self._tell(key, why)
        pause = max(backoff(failures, seed=str(key)) / NANOS, at_least)
        self._not_before[key] = asyncio.get_running_loop().time() + pause
        self._desk.queue.add_after(key, pause)

    def _tell(self, key: Key, why: str) -> None:
        """In an Event, since the status is what may be impossible to write; the announcer sends the
        same words about the same version once."""
        resource = self._desk.cache.get(key, KINDS[key.kind])
        if resource is not None:
            told = Announcement("CannotWrite", f"Tried again later: {why}", warning=True)
            self._desk.announcer.announce(resource, told)

    def _excuse(self, key: Key) -> None:
        """Its failures do not count any more."""
        self._failures.pop(key, None)
        self._not_before.pop(key, None)

    def _forget(self, key: Key) -> None:
        self._excuse(key)
        self._parked.discard(key)
        self._desk.forget(key)

    async def _answers(self) -> bool:
        try:
            await self._desk.cluster.alive()
        except (TenureError, GoneError):
            return False
        return True

    def _back(self) -> None:
        parked, self._parked = self._parked, set()
        for key in parked:
            self._desk.queue.add(key)

    async def close(self) -> None:
        """Ask the servers no more."""
        self.breaker.close()
        await asyncio.sleep(0)
