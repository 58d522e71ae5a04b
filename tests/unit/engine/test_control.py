"""Suspend, resume, terminate: engine turns that need no worker.

In scope: precedence, what the history and the head say, the cascade to children.  Out of scope: how
they reach the inbox (actors), rewind.
"""

from __future__ import annotations

import pytest

from support.engine_driver import T0, Driver, names
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.engine.plan import Idle
from tenure_sidecar.engine.starting import resume, start, suspend, terminate

TASK = act.ScheduleTask(0, name="a")
DONE = act.Complete(9, status=Status.COMPLETED)


def running(*actions: act.Action) -> Driver:
    driver = Driver()
    driver.run(*(actions or (TASK,)))
    return driver


def order(driver: Driver, *verbs: str) -> None:
    for verb in verbs:
        build = {"suspend": suspend, "resume": resume}[verb]
        driver.put(build(verb + "!", now=driver.now, ids=driver.ids))


def end(driver: Driver, output: str | None = '"bye"', *, recurse: bool = False) -> None:
    driver.put(terminate(output, recurse=recurse, now=driver.now, ids=driver.ids))


def test_suspend_and_resume_are_turns_of_their_own() -> None:
    driver = running()
    order(driver, "suspend")
    turn = driver.settle()
    assert turn.append == (
        ev.WorkflowStarted(turn.head.clock),
        ev.ExecutionSuspended(turn.head.clock, "suspend!"),
    )
    assert driver.status is Status.SUSPENDED
    order(driver, "resume")
    assert names(driver.settle().append) == ["WorkflowStarted", "ExecutionResumed"]
    assert driver.status is Status.RUNNING


@pytest.mark.parametrize(
    ("before", "verbs", "events", "status"),
    [
        pytest.param([], ["resume"], [], "RUNNING", id="resume-of-a-running-one"),
        pytest.param(["suspend"], ["suspend"], [], "SUSPENDED", id="suspend-twice"),
        pytest.param([], ["suspend", "suspend"], ["ExecutionSuspended"], "SUSPENDED", id="at-once"),
        pytest.param(
            [],
            ["suspend", "resume"],
            ["ExecutionSuspended", "ExecutionResumed"],
            "RUNNING",
            id="suspend-resume",
        ),
        pytest.param(
            [], ["resume", "suspend"], ["ExecutionSuspended"], "SUSPENDED", id="resume-suspend"
        ),
        pytest.param(
            ["suspend"],
            ["resume", "suspend", "resume"],
            ["ExecutionResumed", "ExecutionSuspended", "ExecutionResumed"],
            "RUNNING",
            id="back-and-forth",
        ),
    ],
)
def test_control_items_count_in_the_order_they_came(
    before: list[str], verbs: list[str], events: list[str], status: str
) -> None:
    driver = running()
    for verb in before:
        order(driver, verb)
        driver.settle()
    order(driver, *verbs)
    turn = driver.settle()
    assert names(turn.append)[1:] == events
    assert bool(turn.append) is bool(events)
    assert driver.status.name == status
    assert not driver.inbox


def test_a_suspended_instance_keeps_its_inbox_in_order() -> None:
    driver = running()
    driver.raised("first")
    order(driver, "suspend")
    driver.done(0)
    driver.settle()
    driver.raised("second")
    assert driver.plan() == Idle()
    order(driver, "resume")
    driver.settle()
    assert names(driver.batch().events) == [
        "WorkflowStarted",
        "EventRaised",
        "TaskCompleted",
        "EventRaised",
    ]


def test_suspension_before_the_start_leaves_no_event() -> None:
    driver = Driver()
    order(driver, "suspend")
    assert not driver.settle().append
    assert driver.status is Status.SUSPENDED
    assert driver.plan() == Idle()
    order(driver, "resume")
    assert not driver.settle().append
    assert driver.status is Status.PENDING
    assert names(driver.run(DONE).append)[1] == "ExecutionStarted"


def test_a_suspended_delayed_start_does_not_start() -> None:
    base = Driver()
    due = Instant.of(T0 + 5)
    driver = Driver(start("f", instance_id="wf", scheduled_start=due, now=T0, ids=base.ids))
    order(driver, "suspend")
    driver.settle()
    driver.now = T0 + 10
    assert driver.plan() == Idle()
    order(driver, "resume")
    driver.settle()
    driver.run(DONE)


def test_a_generation_suspended_before_its_first_turn_resumes_to_running() -> None:
    driver = Driver()
    driver.run(act.Complete(0, status=Status.CONTINUED_AS_NEW))
    order(driver, "suspend")
    driver.settle()
    order(driver, "resume")
    driver.settle()
    assert driver.status is Status.RUNNING
    assert driver.batch().keys == ("start",)


