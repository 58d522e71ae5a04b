"""What an inbox comes to: order, precedence, what is kept and what is dropped.

In scope: ``plan`` without control operations.  Out of scope: what the worker's answer does
(test_turns), suspend and terminate (test_control).
"""

from __future__ import annotations

import pytest

from support.engine_driver import T0, Driver, names
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.plan import Batch, Idle
from tenure_sidecar.engine.starting import start
from tenure_sidecar.engine.turn import START_KEY, InboxItem

DONE = act.Complete(9, status=Status.COMPLETED)
FAILURE = ev.Failure("E", "m")


def raised_names(batch: Batch) -> list[str]:
    return [event.name for event in batch.events if isinstance(event, ev.EventRaised)]


def running(*actions: act.Action) -> Driver:
    driver = Driver()
    driver.run(*actions)
    return driver


def test_an_empty_inbox_is_idle() -> None:
    assert running(act.ScheduleTask(0, name="a")).plan() == Idle(until=None)


def test_the_start_comes_first_whatever_arrived_before_it() -> None:
    driver = Driver()
    (begin,) = driver.inbox
    driver.inbox.clear()
    driver.raised("early")
    assert driver.plan() == Idle()
    driver.inbox.append(begin)
    batch = driver.batch()
    assert names(batch.events) == ["WorkflowStarted", "ExecutionStarted", "EventRaised"]
    assert batch.keys[0] == START_KEY


def test_events_keep_their_order_and_their_case() -> None:
    driver = running(act.ScheduleTask(0, name="a"))
    for name in ("b", "A", "ä", "a", "b"):
        driver.raised(name)
    assert raised_names(driver.batch()) == ["b", "A", "ä", "a", "b"]


def test_a_batch_begins_with_the_turns_start_at_the_time_of_the_turn() -> None:
    driver = running(act.ScheduleTask(0, name="a"))
    driver.put(ev.EventRaised(T0 - 5, name="x"))
    driver.now = T0 + 50
    batch = driver.batch()
    assert batch.events[0] is batch.started
    assert [event.at for event in batch.events] == [T0 + 50] * 2
    driver.now = T0 - 50
    assert driver.batch().started.at == driver.state.head.clock


def test_a_timer_is_never_seen_early_even_if_the_clock_goes_back() -> None:
    due = Instant.of(T0 + 1_000)
    driver = running(act.CreateTimer(0, fire_at=due), act.CreateTimer(1, fire_at=Instant.of(T0)))
    for timer_id, fire_at in ((1, Instant.of(T0)), (0, due)):
        driver.put(ev.TimerFired(T0 + 1_000, timer_id=timer_id, fire_at=fire_at))
    driver.now = T0 + 10
    assert driver.batch().started.at == T0 + 1_000
    turn = driver.run(act.ScheduleTask(2, name="a"))
    assert {event.at for event in turn.append} == {T0 + 1_000}
    driver.now = T0 + 10
    driver.done(2)
    assert driver.run(DONE).head.completed_at == T0 + 1_000


# --- delayed start --------------------------------------------------------------------------------


def delayed(seconds: int) -> Driver:
    driver = Driver()
    due = Instant.of(T0 + seconds * ev.NANOS)
    creation = start("flow", instance_id="wf", scheduled_start=due, now=T0, ids=driver.ids)
    return Driver(creation, ids=driver.ids)


def test_a_delayed_start_waits_for_its_time_and_clears_its_reminder() -> None:
    driver = delayed(60)
    due = T0 + 60 * ev.NANOS
    driver.raised("early")
    assert driver.plan() == Idle(until=due)
    driver.now = due - 1
    assert driver.plan() == Idle(until=due)
    driver.now = due
    turn = driver.run(act.ScheduleTask(0, name="a"))
    assert [t.due for t in turn.timers_cleared] == [due]
    assert turn.head.started_at == due
    assert names(turn.append)[1:3] == ["ExecutionStarted", "EventRaised"]


def test_a_delayed_start_delays_the_first_generation_only() -> None:
    driver = delayed(60)
    driver.now = T0 + 60 * ev.NANOS
    driver.run(act.Complete(0, status=Status.CONTINUED_AS_NEW))
    driver.now = T0
    assert names(driver.batch().events) == ["WorkflowStarted", "ExecutionStarted"]


