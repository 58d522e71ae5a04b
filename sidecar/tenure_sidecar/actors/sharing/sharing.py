"""The loop that holds a changing set of partitions; implements ``Ownership``.

::

    session ── a lease, renewed; lost = nothing is held, everything is dropped, a new one is taken
       │
    roster, then news of owners and members ──► view ─┐
    workers, leaving, partitions at rest ─────────────┼──► decide ──► claims, releases ──► answers ─┐
    answers ◄─────────────────────────────────────────┘                                            │
       ▲───────────────────────────────────────────────────────────────────────────────────────────┘

Whatever happens only sets ``_changed``; the loop looks at everything and does what ``decide`` says.
The host is told of every partition that comes, is to go, and goes.  After an answer that was lost or
was not what was hoped for, the roster is read anew before the next decision, so the view is newer
than the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from tenure_common.errors import NameTakenError, StoreError
from tenure_sidecar.actors.sharing import records
from tenure_sidecar.actors.sharing.decide import (
    Me,
    Member,
    Owner,
    Phase,
    Slot,
    claimed,
    decide,
    lease_lost,
    released,
    unanswered,
)
from tenure_sidecar.actors.sharing.inboxes import Inboxes
from tenure_sidecar.actors.sharing.left import LeftRunning, elsewhere
from tenure_sidecar.actors.sharing.namesake import Namesake
from tenure_sidecar.actors.sharing.neighbours import neighbours
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import Fence

if TYPE_CHECKING:
    from tenure_sidecar.actors.loops import Loops
    from tenure_sidecar.actors.ownership import Tenant
    from tenure_sidecar.actors.port import ActivityKey
    from tenure_sidecar.actors.sharing.inboxes import Listener
    from tenure_sidecar.actors.sharing.neighbours import Neighbours
    from tenure_sidecar.actors.sharing.records import Identity
    from tenure_sidecar.store.coordination import Coordination, Held, News, Running, Session
    from tenure_sidecar.store.port import Store

_RETRY = 0.2  # seconds after the store failed
_LOOK = 0.005  # seconds between looks at partitions that shall come to rest
_PATIENCE = 2.0  # seconds that what is at workers may hold up a hand-off
_PATIENCE_LEAVING = 0.1  # the same, when this process was told to stop
_HAND_OVER = 0.25  # seconds until everything is given back in any case
_WORKER_BACK = 0.5  # seconds that a worker may be away before others are asked to take over

_log = structlog.get_logger(__name__)


class Sharing:
    """See the module docstring.

    Args:
        store: shared with other processes.
        coordination: the store's.
        identity: who this process is.
        tenant: who lives in the partitions.
        listener: who is told of what others send.
        peers: connections to other members; None = only leases tell who is gone.
    """

    def __init__(  # noqa: PLR0913 - one call site, by name
        self,
        store: Store,
        coordination: Coordination,
        identity: Identity,
        *,
        tenant: Tenant,
        listener: Listener,
        peers: Neighbours | None = None,
    ) -> None:
        self._coordination = coordination
        self.identity = identity
        self._tenant = tenant
        self._partitions = store.partitions
        self._loop = asyncio.get_running_loop()
        self._loops: Loops
        self._session: Session | None = None  # what is held is held under it
        self._last: Session | None = None  # the newest, dead or alive
        self.inboxes = Inboxes(store, coordination, listener=listener)
        self._left = LeftRunning(coordination, identity.name)
        self._running: dict[Running, Held] = {}  # what others list, and we
        self._elsewhere: frozenset[ActivityKey] = frozenset()
        self._owner_value = records.encode(records.OwnerRecord(identity.name, identity.pod))
        self._slots = (Slot(),) * store.partitions
        self._held: dict[int, Fence] = {}
        self._patience: dict[int, float] = {}  # loop time until which a draining partition may work
        self._owners: dict[int, Owner] = {}
        self._members: dict[str, Held] = {}
        self._revision = 0  # ``_owners`` are as of this one
        self._read = 0  # the roster was read at this one
        self._heard = 0  # news of this one was heard
        self._stale = True  # the roster must be read
        self._announced: records.MemberRecord | None = None  # None = nothing, or it is gone
        self._changed = asyncio.Event()
        self._peers = peers
        self.suspects: set[str] = set()  # names of members that somebody takes for dead
        self._workers = 0
        self._worker_back: asyncio.TimerHandle | None = None
        self._leaving = False
        self._empty = asyncio.Event()
        self.taken = 0  # partitions, since start
        self._namesake = Namesake()
        self._namesake_at = ""  # its address, when its record was seen

    # --- Ownership ----------------------------------------------------------------------------

    def holds(self, instance_id: str) -> bool:
        """See ``Ownership.holds``."""
        return partition_of(instance_id, self._partitions) in self._held

    def fence(self, partition: int) -> Fence:
        """See ``Ownership.fence``."""
        return self._held[partition]

    def fences(self) -> Sequence[Fence]:
        """See ``Ownership.fences``."""
        return tuple(self._held.values())

    @property
    def members(self) -> Mapping[str, Member]:
        """Who is there, as far as is known here."""
        return records.view_of(self._members, {}, 0).members

    async def start(self, loops: Loops) -> None:
        """See ``Ownership.start``: others may own everything, so nothing needs to be held when this
        returns."""
        self._loops = loops
        self._last = await self._coordination.session()
        if self._peers is not None:
            self._peers.changed = self._changed.set
        loops.start("ownership", self._run)
        self.inboxes.start(loops)

    async def hand_over(self) -> None:
        """See ``Ownership.hand_over``."""
        if self._session is None:
            return
        self._leaving = True
        until = self._loop.time() + _PATIENCE_LEAVING
        self._patience = {p: min(until, one) for p, one in self._patience.items()}
        self._changed.set()
        try:
            async with asyncio.timeout(_HAND_OVER):
                await self._empty.wait()
        except TimeoutError:
            _log.warning("not everything was handed over in time", left=len(self._kept()))

    def elsewhere(self, activity: ActivityKey) -> bool:
        """See ``Ownership.elsewhere``."""
        return activity in self._elsewhere

    async def finish(self) -> None:
        """See ``Ownership.finish``."""
        await self._left.ended.wait()

    async def stop(self) -> None:
        """See ``Ownership.stop``."""
        self.inboxes.abort()
        if self._last is not None:
            try:
                await self._last.close()
            except StoreError as error:  # nobody may wait for a store that is away
                _log.warning("the lease is left to end by itself", error=str(error))

    def abort(self) -> None:
        """See ``Ownership.abort``."""
        self.inboxes.abort()
        if self._last is not None:
            self._last.abandon()

    def doubt(self) -> None:
        """See ``Ownership.doubt``."""
        self._stale = True
        self._changed.set()

    def workers(self, count: int) -> None:
        """See ``Ownership.workers``.  The last one may come back in a moment."""
        if self._worker_back is not None:
            self._worker_back.cancel()
            self._worker_back = None
        if count or not self._workers:
            self._set_workers(count)
        else:
            self._worker_back = self._loop.call_later(_WORKER_BACK, self._set_workers, 0)

    def _set_workers(self, count: int) -> None:
        self._workers = count
        self._changed.set()

    # --- the session --------------------------------------------------------------------------

    async def _run(self) -> None:
        """Hold what should be held, under one lease after the other."""
        while True:
            try:
                if self._last is None or not self._last.alive():
                    self._last = await self._coordination.session()
                await self._serve(self._last)
                _log.warning("the lease was lost, taking another", member=self.identity.name)
            except StoreError as error:
                _log.warning("ownership waits for the store", error=str(error))
                await asyncio.sleep(_RETRY)

    async def _serve(self, session: Session) -> None:
        """Until the lease is lost.  Raises: StoreError."""
        await self._list()
        self._session = session
        self._changed.set()
        coordination = self._coordination
        work: tuple[Coroutine[Any, Any, object], ...] = (
            session.lost.wait(),
            self._act(session),
            self._left.run(session),
            self._hear(coordination.owner_news(self._read)),
            self._hear(coordination.member_news(self._read)),
        )
        tasks = [self._loop.create_task(one, name="ownership") for one in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self._lose_all()
            for one in done:
                one.result()
        finally:
            self._lose_all()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _lose_all(self) -> None:
        """Nothing is held any more."""
        self._session = None
        self._left.clear()
        self._slots, held = lease_lost(self._slots)
        self._part(held)

    # --- the view -----------------------------------------------------------------------------

    async def _list(self) -> None:
        """Read everything.  Raises: StoreError."""
        self._stale = False
        roster = await self._coordination.roster()
        while roster.revision < self._heard:  # news overtook the answer, and must not be undone
            roster = await self._coordination.roster()
        self._read = self._revision = roster.revision
        self._owners = {p: records.owner_of(held) for p, held in roster.owners.items()}
        self._members = dict(roster.members)
        self._running = dict(roster.running)
        self._meet(self._members.get(self.identity.name))
        if self.identity.name not in self._members:
            self._announced = None

    async def _hear(self, news: AsyncIterator[News]) -> None:
        async for one in news:
            if one.gap:
                self._stale = True
            elif one.revision > self._read:
                self._apply(one)
            self._changed.set()

    def _apply(self, news: News) -> None:
        self._heard = max(self._heard, news.revision)
        for partition, held in news.owners.items():
            if held is None:
                self._owners.pop(partition, None)
            else:
                self._owners[partition] = records.owner_of(held)
        for place, held in news.running.items():
            if held is None:
                self._running.pop(place, None)
            else:
                self._running[place] = held
        if news.owners:
            self._revision = news.revision
        for name, held in news.members.items():
            if held is None:
                self._members.pop(name, None)
                # An earlier process of this name was still there, and its lease took the record along.
                if name == self.identity.name:
                    self._announced = None
            else:
                self._members[name] = held
                if name == self.identity.name:
                    self._meet(held)

    def _meet(self, held: Held | None) -> None:
        """Remember where the process is that has written this one's name."""
        peers, name = self._peers, self.identity.name
        if peers is None or held is None:
            return
        record = records.records_of({name: held}).get(name)
        if record is not None and record.word != peers.word:
            self._namesake_at = record.address

    # --- deciding -----------------------------------------------------------------------------

    async def _act(self, session: Session) -> None:
        """Look and decide whenever something changed."""
        self._announced = None
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                while self._stale:
                    await self._list()
            except StoreError as error:
                _log.warning("deciding on partitions waits for the store", error=str(error))
                self._stale = True
                self._loop.call_later(_RETRY, self._changed.set)
                continue
            self._look_around()
            self._look_elsewhere()
            await self._announce(session)
            self._decide(session)

    async def _announce(self, session: Session) -> None:
        """Tell the others who this is, unless they know.

        What cannot be told now is told soon, and nothing waits for it: a lease that ended takes the
        record along, and what others have by then is to be let go of.
        """
        mine = self._record()
        if mine == self._announced:
            return
        self._announced = mine  # before it is: news of its end may overtake the answer
        try:
            value = records.encode(mine)
            await self._coordination.announce(self.identity.name, value, session=session)
        except StoreError as error:
            _log.warning("cannot tell the others of this member now", error=str(error))
            self._announced = None
            self._loop.call_later(_RETRY, self._changed.set)

    def _look_around(self) -> None:
        """Watch the neighbours that there are, and hear whom anybody suspects."""
        me, peers = self.identity.name, self._peers
        members = records.records_of(self._members)
        self.suspects = records.suspects_of(members) - {me}
        if peers is None:
            return
        near = [
            name
            for name in neighbours(me, (name for name, one in members.items() if one.address))
            if not members[name].leaving
        ]
        links = peers.links(near, members)
        there = {name: members[name] for name in links if name in members}
        peers.watch(
            {name: (one.address, one.word) for name, one in there.items() if not one.leaving},
            keep=links,
        )
        self.suspects |= peers.suspects.keys()

    def _look_elsewhere(self) -> None:
        """See what others still run, and run what they do not run any more."""
        before = self._elsewhere
        if before or self._running:
            self._elsewhere = elsewhere(
                self._running, self._members, me=self.identity.name, gone=self.suspects
            )
            self._tenant.run_again(before - self._elsewhere)

    @property
    def reachable(self) -> bool:
        """Whether other members can connect to this one."""
        return self._peers is not None and bool(self._peers.address)

    def _record(self) -> records.MemberRecord:
        peers = self._peers
        return records.MemberRecord(
            self.identity.pod,
            self.identity.role,
            self._workers,
            tuple(sorted(self._tenant.flavours())),
            self._leaving,
            address="" if peers is None else peers.address,
            word="" if peers is None else peers.word,
            suspects=() if peers is None else tuple(sorted(peers.suspects.items())),
        )

    def _decide(self, session: Session) -> None:
        identity, before = self.identity, self._slots
        member = Member(identity.pod, self._workers > 0, self._leaving, identity.role)
        decision = decide(
            records.view_of(self._members, self._owners, self._revision),
            Me(identity.name, member),
            before,
            suspects=self.suspects,
            quiet=self._quiet(),
        )
        self._complain(decision.lost)
        left = self._tenant.leave(decision.releases.keys(), self._left.end)
        for partition, activities in left.items():
            self._left.add(partition, activities)
        self._slots = decision.slots
        changes = [(was.phase, now.phase) for was, now in zip(before, self._slots, strict=True)]
        self._part([p for p, (was, now) in enumerate(changes) if was.holds and not now.holds])
        back = [p for p, one in enumerate(changes) if one == (Phase.DRAINING, Phase.OWNED)]
        self._part(back)
        self._gain(back)
        self._halt([p for p, one in enumerate(changes) if one == (Phase.OWNED, Phase.DRAINING)])
        if decision.claims:
            self._loops.spawn("claim", self._claim(session, decision.claims))
        if decision.releases:
            self._loops.spawn("release", self._release(session, decision.releases))
        if self._patience:
            self._loop.call_later(_LOOK, self._changed.set)
        if self._leaving and not self._kept():
            self._empty.set()

    def _complain(self, lost: Sequence[int]) -> None:
        """Say it when another live process runs under this name."""
        name = self.identity.name
        taken = [
            p for p in lost if (owner := self._owners.get(p)) is not None and owner.name == name
        ]
        if self._namesake.take(taken, now=self._loop.time()):
            _log.error(
                "another live process runs under the name of this one, and they take each other's"
                " partitions: give each a name of its own, or each cluster a prefix in the store",
                code=NameTakenError.code,
                member=name,
                here="" if self._peers is None else self._peers.address,
                other=self._namesake_at or "unknown",
            )

    @property
    def doubled(self) -> bool:
        """Whether another live process runs under the same name."""
        return self._namesake.there(now=self._loop.time())

    def _kept(self) -> list[int]:
        """Partitions that others cannot have yet."""
        return [
            p for p, slot in enumerate(self._slots) if slot.phase not in (Phase.AWAY, Phase.WANTED)
        ]

    def _quiet(self) -> set[int]:
        """Draining partitions that may be given back."""
        now = self._loop.time()
        busy = self._tenant.busy(self._patience.keys())
        return {p for p, until in self._patience.items() if p not in busy or now >= until}

    def _gain(self, partitions: Sequence[int]) -> None:
        if partitions:
            self._held |= {p: Fence(p, self._slots[p].token) for p in partitions}
            self._tenant.gain(partitions)
            self.inboxes.open(partitions)

    def _halt(self, partitions: Sequence[int]) -> None:
        if partitions:
            patience = _PATIENCE_LEAVING if self._leaving else _PATIENCE
            until = self._loop.time() + patience
            self._patience |= dict.fromkeys(partitions, until)
            for partition in partitions:
                del self._held[partition]
            self._tenant.halt(partitions)

    def _part(self, partitions: Sequence[int]) -> None:
        if partitions:
            for partition in partitions:
                self._held.pop(partition, None)
                self._patience.pop(partition, None)
            self.inboxes.close(partitions)
            self._tenant.part(partitions)

    # --- asking -------------------------------------------------------------------------------

    async def _claim(self, session: Session, claims: Mapping[int, int]) -> None:
        fences: dict[int, Fence | None] | None = None
        try:
            fences = await self._coordination.claim(claims, self._owner_value, session=session)
        except StoreError as error:
            _log.warning("claiming partitions failed", count=len(claims), error=str(error))
        if session is not self._session:
            return
        slots = list(self._slots)
        for partition in claims:
            slot = slots[partition]
            fence = None if fences is None else fences[partition]
            if fences is None:
                slots[partition] = unanswered(slot)
            elif fence is None:
                slots[partition] = claimed(slot, token=None, revision=slot.known)
            else:
                slots[partition] = claimed(slot, token=fence.token, revision=fence.token)
            self._stale = self._stale or fence is None
        self._slots = tuple(slots)
        gained = [p for p in claims if slots[p].phase is Phase.OWNED]
        self.taken += len(gained)
        self._gain(gained)
        self._changed.set()

    async def _release(self, session: Session, releases: Mapping[int, int]) -> None:
        gone: dict[int, int] | None = None
        try:
            fences = [Fence(partition, token) for partition, token in releases.items()]
            gone = await self._left.give(fences, session=session)
        except StoreError as error:
            _log.warning("giving partitions back failed", count=len(releases), error=str(error))
        if session is not self._session:
            return
        slots = list(self._slots)
        for partition in releases:
            slot = slots[partition]
            if gone is None:
                slots[partition] = unanswered(slot)
            else:
                slots[partition] = released(slot, revision=gone.get(partition, slot.known))
            self._stale = self._stale or gone is None or partition not in gone
        self._slots = tuple(slots)
        self._changed.set()
