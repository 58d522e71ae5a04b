"""Bugs that an engine of this kind can really have, to see whether the simulation finds them.

Each is a small change to the product while it is planted.  A simulation that plays a hundred seeds
with one of them and finds nothing would find nothing either if the bug were there by accident.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec

from support.simulation.app import Mood
from support.simulation.simulate import simulate
from tenure_common.errors import EtcdOutcomeUnknownError
from tenure_sidecar.actors import inflow as inflows
from tenure_sidecar.actors.host import Host
from tenure_sidecar.actors.inflow import Inflow
from tenure_sidecar.actors.instance import Instance
from tenure_sidecar.actors.operations import Operations
from tenure_sidecar.actors.reminders import Reminders
from tenure_sidecar.actors.retention import RetentionActor
from tenure_sidecar.actors.sharing import decide as decides
from tenure_sidecar.actors.sharing import inboxes
from tenure_sidecar.actors.sharing import sharing as sharings
from tenure_sidecar.actors.sharing.decide import Decision, Owner
from tenure_sidecar.actors.sharing.inboxes import Inboxes
from tenure_sidecar.actors.writes import Writes
from tenure_sidecar.dispatch.dispatcher import Dispatcher
from tenure_sidecar.dispatch.items import Sent
from tenure_sidecar.dispatch.loans import Loan, Loans
from tenure_sidecar.engine.events import ChildCompleted
from tenure_sidecar.engine.turn import Turn
from tenure_sidecar.etcd import absent, present, unchanged
from tenure_sidecar.etcd.client import EtcdClient
from tenure_sidecar.etcd.watch import Batch, Watch
from tenure_sidecar.peers.borrower import Borrower
from tenure_sidecar.peers.frames import Done
from tenure_sidecar.peers.link import Link
from tenure_sidecar.store import group
from tenure_sidecar.store.etcd import judge
from tenure_sidecar.store.etcd import outbox as outboxes
from tenure_sidecar.store.etcd import plan as plans
from tenure_sidecar.store.etcd.barrier import Barrier
from tenure_sidecar.store.etcd.cells import Cell
from tenure_sidecar.store.etcd.effects import Effects
from tenure_sidecar.store.etcd.sharing import EtcdCoordination
from tenure_sidecar.store.port import Create, Created, Deliver, Fence

Plant = Callable[[Any, str, Any], None]  # object, name of the attribute, what takes its place


class Bug(NamedTuple):
    """``what`` is wrong, in words; ``plant`` makes it so."""

    what: str
    plant: Callable[[Plant], None]


BUGS: dict[str, Bug] = {}


def bug(what: str) -> Callable[[Callable[[Plant], None]], Callable[[Plant], None]]:
    """Add one to the list, under its function's name."""

    def add(plant: Callable[[Plant], None]) -> Callable[[Plant], None]:
        BUGS[plant.__name__.replace("_", "-")] = Bug(what, plant)
        return plant

    return add


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The product has this bug."""
    patches: list[Any] = []

    def put(owner: Any, attribute: str, value: Any) -> None:
        one = patch.object(owner, attribute, value)
        one.start()
        patches.append(one)

    try:
        BUGS[name].plant(put)
        yield
    finally:
        for one in reversed(patches):
            one.stop()


def found_by(name: str, seeds: Iterable[int], *, rule: str = "") -> tuple[int, str]:
    """The number of seeds until the bug was found, 0 = it was not, and which rules it broke.

    With ``rule``, until that one was broken.
    """
    with planted(name):
        for number, seed in enumerate(seeds, 1):
            broken = dict.fromkeys(one.partition(":")[0] for one in simulate(seed).wrong)
            if broken and (not rule or rule in broken):
                return number, ", ".join(broken)
    return 0, ""


# --- ownership ------------------------------------------------------------------------------------


def _owners_compared(put: Plant, compare: Callable[[bytes, int], Any]) -> None:
    known = judge.Known

    def instead(key: bytes, revision: int) -> Any:
        return compare(key, revision) if b"/owners/" in key else unchanged(key, revision)

    def unowned(cells: Any = {}, owners: Any = {}) -> Any:  # noqa: B006 - never changed
        return known(cells, {})

    put(judge, "unchanged", instead)
    put(judge, "Known", unowned)
    put(judge.Judge, "_refused", lambda *_: None)


@bug("a commit does not compare the fence")
def no_fence(put: Plant) -> None:
    _owners_compared(put, lambda _key, _revision: absent(b"/nothing"))


@bug("a commit compares that there is an owner, not that it is the same one")
def wrong_fence(put: Plant) -> None:
    _owners_compared(put, lambda key, _revision: present(key))


@bug("who was taken for dead, and lives, takes the new owner's fence for its own")
def two_owners(put: Plant) -> None:
    wrong_fence(put)
    decide = sharings.decide

    def stubborn(view: Any, me: Any, slots: Any, **more: Any) -> Decision:
        owners = dict(view.owners)
        for partition, slot in enumerate(slots):
            if slot.phase.holds:
                owners[partition] = Owner(me.name, me.member.pod, slot.token)
        return decide(msgspec.structs.replace(view, owners=owners), me, slots, **more)

    put(sharings, "decide", stubborn)


@bug("a commit does not compare the instance's version")
def no_version(put: Plant) -> None:
    def instead(key: bytes, revision: int) -> Any:
        return present(key) if b"/head/" in key else unchanged(key, revision)

    def always(self: judge.Judge, op: Any, known: Any, order: int) -> Any:
        cell = known.cells.get(op.turn.head.instance_id)
        if cell is None:
            cell = self._site.cells.get(op.turn.head.instance_id)
        if cell is not None:
            book = cell.book
            op = msgspec.structs.replace(op, version=book.version)
        return commit(self, op, known, order)

    commit = judge.Judge._commit
    put(judge, "unchanged", instead)
    put(judge.Judge, "_commit", always)


@bug("a copy whose commit was refused goes on as if nothing had happened")
def no_reload(put: Plant) -> None:
    put(Host, "drop", lambda *_: None)


@bug("partitions that are handed over stay locked in the store")
def lost_hand_off(put: Plant) -> None:
    async def give(
        _self: Any, fences: Sequence[Fence], *_given: Any, **_more: Any
    ) -> dict[int, int]:
        return {fence.partition: fence.token for fence in fences}

    put(EtcdCoordination, "give", give)


@bug("a gateway keeps its share when workers come")
def greedy_gateway(put: Plant) -> None:
    targets = decides.targets

    def all_able(view: Any, me: Any, suspects: Any, partitions: int) -> Any:
        def able(one: Any) -> Any:
            return msgspec.structs.replace(one, worker=one.worker or one.role == decides.GATEWAY)

        members = {name: able(one) for name, one in view.members.items()}
        view = msgspec.structs.replace(view, members=members)
        me = msgspec.structs.replace(me, member=able(me.member))
        return targets(view, me, suspects, partitions)

    put(decides, "targets", all_able)


@bug("whoever takes a partition over does not look at what is under way in it")
def no_resume(put: Plant) -> None:
    put(Inboxes, "_list", lambda *_: None)


@bug("whoever takes a partition over does not read its timers")
def timers_lost(put: Plant) -> None:
    def add(self: Reminders, partitions: Any) -> None:
        self._partitions = tuple(sorted({*self._partitions, *partitions}))

    put(Reminders, "add", add)


@bug("whoever takes a partition over does not look for what is to be deleted in it")
def forgotten_retention(put: Plant) -> None:
    gain = Host.gain

    def deaf(self: Host, partitions: Any) -> None:
        expiring, self.expiring = self.expiring, lambda _due: None
        gain(self, partitions)
        self.expiring = expiring

    put(Host, "gain", deaf)


@bug("where one instance is deleted, all that have ended are")
def early_retention(put: Plant) -> None:
    class Hasty:
        def __init__(self, store: Any) -> None:
            self._store = store

        async def expired(self, partitions: Any, *, until: int, limit: int) -> Any:
            return await self._store.expired(partitions, until=until + 10**11, limit=limit)

    sweep = RetentionActor.sweep

    async def all_of_them(self: RetentionActor) -> Any:
        store, self._store = self._store, Hasty(self._store)  # type: ignore[assignment]
        try:
            return await sweep(self)
        finally:
            self._store = store

    put(RetentionActor, "sweep", all_of_them)


# --- the store ------------------------------------------------------------------------------------


@bug("a write without an answer is sent again")
def blind_retry(put: Plant) -> None:
    once = EtcdClient._once

    async def twice(self: EtcdClient, *given: Any) -> Any:
        try:
            return await once(self, *given)
        except EtcdOutcomeUnknownError:
            return await once(self, *given)

    put(EtcdClient, "_once", twice)


@bug("after an unknown outcome nothing shuts out what is still on its way")
def no_barrier(put: Plant) -> None:
    async def settle(self: Barrier) -> None:
        self._doubt = False

    put(Barrier, "settle", settle)


@bug("a message is written again though its owner may have taken it")
def repeated_delivery(put: Plant) -> None:
    put(group, "repeatable", lambda op: isinstance(op, Deliver))
    deliver = judge.Judge._deliver

    def unfenced(self: judge.Judge, draft: Any, op: Deliver) -> Any:
        return deliver(self, draft, msgspec.structs.replace(op, fence=None))

    put(judge.Judge, "_deliver", unfenced)


@bug("what a large turn sends is sent from the beginning after every interruption")
def outbox_twice(put: Plant) -> None:
    value = outboxes.OutboxValue
    put(outboxes, "OutboxValue", lambda _done, body: value(0, body))


@bug("pieces of large values stay under the lease with which they were staged")
def pieces_on_lease(put: Plant) -> None:
    put(Effects, "settle", lambda *_: None)


@bug("a purge leaves the pieces of large values")
def purge_leaves_pieces(put: Plant) -> None:
    wipe = judge.wipe

    def most(draft: Any, cell: Cell) -> None:
        clear = draft.effects.clear
        draft.effects.clear = lambda keys: None if b"/blob/" in keys.first else clear(keys)
        try:
            wipe(draft, cell)
        finally:
            draft.effects.clear = clear

    put(judge, "wipe", most)


@bug("a purge leaves the timers")
def purge_leaves_timers(put: Plant) -> None:
    wipe = judge.wipe

    def most(draft: Any, cell: Cell) -> None:
        book = msgspec.structs.replace(cell.book, timers=())
        wipe(draft, msgspec.structs.replace(cell, book=book))

    put(judge, "wipe", most)


# --- watches --------------------------------------------------------------------------------------


@bug("what a watch missed is not looked for")
def no_sweep(put: Plant) -> None:
    async def sweep(_self: Inboxes) -> None:
        await asyncio.get_running_loop().create_future()

    put(Inboxes, "_sweep", sweep)


@bug("a watch goes on after a compaction as if nothing were missing")
def ignored_gap(put: Plant) -> None:
    add = Watch.add

    def without(self: Watch, batch: Batch) -> None:
        add(self, msgspec.structs.replace(batch, gap=False))

    put(Watch, "add", without)


@bug("a watch that begins anew leaves a revision out")
def skipped_revision(put: Plant) -> None:
    request = Watch.request

    def later(self: Watch, number: int) -> Any:
        begun = self._started.done() and self._next
        self._next += bool(begun)
        try:
            return request(self, number)
        finally:
            self._next -= bool(begun)

    put(Watch, "request", later)


@bug("one message in ten that another sidecar sent is not heard")
def deaf(put: Plant) -> None:
    arrived, heard = Inflow.arrived, [0]

    def some(self: Inflow, change: Any) -> None:
        heard[0] += 1
        if heard[0] % 10:
            arrived(self, change)

    put(Inflow, "arrived", some)


# --- acknowledgements -----------------------------------------------------------------------------


@bug("a start is acknowledged before it is durable")
def early_ack(put: Plant) -> None:
    create = Writes.create

    def hasty(self: Writes, op: Create, done: Any) -> None:
        done(Created(op.creation.head, 0), None)
        create(self, op, lambda *_: None)

    put(Writes, "create", hasty)


@bug("an activity's result is acknowledged before it is durable")
def early_ack_result(put: Plant) -> None:
    receive = Instance.receive

    def hasty(self: Instance, item: Any, *, ack: Any = None, **more: Any) -> None:
        if ack is not None and item.key.startswith("task-"):
            ack(None)
            ack = None
        receive(self, item, ack=ack, **more)

    put(Instance, "receive", hasty)


@bug("the owner answers from memory, though others write to the store")
def stale_read(put: Plant) -> None:
    async def head(self: Host, instance_id: str) -> Any:
        there = self.resident(instance_id)
        return await self.store.head(instance_id) if there is None else there.durable

    put(Host, "head", head)


# --- turns and activities -------------------------------------------------------------------------


@bug("activities are handed out before their scheduling is durable")
def early_effects(put: Plant) -> None:
    commit = Instance._commit

    def hasty(self: Instance, turn: Turn, *given: Any) -> None:
        commit(self, turn, *given)
        if turn.activities and self.room:
            execution = turn.head.execution_id
            self.host.work.offer_tasks(self, turn.activities, execution_id=execution)

    put(Instance, "_commit", hasty)


@bug("an answer with a stale completion token is taken for the present turn's")
def stale_token(put: Plant) -> None:
    answer = Dispatcher.answer_turn

    def any_token(self: Dispatcher, result: Any, response: Any, ack: Any) -> None:
        there = self._turn_of.get(result.instance_id)
        if result.token not in self._sent and there is not None:
            result = msgspec.structs.replace(result, token=there.token)
        answer(self, result, response, ack)

    put(Dispatcher, "answer_turn", any_token)


@bug("what a worker had is not sent again when its connection ends")
def no_redelivery(put: Plant) -> None:
    disconnect, lose = Dispatcher.disconnect, Dispatcher._lose

    def forget(self: Dispatcher, stream: Any) -> None:
        self._lose = self._release  # type: ignore[method-assign]
        disconnect(self, stream)
        self._lose = lambda sent: lose(self, sent)  # type: ignore[method-assign]

    put(Dispatcher, "disconnect", forget)


@bug("events that nobody read are dropped when a workflow continues as new")
def dropped_events(put: Plant) -> None:
    commit = Instance._commit

    def forgetful(self: Instance, turn: Turn, *given: Any) -> None:
        commit(self, msgspec.structs.replace(turn, carryover=()), *given)

    put(Instance, "_commit", forgetful)


@bug("one child in five does not tell its parent what it returned")
def lost_child_result(put: Plant) -> None:
    commit, told = Instance._commit, [0]

    def silent(self: Instance, turn: Turn, *given: Any) -> None:
        if any(isinstance(one.item.event, ChildCompleted) for one in turn.messages):
            told[0] += 1
            if not told[0] % 5:
                turn = msgspec.structs.replace(turn, messages=())
        commit(self, turn, *given)

    put(Instance, "_commit", silent)


@bug("an owner takes in at once what clients tell it, ahead of what its watch has yet to tell")
def overtaking_owner(put: Plant) -> None:
    send = Operations._send

    async def at_once(self: Operations, instance_id: str, item: Any, *, consumed: bool) -> None:
        if self._host.holds(instance_id):
            await self._send_here(instance_id, item, consumed=consumed)
        else:
            await send(self, instance_id, item, consumed=consumed)

    put(Operations, "_send", at_once)
    for module in (plans, inflows, inboxes):  # it is written under the owner's name
        put(module, "by_watch", lambda _item: False)


@bug("timers fire 95 ms before their time")
def early_timers(put: Plant) -> None:
    init = Reminders.__init__

    def hasty(self: Reminders, *given: Any, **more: Any) -> None:
        init(self, *given, **more)
        clock = self._clock
        self._clock = lambda: clock() + 95_000_000

    put(Reminders, "__init__", hasty)


@bug("a wait is not ended by a commit of which nobody heard")
def hanging_wait(put: Plant) -> None:
    load = Host._load

    async def silent(self: Host, instance_id: str) -> None:
        changed, self.waiters.changed = self.waiters.changed, lambda _head: None  # type: ignore[method-assign]
        try:
            await load(self, instance_id)
        finally:
            self.waiters.changed = changed  # type: ignore[method-assign]

    put(Host, "_load", silent)


@bug("a held message and a failed one to the same instance confuse the writer")
def confused_writer(put: Plant) -> None:
    hold = group.GroupWriter._hold

    def forgetful(self: group.GroupWriter, batch: Any, error: Any) -> Any:
        others, _ = hold(self, batch, error)
        return others, set()

    put(group.GroupWriter, "_hold", forgetful)


# --- lending --------------------------------------------------------------------------------------


@bug("what was lent is not handed out again when the connection breaks")
def forgotten_loans(put: Plant) -> None:
    lose = Dispatcher._lose

    def forget(self: Dispatcher, sent: Sent) -> None:
        if sent.stream.far and sent.stream.closed:
            self._release(sent)
        else:
            lose(self, sent)

    put(Dispatcher, "_lose", forget)


@bug("the slot of an activity that was lent stays taken when its result has come")
def kept_slots(put: Plant) -> None:
    release = Loans._release

    def keep(self: Loans, loan: Loan) -> None:
        release(self, loan)
        loan.stream.activities += 1

    put(Loans, "_release", keep)


@bug("a result is acknowledged as soon as it is on its way to the sidecar that lent the activity")
def early_ack_loan(put: Plant) -> None:
    finished = Borrower.finished

    def hasty(self: Borrower, token: str, result: Any, ack: Any) -> None:
        ack(None)
        finished(self, token, result, lambda _: None)

    put(Borrower, "finished", hasty)


@bug("a result without a token is counted for another activity that has its number by now")
def same_number(put: Plant) -> None:
    set_attribute = Mood.__setattr__

    def nameless(self: Mood, name: str, value: Any) -> None:
        set_attribute(self, name, True if name == "nameless" else value)

    put(Mood, "__setattr__", nameless)  # all apps are of SDKs that know no tokens, all the time
    put(Loans, "alike", lambda *_: False)


@bug("the result of a loan whose lender is gone is taken by whoever lends now for one of its own")
def stray_loans(put: Plant) -> None:
    finished, take = Borrower.finished, Link.take

    def to_whoever(self: Borrower, token: str, result: Any, ack: Any) -> None:
        here: Any = self._look
        there = list(here.__self__._all.values())
        for one in (self,) if self in there else there:
            finished(one, token, result, ack)

    def any_token(self: Link, received: Any) -> None:
        sent = self._dispatcher._sent
        mine = [token for token, one in sent.items() if one.task is not None]
        take(
            self,
            [
                msgspec.structs.replace(one, token=mine[0])
                if mine and isinstance(one, Done) and one.token not in sent
                else one
                for one in received
            ],
        )

    put(Loans, "orphan", lambda *_: None)
    put(Borrower, "finished", to_whoever)
    put(Link, "take", any_token)