# --- results --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "first", "second"),
    [
        pytest.param(
            act.ScheduleTask(0, name="a"),
            ev.TaskCompleted(T0, task_id=0),
            ev.TaskFailed(T0, task_id=0, failure=FAILURE),
            id="task",
        ),
        pytest.param(
            act.CreateChild(0, name="a"),
            ev.ChildFailed(T0, task_id=0, failure=FAILURE),
            ev.ChildCompleted(T0, task_id=0),
            id="child",
        ),
        pytest.param(
            act.CreateTimer(0, fire_at=Instant(0)),
            ev.TimerFired(T0, timer_id=0, fire_at=Instant(0)),
            ev.TimerFired(T0, timer_id=0, fire_at=Instant(0)),
            id="timer",
        ),
    ],
)
class TestOneResolution:
    """At most one per task, in a batch and against the history."""

    def test_within_a_batch(self, action: act.Action, first: ev.Event, second: ev.Event) -> None:
        driver = running(action)
        driver.put(first, second)
        batch = driver.batch()
        assert names(batch.events[1:]) == [type(first).__name__]
        assert set(batch.consumed) == {item.key for item in driver.inbox}
        assert batch.keys == (driver.inbox[0].key,)

    def test_against_the_history(
        self, action: act.Action, first: ev.Event, second: ev.Event
    ) -> None:
        driver = running(action)
        driver.put(first)
        driver.run()
        driver.put(second)
        before = len(driver.state.history)
        turn = driver.settle()
        assert not driver.inbox
        assert not turn.append
        assert len(driver.state.history) == before

    def test_with_something_else(
        self, action: act.Action, first: ev.Event, second: ev.Event
    ) -> None:
        driver = running(action)
        driver.put(first)
        driver.run()
        driver.put(second)
        driver.raised("x")
        driver.put(first)
        driver.run()
        assert not driver.inbox


def test_a_result_that_is_early_waits_for_its_task() -> None:
    driver = running(act.ScheduleTask(0, name="a"))
    driver.done(1)
    assert driver.plan() == Idle()
    driver.done(0)
    assert names(driver.run(act.ScheduleTask(1, name="b")).append) == [
        "WorkflowStarted",
        "TaskCompleted",
        "TaskScheduled",
    ]
    turn = driver.run(DONE)
    assert names(turn.append) == ["WorkflowStarted", "TaskCompleted", "ExecutionCompleted"]


def test_an_early_result_of_a_child_waits_too() -> None:
    driver = running(act.ScheduleTask(0, name="a"))
    driver.put(ev.ChildCompleted(T0, task_id=7))
    assert driver.plan() == Idle()
    assert len(driver.inbox) == 1


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(ev.TaskCompleted(T0, task_id=1), id="task-result-for-a-timer"),
        pytest.param(ev.ChildCompleted(T0, task_id=1), id="child-result-for-a-timer"),
        pytest.param(ev.TimerFired(T0, timer_id=0, fire_at=Instant(0)), id="timer-for-a-task"),
        pytest.param(ev.TimerFired(T0, timer_id=9, fire_at=Instant(0)), id="unknown-timer"),
        pytest.param(
            ev.ExecutionStarted(T0, instance_id="wf", execution_id="x", name="f"), id="second-start"
        ),
        pytest.param(ev.ExecutionRewound(T0), id="rewind-of-a-running-one"),
        pytest.param(ev.ExecutionStalled(T0, reason=ev.StallReason(0)), id="no-message-at-all"),
        pytest.param(ev.DetachedCreated(T0, 4, instance_id="x"), id="a-created-event"),
    ],
)
def test_what_can_never_match_is_dropped_without_a_trace(event: ev.Event) -> None:
    driver = running(act.ScheduleTask(0, name="a"), act.CreateTimer(1, fire_at=Instant.of(T0)))
    head = driver.state.head
    driver.put(event)
    turn = driver.settle()
    assert not driver.inbox
    assert not turn.append
    assert turn.head.updated_at == head.updated_at
    assert turn.head.commit_id != head.commit_id
    assert driver.plan() == Idle()


