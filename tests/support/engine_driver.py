"""One instance driven by hand: a test says what comes in and what the worker answers.

After every commit the driver asserts what is true of any turn of any workflow, so each test checks
these laws on the way to its own subject:

* reading back what was stored gives the state that applying the turn gave (the replay law);
* the history only grows, its times never go backwards, ExecutionCompleted is its last event;
* a creation takes an id that is free then, and is resolved at most once;
* the reminders set and not taken back are exactly those of the timers that the state waits for;
* the head's counters are those of the history.
"""

from __future__ import annotations

from collections.abc import Sequence

from support.seeded import SeededIds
from tenure_sidecar.engine import codec
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.actions import Action, Response
from tenure_sidecar.engine.advance import advance
from tenure_sidecar.engine.draft import reminder, start_due
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.plan import Batch, Idle, plan
from tenure_sidecar.engine.starting import start
from tenure_sidecar.engine.state import State
from tenure_sidecar.engine.turn import START, Creation, InboxItem, Timer, Turn

APP = "shop"
T0 = 1_700_000_000 * ev.NANOS
CREATED = (ev.TaskScheduled, ev.TimerCreated, ev.ChildCreated, ev.EventSent, ev.DetachedCreated)
RESOLVES: dict[type[ev.Event], type[ev.Event]] = {
    ev.TaskCompleted: ev.TaskScheduled,
    ev.TaskFailed: ev.TaskScheduled,
    ev.ChildCompleted: ev.ChildCreated,
    ev.ChildFailed: ev.ChildCreated,
    ev.TimerFired: ev.TimerCreated,
}


