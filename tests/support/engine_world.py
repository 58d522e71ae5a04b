"""Several instances, and as much of a store and of an owner as the engine's properties need.

Everything is in order and in one thread; a test decides what happens next.  After each commit the
laws of ``engine_driver`` are checked, and the engine's effects are carried out as turn.py says they
are: creations with their rules, messages, reminders.
"""

from __future__ import annotations

import msgspec

from support.engine_driver import (
    APP,
    T0,
    check_head,
    check_history,
    check_replay,
    expected_reminders,
)
from support.programs import Replay
from support.seeded import SeededIds
from tenure_common.errors import StaleTurnError
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import codec, starting
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.advance import advance
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.plan import Batch, plan
from tenure_sidecar.engine.rerun import Rerunnable, rerun_from_event
from tenure_sidecar.engine.rewind import rewind
from tenure_sidecar.engine.stall import stall_oversize
from tenure_sidecar.engine.state import State
from tenure_sidecar.engine.turn import TIMER, Creation, InboxItem, Timer, Turn


class Member:
    """One instance."""

    def __init__(self, creation: Creation, *, generation: int = 0) -> None:
        head = msgspec.structs.replace(creation.head, generation=generation)
        self.state = State.fold(head, ())
        self.inbox: list[InboxItem] = [creation.item]
        self.reminders: set[Timer] = set()
        if creation.timer is not None:
            self.reminders.add(msgspec.structs.replace(creation.timer, generation=generation))
        self.batch: Batch | None = None
        self.withdrawn: list[Batch] = []
        self.accepted: list[str] = []  # data of external events, in the order they were accepted
        self.tampered = False  # terminated or rewound: not every event reaches the code

    @property
    def status(self) -> ev.Status:
        return self.state.head.status

    def put(self, item: InboxItem) -> bool:
        if self.status.terminal and not (
            self.status is ev.Status.FAILED and isinstance(item.event, ev.ExecutionRewound)
        ):
            return False
        if any(there.key == item.key for there in self.inbox):
            return False
        self.inbox.append(item)
        return True


