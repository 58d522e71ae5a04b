"""The instances of the owned partitions: loading, creating, waking, letting go.

The host is the actors' only way to the store.  An instance is *resident* while it has something to
do; idle ones are kept in a small cache and dropped without ceremony, since all they are is durable.
Residents are found by id, loaded once however many callers ask, and every message to an instance
goes through its resident copy, so that its inbox has one order.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import (
    InstanceExistsError,
    NoSuchInstanceError,
    NotOwnerError,
    OutcomeUnknownError,
    ShuttingDownError,
    TenureError,
)
from tenure_sidecar.actors.instance import Ack, Entry, Instance, backoff
from tenure_sidecar.actors.loops import Loops
from tenure_sidecar.actors.ownership import Ownership
from tenure_sidecar.actors.reminders import Reminders
from tenure_sidecar.actors.timers import armed, fired
from tenure_sidecar.actors.waiters import Waiters
from tenure_sidecar.engine.events import Status, TaskCompleted, TaskFailed
from tenure_sidecar.engine.retention import Retention
from tenure_sidecar.engine.state import State
from tenure_sidecar.engine.turn import TIMER, InboxItem, Timer
from tenure_sidecar.store.group import GroupWriter
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import (
    Committed,
    Conflict,
    Create,
    Created,
    Deliver,
    Delivery,
    Exists,
    same_origin,
)

if TYPE_CHECKING:
    from tenure_sidecar.actors.port import Clock, Work
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.limits import Limits
    from tenure_sidecar.engine.turn import Creation, Turn
    from tenure_sidecar.store.group import Ticket
    from tenure_sidecar.store.port import Commit, Fence, Loaded, Result, Store
    from tenure_sidecar.wire.codec import Codec

_IDLE_KEPT = 512  # idle instances kept in memory
_IDLE_BYTES = 1 << 20  # an idle instance with a longer history is not kept
_RESIDENT_MAX = 20_000  # more runnable instances than this wait in the store, by id
_LOADS_MAX = 32  # loads at a time
_REFRESH = 0.05  # seconds until an instance looks again for what it may have missed
_KEEP = Retention()
_RELOAD_MIN = 3  # failures counted against an instance whose store failed: sets the first back-off

_log = structlog.get_logger(__name__)

Reached = Callable[[Instance | None, BaseException | None], None]


class Host:
    """Owner of partitions in this process.  Not thread-safe: everything runs on one event loop."""

    def __init__(  # noqa: PLR0913 - the composition root passes each part once
        self,
        store: Store,
        *,
        writer: GroupWriter,
        codecs: Mapping[str, Codec],
        ids: Ids,
        clock: Clock,
        limits: Limits,
        app_id: str,
        name: str,
        retention: Retention = _KEEP,
    ) -> None:
        self.store = store
        self.codecs = codecs
        self.ids = ids
        self.clock = clock
        self.limits = limits
        self.app_id = app_id
        self.name = name
        self.retention = retention
        self.expiring: Callable[[int], None] = _ignore  # told when an instance will expire, ns
        self.work: Work
        self.waiters = Waiters()
        self.completed: dict[str, int] = {}  # finished instances by status name, since start
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self.monotonic = self._loop.time
        self._owned = Ownership(store, name, wake=self.wake, reload=self._reload)
        self._residents: dict[str, Instance] = {}
        self._idle: OrderedDict[str, Instance] = OrderedDict()
        self._loading: dict[str, list[Reached]] = {}
        self._backlog: OrderedDict[str, None] = OrderedDict()  # wait for room, in order
        self._load_slots = asyncio.Semaphore(_LOADS_MAX)
        self.loops = Loops()
        self._stopping = False
        self._failures: dict[str, int] = {}
        self.reminders = Reminders(
            store, partitions=range(store.partitions), clock=clock, fire=self._fire
        )

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take the partitions and resume what was under way."""
        await self._owned.take()
        self.loops.spawn("resume", self._owned.resume())
        self.loops.start("reminders", self.reminders.run)
        self.loops.start("ownership", self._owned.keep)

    async def stop(self) -> None:
        """Stop taking work, finish the writes under way, give the partitions back."""
        self._stopping = True
        await self.loops.stop()
        for instance_id in tuple(self._loading):  # a task that was cancelled before it began
            self._loaded(instance_id, None, _stopped(instance_id))
        await self._writer.drain()
        for instance in tuple(self._residents.values()):
            instance.closed = True
        self._residents.clear()
        await self._owned.give_back()

    def abort(self) -> None:
        """Stop at once, as a crash would: nothing more is written, nobody is told."""
        self._stopping = True
        self.loops.abort()
        for instance in tuple(self._residents.values()):
            instance.closed = True

    def _reload(self) -> None:
        """Everything in memory is of an ownership that is over: read the truth back."""
        for instance in tuple(self._residents.values()):
            self.drop(instance, NotOwnerError(f"'{instance.id}': its partition was lost a while"))
        self.reminders.look_again()

    # --- reaching instances -------------------------------------------------------------------

    @property
    def resident_count(self) -> int:
        """Instances in memory."""
        return len(self._residents)

    def resident(self, instance_id: str) -> Instance | None:
        """The copy in memory, if there is one."""
        return self._residents.get(instance_id)

    def reach(self, instance_id: str, then: Reached) -> None:
        """Call ``then`` with the resident instance, loading it when needed; with None when there is
        no such instance; with an error when the store failed."""
        instance = self._residents.get(instance_id)
        if instance is not None:
            self._idle.pop(instance_id, None)
            then(instance, None)
            self.settle(instance)
            return
        if self._stopping:
            then(None, _stopped(instance_id))
            return
        waiting = self._loading.get(instance_id)
        if waiting is not None:
            waiting.append(then)
            return
        self._loading[instance_id] = [then]
        self.loops.spawn("load", self._load(instance_id))

    @property
    def waiting_count(self) -> int:
        """Instances that wait for room in memory."""
        return len(self._backlog)

    def wake(self, instance_id: str, failures: int = _RELOAD_MIN - 1) -> None:
        """Make sure that the instance goes on, now or when there is room.

        A load that fails is repeated after a pause: nobody else might ever ask for the instance.
        ``failures`` of earlier loads decide how long the pause is.
        """
        if instance_id in self._residents:
            return
        if instance_id not in self._loading and not self._room():
            self._backlog[instance_id] = None
            return

        def reached(_instance: Instance | None, error: BaseException | None) -> None:
            if error is None or self._stopping:
                return
            pause = backoff(failures + 1)
            _log.warning(
                "loading an instance failed, trying again",
                instance=instance_id,
                error=str(error),
                pause_seconds=pause,
            )
            self._loop.call_later(pause, self.wake, instance_id, failures + 1)

        self.reach(instance_id, reached)

    def _room(self) -> bool:
        """Whether one more instance may be resident; those on their way count."""
        return len(self._residents) + len(self._loading) < _RESIDENT_MAX

    def _use_room(self) -> None:
        while self._backlog and self._room() and not self._stopping:
            self.wake(self._backlog.popitem(last=False)[0])

    async def _load(self, instance_id: str) -> None:
        instance: Instance | None = None
        error: BaseException | None = None
        fresh = False
        try:
            async with self._load_slots:
                loaded = await self.store.load(instance_id)
            # It may have been created meanwhile: the copy at work is the true one.
            instance = self._residents.get(instance_id)
            if instance is None and loaded is not None:
                instance = self._admit(loaded)
                fresh = True
        except TenureError as failure:
            error = failure
        except asyncio.CancelledError:
            error = _stopped(instance_id)
        except Exception as failure:  # noqa: BLE001 - whoever waits must hear of it
            _log.exception("loading an instance failed unexpectedly", instance=instance_id)
            error = failure
        self._loaded(instance_id, instance, error, fresh=fresh)

    def _loaded(
        self,
        instance_id: str,
        instance: Instance | None,
        error: BaseException | None,
        *,
        fresh: bool = False,
    ) -> None:
        for then in self._loading.pop(instance_id, []):
            try:
                then(instance, error)
            except Exception:  # noqa: BLE001 - a bug of one caller's; the others must hear
                _log.exception("caller of a load failed", instance=instance_id)
        if instance is not None:
            if fresh:
                self._start(instance)
            self.settle(instance)
        self._use_room()

    def _start(self, instance: Instance) -> None:
        """A loaded copy: set its timers and hand out what it waits for."""
        # Timers that fired for an earlier copy, and were not consumed, fire again.
        if timers := armed(instance.state):
            self.reminders.set(timers)
        if instance.state.tasks:
            known = {
                entry.item.event.task_id
                for entry in instance.inbox
                if isinstance(entry.item.event, TaskCompleted | TaskFailed)
            }
            tasks = [t for i, t in instance.state.tasks.items() if i not in known]
            execution_id = instance.state.head.execution_id
            self.work.offer_tasks(instance, tasks, execution_id=execution_id)
        instance.kick()

    def _admit(self, loaded: Loaded) -> Instance:
        head = loaded.head
        instance = Instance(
            self,
            State.fold(head, loaded.history),
            version=loaded.version,
            fence=self._owned.fence(partition_of(head.instance_id, self.store.partitions)),
            inbox=loaded.inbox,
            input=loaded.input,
        )
        self._residents[head.instance_id] = instance
        return instance

    def _adopt(self, created: Created, creation: Creation, given: str | None) -> None:
        """A new instance is durable: run it without reading it back."""
        head = created.head
        stale = self._residents.get(head.instance_id)
        if stale is not None:
            self._forget(stale, NotOwnerError(f"'{stale.id}' was started anew"))
        if creation.timer is not None:
            self.reminders.set((creation.timer,))
            return
        if self._stopping or not self._room():
            self._backlog[head.instance_id] = None
            return
        instance = Instance(
            self,
            State.fold(head, ()),
            version=created.version,
            fence=self._owned.fence(partition_of(head.instance_id, self.store.partitions)),
            inbox=(creation.item,),
            input=given,
        )
        self._residents[head.instance_id] = instance
        instance.kick()

    # --- letting go ---------------------------------------------------------------------------

    def settle(self, instance: Instance) -> None:
        """Keep, cache or drop an instance after something happened to it."""
        if instance.closed or not instance.idle:
            return
        head = instance.state.head
        if head.status.terminal or head.history_bytes > _IDLE_BYTES:
            self._forget(instance)
        else:
            self._idle[instance.id] = instance
            self._idle.move_to_end(instance.id)
            while len(self._idle) > _IDLE_KEPT:
                _, oldest = self._idle.popitem(last=False)
                if oldest.idle:
                    self._forget(oldest)

    def _forget(self, instance: Instance, reason: BaseException | None = None) -> None:
        """Let a copy go; ``reason`` is told to those who wait for what it did not do."""
        instance.closed = True
        self._idle.pop(instance.id, None)
        if self._residents.get(instance.id) is instance:
            del self._residents[instance.id]
        self.work.withdraw(instance)
        _refuse(instance.inbox, reason or NotOwnerError(f"'{instance.id}' was let go"))
        self._use_room()

    def drop(self, instance: Instance, reason: BaseException) -> None:
        """The copy cannot be trusted: forget it and read the truth back after a pause."""
        if instance.closed:
            return
        self._forget(instance, reason)
        # Turns computed on top of this one must not be written: the next copy may come to the same
        # version by another way, and their versions would match.
        commits, instance.commits = instance.commits, deque()
        for ticket, fail in commits:
            if ticket.cancel():
                fail(reason)
        failures = self._failures.get(instance.id, _RELOAD_MIN - 1) + 1
        self._failures[instance.id] = failures
        pause = backoff(failures)
        _log.warning(
            "instance dropped, reloading",
            instance=instance.id,
            reason=str(reason),
            pause_seconds=pause,
        )
        if not self._stopping:
            self._loop.call_later(pause, self.wake, instance.id)

    def later(self, wait: float, instance: Instance) -> None:
        """Offer the instance's turn after ``wait`` seconds."""
        self._loop.call_later(wait, instance.resume_offer)

    # --- writes -------------------------------------------------------------------------------

    def create(
        self, op: Create, done: Callable[[Created | None, BaseException | None], None]
    ) -> None:
        """Create an instance for a client; ``done`` is called when it is durable.

        The error is InstanceExistsError when the id is taken, or what the store raised.
        """
        instance_id = op.creation.head.instance_id

        def written(result: Result | BaseException) -> None:
            if isinstance(result, Created):
                done(result, None)
                self._adopt(result, op.creation, op.input)
            elif isinstance(result, Exists):
                # A repeated start sees to it that the first one is not forgotten.
                self.wake(instance_id)
                # The text is matched by SDKs.
                message = f"an active workflow with ID '{instance_id}' already exists"
                done(None, InstanceExistsError(message))
            elif isinstance(result, BaseException):
                if isinstance(result, OutcomeUnknownError):
                    self._loop.call_later(_REFRESH, self.refresh, instance_id)
                done(None, result)

        self._writer.submit(op, written, instance_id=instance_id)

    def deliver(self, instance: Instance, entry: Entry) -> Ticket:
        """Write an inbox row."""

        def written(result: Result | BaseException) -> None:
            if isinstance(result, BaseException):
                instance.delivered(entry, result)
            elif result in (Delivery.DELIVERED, Delivery.DUPLICATE):
                self._failures.pop(instance.id, None)
                instance.delivered(entry, None)
                if instance.closed:
                    # The copy was dropped meanwhile; the one that took its place may have been
                    # read before this row was written.
                    self.inform(instance.id, entry.item)
            else:
                message = f"'{instance.id}' took no more messages ({result})"
                instance.delivered(entry, NotOwnerError(message))

        return self._writer.submit(
            Deliver(instance.id, entry.item),
            written,
            instance_id=instance.id,
            urgent=False,
            hold=True,
        )

    def commit(
        self, instance: Instance, op: Commit, ack: Ack | None, consumed: Sequence[Entry]
    ) -> None:
        """Write a turn."""

        def written(result: Result | BaseException) -> None:
            if instance.commits:
                instance.commits.popleft()
            if isinstance(result, Committed):
                self._failures.pop(instance.id, None)
                instance.committed(op.turn, result, ack, consumed)
                return
            error = result if isinstance(result, BaseException) else _refusal(instance, result)
            instance.writes -= 1
            if ack is not None:
                # A refused answer is not the worker's fault and must not come again: whoever holds
                # the instance now runs the turn.  Any other failure is answered, so that the
                # worker does not take the turn for done.
                ack(None if isinstance(error, NotOwnerError) else error)
            for entry in consumed:
                entry.tell(error)
            if isinstance(error, OutcomeUnknownError):
                self._refresh_targets(op.turn)
            self.drop(instance, error)

        ticket = self._writer.submit(op, written, instance_id=instance.id, hold=True)
        instance.commits.append((ticket, written))

    def after_commit(self, turn: Turn, result: Committed) -> None:
        """The effects of a durable turn on everything but its own activities."""
        if turn.timers_set:
            self.reminders.set(turn.timers_set)
        for creation, outcome in zip(turn.creations, result.creations, strict=True):
            if isinstance(outcome, Created):
                self._adopt(outcome, creation, creation.start.input)
            elif same_origin(outcome.head, creation.head):
                if creation.rewind is not None and outcome.head.status is Status.FAILED:
                    self.inform(outcome.head.instance_id, creation.rewind)
            elif creation.rejection is not None:
                self.inform(creation.rejection.target, creation.rejection.item)
        for message, delivery in zip(turn.messages, result.messages, strict=True):
            if delivery is Delivery.DELIVERED:
                self.inform(message.target, message.item)
        head = turn.head
        if head.status.terminal:
            self._ended(head)
        self.waiters.changed(head)

    def _ended(self, head: Head) -> None:
        self.completed[head.status.name] = self.completed.get(head.status.name, 0) + 1
        if head.expires_at:
            self.expiring(head.expires_at)

    def _refresh_targets(self, turn: Turn) -> None:
        """The turn may be durable: whoever it was to wake must look for himself."""
        targets = [creation.head.instance_id for creation in turn.creations]
        targets += [message.target for message in turn.messages]
        for target in dict.fromkeys(targets):
            self._loop.call_later(_REFRESH, self.refresh, target)

    def refresh(self, instance_id: str) -> None:
        """Look whether the store has inbox rows that the resident copy does not know."""
        if self._stopping:
            return
        instance = self._residents.get(instance_id)
        if instance is None:
            self.wake(instance_id)
        else:
            self.loops.spawn("refresh", self._refresh(instance))

    async def _refresh(self, instance: Instance) -> None:
        while not instance.closed:
            version = instance.version
            if instance.ahead == 0:
                try:
                    loaded = await self.store.load(instance.id)
                except TenureError:
                    loaded = None
                # Only a snapshot of just the copy's own state may be merged: in an older one there
                # are rows that the copy has consumed since.
                if (
                    loaded is not None
                    and instance.ahead == 0
                    and loaded.version == version == instance.version
                ):
                    for item in loaded.inbox:
                        if item.key not in instance.keys:
                            instance.receive(item, durable=True)
                    return
            await asyncio.sleep(_REFRESH)

    def purged(self, instance_id: str) -> None:
        """Everything of the instance was deleted."""
        instance = self._residents.get(instance_id)
        if instance is not None:
            self._forget(instance, NoSuchInstanceError(f"'{instance_id}' was purged"))
        self.waiters.gone(instance_id)

    def inform(self, instance_id: str, item: InboxItem) -> None:
        """A durable inbox row was added by somebody else's commit."""

        def reached(instance: Instance | None, error: BaseException | None) -> None:
            if instance is not None:
                instance.receive(item, durable=True)
            elif error is not None:
                # The row is in the store; the next load finds it.
                self._loop.call_later(1.0, self.wake, instance_id)

        self.reach(instance_id, reached)

    # --- timers -------------------------------------------------------------------------------

    def _fire(self, timer: Timer) -> None:
        def reached(instance: Instance | None, error: BaseException | None) -> None:
            if error is not None:
                self._loop.call_later(1.0, self._fire, timer)
            elif instance is None:
                return
            elif timer.kind != TIMER:
                instance.kick()
            elif (item := fired(instance.state, timer, now=self.clock())) is not None:
                instance.receive(item, volatile=True)

        instance_id = timer.instance_id
        there = instance_id in self._residents or instance_id in self._loading
        if there or self._room():
            self.reach(instance_id, reached)
        else:
            self._backlog[instance_id] = None  # loading it sets its timers again

    # --- reads --------------------------------------------------------------------------------

    async def head(self, instance_id: str) -> Head | None:
        """The durable head; from memory when resident."""
        instance = self._residents.get(instance_id)
        if instance is not None:
            return instance.durable
        return await self.store.head(instance_id)

    def fences(self) -> Sequence[Fence]:
        """What this process owns."""
        return tuple(self._owned)


def _ignore(_due: int) -> None:
    """Nobody deletes what expires."""


def _refusal(instance: Instance, result: Result) -> NotOwnerError:
    """Somebody else changed or owns the instance: our copy is wrong."""
    fenced = isinstance(result, Conflict) and result.fenced
    what = "another owner holds its partition" if fenced else "its version is another"
    return NotOwnerError(f"a commit of '{instance.id}' was refused: {what}")


def _refuse(entries: Iterable[Entry], reason: BaseException) -> None:
    """No turn of this copy will consume the entries: tell those who wait for one."""
    for entry in entries:
        waiting, entry.consumed = entry.consumed, []
        for callback in waiting:
            callback(reason)


def _stopped(instance_id: str) -> ShuttingDownError:
    return ShuttingDownError(f"cannot reach '{instance_id}': the engine is stopping")
