"""Rewind and restart: a failed instance goes back before its failures, a finished one runs afresh.

In scope: the request, the engine's turn, the children that are rewound with it.  Out of scope: what
a store does with the creations (its own suite), RPC status codes.
"""

from __future__ import annotations

import pytest

from support.engine_driver import T0, Driver, names
from tenure_common.errors import NotFailedError, NotTerminalError
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.engine.restart import restart
from tenure_sidecar.engine.rewind import rewind
from tenure_sidecar.engine.starting import start, terminate
from tenure_sidecar.engine.turn import Creation

FAILURE = ev.Failure("E", "m")
FAIL = act.Complete(90, status=Status.FAILED, failure=FAILURE)
DONE = act.Complete(91, status=Status.COMPLETED, result="fine")
LATER = Instant.of(T0 + 10**15)


def failed() -> Driver:
    """Activity 0 is done, 1 failed, 2 is open; timer 3 and child 5 are open, child 4 failed."""
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"))
    driver.done(0, "r0")
    driver.run(
        act.ScheduleTask(1, name="b"),
        act.ScheduleTask(2, name="c"),
        act.CreateTimer(3, fire_at=LATER),
        act.CreateChild(4, name="kid", input="4"),
        act.CreateChild(5, name="kid"),
    )
    driver.put(
        ev.TaskFailed(T0, task_id=1, failure=FAILURE),
        ev.ChildFailed(T0, task_id=4, failure=FAILURE),
    )
    driver.run(FAIL)
    return driver


def rewound(driver: Driver, reason: str | None = "again") -> Driver:
    driver.put(rewind(driver.state.head, reason, now=driver.now, ids=driver.ids))
    driver.settle()
    return driver


def test_the_failures_leave_the_history_and_the_results_stay() -> None:
    driver = rewound(failed())
    assert driver.kinds == [
        "WorkflowStarted",
        "ExecutionStarted",
        "TaskScheduled",
        "WorkflowStarted",
        "TaskCompleted",
        "TaskScheduled",
        "TimerCreated",
        "ChildCreated",
        "ChildCreated",
        "WorkflowStarted",
        "WorkflowStarted",
        "ExecutionRewound",
    ]
    scheduled = [e.task_id for e in driver.state.history if isinstance(e, ev.TaskScheduled)]
    assert scheduled == [0, 2]
    last = driver.state.history[-1]
    assert isinstance(last, ev.ExecutionRewound)
    assert last.reason == "again"


def test_the_head_is_that_of_a_running_instance() -> None:
    old = failed().state.head
    turn = rewound(failed()).turns[-1]
    head = turn.head
    assert turn.restart
    assert turn.input == "1"
    assert head.status is Status.RUNNING
    assert (head.output, head.failure, head.completed_at) == (None, None, 0)
    assert head.execution_id == old.execution_id
    assert head.generation == old.generation + 1
    assert (head.created_at, head.started_at) == (old.created_at, old.started_at)
    assert head.pending == 1


def test_what_is_open_starts_again() -> None:
    turn = rewound(failed()).turns[-1]
    assert [t.task_id for t in turn.activities] == [2]
    assert [(t.timer_id, t.due, t.generation) for t in turn.timers_set] == [
        (3, LATER.nanoseconds, 1)
    ]
    assert [c.head.instance_id for c in turn.creations] == ["wf:0004", "wf:0005"]
    for creation in turn.creations:
        assert creation.rewind is not None
        event = creation.rewind.event
        assert isinstance(event, ev.ExecutionRewound)
        assert event.parent_execution_id == turn.head.execution_id
        assert creation.head.parent is not None
        assert creation.head.parent.execution_id == turn.head.execution_id


def test_the_code_runs_at_once_and_schedules_the_failed_activity_again() -> None:
    driver = rewound(failed())
    batch = driver.batch()
    assert names(batch.events) == ["WorkflowStarted"]
    turn = driver.run(act.ScheduleTask(1, name="b"))
    assert [t.task_id for t in turn.activities] == [1]
    driver.done(1)
    driver.done(2)
    driver.put(ev.ChildCompleted(T0, task_id=4), ev.ChildCompleted(T0, task_id=5))
    driver.run(DONE)
    assert driver.status is Status.COMPLETED
    assert driver.state.head.output == "fine"


