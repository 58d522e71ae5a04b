"""Turns of app code: what enters the history, the head, and what leaves.

In scope: ``advance`` with ``plan``, one instance at a time.  Out of scope: control operations,
continue-as-new, stalls, rewind and rerun (files of their own), anything with I/O.
"""

from __future__ import annotations

import msgspec
import pytest

from support.engine_driver import APP, T0, Driver, names
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.engine.starting import start
from tenure_sidecar.engine.turn import TIMER, InboxItem, Timer

DONE = act.Complete(9, status=Status.COMPLETED, result='"r"')


def test_the_empty_workflow_has_three_events() -> None:
    driver = Driver()
    turn = driver.run(DONE)
    assert driver.kinds == ["WorkflowStarted", "ExecutionStarted", "ExecutionCompleted"]
    head = turn.head
    assert head.status is Status.COMPLETED
    assert head.output == '"r"'
    assert head.started_at == head.completed_at == head.updated_at == T0
    assert turn.consumed == ("start",)
    assert turn.head.commit_id != ""


def test_three_sequential_activities_have_twelve_events() -> None:
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"))
    for step in (1, 2):
        driver.done(step - 1)
        driver.run(act.ScheduleTask(step, name="a"))
    driver.done(2)
    driver.run(DONE)
    one = ["WorkflowStarted", "TaskCompleted"]
    assert driver.kinds == [
        "WorkflowStarted",
        "ExecutionStarted",
        "TaskScheduled",
        *one,
        "TaskScheduled",
        *one,
        "TaskScheduled",
        *one,
        "ExecutionCompleted",
    ]


def test_the_sequence_that_durable_task_suites_assert() -> None:
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"))
    driver.done(0)
    driver.run(act.CreateTimer(1, fire_at=Instant.of(T0)))
    driver.put(ev.TimerFired(T0, timer_id=1, fire_at=Instant.of(T0)))
    driver.run(act.CreateChild(2, name="c"))
    driver.put(ev.ChildCompleted(T0, task_id=2, result="1"))
    driver.run(DONE)
    assert driver.kinds == [
        "WorkflowStarted",
        "ExecutionStarted",
        "TaskScheduled",
        "WorkflowStarted",
        "TaskCompleted",
        "TimerCreated",
        "WorkflowStarted",
        "TimerFired",
        "ChildCreated",
        "WorkflowStarted",
        "ChildCompleted",
        "ExecutionCompleted",
    ]


def test_the_history_has_the_time_that_the_code_saw() -> None:
    driver = Driver()
    batch = driver.batch()
    driver.now += 5 * ev.NANOS  # the worker took five seconds
    turn = driver.commit(
        driver.answer(batch, act.Response(actions=(act.ScheduleTask(0, name="a"),)))
    )
    assert turn.append[0].at == batch.started.at == T0
    assert turn.append[-1].at == T0 + 5 * ev.NANOS


def test_the_wall_clock_may_go_backwards_the_history_does_not() -> None:
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"))
    driver.now = T0 - 3600 * ev.NANOS
    driver.done(0)
    turn = driver.run(DONE)
    assert {event.at for event in turn.append} == {T0}
    assert turn.head.updated_at == T0


def test_the_clock_may_go_back_while_the_worker_has_the_turn() -> None:
    driver = Driver()
    batch = driver.batch()
    driver.now -= ev.NANOS
    answer = act.Response(actions=(act.ScheduleTask(0, name="a"),))
    turn = driver.commit(driver.answer(batch, answer))
    assert {event.at for event in turn.append} == {T0}


def test_an_activity_is_scheduled_and_dispatched() -> None:
    driver = Driver()
    turn = driver.run(
        act.ScheduleTask(4, name="pay", version="2", input="{}", tags={"a": "b"}, propagation=1)
    )
    (task,) = turn.activities
    assert task is turn.append[-1]
    assert task.event_id == 4
    assert (task.name, task.version, task.input) == ("pay", "2", "{}")
    assert task.tags == {"a": "b"}
    assert task.propagation == 1
    assert turn.head.pending == 1
    assert turn.head.active


