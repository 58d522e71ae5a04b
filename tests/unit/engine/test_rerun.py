"""Rerun from event: what is copied, what runs again, what is refused.

In scope: the creation and the seeding turn.  Out of scope: looking the source up, taken new ids.
"""

from __future__ import annotations

import msgspec
import pytest

from support.engine_driver import T0, Driver, names
from tenure_common.errors import BadRerunError, NoSuchEventError, TenureError
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import Instant, Status, VersionInfo
from tenure_sidecar.engine.rerun import rerun_from_event
from tenure_sidecar.engine.starting import start
from tenure_sidecar.engine.turn import TIMER, Creation, Timer

DONE = act.Complete(99, status=Status.COMPLETED)
SOON = Instant.of(T0 + 100)


def source(*, finish: bool = True) -> Driver:
    """Activity 0; then activity 1, timer 2 and child 3 together; then activity 4; the end.  Task 1
    ends before, timer and child after activity 4 is scheduled."""
    base = Driver()
    driver = Driver(
        start(
            "flow",
            instance_id="src",
            input="in",
            version="2",
            tags={"k": "v"},
            now=T0,
            ids=base.ids,
        ),
        ids=base.ids,
    )
    driver.run(act.ScheduleTask(0, name="a", input="0"), version=VersionInfo("v1", ("p",)))
    driver.done(0, "r0")
    driver.run(
        act.ScheduleTask(1, name="b", input="1"),
        act.CreateTimer(2, fire_at=SOON),
        act.CreateChild(3, name="kid", input="3"),
        version=VersionInfo("v1", ("p", "q")),
    )
    driver.raised("hello")
    driver.done(1, "r1")
    driver.run(
        act.ScheduleTask(4, name="c", input="4"),
        act.CreateDetached(5, name="d", instance_id="free"),
        version=VersionInfo("v1", ("p", "q", "s")),
    )
    driver.put(ev.TimerFired(T0, timer_id=2, fire_at=SOON), ev.ChildCompleted(T0, task_id=3))
    driver.done(4)
    if finish:
        driver.run(DONE, version=VersionInfo("v1", ("p", "q", "s")))
    return driver


def rerun(driver: Driver, event_id: int, **fields: object) -> Creation:
    return rerun_from_event(
        driver.state.head,
        driver.state.history,
        event_id=event_id,
        now=T0 + 1_000,
        ids=driver.ids,
        **fields,  # type: ignore[arg-type]
    )


def seeded(driver: Driver, event_id: int, **fields: object) -> Driver:
    new = Driver(rerun(driver, event_id, **fields), ids=driver.ids)
    new.now = T0 + 1_000
    new.settle()
    return new


def test_the_new_instance_is_a_root_of_its_own() -> None:
    driver = source()
    creation = rerun(driver, 4)
    head = creation.head
    assert head.rerun_of == "src"
    assert (head.name, head.version, head.tags) == ("flow", "2", {"k": "v"})
    assert head.status is Status.PENDING
    assert head.instance_id not in {"src", ""}
    assert head.execution_id != driver.state.head.execution_id
    assert creation.start.input == "in"
    assert rerun(driver, 4, instance_id="mine").head.instance_id == "mine"


def test_history_before_the_event_is_copied_and_what_was_open_runs_again() -> None:
    driver = source()
    new = seeded(driver, 4)
    position = driver.kinds.index("DetachedCreated")
    assert new.kinds == driver.kinds[:position]
    turn = new.turns[0]
    first = turn.append[1]
    assert isinstance(first, ev.ExecutionStarted)
    assert first.instance_id == new.state.head.instance_id
    assert first.execution_id == new.state.head.execution_id
    again = turn.append[-1]
    assert isinstance(again, ev.TaskScheduled)
    assert (again.task_id, again.input, again.rerun_parent) == (4, "4", "src")
    assert turn.activities == (again,)
    instance_id = new.state.head.instance_id
    assert turn.timers_set == (Timer(SOON.nanoseconds, instance_id, 2, TIMER, 0),)
    (child,) = turn.creations
    assert child.head.instance_id == f"{instance_id}:0003"
    assert child.head.parent is not None
    assert child.head.parent.instance_id == instance_id
    assert child.head.parent.execution_id == new.state.head.execution_id
    assert child.start.input == "3"
    head = turn.head
    assert (head.status, head.pending, head.started_at) == (Status.RUNNING, 1, T0 + 1_000)
    assert head.code == VersionInfo("v1", ("p", "q", "s"))
    marks = [e.rerun_parent for e in turn.append if isinstance(e, ev.TaskScheduled)]
    assert marks == [None, None, "src"]
    assert [e.rerun_parent for e in turn.append if isinstance(e, ev.TimerCreated)] == ["src"]


def test_results_that_were_there_stay() -> None:
    new = seeded(source(), 4)
    results = [e.result for e in new.state.history if isinstance(e, ev.TaskCompleted)]
    assert results == ["r0", "r1"]
    assert "EventRaised" in new.kinds


def test_the_code_goes_on_when_the_first_result_comes_in() -> None:
    new = seeded(source(), 0)
    assert new.kinds == ["WorkflowStarted", "ExecutionStarted", "TaskScheduled"]
    new.done(0, "other")
    new.run(DONE, version=VersionInfo("v1", ("p", "z")))
    assert new.status is Status.COMPLETED