# --- terminate ------------------------------------------------------------------------------------


def test_terminate_ends_the_instance_with_its_output_verbatim() -> None:
    driver = running(TASK, act.CreateTimer(1, fire_at=Instant.of(T0 + 99)))
    end(driver, " not json ")
    turn = driver.settle()
    assert names(turn.append) == ["WorkflowStarted", "ExecutionTerminated", "ExecutionCompleted"]
    head = turn.head
    assert (head.status, head.output, head.failure) == (Status.TERMINATED, " not json ", None)
    assert head.completed_at == head.updated_at
    assert head.pending == 0
    assert len(turn.timers_cleared) == 1
    last = turn.append[-1]
    assert isinstance(last, ev.ExecutionCompleted)
    assert (last.status, last.result, last.event_id) == (Status.TERMINATED, " not json ", -1)


def test_terminate_beats_everything_else_in_the_inbox() -> None:
    driver = running()
    driver.raised("a")
    driver.done(0)
    order(driver, "suspend")
    end(driver, "1")
    driver.raised("b")
    end(driver, "2")
    keys = {item.key for item in driver.inbox}
    turn = driver.settle()
    assert set(turn.consumed) == keys
    assert turn.head.output == "1"
    assert "TaskCompleted" not in names(turn.append)


def test_terminate_beats_continue_as_new() -> None:
    driver = Driver()
    driver.run(act.Complete(0, status=Status.CONTINUED_AS_NEW, result="2"))
    end(driver)
    assert names(driver.settle().append) == [
        "WorkflowStarted",
        "ExecutionStarted",
        "ExecutionTerminated",
        "ExecutionCompleted",
    ]
    assert driver.state.head.generation == 1


def test_terminate_ends_a_suspended_instance() -> None:
    driver = running()
    order(driver, "suspend")
    driver.settle()
    end(driver)
    driver.settle()
    assert driver.status is Status.TERMINATED
    assert not driver.state.head.suspended


def test_terminate_before_the_start_keeps_the_start_in_the_history() -> None:
    base = Driver()
    due = Instant.of(T0 + 5)
    driver = Driver(start("f", instance_id="wf", scheduled_start=due, now=T0, ids=base.ids))
    end(driver)
    turn = driver.settle()
    assert driver.kinds[1] == "ExecutionStarted"
    assert len(turn.timers_cleared) == 1
    assert turn.head.started_at == turn.head.completed_at == T0
    assert driver.status is Status.TERMINATED


@pytest.mark.parametrize("recurse", [True, False], ids=["recursive", "alone"])
def test_the_cascade_reaches_every_child_that_still_runs(recurse: bool) -> None:
    driver = running(
        act.CreateChild(0, name="c", instance_id="done"),
        act.CreateChild(1, name="c", instance_id="live"),
        act.CreateDetached(2, name="c", instance_id="free"),
        act.CreateChild(3, name="c", instance_id="young"),
    )
    driver.put(ev.ChildCompleted(T0, task_id=0))
    driver.run()
    end(driver, "out", recurse=recurse)
    turn = driver.settle()
    assert [m.target for m in turn.messages] == (["live", "young"] if recurse else [])
    for message in turn.messages:
        event = message.item.event
        assert isinstance(event, ev.ExecutionTerminated)
        assert (event.output, event.recurse) == ("out", True)
    assert len({m.item.key for m in turn.messages}) == len(turn.messages)


def test_any_recursive_request_makes_it_recursive() -> None:
    driver = running(act.CreateChild(0, name="c", instance_id="live"))
    end(driver, "1")
    end(driver, "2", recurse=True)
    turn = driver.settle()
    assert [m.target for m in turn.messages] == ["live"]
    assert turn.head.output == "1"


def test_a_terminated_child_tells_its_parent() -> None:
    parent = running(act.CreateChild(0, name="c"))
    child = Driver(parent.turns[-1].creations[0])
    end(child)
    (message,) = child.settle().messages
    parent.put(message.item)
    turn = parent.run(DONE)
    failed = turn.append[1]
    assert isinstance(failed, ev.ChildFailed)
    assert failed.failure.error_type == "Terminated"


def test_the_wall_clock_behind_the_history_does_not_show() -> None:
    driver = running()
    driver.now = T0 - 10**12
    order(driver, "suspend")
    driver.settle()
    end(driver)
    driver.settle()
    assert driver.state.head.completed_at >= T0