def test_a_result_of_another_execution_is_dropped() -> None:
    driver = running(act.ScheduleTask(0, name="a"))
    driver.put(ev.TaskCompleted(T0, task_id=0), execution_id="0" * 32)
    driver.settle()
    assert list(driver.state.tasks) == [0]


def test_a_result_addressed_to_this_execution_is_taken() -> None:
    driver = running(act.ScheduleTask(0, name="a"))
    driver.put(ev.TaskCompleted(T0, task_id=0), execution_id=driver.state.head.execution_id)
    driver.run()
    assert not driver.state.tasks
    assert driver.state.head.pending == 0


def test_results_of_a_fan_out_come_in_one_batch_in_arrival_order() -> None:
    driver = running(*[act.ScheduleTask(i, name="a") for i in range(20)])
    order = [*range(10, 20), *range(10)]
    for task_id in order:
        driver.done(task_id)
    turn = driver.run(DONE)
    resolved = [e.task_id for e in turn.append if isinstance(e, ev.TaskCompleted)]
    assert resolved == order


def test_pending_counts_activities_only() -> None:
    driver = running(
        act.ScheduleTask(0, name="a"),
        act.ScheduleTask(1, name="a"),
        act.CreateTimer(2, fire_at=Instant.of(T0)),
        act.CreateChild(3, name="c"),
    )
    assert driver.state.head.pending == 2
    driver.done(1)
    driver.put(ev.TimerFired(T0, timer_id=2, fire_at=Instant.of(T0)))
    driver.put(ev.ChildCompleted(T0, task_id=3))
    assert driver.run(act.ScheduleTask(4, name="a")).head.pending == 2


# --- bounds and nudges ----------------------------------------------------------------------------


def test_a_batch_is_bounded_and_the_rest_follows_in_order() -> None:
    driver = Driver(limits=Limits(max_batch_events=3))
    for number in range(7):
        driver.raised(str(number))
    sizes = []
    seen: list[str] = []
    while driver.inbox:
        batch = driver.batch()
        sizes.append(len(batch.events))
        seen += raised_names(batch)
        driver.run()
    assert sizes == [4, 4, 3]
    assert seen == [str(i) for i in range(7)]


def test_the_start_fits_any_bound() -> None:
    driver = Driver(limits=Limits(max_batch_events=0))
    driver.raised("x")
    assert names(driver.batch().events) == ["WorkflowStarted", "ExecutionStarted"]


def test_a_nudge_is_a_turn_without_an_event() -> None:
    driver = running(act.ScheduleTask(0, name="a"))
    driver.put(InboxItem("go", ev.WorkflowStarted(T0)))
    batch = driver.batch()
    assert names(batch.events) == ["WorkflowStarted"]
    assert batch.consumed == ("go",)
    assert names(driver.run(DONE).append) == ["WorkflowStarted", "ExecutionCompleted"]


def test_planning_changes_nothing() -> None:
    driver = running(act.ScheduleTask(0, name="a"))
    driver.done(0)
    driver.raised("x")
    inbox, history = list(driver.inbox), list(driver.state.history)
    first, second = driver.batch(), driver.batch()
    assert first == second
    assert driver.inbox == inbox
    assert driver.state.history == history


def test_answering_changes_nothing_until_the_turn_is_applied() -> None:
    driver = running(act.ScheduleTask(0, name="a"), act.CreateTimer(1, fire_at=Instant.of(T0)))
    driver.done(0)
    head, history = driver.state.head, list(driver.state.history)
    driver.answer(driver.batch(), act.Response(actions=(act.ScheduleTask(2, name="b"),)))
    assert driver.state.head is head
    assert driver.state.history == history
    assert list(driver.state.tasks) == [0]
    assert 2 not in driver.state.known


# --- terminal -------------------------------------------------------------------------------------


def test_a_terminal_instance_drops_everything() -> None:
    driver = Driver()
    driver.run(DONE)
    head = driver.state.head
    driver.raised("late")
    driver.put(ev.ExecutionTerminated(T0), ev.ExecutionSuspended(T0), ev.ExecutionRewound(T0))
    turn = driver.settle()
    assert len(turn.consumed) == 4
    assert not turn.append
    assert not turn.messages
    assert driver.state.head.status is Status.COMPLETED
    assert driver.state.head.updated_at == head.updated_at