def test_siblings_after_the_event_are_left_to_the_code() -> None:
    new = seeded(source(), 2)
    assert new.kinds[-2:] == ["TaskScheduled", "TimerCreated"]
    assert list(new.state.tasks) == [1]
    assert list(new.state.timers) == [2]


@pytest.mark.parametrize("given", ["new", None], ids=["text", "absent"])
def test_the_input_can_be_overwritten(given: str | None) -> None:
    new = seeded(source(), 4, overwrite_input=True, input=given)
    assert new.turns[0].activities[0].input == given
    kept = seeded(source(), 4, input="ignored")
    assert kept.turns[0].activities[0].input == "4"


def test_a_child_can_be_given_an_id_and_an_input() -> None:
    new = seeded(source(), 3, child_id="kid-2", overwrite_input=True, input="x")
    (child,) = new.turns[0].creations
    assert child.head.instance_id == "kid-2"
    assert child.start.input == "x"
    created = new.state.children[3]
    assert created.instance_id == "kid-2"
    assert created.rerun_parent == "src"


def test_the_rerun_event_is_new_its_past_is_not() -> None:
    driver = source()
    new = seeded(driver, 4)
    assert [e.at for e in new.state.history[:-1]] == [
        e.at for e in driver.state.history[: len(new.state.history) - 1]
    ]
    assert new.state.history[-1].at == T0 + 1_000


def test_a_rerun_activity_has_an_idempotency_key_of_its_own() -> None:
    driver = source()
    old = [t.task_execution_id for t in driver.state.history if isinstance(t, ev.TaskScheduled)]
    new = seeded(driver, 4)
    assert new.turns[0].activities[0].task_execution_id not in old
    copied = [t.task_execution_id for t in new.state.history if isinstance(t, ev.TaskScheduled)]
    assert copied[:2] == old[:2]  # those have their results


def test_a_rerun_can_be_rerun_and_terminated() -> None:
    new = seeded(source(), 0)
    new.done(0)
    new.run(DONE, version=VersionInfo("v1", ("p",)))
    again = seeded(new, 0)
    assert again.state.head.rerun_of == new.state.head.instance_id


@pytest.mark.parametrize(
    ("event_id", "fields", "error", "text"),
    [
        pytest.param(5, {}, BadRerunError, "detached", id="detached"),
        pytest.param(7, {}, NoSuchEventError, "no history event with ID '7'", id="unknown"),
        pytest.param(-1, {}, NoSuchEventError, "no history event", id="minus-one"),
        pytest.param(99, {}, NoSuchEventError, "ExecutionCompleted", id="the-end"),
        pytest.param(4, {"instance_id": "src"}, BadRerunError, "differs", id="own-id"),
        pytest.param(2, {"overwrite_input": True}, BadRerunError, "timer", id="timer-input"),
        pytest.param(4, {"child_id": "x"}, BadRerunError, "child", id="child-id-of-an-activity"),
    ],
)
def test_what_cannot_be_rerun_from(
    event_id: int, fields: dict[str, object], error: type[TenureError], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        rerun(source(), event_id, **fields)
    assert "'src'" in str(caught.value)


def test_the_codes_are_those_that_sdks_know() -> None:
    assert (BadRerunError.grpc, NoSuchEventError.grpc) == ("INVALID_ARGUMENT", "NOT_FOUND")


def test_a_running_source_is_refused() -> None:
    with pytest.raises(BadRerunError, match="'src' is not in a terminal state"):
        rerun(source(finish=False), 0)


def test_a_child_as_source_is_refused() -> None:
    driver = source()
    parent = ev.Parent("p", "e", 1)
    driver.state.head = msgspec.structs.replace(driver.state.head, parent=parent)
    with pytest.raises(BadRerunError, match="cannot rerun from child-workflows"):
        rerun(driver, 0)


def test_a_delayed_source_does_not_delay_its_rerun() -> None:
    base = Driver()
    driver = Driver(
        start("f", instance_id="src", scheduled_start=SOON, now=T0, ids=base.ids), ids=base.ids
    )
    driver.now = SOON.nanoseconds
    driver.run(act.ScheduleTask(0, name="a"))
    driver.done(0)
    driver.run(DONE)
    creation = rerun(driver, 0)
    assert creation.timer is None
    new = seeded(driver, 0)
    first = new.state.started
    assert first is not None
    assert first.scheduled_start is None


def test_a_clock_behind_the_source_goes_on_from_the_sources_time() -> None:
    driver = source()
    new = Driver(rerun(driver, 4), ids=driver.ids)
    new.now = T0 - 10**12
    new.settle()
    assert new.state.head.clock >= new.state.history[-1].at


def test_a_suspended_rerun_is_seeded_after_it_is_resumed() -> None:
    driver = source()
    new = Driver(rerun(driver, 4), ids=driver.ids)
    new.now = T0 + 1_000
    new.put(ev.ExecutionSuspended(T0))
    new.settle()
    assert names(new.state.history) == []
    new.put(ev.ExecutionResumed(T0))
    new.settle()
    new.settle()
    assert new.status is Status.RUNNING
    assert new.state.tasks