class Driver:
    """See the module docstring.  ``now`` moves by a nanosecond per commit unless a test sets it."""

    def __init__(
        self,
        creation: Creation | None = None,
        *,
        ids: SeededIds | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.ids = ids or SeededIds(1)
        self.now = T0
        creation = creation or start("flow", instance_id="wf", input="1", now=T0, ids=self.ids)
        self.limits = limits or Limits()
        self.state = State.fold(creation.head, ())
        self.inbox: list[InboxItem] = [creation.item]
        self.reminders: set[Timer] = set() if creation.timer is None else {creation.timer}
        self.turns: list[Turn] = []
        self.input = creation.start.input

    # --- in -----------------------------------------------------------------------------------

    def put(self, *items: InboxItem | ev.Event, execution_id: str = "") -> None:
        """Append to the inbox; a bare event gets a unique key."""
        for item in items:
            if not isinstance(item, InboxItem):
                item = InboxItem(f"test-{self.ids.commit_id()}", item, execution_id)  # noqa: PLW2901
            if all(there.key != item.key for there in self.inbox):
                self.inbox.append(item)

    def done(self, task_id: int, result: str | None = "ok") -> None:
        """An activity's result arrives."""
        self.put(ev.TaskCompleted(self.now, task_id=task_id, result=result))

    def raised(self, name: str, data: str | None = None) -> None:
        """An external event arrives."""
        self.put(ev.EventRaised(self.now, name=name, input=data))

    # --- steps --------------------------------------------------------------------------------

    def plan(self) -> Idle | Turn | Batch:
        """The next step, not carried out."""
        return plan(self.state, self.inbox, now=self.now, ids=self.ids, limits=self.limits)

    def batch(self) -> Batch:
        """The next step, which must be a batch."""
        step = self.plan()
        assert isinstance(step, Batch), step
        return step

    def settle(self) -> Turn:
        """Carry out the next step, which must need no worker."""
        step = self.plan()
        assert isinstance(step, Turn), step
        return self.commit(step)

    def answer(self, batch: Batch, response: Response) -> Turn:
        """The turn of an answer, not carried out."""
        return advance(
            self.state,
            batch,
            response,
            now=self.now,
            ids=self.ids,
            limits=self.limits,
            app_id=APP,
        )

    def run(self, *actions: Action, **response: object) -> Turn:
        """Run the next turn with this answer."""
        batch = self.batch()
        return self.commit(self.answer(batch, Response(actions=actions, **response)))  # type: ignore[arg-type]

    def commit(self, turn: Turn) -> Turn:
        """Make a turn true, as a store and an owner would, and check the laws."""
        before = list(self.state.history)
        keys = [item.key for item in self.inbox]
        assert len(set(turn.consumed)) == len(turn.consumed)
        assert set(turn.consumed) <= set(keys), "a turn consumes what is in the inbox"
        gone = set(turn.consumed)
        self.inbox = [
            *turn.carryover,
            *[item for item in self.inbox if item.key not in gone],
        ]
        assert len({item.key for item in self.inbox}) == len(self.inbox)
        missing = set(turn.timers_cleared) - self.reminders
        assert not missing, f"takes back reminders that are not set: {missing}"
        self.reminders -= set(turn.timers_cleared)
        self.reminders |= set(turn.timers_set)
        if turn.restart:
            self.input = turn.input
        self.state.apply(turn)
        self.turns.append(turn)
        self.now += 1
        check_replay(self.state)
        if not turn.restart:
            assert self.state.history[: len(before)] == before
        check_history(self.state.history)
        check_head(self.state)
        assert self.reminders == expected_reminders(self.state)
        if self.state.head.status.terminal:
            self.inbox.clear()
        return turn

    # --- out ----------------------------------------------------------------------------------

    @property
    def head(self) -> object:
        return self.state.head

    @property
    def status(self) -> ev.Status:
        return self.state.head.status

    @property
    def kinds(self) -> list[str]:
        """Names of the history's events."""
        return [type(event).__name__ for event in self.state.history]


def names(events: Sequence[ev.Event]) -> list[str]:
    """Class names of events."""
    return [type(event).__name__ for event in events]


def check_replay(state: State) -> None:
    """Law: fold(decode(encode(stored))) is the applied state."""
    head = codec.decode_head(codec.encode_head(state.head))
    history = codec.decode_events(codec.encode_events(state.history))
    again = State.fold(head, history)
    for slot in State.__slots__:
        assert getattr(again, slot) == getattr(state, slot), slot
    assert list(again.tasks) == list(state.tasks)
    assert list(again.timers) == list(state.timers)


def check_history(history: Sequence[ev.Event]) -> None:
    """Order, uniqueness and times of a history."""
    times = [event.at for event in history]
    assert times == sorted(times), "time never goes backwards"
    if history:
        assert isinstance(history[0], ev.WorkflowStarted)
    kinds = [type(event) for event in history]
    assert kinds.count(ev.ExecutionStarted) <= 1
    if ev.ExecutionCompleted in kinds:
        assert kinds.index(ev.ExecutionCompleted) == len(kinds) - 1
    assert all(event.event_id == -1 for event in history if not _created(event))
    check_resolutions(history)


def check_resolutions(history: Sequence[ev.Event]) -> None:
    """Each creation takes an id that is free then, and is resolved at most once, by its own kind."""
    opened: dict[int, type[ev.Event]] = {}
    for event in history:
        kind = type(event)
        if isinstance(event, CREATED):
            assert event.event_id not in opened, "an id taken twice"
            opened[event.event_id] = kind
        elif kind in RESOLVES:
            number = event.timer_id if isinstance(event, ev.TimerFired) else event.task_id  # type: ignore[union-attr]
            assert opened.pop(number, None) is RESOLVES[kind], "resolved twice, or never created"


def _created(event: ev.Event) -> bool:
    return isinstance(event, (*CREATED, ev.ExecutionCompleted))


def check_head(state: State) -> None:
    """The head's counters."""
    head, history = state.head, state.history
    assert head.history_length == len(history)
    assert head.pending == len(state.tasks)
    if history:
        assert head.clock >= history[-1].at
    assert (head.stall is not None) == (head.status is ev.Status.STALLED)
    assert head.suspended == (head.status is ev.Status.SUSPENDED)
    assert bool(head.completed_at) == head.status.terminal
    if head.status is ev.Status.COMPLETED:
        assert head.failure is None
    if head.status is ev.Status.FAILED:
        assert head.failure is not None


def expected_reminders(state: State) -> set[Timer]:
    """What must be in the store's timer index: no leak, nothing missing."""
    head = state.head
    if head.status.terminal:
        return set()
    wanted = {
        reminder(timer, instance_id=head.instance_id, generation=head.generation)
        for timer in state.timers.values()
    } - {None}
    due = start_due(head)
    if due is not None:
        wanted.add(Timer(min(due, 2**63 - 1), head.instance_id, 0, START, head.generation))
    return wanted  # type: ignore[return-value]
