"""What a round works with, and how it ends: the status written, if it differs, and the next look set.

A round is one look at one resource.  It leaves nothing behind but what it wrote: a crash in the middle
is a round that begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tenure_common.times import NANOS
from tenure_operator.announcer import Announcer
from tenure_operator.cache import Cache, owner_of
from tenure_operator.cluster import Cluster
from tenure_operator.gateway import Gateway
from tenure_operator.queue import WorkQueue
from tenure_operator.reconcile.mirror import just_begun, only_progress
from tenure_operator.reconcile.refusals import Refusal
from tenure_operator.reconcile.steps import Rest, SetFinalizers, Step
from tenure_operator.resources import (
    ANNOTATION_ENDED,
    Key,
    R,
    Resource,
    WorkflowApp,
    WorkflowEvent,
    WorkflowStatus,
    decode,
)
from tenure_operator.runs import Runs

PROGRESS_EVERY = 1.0  # seconds between two writes that show progress alone
FIRST_AFTER = 0.05  # seconds that a run which was started may take to end before it is shown
MAX_STEPS = 8  # of one round; more would be a loop
_EARLY = (
    0.05  # seconds by which a timer may come before a time that was worked out by another clock
)


class Standing(NamedTuple):
    """A refusal that counts until a time on the loop's clock, for the resource as it was then."""

    refusal: Refusal
    until: float
    turn: tuple[object, ...]


@dataclass
class Tally:
    """What rounds have done, for the metrics."""

    rounds: int = 0
    writes: int = 0
    conflicts: int = 0
    failures: int = 0
    refusals: dict[tuple[str, ...], float] = field(default_factory=dict[tuple[str, ...], float])


