"""Takes what the watches tell, and lets workers look at one resource after another.

Nothing that goes wrong with one resource stops the others: a conflict is read again, what is gone is
forgotten, what the API server does not answer waits until it does, and everything else is tried
again with growing pauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from tenure_common.errors import BadResourceError, ClusterUnavailableError, TenureError
from tenure_common.times import NANOS
from tenure_operator.breaker import Breaker
from tenure_operator.link import ConflictError, GoneError
from tenure_operator.reconcile.backoff import backoff
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
from tenure_operator.rounds.desk import Desk
from tenure_operator.rounds.events import event_round
from tenure_operator.rounds.schedules import schedule_round
from tenure_operator.rounds.workflows import workflow_round

_log = structlog.get_logger(__name__)

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
        self._failures: dict[Key, int] = {}
        self._parked: set[Key] = set()  # wait for the API server
        self.breaker = Breaker(self._answers)
        self.breaker.listeners.append(self._back)
        desk.gateway.breaker.listeners.append(desk.gateway_back)

    def told(self, kind: str, change: str | None, body: Mapping[str, Any]) -> None:
        """The API server tells of a resource; ``change`` is DELETED when it is gone."""
        meta = body["metadata"]
        key = Key(kind, meta["namespace"], meta["name"])
        if change == "DELETED":
            self._desk.forget(key)
            return
        if self._desk.cache.known(key, meta["uid"], meta["resourceVersion"]):
            return  # what was written here was taken from the answer
        try:
            resource = decode(body, KINDS[kind])
        except BadResourceError as error:
            _log.error("resource not read", resource=str(key), error=str(error))
            return
        if self._desk.cache.put(resource):
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
        desk.tally.rounds += 1
        try:
            await ROUNDS[key.kind](desk, key)
            self._failures.pop(key, None)
        except ConflictError:
            desk.tally.conflicts += 1
            await self._read_again(key)
        except GoneError:
            desk.forget(key)
        except ClusterUnavailableError as error:
            self._parked.add(key)
            self.breaker.trip(error.message)
        except TenureError as error:
            _log.error("round failed", resource=str(key), error=str(error))
            self._later(key)
        except Exception:  # noqa: BLE001 - one resource must not stop the others
            _log.exception("round broke", resource=str(key))
            self._later(key)

    async def _read_again(self, key: Key) -> None:
        """Somebody else wrote; the watch may take a while to tell of it."""
        desk = self._desk
        try:
            desk.take(await desk.cluster.get(key), KINDS[key.kind])
        except GoneError:
            desk.forget(key)
        except ClusterUnavailableError as error:
            self._parked.add(key)
            self.breaker.trip(error.message)
        except TenureError as error:
            _log.error("resource not read", resource=str(key), error=str(error))
            self._later(key)
        else:
            desk.queue.add(key)

    def _later(self, key: Key) -> None:
        self._desk.tally.failures += 1
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._desk.queue.add_after(key, backoff(failures, seed=str(key)) / NANOS)

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