def test_the_sdk_chooses_the_idempotency_key_or_the_engine_derives_it() -> None:
    driver = Driver()
    turn = driver.run(
        act.ScheduleTask(0, name="a", task_execution_id="chosen"), act.ScheduleTask(1, name="a")
    )
    execution = driver.state.head.execution_id
    assert [t.task_execution_id for t in turn.activities] == ["chosen", f"{execution}:1"]


def test_created_events_follow_in_the_order_of_their_ids_and_the_end_comes_last() -> None:
    driver = Driver()
    turn = driver.run(
        act.ScheduleTask(3, name="a"),
        DONE,
        act.CreateTimer(1, fire_at=Instant.of(T0)),
        act.CreateChild(2, name="c"),
    )
    assert names(turn.append[2:]) == [
        "TimerCreated",
        "ChildCreated",
        "TaskScheduled",
        "ExecutionCompleted",
    ]
    assert [event.event_id for event in turn.append[2:]] == [1, 2, 3, 9]
    assert not turn.timers_set  # the end of the instance takes its reminders along
    assert turn.head.pending == 0


@pytest.mark.parametrize("reverse", [False, True])
def test_of_several_ends_the_last_counts(*, reverse: bool) -> None:
    driver = Driver()
    failed = act.Complete(10, status=Status.FAILED, failure=ev.Failure("E", "late"))
    turn = driver.run(*sorted((DONE, failed), key=lambda one: one.task_id, reverse=reverse))
    assert turn.head.status is Status.FAILED
    assert names(turn.append).count("ExecutionCompleted") == 1


def test_activities_are_dispatched_in_the_order_of_the_calls() -> None:
    mixed = [act.ScheduleTask(n, name="a") for n in (3, 0, 4, 2, 1)]  # as Go walks over a map
    turn = Driver().run(*mixed)
    assert [event.event_id for event in turn.activities] == [0, 1, 2, 3, 4]


# --- timers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fire_at", "due"),
    [
        pytest.param(Instant.of(T0 + 1), T0 + 1, id="future"),
        pytest.param(Instant.of(T0 - 99), T0 - 99, id="past-fires-at-once"),
        pytest.param(Instant(0), 0, id="epoch"),
        pytest.param(Instant(-62135596800), 0, id="year-one"),
        pytest.param(Instant(9223372036, 854775807), 2**63 - 1, id="last-that-fits"),
        pytest.param(Instant(9223372036, 854775808), None, id="first-that-does-not"),
        pytest.param(Instant(253402300799, 999999999), None, id="never"),
    ],
)
def test_a_timer_is_kept_exactly_and_armed_if_it_can_fire(
    fire_at: Instant, due: int | None
) -> None:
    driver = Driver()
    turn = driver.run(act.CreateTimer(5, fire_at=fire_at, name="n"))
    created = turn.append[-1]
    assert isinstance(created, ev.TimerCreated)
    assert created.fire_at == fire_at
    assert created.name == "n"
    expected = () if due is None else (Timer(due, "wf", 5, TIMER, 0),)
    assert turn.timers_set == expected


def test_a_fired_timer_loses_its_reminder_in_the_same_turn() -> None:
    driver = Driver()
    set_ = driver.run(act.CreateTimer(5, fire_at=Instant.of(T0))).timers_set
    driver.put(ev.TimerFired(T0, timer_id=5, fire_at=Instant.of(T0)))
    assert driver.run().timers_cleared == set_


def test_completion_takes_all_reminders_back() -> None:
    driver = Driver()
    set_ = driver.run(
        *[act.CreateTimer(i, fire_at=Instant.of(T0 + i)) for i in range(5)],
        act.CreateTimer(7, fire_at=Instant(253402300799)),
        act.ScheduleTask(8, name="a"),
    ).timers_set
    driver.done(8)
    assert driver.run(DONE).timers_cleared == set_