@dataclass(frozen=True)
class Desk:
    """The parts that all rounds share."""

    cluster: Cluster
    gateway: Gateway
    cache: Cache
    runs: Runs
    queue: WorkQueue
    announcer: Announcer
    clock: Callable[[], int]  # wall clock, nanoseconds since the epoch
    patience: int  # nanoseconds that a deletion waits for the gateway
    attempts: dict[Key, int] = field(default_factory=dict[Key, int])  # refused rounds in a row
    unanswered: set[Key] = field(default_factory=set[Key])  # wait for the gateway
    standing: dict[Key, Standing] = field(default_factory=dict[Key, Standing])
    progress_at: dict[Key, int] = field(default_factory=dict[Key, int])
    begun_at: dict[Key, int] = field(default_factory=dict[Key, int])  # started, and not written yet
    started: dict[Key, str] = field(default_factory=dict[Key, str])  # here, with the resource's uid
    awaited: dict[Key, set[Key]] = field(default_factory=dict[Key, set[Key]])  # by Workflow: events
    tally: Tally = field(default_factory=Tally)

    def tries(self, key: Key) -> int:
        """How many rounds in a row ended in a refusal."""
        return self.attempts.get(key, 0)

    def take(self, body: bytes, kind: type[R]) -> R:
        """Keep what the API server answered.  Raises: BadResourceError.

        The watch will tell nothing new of it, so those that care about it are woken here.
        """
        resource = decode(body, kind)
        if self.cache.put(resource):
            self._wake_others(resource)
        return resource

    def forget(self, key: Key) -> None:
        """The resource is gone: nothing of it stays."""
        before = self.cache.drop(key)
        if before is not None:
            if isinstance(before, WorkflowEvent) and before.spec.workflow_name is not None:
                target = Key("Workflow", key.namespace, before.spec.workflow_name)
                self.awaited.get(target, set()).discard(key)
            self._wake_family(before)
        self.runs.leave(key)
        self.queue.cancel(key)
        self.attempts.pop(key, None)
        self.unanswered.discard(key)
        self.standing.pop(key, None)
        self.progress_at.pop(key, None)
        self.begun_at.pop(key, None)
        self.started.pop(key, None)

    def note(self, key: Key, refusal: Refusal) -> None:
        """Count a refusal; what got no answer is tried again as soon as the gateway is back."""
        label = (refusal.reason,)
        self.tally.refusals[label] = self.tally.refusals.get(label, 0) + 1
        if refusal.unanswered or self.gateway.breaker.open:
            self.unanswered.add(key)

    def tried(self, key: Key, *, refused: bool) -> None:
        """Count the rounds in a row that ended in a refusal."""
        if refused:
            self.attempts[key] = self.attempts.get(key, 0) + 1
        else:
            self.attempts.pop(key, None)

    def stand(self, resource: Resource, refusal: Refusal | None, step: Step) -> None:
        """Ask nothing more of the gateway for this resource until its next look, whatever wakes it.

        News of a run come as fast as the run goes; each of them would be a call else.  Other refusals
        than transient ones do not stand, since what wakes the resource may be what was waited for; but
        that an id is another run's does, and it is news of that run that come.
        """
        wake_at = step.wake_at if isinstance(step, Rest) else None
        if refusal is None or wake_at is None or not (refusal.transient or refusal.taken):
            self.standing.pop(resource.key, None)
            return
        until = asyncio.get_running_loop().time() + (wake_at - self.clock()) / NANOS
        self.standing[resource.key] = Standing(refusal, until, turn(resource))

    def stands(self, resource: Resource) -> Refusal | None:
        """The refusal that stands; a change by a user ends it."""
        found = self.standing.get(resource.key)
        if found is None:
            return None
        if (
            found.turn == turn(resource)
            and asyncio.get_running_loop().time() < found.until - _EARLY
        ):
            return found.refusal
        del self.standing[resource.key]
        return None

    def changed(self, resource: Resource) -> None:
        """Look at a resource that has changed, and at those that care about it."""
        self.queue.add(resource.key)
        self._wake_others(resource)

    def _wake_family(self, resource: Resource) -> None:
        owner = owner_of(resource)
        if owner is not None:
            self.queue.add(owner)
        if isinstance(resource, WorkflowApp):
            for rival in self.cache.rivals(resource):
                self.queue.add(rival.key)

    def _wake_others(self, resource: Resource) -> None:
        self._wake_family(resource)
        for key in self.awaited.pop(resource.key, ()):
            if key not in self.standing:
                self.attempts.pop(key, None)
            self.queue.add(key)

    def gateway_back(self) -> None:
        """Try again what the gateway did not answer."""
        for key in self.unanswered:
            self.attempts.pop(key, None)
            self.standing.pop(key, None)
            self.queue.add(key)
        self.unanswered.clear()

    async def settle(self, resource: R, rest: Rest, kind: type[R]) -> R:
        """Write the status, tell of it, and set the next look.

        Raises: ConflictError, GoneError, and the errors of ``Cluster``.
        """
        now = self.clock()
        if rest.wake_at is not None:
            self.queue.add_after(resource.key, (rest.wake_at - now) / NANOS)
        status = rest.status
        if status is None or status == resource.status:
            return resource
        if isinstance(status, WorkflowStatus) and isinstance(resource.status, WorkflowStatus):
            wait = self._wait(resource.key, resource.status, status, now)
            if wait > 0:
                self.queue.add_after(resource.key, wait)
                return resource
        meta = resource.metadata
        written = await self.cluster.patch_status(resource.key, meta.resource_version, status)
        self.tally.writes += 1
        self.progress_at[resource.key] = now
        self.begun_at.pop(resource.key, None)
        self.announcer.announce(resource, *rest.announcements)
        return self.take(written, kind)

    async def set_finalizers(self, resource: R, step: SetFinalizers, kind: type[R]) -> R | None:
        """Write the finalizers; None when the resource is gone with the last of them.

        Raises: ConflictError, GoneError, and the errors of ``Cluster``.
        """
        meta = resource.metadata
        annotations = None
        if step.ended is not None:
            annotations = {**meta.annotations, ANNOTATION_ENDED: step.ended}
        written = await self.cluster.set_finalizers(
            resource.key, meta.resource_version, step.finalizers, annotations
        )
        self.tally.writes += 1
        self.announcer.announce(resource, *step.announcements)
        if meta.deleted and not step.finalizers:
            return None
        return self.take(written, kind)

    def _wait(self, key: Key, old: WorkflowStatus, new: WorkflowStatus, now: int) -> float:
        """Seconds until the new status is written; what else becomes known until then goes with it.

        A run that has just begun may be about to end, and progress alone is no hurry.
        """
        if just_begun(old, new):
            return FIRST_AFTER - (now - self.begun_at.setdefault(key, now)) / NANOS
        if not only_progress(old, new):
            return 0.0
        last = self.progress_at.get(key)
        return 0.0 if last is None else PROGRESS_EVERY - (now - last) / NANOS


def turn(resource: Resource) -> tuple[object, ...]:
    """What is different when a user changed something, or began to delete it."""
    meta = resource.metadata
    return meta.uid, meta.generation, meta.deleted
