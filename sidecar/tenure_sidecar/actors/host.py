"""The instances of the owned partitions: loading, creating, waking, letting go.

The host is the actors' only way to the store.  An instance is *resident* while it has something to
do; idle ones are kept in a small cache and dropped without ceremony, since all they are is durable.
Residents are found by id, loaded once however many callers ask, and every message to an instance
goes through its resident copy, so that its inbox has one order.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import (
    NoSuchInstanceError,
    NotOwnerError,
    ShuttingDownError,
    TenureError,
)
from tenure_sidecar.actors.inflow import Inflow
from tenure_sidecar.actors.instance import Entry, Instance, backoff, tell
from tenure_sidecar.actors.loops import Loops
from tenure_sidecar.actors.outlook import Outlook
from tenure_sidecar.actors.ownership import Ownership, Sole
from tenure_sidecar.actors.reminders import Reminders
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.actors.sharing.sharing import Sharing
from tenure_sidecar.actors.timers import armed, fired
from tenure_sidecar.actors.waiters import Waiters
from tenure_sidecar.actors.writes import Writes
from tenure_sidecar.engine.events import TaskCompleted, TaskFailed
from tenure_sidecar.engine.retention import NEVER, Retention
from tenure_sidecar.engine.state import State
from tenure_sidecar.engine.turn import TIMER, Timer
from tenure_sidecar.store.group import GroupWriter
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import Created

if TYPE_CHECKING:
    from tenure_sidecar.actors.port import ActivityKey, Clock, Work
    from tenure_sidecar.actors.sharing.neighbours import Neighbours
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.limits import Limits
    from tenure_sidecar.engine.turn import Creation, InboxItem
    from tenure_sidecar.store.port import Fence, Loaded, Store
    from tenure_sidecar.wire.codec import Codec

_IDLE_KEPT = 512  # idle instances kept in memory
_IDLE_BYTES = 1 << 20  # an idle instance with a longer history is not kept
_RESIDENT_MAX = 20_000  # more runnable instances than this wait in the store, by id
_LOADS_MAX = 32  # loads at a time
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
        identity: Identity | None = None,
        peers: Neighbours | None = None,
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
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self.monotonic = self._loop.time
        self.inflow = Inflow(self)
        self.writes = Writes(self, writer)
        self._residents: dict[str, Instance] = {}
        self._idle: OrderedDict[str, Instance] = OrderedDict()
        self._loading: dict[str, list[Reached]] = {}
        self._backlog: OrderedDict[str, None] = OrderedDict()  # wait for room, in order
        self._load_slots = asyncio.Semaphore(_LOADS_MAX)
        self._retrying: set[str] = set()  # will be loaded after a pause
        self.loops = Loops()
        self.stopping = False
        self._failures: dict[str, int] = {}
        self.sharing: Sharing | None = None
        self.outlook: Outlook | None = None  # on what others own
        if identity is not None and store.coordination is not None:
            self.outlook = Outlook(store.coordination, self.waiters)
            self.sharing = Sharing(
                store,
                store.coordination,
                identity,
                tenant=self,
                listener=self.inflow,
                peers=peers,
            )
        self._owned: Ownership = self.sharing or Sole(store, name, wake=self.wake)
        self.holds = self._owned.holds
        self.reminders = Reminders(
            store,
            partitions=() if self.sharing else range(store.partitions),
            clock=clock,
            fire=self._fire,
        )

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take the partitions and resume what was under way."""
        await self._owned.start(self.loops)
        self.loops.start("reminders", self.reminders.run)

    async def hand_over(self) -> None:
        """Let others have the partitions; client calls are still served."""
        await self._owned.hand_over()

    async def finish(self, within: float) -> None:
        """After ``hand_over``: what is at workers may end, for ``within`` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._owned.finish()
        except TimeoutError:
            _log.warning("activities did not end in time, others run them", seconds=within)

    async def stop(self) -> None:
        """Stop taking work, finish the writes under way, give the partitions back."""
        await self._owned.hand_over()
        self.stopping = True
        await self.loops.stop()
        for instance_id in tuple(self._loading):  # a task that was cancelled before it began
            self._loaded(instance_id, None, _stopped(instance_id))
        await self._writer.drain()
        for instance in tuple(self._residents.values()):
            instance.close()
        self._residents.clear()
        if self.outlook is not None:
            self.outlook.abort()
        await self._owned.stop()

    def abort(self) -> None:
        """Stop at once, as a crash would: nothing more is written, nobody is told."""
        self.stopping = True
        self.loops.abort()
        self._owned.abort()
        if self.outlook is not None:
            self.outlook.abort()
        for instance in tuple(self._residents.values()):
            instance.close()

    # --- partitions that come and go ----------------------------------------------------------

    def gain(self, partitions: Collection[int]) -> None:
        """See ``Tenant.gain``; what is active in them is woken by whoever watches them."""
        self.reminders.add(partitions)
        self.expiring(self.clock())

    def halt(self, partitions: Collection[int]) -> None:
        """See ``Tenant.halt``."""
        for instance in self._of(partitions):
            instance.halt()
        self._forget_waiting()

    def busy(self, partitions: Collection[int]) -> set[int]:
        """See ``Tenant.busy``."""
        return {
            instance.fence.partition
            for instance in self._of(partitions)
            if instance.writes or self.work.turn_out(instance)
        }

    def leave(
        self, partitions: Collection[int], ended: Callable[[int, ActivityKey], None]
    ) -> dict[int, list[ActivityKey]]:
        """See ``Tenant.leave``."""
        found: dict[int, list[ActivityKey]] = {}
        for instance in self._of(partitions):
            partition = instance.fence.partition
            if left := self.work.leave(instance, partial(ended, partition)):
                found.setdefault(partition, []).extend(left)
        return found

    def run_again(self, activities: Collection[ActivityKey]) -> None:
        """See ``Tenant.run_again``."""
        for activity in activities:
            if activity[0] in self._residents:  # any other asks when it is loaded
                self.loops.spawn("run again", self._run_again(activity))

    async def _run_again(self, activity: ActivityKey) -> None:
        """Run an activity that an earlier owner had, unless its result is there."""
        instance_id, execution_id, task_id = activity
        try:
            loaded = await self.store.load(instance_id)
        except TenureError as error:
            _log.warning("reading an instance failed", instance=instance_id, error=str(error))
            loaded = None  # at least once
        instance = self._residents.get(instance_id)
        if instance is None or self._owned.elsewhere(activity):
            return
        there = loaded is not None and task_id in _resolved(loaded.inbox, execution_id)
        task = instance.task_pending(task_id, execution_id)
        if task is not None and not there:
            self.work.offer_tasks(instance, [task], execution_id=execution_id)

    def part(self, partitions: Collection[int]) -> None:
        """See ``Tenant.part``."""
        self.reminders.remove(partitions)
        for instance in self._of(partitions):
            self._let_go(instance, NotOwnerError(f"'{instance.id}' is another sidecar's now"))
        self._forget_waiting()
        if self.outlook is not None:
            self.outlook.watch(one for one in self.waiters if not self.holds(one))

    def flavours(self) -> set[str]:
        """See ``Tenant.flavours``."""
        return self.work.flavours()

    def _of(self, partitions: Collection[int]) -> list[Instance]:
        return [one for one in self._residents.values() if one.fence.partition in partitions]

    def _forget_waiting(self) -> None:
        """Those that wait for room, and are not ours to load."""
        for instance_id in [one for one in self._backlog if not self.holds(one)]:
            del self._backlog[instance_id]

    def workers(self, count: int) -> None:
        """So many workers are connected."""
        self._owned.workers(count)

    # --- reaching instances -------------------------------------------------------------------

    @property
    def resident_count(self) -> int:
        """Instances in memory."""
        return len(self._residents)

    def resident(self, instance_id: str) -> Instance | None:
        """The copy in memory, if there is one."""
        return self._residents.get(instance_id)

    def loading(self, instance_id: str) -> bool:
        """Whether the instance is being read."""
        return instance_id in self._loading

    def knows(self, instance_id: str, key: str) -> bool:
        """Whether an inbox row is in a copy's memory, or will be without anybody's help."""
        instance = self._residents.get(instance_id)
        if instance is not None:
            return key in instance.keys
        return (
            instance_id in self._loading
            or instance_id in self._backlog
            or instance_id in self._retrying
        )

    def reach(self, instance_id: str, then: Reached) -> None:
        """Call ``then`` with the resident instance, loading it when needed; with None when there is
        no such instance; with an error when the store failed or another process owns it."""
        instance = self._residents.get(instance_id)
        if instance is not None:
            self._idle.pop(instance_id, None)
            then(instance, None)
            self.settle(instance)
            return
        if self.stopping:
            then(None, _stopped(instance_id))
            return
        if not self.holds(instance_id):
            then(None, _elsewhere(instance_id))
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
        self._retrying.discard(instance_id)
        if instance_id in self._residents or not self.holds(instance_id):
            return
        if instance_id not in self._loading and not self._room():
            self._backlog[instance_id] = None
            return

        def reached(_instance: Instance | None, error: BaseException | None) -> None:
            if error is None or self.stopping or isinstance(error, NotOwnerError):
                return
            pause = backoff(failures + 1)
            _log.warning(
                "loading an instance failed, trying again",
                instance=instance_id,
                error=str(error),
                pause_seconds=pause,
            )
            self._retrying.add(instance_id)
            self._loop.call_later(pause, self.wake, instance_id, failures + 1)

        self.reach(instance_id, reached)

    def _room(self) -> bool:
        """Whether one more instance may be resident; those on their way count."""
        return len(self._residents) + len(self._loading) < _RESIDENT_MAX

    def _use_room(self) -> None:
        while self._backlog and self._room() and not self.stopping:
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
            if instance is None and not self.holds(instance_id):
                error = _elsewhere(instance_id)
            elif instance is None and loaded is not None:
                instance = self._admit(loaded)
                fresh = True
                # A commit of which nobody heard may have brought it to its end, or to where one waits.
                self.waiters.changed(loaded.head)
                self.expiring(loaded.head.expires_at or NEVER)
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
                if instance is not None and instance.closed:  # by an earlier one of them
                    self.reach(instance_id, then)
                else:
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
            execution_id = instance.state.head.execution_id
            known = _resolved([entry.item for entry in instance.inbox], execution_id)
            tasks = [
                task
                for task_id, task in instance.state.tasks.items()
                if task_id not in known
                and not self._owned.elsewhere((instance.id, execution_id, task_id))
            ]
            self.work.offer_tasks(instance, tasks, execution_id=execution_id)
        instance.kick()

    def _admit(self, loaded: Loaded) -> Instance:
        head = loaded.head
        instance = Instance(
            self,
            State.fold(head, loaded.history),
            version=loaded.version,
            fence=self.fence(head.instance_id),
            inbox=loaded.inbox,
            input=loaded.input,
            seen=loaded.at,
        )
        self._residents[head.instance_id] = instance
        return instance

    def adopt(self, created: Created, creation: Creation, given: str | None) -> None:
        """A new instance is durable: run it without reading it back, if it is ours."""
        head = created.head
        if not self.holds(head.instance_id):
            return
        stale = self._residents.get(head.instance_id)
        if stale is not None:
            if stale.seen > created.at:
                return  # the id has been used again since, and the watch has told so already
            self._forget(stale, NotOwnerError(f"'{stale.id}' was started anew"))
        if creation.timer is not None:
            self.reminders.set((creation.timer,))
            return
        if self.stopping or not self._room():
            self._backlog[head.instance_id] = None
            return
        instance = Instance(
            self,
            State.fold(head, ()),
            version=created.version,
            fence=self.fence(head.instance_id),
            inbox=(creation.item,),
            input=given,
            seen=created.at,
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
        instance.close()
        self._idle.pop(instance.id, None)
        if self._residents.get(instance.id) is instance:
            del self._residents[instance.id]
        self.work.withdraw(instance)
        reason = reason or NotOwnerError(f"'{instance.id}' was let go")
        _refuse(instance.inbox, reason)
        late, instance.late = instance.late, []
        tell(late, reason)
        self._use_room()

    def drop(self, instance: Instance, reason: BaseException) -> None:
        """The copy cannot be trusted: forget it and read the truth back after a pause."""
        if instance.closed:
            return
        self._let_go(instance, reason)
        failures = self._failures.get(instance.id, _RELOAD_MIN - 1) + 1
        self._failures[instance.id] = failures
        pause = backoff(failures)
        _log.warning(
            "instance dropped, reloading",
            instance=instance.id,
            reason=str(reason),
            pause_seconds=pause,
        )
        if not self.stopping:
            self._retrying.add(instance.id)
            self._loop.call_later(pause, self.wake, instance.id)

    def mended(self, instance_id: str) -> None:
        """A write of the instance succeeded: the next failure is its first."""
        self._failures.pop(instance_id, None)

    def doubt(self) -> None:
        """A commit was refused because another process owns its partition."""
        self._owned.doubt()

    def _let_go(self, instance: Instance, reason: BaseException) -> None:
        self._forget(instance, reason)
        # Turns computed on top of this one must not be written: the next copy may come to the same
        # version by another way, and their versions would match.
        commits, instance.commits = instance.commits, deque()
        for ticket, fail in commits:
            if ticket.cancel():
                fail(reason)

    def later(self, wait: float, instance: Instance) -> None:
        """Offer the instance's turn after ``wait`` seconds."""
        self._loop.call_later(wait, instance.resume_offer)

    # --- the end of an instance ---------------------------------------------------------------

    def purged(self, instance_id: str) -> None:
        """Everything of the instance was deleted."""
        instance = self._residents.get(instance_id)
        if instance is not None:
            self._let_go(instance, NoSuchInstanceError(f"'{instance_id}' was purged"))
            self.wake(instance_id)  # others may have used the id again before we heard
        self.waiters.gone(instance_id)

    # --- timers -------------------------------------------------------------------------------

    def _fire(self, timer: Timer) -> None:
        if not self.holds(timer.instance_id):
            return

        def reached(instance: Instance | None, error: BaseException | None) -> None:
            if error is not None:
                self._loop.call_later(1.0, self._fire, timer)
            elif instance is None:
                return
            elif timer.kind != TIMER:
                early = timer.due - self.clock()
                if early > 0 and instance.state.started is None:  # the clock was set back
                    self._loop.call_later(early / 1e9, self._fire, timer)
                else:
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
        """The durable head; from memory when resident, unless others write to the same store: they
        may have purged it or used its id again, and only the store can tell."""
        instance = self._residents.get(instance_id)
        if instance is not None and self.sharing is None:
            return instance.durable
        return await self.store.head(instance_id)

    def fence(self, instance_id: str) -> Fence:
        """The proof of owning the instance's partition, which must be held."""
        return self._owned.fence(partition_of(instance_id, self.store.partitions))

    def fences(self) -> Sequence[Fence]:
        """What this process owns."""
        return self._owned.fences()


def _ignore(_due: int) -> None:
    """Nobody deletes what expires."""


def _elsewhere(instance_id: str) -> NotOwnerError:
    return NotOwnerError(f"'{instance_id}' is another sidecar's")


def _resolved(inbox: Iterable[InboxItem], execution_id: str) -> set[int]:
    """Activities of that execution whose results are in the inbox."""
    return {
        item.event.task_id
        for item in inbox
        if isinstance(item.event, TaskCompleted | TaskFailed)
        and item.execution_id in ("", execution_id)
    }


def _refuse(entries: Iterable[Entry], reason: BaseException) -> None:
    """No turn of this copy will consume the entries: tell those who wait for one."""
    for entry in entries:
        waiting, entry.consumed = entry.consumed, []
        tell(waiting, reason)


def _stopped(instance_id: str) -> ShuttingDownError:
    return ShuttingDownError(f"cannot reach '{instance_id}': the engine is stopping")