def waiting(task_id: int, name: str) -> act.CreateTimer:
    origin = ev.TimerOrigin(ev.ORIGIN_EXTERNAL_EVENT, name)
    return act.CreateTimer(task_id, fire_at=Instant.of(T0 + 60 + task_id), origin=origin)


def test_an_event_takes_the_oldest_timed_wait_of_its_name_along() -> None:
    driver = Driver()
    driver.run(waiting(0, "Go"), waiting(1, "go"), waiting(2, "other"))
    driver.raised("GO")
    assert [t.timer_id for t in driver.run().timers_cleared] == [0]
    driver.raised("gO")
    driver.raised("go")  # nobody waits for this one
    assert [t.timer_id for t in driver.run().timers_cleared] == [1]
    assert list(driver.state.timers) == [2]


def test_two_events_in_one_turn_end_two_waits() -> None:
    driver = Driver()
    driver.run(waiting(0, "go"), waiting(1, "go"), waiting(2, "go"))
    driver.raised("go")
    driver.raised("go")
    assert [t.timer_id for t in driver.run().timers_cleared] == [0, 1]


def test_a_wait_that_timed_out_is_not_ended_again() -> None:
    driver = Driver()
    driver.run(waiting(0, "go"), waiting(1, "go"))
    driver.put(ev.TimerFired(T0, timer_id=0, fire_at=Instant.of(T0 + 60)))
    driver.raised("go")
    assert [t.timer_id for t in driver.run().timers_cleared] == [0, 1]
    assert not driver.state.timers
    assert not driver.state.waits


def test_a_plain_timer_is_no_wait() -> None:
    driver = Driver()
    plain = act.CreateTimer(
        0, fire_at=Instant.of(T0 + 9), origin=ev.TimerOrigin(ev.ORIGIN_TIMER, "go")
    )
    driver.run(plain)
    driver.raised("go")
    assert not driver.run().timers_cleared
    assert list(driver.state.timers) == [0]


# --- children, detached, events -------------------------------------------------------------------


def test_a_child_is_created_with_its_parent_in_one_turn() -> None:
    driver = Driver(start("flow", instance_id="wf", version="3", now=T0, ids=Driver().ids))
    turn = driver.run(
        act.CreateChild(10, name="ship", version="1", input="{}", tags={"k": "v"}, retry_parent="p")
    )
    created = turn.append[-1]
    assert isinstance(created, ev.ChildCreated)
    assert created.instance_id == "wf:000a"
    assert created.retry_parent == "p"
    (creation,) = turn.creations
    head, first = creation.head, creation.start
    parent = ev.Parent("wf", turn.head.execution_id, 10, name="flow", version="3", app_id=APP)
    assert head.parent == first.parent == parent
    assert head.status is Status.PENDING
    assert head.execution_id == first.execution_id
    assert head.execution_id != turn.head.execution_id
    assert head.span_id == first.span_id
    assert (first.name, first.version, first.input, first.tags) == ("ship", "1", "{}", {"k": "v"})
    assert head.created_at == first.at == turn.head.updated_at
    assert creation.item == InboxItem("start", first)
    assert creation.rewind is None


def test_a_taken_child_id_fails_the_child_by_name() -> None:
    driver = Driver()
    (creation,) = driver.run(act.CreateChild(1, name="c", instance_id="mine")).creations
    rejection = creation.rejection
    assert rejection is not None
    assert rejection.target == "wf"
    assert rejection.item.execution_id == driver.state.head.execution_id
    event = rejection.item.event
    assert isinstance(event, ev.ChildFailed)
    assert event.task_id == 1
    assert event.failure.error_type == "AlreadyExists"
    assert "'mine'" in event.failure.message
    driver.put(rejection.item)
    assert names(driver.batch().events) == ["WorkflowStarted", "ChildFailed"]


def test_a_child_with_its_parents_own_id_is_rejected_too() -> None:
    driver = Driver()
    turn = driver.run(act.CreateChild(1, name="c", instance_id="wf"))
    assert not turn.creations
    (message,) = turn.messages
    assert message.target == "wf"
    assert isinstance(message.item.event, ev.ChildFailed)
    assert message.item.event.failure.error_type == "AlreadyExists"
    driver.put(message.item)
    driver.run(DONE)