class World:
    """See the module docstring."""

    def __init__(self, *, seed: int = 0, limits: Limits | None = None) -> None:
        self.ids = SeededIds(seed)
        self.now = T0
        self.limits = limits or Limits()
        self.members: dict[str, Member] = {}
        self.dispatched: list[tuple[str, str, ev.TaskScheduled]] = []
        self.delivered: list[tuple[str, InboxItem]] = []
        self.raised = 0

    # --- what comes from outside ----------------------------------------------------------------

    def start(self, instance_id: str, given: str, *, delay: int = 0) -> bool:
        """Start an instance if its id is free."""
        there = self.members.get(instance_id)
        if there is not None and not there.status.terminal:
            return False
        when = ev.Instant.of(self.now + delay) if delay else None
        creation = starting.start(
            "interp",
            instance_id=instance_id,
            input=given,
            scheduled_start=when,
            now=self.now,
            ids=self.ids,
        )
        self._insert(creation)
        return True

    def raise_event(self, instance_id: str, name: str) -> None:
        """Raise an event whose data is unique."""
        member = self.members[instance_id]
        self.raised += 1
        data = f"{name.casefold()}#{self.raised}"
        if member.put(starting.raise_event(name, data, now=self.now, ids=self.ids)):
            member.accepted.append(data)

    def resolve(self, number: int, *, ok: bool) -> None:
        """A worker reports a result of an activity that was dispatched at some time."""
        instance_id, execution_id, task = self.dispatched[number]
        event: ev.Event
        if ok:
            event = ev.TaskCompleted(self.now, task_id=task.task_id, result=f"r{number}")
        else:
            failure = ev.Failure("ActivityError", "no")
            event = ev.TaskFailed(self.now, task_id=task.task_id, failure=failure)
        key = f"result-{number}-{self.ids.commit_id()}"
        self.send(instance_id, InboxItem(key, event, execution_id))

    def again(self, number: int) -> None:
        """A message comes a second time, under another key."""
        instance_id, item = self.delivered[number]
        if not isinstance(item.event, ev.EventRaised | ev.ExecutionRewound):
            copy = msgspec.structs.replace(item, key=f"copy-{self.ids.commit_id()}")
            self.send(instance_id, copy)

    def fire(self, member: Member) -> None:
        """Every reminder that is due goes off (and stays set until a turn takes it back)."""
        for timer in sorted(member.reminders, key=lambda t: (t.due, t.timer_id)):
            created = member.state.timers.get(timer.timer_id)
            if timer.kind == TIMER and timer.due <= self.now and created is not None:
                event = ev.TimerFired(self.now, timer_id=timer.timer_id, fire_at=created.fire_at)
                member.put(InboxItem(f"timer-{timer.generation}-{timer.timer_id}", event))

    def control(self, instance_id: str, verb: str) -> None:
        """Suspend, resume, terminate, terminate-all or rewind."""
        member = self.members[instance_id]
        now, ids = self.now, self.ids
        if verb == "rewind":
            if member.status is ev.Status.FAILED:
                member.tampered = True
                member.put(rewind(member.state.head, None, now=now, ids=ids))
            return
        if verb == "suspend":
            item = starting.suspend(None, now=now, ids=ids)
        elif verb == "resume":
            item = starting.resume(None, now=now, ids=ids)
        else:
            member.tampered = True
            item = starting.terminate("t", recurse=verb.endswith("all"), now=now, ids=ids)
        member.put(item)
        self.withdraw(member)

    def rerun(self, instance_id: str, number: int) -> bool:
        """Rerun an ended root from one of its activities, timers or children, under a new id."""
        source = self.members[instance_id].state
        created = [e for e in source.history if isinstance(e, Rerunnable)]
        if source.head.parent is not None or not source.head.status.terminal or not created:
            return False
        creation = rerun_from_event(
            source.head,
            source.history,
            event_id=created[number % len(created)].task_id,
            instance_id=f"rerun-{len(self.members)}",
            now=self.now,
            ids=self.ids,
        )
        self._insert(creation)
        self.members[creation.head.instance_id].tampered = True  # it has its source's events
        return True

    # --- the owner ------------------------------------------------------------------------------

    def withdraw(self, member: Member) -> None:
        """The turn under way is taken back."""
        if member.batch is not None:
            member.withdrawn.append(member.batch)
            member.batch = None

    def take(self, instance_id: str) -> bool:
        """Plan; commit what needs no worker, hand out a batch.  False when there is nothing."""
        member = self.members[instance_id]
        if member.batch is not None:
            return False
        step = plan(member.state, member.inbox, now=self.now, ids=self.ids, limits=self.limits)
        if isinstance(step, Turn):
            self._commit(member, step)
            return True
        if isinstance(step, Batch):
            member.batch = step
            return True
        return False

    def answer(
        self, instance_id: str, *, processed: int | None = None, stall: bool = False
    ) -> bool:
        """The worker answers the batch under way."""
        member = self.members[instance_id]
        batch, member.batch = member.batch, None
        if batch is None:
            return False
        seen = batch.events
        if processed is not None and 1 < processed < len(seen):
            seen = seen[:processed]
        replay = Replay([*member.state.history, *seen])
        response = msgspec.structs.replace(replay.response, processed=processed)
        if stall:
            response = act.Response(actions=(act.VersionNotAvailable(0),))
        self._commit(member, self._advance(member, batch, response))
        return True

    def answer_late(self, instance_id: str) -> None:
        """A worker answers a turn that was withdrawn: nothing of it may count."""
        member = self.members[instance_id]
        if not member.withdrawn:
            return
        batch = member.withdrawn.pop()
        if batch.base == member.state.head.commit_id:
            return  # nothing happened since: it would be the answer to the present turn
        try:
            self._advance(member, batch, act.Response())
        except StaleTurnError:
            return
        raise AssertionError("a late answer was applied")

    def oversize(self, instance_id: str, *, size: int) -> None:
        """The work item does not fit a message of 4 bytes."""
        member = self.members[instance_id]
        if member.batch is None:
            return
        member.batch = None
        turn = stall_oversize(member.state, size=size, limit=4, now=self.now, ids=self.ids)
        if turn is not None:
            self._commit(member, turn)

    def crash(self) -> None:
        """The process dies: what is not stored is gone, what is stored is read back."""
        for member in self.members.values():
            member.batch = None
            member.withdrawn.clear()
            state = member.state
            member.state = State.fold(
                codec.decode_head(codec.encode_head(state.head)),
                codec.decode_events(codec.encode_events(state.history)),
            )
            member.inbox = [codec.decode_item(codec.encode_item(item)) for item in member.inbox]

    def _advance(self, member: Member, batch: Batch, response: act.Response) -> Turn:
        return advance(
            member.state,
            batch,
            response,
            now=self.now,
            ids=self.ids,
            limits=self.limits,
            app_id=APP,
        )

    def _commit(self, member: Member, turn: Turn) -> None:
        old = member.state.head
        before = list(member.state.history)
        gone = set(turn.consumed)
        assert gone <= {item.key for item in member.inbox}
        member.inbox = [*turn.carryover, *[i for i in member.inbox if i.key not in gone]]
        assert set(turn.timers_cleared) <= member.reminders
        member.reminders = (member.reminders - set(turn.timers_cleared)) | set(turn.timers_set)
        member.state.apply(turn)
        state, head = member.state, turn.head
        check_replay(state)
        check_history(state.history)
        check_head(state)
        assert member.reminders == expected_reminders(state)
        if not turn.restart:
            assert state.history[: len(before)] == before, "the history is append-only"
        else:
            assert head.generation == old.generation + 1
        if old.status.terminal and head.status.terminal:
            assert msgspec.structs.replace(head, commit_id=old.commit_id) == old, "final is final"
        if head.status.terminal:
            member.inbox.clear()
        for task in turn.activities:
            self.dispatched.append((head.instance_id, old.execution_id, task))
        for creation in turn.creations:
            self._create(creation)
        for message in turn.messages:
            self.send(message.target, message.item)

    def _create(self, creation: Creation) -> None:
        there = self.members.get(creation.head.instance_id)
        if there is None:
            self._insert(creation)
            return
        mine = there.state.head.parent is not None and (
            there.state.head.parent == creation.head.parent
        )
        if mine and there.status is ev.Status.FAILED and creation.rewind is not None:
            there.tampered = True
            there.put(creation.rewind)
        elif there.status.terminal:
            self._insert(creation)
        elif not mine and creation.rejection is not None:
            self.send(creation.rejection.target, creation.rejection.item)

    def _insert(self, creation: Creation) -> None:
        there = self.members.get(creation.head.instance_id)
        generation = 0 if there is None else there.state.head.generation + 1
        self.members[creation.head.instance_id] = Member(creation, generation=generation)

    def send(self, target: str, item: InboxItem) -> None:
        member = self.members.get(target)
        if member is None:
            return
        if member.put(item):
            self.delivered.append((target, item))
            if isinstance(item.event, ev.EventRaised):
                member.accepted.append(str(item.event.input))
            if isinstance(item.event, ev.ExecutionTerminated):
                member.tampered = True
                self.withdraw(member)

    # --- quiescence -----------------------------------------------------------------------------

    def drain(self, events: tuple[str, ...]) -> None:
        """Give every instance whatever it waits for, until all have ended."""
        for _ in range(500):
            live = [i for i, m in self.members.items() if not m.status.terminal]
            if not live:
                return
            for instance_id in live:
                if self.members[instance_id].status is ev.Status.SUSPENDED:
                    self.control(instance_id, "resume")
            for number, (instance_id, execution_id, task) in enumerate(self.dispatched):
                state = self.members[instance_id].state
                if state.head.execution_id == execution_id and task.task_id in state.tasks:
                    self.resolve(number, ok=True)
            moved = self._run_all()
            if not moved:
                self.now += 100 * ev.NANOS
                for name in events:
                    for instance_id in live:
                        self.raise_event(instance_id, name)
        stuck = {i: m.state.head for i, m in self.members.items() if not m.status.terminal}
        raise AssertionError(f"stuck: {stuck}")

    def _run_all(self) -> bool:
        moved = False
        for instance_id in list(self.members):
            member = self.members[instance_id]
            self.fire(member)
            while True:
                taken = self.take(instance_id)
                answered = self.answer(instance_id)
                member = self.members[instance_id]
                if not taken and not answered:
                    break
                moved = True
        return moved


def replayed(member: Member) -> Replay:
    """The code, run over the final history once more."""
    return Replay([e for e in member.state.history if not isinstance(e, ev.ExecutionCompleted)])
