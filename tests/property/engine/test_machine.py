"""Random programs under random faults: the engine's invariants hold, and everything ends.

In scope: the pure engine with several instances that create, message and terminate each other,
under duplicate, late, early and reordered deliveries, partial turns, stalls, crashes, suspension,
rewind and any order of turns.  Invariants: one resolution per task, append-only history, nobody
stuck, timers never early and once, replay of the final history gives the same end, terminal is
final, parent and child agree, no reminder leaks, external events in order and none twice.

Out of scope: stores, ownership, time.

A run is a list of (verb, a, b): what happens next, to which of the instances (activities, messages)
there are at that moment.  That explores further than a rule-based machine of the same price, and a
failure shrinks to ``nothing`` steps around the few that matter.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from support.engine_world import Member, World, replayed
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.turn import InboxItem

EVENTS = ("Go", "stop")
ROOTS = ("r0", "r1")
SECOND = ev.NANOS

names = st.sampled_from(["a", "b"])
events = st.sampled_from([*EVENTS, "GO"])
seconds = st.integers(0, 30)

leaf = st.one_of(
    st.tuples(st.just("call"), names),
    st.tuples(st.just("try"), names),
    st.tuples(st.just("fan"), st.integers(1, 4)),
    st.tuples(st.just("sleep"), seconds),
    st.tuples(st.just("wait"), events),
    st.tuples(st.just("timed"), events, seconds),
    st.tuples(st.just("send"), st.sampled_from([*ROOTS, "shared"]), events),
    st.tuples(st.just("status"), names),
)


def programs(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"steps": st.lists(steps, min_size=1, max_size=4), "loops": st.sampled_from([0, 0, 1, 2])}
    )


inner = programs(leaf)
family = st.one_of(
    leaf,
    st.tuples(st.just("child"), inner, st.sampled_from(["", "", "shared"])),
    st.tuples(st.just("detach"), inner, st.sampled_from(["free", "shared"])),
)
outer = programs(st.one_of(family, st.tuples(st.just("child"), programs(family), st.just(""))))

# How often a verb comes up, against the others.
WEIGHTS = {
    "nothing": 1,
    "start": 2,
    "turn": 8,
    "all_turns": 6,
    "partial_turn": 3,
    "hand_out": 3,
    "answer": 3,
    "lose_worker": 2,
    "answer_late": 2,
    "no_version": 2,
    "too_large": 2,
    "result": 6,
    "all_results": 4,
    "failure": 3,
    "deliver_again": 3,
    "raise": 4,
    "odd_timer": 1,
    "odd_result": 2,
    "suspend": 2,
    "resume": 3,
    "terminate": 1,
    "terminate_all": 1,
    "rewind": 3,
    "rerun": 2,
    "clock": 5,
    "clock_back": 1,
    "crash": 1,
}
steps = st.tuples(
    st.sampled_from([verb for verb, weight in WEIGHTS.items() for _ in range(weight)]),
    st.integers(0, 63),
    st.integers(0, 63),
)
TALLY: Counter[str] = Counter()


class Run:
    """The verbs, on a world."""

    def __init__(self, world: World, programs: list[dict[str, Any]]) -> None:
        self.world = world
        self.programs = [json.dumps(program) for program in programs]

    def do(self, verb: str, a: int, b: int) -> None:
        world = self.world
        ids = sorted(world.members)
        target = ids[a % len(ids)]
        simple: dict[str, Callable[[], object]] = {
            "nothing": lambda: None,
            "start": lambda: world.start(
                ROOTS[a % 2], self.programs[b % 2], delay=(b % 3) * 5 * SECOND
            ),
            "turn": lambda: (world.take(target), world.answer(target)),
            "all_turns": lambda: [(world.take(i), world.answer(i)) for i in ids],
            "partial_turn": lambda: (world.take(target), world.answer(target, processed=b % 5)),
            "hand_out": lambda: world.take(target),
            "answer": lambda: world.answer(target),
            "lose_worker": lambda: world.withdraw(world.members[target]),
            "answer_late": lambda: world.answer_late(target),
            "no_version": lambda: (world.take(target), world.answer(target, stall=True)),
            "too_large": lambda: (world.take(target), world.oversize(target, size=5 + b % 2)),
            "result": lambda: self._result(b, ok=True),
            "failure": lambda: self._result(b, ok=False),
            "all_results": self._all_results,
            "deliver_again": lambda: self._again(b),
            "raise": lambda: world.raise_event(target, ("Go", "stop", "GO")[b % 3]),
            "odd_timer": lambda: self._odd_timer(target, b % 7),
            "odd_result": lambda: self._odd_result(target, b % 7),
            "suspend": lambda: world.control(target, "suspend"),
            "resume": lambda: world.control(target, "resume"),
            "terminate": lambda: world.control(target, "terminate"),
            "terminate_all": lambda: world.control(target, "terminate-all"),
            "rewind": self._rewind,
            "rerun": lambda: self._rerun(b),
            "clock": lambda: self._clock((1, SECOND, 20 * SECOND)[b % 3]),
            "clock_back": lambda: self._clock(-5 * SECOND),
            "crash": world.crash,
        }
        simple[verb]()
        TALLY[verb] += 1

    def _result(self, number: int, *, ok: bool) -> None:
        if self.world.dispatched:
            self.world.resolve(number % len(self.world.dispatched), ok=ok)

    def _all_results(self) -> None:
        for number in reversed(range(len(self.world.dispatched))):
            self.world.resolve(number, ok=True)

    def _again(self, number: int) -> None:
        if self.world.delivered:
            self.world.again(number % len(self.world.delivered))

    def _odd_timer(self, target: str, number: int) -> None:
        if number not in self.world.members[target].state.timers:
            event = ev.TimerFired(self.world.now, timer_id=number, fire_at=ev.Instant(0))
            self._odd(target, event, execution_id="")

    def _odd_result(self, target: str, number: int) -> None:
        """A result of another life of the instance."""
        event = ev.TaskCompleted(self.world.now, task_id=number, result="wrong")
        self._odd(target, event, execution_id="f" * 32)

    def _odd(self, target: str, event: ev.Event, *, execution_id: str) -> None:
        key = f"odd-{self.world.ids.commit_id()}"
        self.world.send(target, InboxItem(key, event, execution_id))

    def _rewind(self) -> None:
        for instance_id, member in sorted(self.world.members.items()):
            if member.status is ev.Status.FAILED and rewindable(member):
                self.world.control(instance_id, "rewind")
                TALLY["rewound"] += 1
                return

    def _rerun(self, number: int) -> None:
        for instance_id in ROOTS:
            if instance_id in self.world.members and self.world.rerun(instance_id, number):
                TALLY["rerun from an event"] += 1
                return

    def _clock(self, step: int) -> None:
        self.world.now += step
        for member in self.world.members.values():
            self.world.fire(member)


def rewindable(member: Member) -> bool:
    """Rewind removes every failed activity from the history; code that caught one and went on would
    take another way on replay (a limit of the operation, as in the SDKs that have it)."""
    started = member.state.started
    return started is not None and '"try"' not in (started.input or "")


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    programs=st.tuples(outer, outer),
    batch=st.sampled_from([1, 3, 10_000]),
    script=st.lists(steps, min_size=40, max_size=160),
)
def test_programs_survive_everything(
    programs: tuple[dict[str, Any], dict[str, Any]],
    batch: int,
    script: list[tuple[str, int, int]],
) -> None:
    world = World(limits=Limits(max_batch_events=batch))
    run = Run(world, list(programs))
    world.start("r0", run.programs[0])
    for step in script:
        if step[0] != "nothing":
            note(str(step))
        run.do(*step)
    world.drain(EVENTS)
    for member in world.members.values():
        check_end(world, member)


def test_every_kind_of_trouble_was_met() -> None:
    """Runs after the test above, in one process: the exploration is not vacuous."""
    met = {verb for verb, count in TALLY.items() if count}
    assert not TALLY or met >= set(WEIGHTS) | {"rewound", "rerun from an event"}


def check_end(world: World, member: Member) -> None:
    """What must be true of an instance that has ended."""
    state = member.state
    head = state.head
    assert head.status.terminal
    assert not member.reminders
    last = state.history[-1]
    assert isinstance(last, ev.ExecutionCompleted)
    assert (last.status, last.result, last.failure) == (head.status, head.output, head.failure)
    replay = replayed(member)
    if head.status is ev.Status.TERMINATED:
        return
    assert replay.leftovers == 0, "what the code asked for is in the history"
    assert replay.end is not None
    assert (replay.end.status, replay.end.result) == (head.status, head.output)
    check_children(world, member)
    if head.status is ev.Status.COMPLETED:
        check_events(member, json.loads(head.output or "[]"))


def check_children(world: World, member: Member) -> None:
    """Parent and child agree."""
    state = member.state
    created = {e.task_id: e for e in state.history if isinstance(e, ev.ChildCreated)}
    for event in state.history:
        if not isinstance(event, ev.ChildCompleted):
            continue
        child = world.members[created[event.task_id].instance_id].state.head
        parent = child.parent
        if parent is not None and (parent.execution_id, parent.task_id) == (
            state.head.execution_id,
            event.task_id,
        ):
            assert (child.status, child.output) == (ev.Status.COMPLETED, event.result)


def check_events(member: Member, trace: list[list[Any]]) -> None:
    """The code got each external event at most once, those of one name in order, without a gap."""
    got = [str(step[1]) for step in trace if step[0] == "event"]
    assert len(set(got)) == len(got), "an event was received twice"
    if member.tampered:
        return
    for name in EVENTS:
        mine = [data for data in got if data.startswith(name.casefold() + "#")]
        sent = [data for data in member.accepted if data.startswith(name.casefold() + "#")]
        assert mine == sent[: len(mine)]