@pytest.mark.parametrize(
    ("status", "failure", "expected"),
    [
        pytest.param(Status.COMPLETED, None, ev.ChildCompleted, id="completed"),
        pytest.param(Status.FAILED, ev.Failure("E", "m"), ev.ChildFailed, id="failed"),
        pytest.param(Status.TERMINATED, None, ev.ChildFailed, id="terminated"),
    ],
)
def test_the_parent_is_told_of_the_end(
    status: Status, failure: ev.Failure | None, expected: type
) -> None:
    parent = Driver()
    (creation,) = parent.run(act.CreateChild(3, name="c")).creations
    child = Driver(creation)
    turn = child.run(act.Complete(0, status=status, result="7", failure=failure))
    (message,) = turn.messages
    assert message.target == "wf"
    assert message.item.execution_id == parent.state.head.execution_id
    event = message.item.event
    assert type(event) is expected
    assert isinstance(event, ev.ChildCompleted | ev.ChildFailed)
    assert event.task_id == 3
    if isinstance(event, ev.ChildCompleted):
        assert event.result == "7"
    elif failure is not None:
        assert event.failure == failure
    else:
        assert "'wf:0003' was terminated" in event.failure.message
    parent.put(message.item, message.item)
    assert names(parent.batch().events) == ["WorkflowStarted", expected.__name__]


def test_a_child_result_for_an_earlier_execution_is_dropped() -> None:
    parent = Driver()
    (creation,) = parent.run(act.CreateChild(3, name="c")).creations
    (message,) = Driver(creation).run(DONE).messages
    item = msgspec.structs.replace(message.item, execution_id="0" * 32)
    parent.put(item)
    assert parent.settle().consumed == (item.key,)


def test_a_detached_workflow_has_no_parent_and_no_rejection() -> None:
    driver = Driver()
    later = Instant.of(T0 + 10**12)
    turn = driver.run(
        act.CreateDetached(
            1, name="d", instance_id="free", input="1", scheduled_start=later, execution_id="e" * 32
        )
    )
    assert names(turn.append[2:]) == ["DetachedCreated"]
    (creation,) = turn.creations
    assert creation.rejection is None
    assert creation.head.parent is None
    assert creation.head.execution_id == "e" * 32
    assert creation.head.scheduled_start == creation.start.scheduled_start == later
    assert creation.timer is not None
    assert creation.timer.due == later.nanoseconds


@pytest.mark.parametrize("instance_id", ["", "wf"], ids=["default-id", "own-id"])
def test_a_detached_id_defaults_and_its_creators_own_is_taken(instance_id: str) -> None:
    driver = Driver()
    turn = driver.run(act.CreateDetached(1, name="d", instance_id=instance_id))
    assert [c.head.instance_id for c in turn.creations] == ([] if instance_id else ["wf:0001"])
    assert len(turn.append) == 3


def test_an_event_is_sent_once_however_often_the_worker_says_so() -> None:
    driver = Driver()
    send = act.SendEvent(1, instance_id="other", name="Hi", input="1")
    turn = driver.run(send, act.ScheduleTask(2, name="a"))
    (message,) = turn.messages
    assert message.target == "other"
    assert isinstance(message.item.event, ev.EventRaised)
    assert (message.item.event.name, message.item.event.input) == ("Hi", "1")
    driver.done(2)
    again = driver.run(send)
    assert not again.messages
    assert names(again.append) == ["WorkflowStarted", "TaskCompleted"]


def test_messages_of_two_executions_never_share_a_key() -> None:
    keys = set()
    for seed in range(2):
        creation = start("f", instance_id="wf", now=T0, ids=type(Driver().ids)(seed))
        driver = Driver(creation)
        keys.add(driver.run(act.SendEvent(1, instance_id="o", name="e")).messages[0].item.key)
    assert len(keys) == 2