def test_an_instance_can_fail_and_be_rewound_again() -> None:
    driver = rewound(failed())
    driver.run(act.ScheduleTask(1, name="b"))
    driver.put(ev.TaskFailed(T0, task_id=1, failure=FAILURE))
    driver.run(FAIL)
    rewound(driver, None)
    assert driver.kinds.count("ExecutionRewound") == 2
    assert driver.state.head.generation == 2


def test_a_rewound_child_answers_the_rewound_parent() -> None:
    parent = failed()
    (creation, _) = [c for turn in parent.turns for c in turn.creations]
    child = Driver(creation, ids=parent.ids)
    first = child.run(FAIL).messages[0]
    request = rewound(parent).turns[-1].creations[0].rewind
    assert request is not None
    child.put(request)
    child.settle()
    assert child.state.head.parent == creation.head.parent
    second = child.run(DONE).messages[0]
    assert second.item.key != first.item.key
    parent.put(second.item)
    assert "ChildCompleted" in names(parent.run().append)


def test_a_parent_with_a_new_execution_is_taken_over() -> None:
    parent = failed()
    child = Driver(parent.turns[1].creations[0], ids=parent.ids)
    child.run(FAIL)
    child.put(ev.ExecutionRewound(T0, parent_execution_id="f" * 32))
    child.settle()
    assert child.state.head.parent is not None
    assert child.state.head.parent.execution_id == "f" * 32
    assert child.state.started is not None
    assert child.state.started.parent == child.state.head.parent


def test_everything_else_in_the_inbox_of_a_failed_instance_is_dropped() -> None:
    driver = failed()
    driver.raised("late")
    driver.put(rewind(driver.state.head, None, now=T0, ids=driver.ids))
    driver.raised("later")
    assert len(driver.settle().consumed) == 3
    assert [item.key for item in driver.inbox] == ["rewound-1"]


def test_one_request_is_enough() -> None:
    driver = failed()
    for _ in range(2):
        driver.put(rewind(driver.state.head, None, now=T0, ids=driver.ids))
    driver.settle()
    assert driver.state.head.generation == 1
    driver.run(act.ScheduleTask(1, name="b"))
    assert driver.kinds.count("ExecutionRewound") == 1


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.TERMINATED, Status.RUNNING])
def test_only_a_failed_instance_can_be_rewound(status: Status) -> None:
    driver = Driver()
    if status is Status.COMPLETED:
        driver.run(DONE)
    elif status is Status.TERMINATED:
        driver.put(terminate(None, recurse=False, now=T0, ids=driver.ids))
        driver.settle()
    else:
        driver.run(act.ScheduleTask(0, name="a"))
    with pytest.raises(NotFailedError) as caught:
        rewind(driver.state.head, None, now=T0, ids=driver.ids)
    assert caught.value.code == "TN0108"
    assert caught.value.grpc == "FAILED_PRECONDITION"
    driver.put(ev.ExecutionRewound(T0))  # one that was under way when the status changed
    driver.settle()
    assert driver.status is status


# --- restart --------------------------------------------------------------------------------------


def finished(*, done: bool = True) -> Driver:
    base = Driver()
    creation = start(
        "flow", instance_id="wf", input="1", version="2", tags={"k": "v"}, now=T0, ids=base.ids
    )
    driver = Driver(creation, ids=base.ids)
    driver.run(DONE if done else act.ScheduleTask(0, name="a"))
    return driver


def check_restart(creation: Creation, old: Driver) -> None:
    head = creation.head
    assert head.execution_id != old.state.head.execution_id
    assert (head.name, head.version, head.tags) == ("flow", "2", {"k": "v"})
    assert creation.start.input == "1"
    assert head.status is Status.PENDING
    assert head.output is None
    assert creation.seed == ()
    Driver(creation).run(DONE)


def test_restart_under_the_same_id() -> None:
    driver = finished()
    creation = restart(driver.state.head, driver.input, new_id=False, now=T0, ids=driver.ids)
    assert creation.head.instance_id == "wf"
    check_restart(creation, driver)


@pytest.mark.parametrize("done", [True, False], ids=["finished", "running"])
def test_restart_under_a_new_id(done: bool) -> None:
    driver = finished(done=done)
    creation = restart(driver.state.head, driver.input, new_id=True, now=T0, ids=driver.ids)
    assert creation.head.instance_id != "wf"
    check_restart(creation, driver)


def test_a_running_instance_keeps_its_id() -> None:
    driver = finished(done=False)
    with pytest.raises(NotTerminalError, match="'wf' is RUNNING and not in a terminal state"):
        restart(driver.state.head, None, new_id=False, now=T0, ids=driver.ids)