def test_another_instance_is_terminated_by_message() -> None:
    driver = Driver()
    turn = driver.run(act.Terminate(1, instance_id="o", reason="r", recurse=True))
    (message,) = turn.messages
    assert message.item.event == ev.ExecutionTerminated(T0, output="r", recurse=True)
    assert len(turn.append) == 2


# --- head -----------------------------------------------------------------------------------------


def test_custom_status_stays_until_the_code_sets_another() -> None:
    driver = Driver()
    assert (
        driver.run(act.ScheduleTask(0, name="a"), custom_status="one").head.custom_status == "one"
    )
    driver.done(0)
    assert driver.run(act.ScheduleTask(1, name="a")).head.custom_status == "one"
    driver.done(1)
    assert driver.run(DONE, custom_status="").head.custom_status == ""


def test_the_version_of_the_code_is_recorded_with_the_turn() -> None:
    driver = Driver()
    version = ev.VersionInfo("v2", ("p1",))
    turn = driver.run(act.ScheduleTask(0, name="a"), version=version)
    assert turn.append[0] == ev.WorkflowStarted(T0, version=version)
    assert turn.head.code == version
    driver.done(0)
    more = ev.VersionInfo("v2", ("p1", "p2"))
    assert driver.run(DONE, version=more).head.code == more


def test_a_failure_always_has_details() -> None:
    driver = Driver()
    turn = driver.run(act.Complete(0, status=Status.FAILED, details="boom"))
    assert turn.head.failure == ev.Failure("WorkflowFailed", "boom")
    bare = Driver().run(act.Complete(0, status=Status.FAILED))
    assert bare.head.failure is not None
    assert bare.head.failure.message


def test_a_failure_keeps_everything_that_the_app_said() -> None:
    inner = ev.Failure("Inner", "i", stack_trace="s", properties={"k": b"v"})
    failure = ev.Failure("Outer", "o", inner=inner, non_retriable=True)
    turn = Driver().run(act.Complete(0, status=Status.FAILED, failure=failure))
    assert turn.head.failure == failure
    completed = turn.append[-1]
    assert isinstance(completed, ev.ExecutionCompleted)
    assert completed.failure == failure


def test_a_completed_workflow_has_no_failure_even_if_the_answer_does() -> None:
    turn = Driver().run(
        act.Complete(0, status=Status.COMPLETED, result="1", failure=ev.Failure("", ""))
    )
    assert turn.head.failure is None


# --- trace ----------------------------------------------------------------------------------------

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def traced(traceparent: str = PARENT) -> Driver:
    base = Driver()
    trace = ev.TraceContext(traceparent, "b7ad6b7169203331", "s=1")
    creation = start("flow", instance_id="wf", trace=trace, now=T0, ids=base.ids)
    return Driver(creation, ids=base.ids)


def test_what_a_workflow_causes_is_under_its_own_span() -> None:
    driver = traced()
    span = driver.state.head.span_id
    turn = driver.run(
        act.ScheduleTask(0, name="a"),
        act.CreateChild(1, name="c"),
        act.CreateDetached(2, name="d", instance_id="d"),
    )
    expected = ev.TraceContext(f"00-0af7651916cd43dd8448eb211c80319c-{span}-01", span or "", "s=1")
    assert turn.activities[0].trace == expected
    child, detached = turn.creations
    assert child.start.trace == child.head.trace == expected
    assert detached.start.trace == expected
    assert child.head.span_id not in {span, None}


def test_a_context_from_the_sdk_is_kept() -> None:
    mine = ev.TraceContext("00-" + "1" * 32 + "-" + "2" * 16 + "-00", "2" * 16)
    turn = traced().run(act.ScheduleTask(0, name="a", trace=mine))
    assert turn.activities[0].trace == mine


@pytest.mark.parametrize("text", ["", "nonsense", "a-b-c-d-e"])
def test_a_context_that_is_none_is_not_passed_on(text: str) -> None:
    assert traced(text).run(act.ScheduleTask(0, name="a")).activities[0].trace is None
