"""Continue-as-new: one generation ends, the next begins, and nothing falls between.

In scope: ids, inbox, reminders, head.  Out of scope: fairness of tight loops (actors).
"""

from __future__ import annotations

import pytest

from support.engine_driver import T0, Driver, names
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.engine.kinds.again import KEYS_KEPT
from tenure_sidecar.engine.plan import Idle
from tenure_sidecar.engine.starting import raise_event, start

DONE = act.Complete(9, status=Status.COMPLETED, result="r")


def again(*carryover: ev.Event, **fields: object) -> act.Complete:
    return act.Complete(
        8,
        status=Status.CONTINUED_AS_NEW,
        carryover=carryover,
        **fields,  # type: ignore[arg-type]
    )


def raised(name: str) -> ev.EventRaised:
    return ev.EventRaised(1, name=name)


def test_the_next_generation_is_a_new_execution_of_the_same_instance() -> None:
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"), custom_status="half")
    old = driver.state.head
    driver.done(0)
    driver.now = T0 + 77
    turn = driver.run(again(result="2"))
    head = turn.head
    assert turn.restart
    assert turn.input == driver.input == "2"
    assert turn.append == ()
    assert driver.state.history == []
    assert head.status is Status.RUNNING
    assert head.generation == old.generation + 1
    assert head.execution_id != old.execution_id
    assert head.span_id != old.span_id
    assert head.custom_status == "half"
    assert (head.created_at, head.started_at) == (old.created_at, old.started_at)
    assert (head.history_length, head.pending) == (0, 0)
    assert head.clock == T0 + 77
    begun = driver.run(DONE)
    first = begun.append[1]
    assert isinstance(first, ev.ExecutionStarted)
    assert (first.input, first.execution_id) == ("2", head.execution_id)
    assert (first.name, first.instance_id) == ("flow", "wf")
    assert begun.head.output == "r"


def test_carried_events_come_before_those_that_waited() -> None:
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"))
    driver.done(0)
    batch = driver.batch()
    driver.raised("new-1")  # arrives while the turn is at the worker
    driver.raised("new-2")
    actions = (again(raised("old-1"), raised("OLD-2")),)
    driver.commit(driver.answer(batch, act.Response(actions=actions)))
    assert [item.key for item in driver.inbox[:3]] == ["start", "carry-1-0", "carry-1-1"]
    turn = driver.run(DONE)
    assert names(turn.append)[:2] == ["WorkflowStarted", "ExecutionStarted"]
    assert [e.name for e in turn.append if isinstance(e, ev.EventRaised)] == [
        "old-1",
        "OLD-2",
        "new-1",
        "new-2",
    ]


def test_unprocessed_events_follow_too() -> None:
    driver = Driver()
    driver.raised("x")
    driver.raised("y")
    driver.run(again(), processed=3)  # started, start, x
    assert [i.event.name for i in driver.inbox if isinstance(i.event, ev.EventRaised)] == ["y"]


def test_a_result_cannot_be_carried_over() -> None:
    driver = Driver()
    driver.run(again(ev.TaskCompleted(1, task_id=0), raised("x")))
    assert names([item.event for item in driver.inbox]) == ["ExecutionStarted", "EventRaised"]


def test_late_results_of_the_old_generation_never_match() -> None:
    driver = Driver()
    driver.run(
        act.ScheduleTask(0, name="a"),
        act.CreateChild(1, name="c"),
        act.CreateTimer(2, fire_at=Instant.of(T0)),
    )
    old = driver.state.head.execution_id
    driver.raised("go")
    driver.run(again())
    driver.run(act.ScheduleTask(0, name="a"), act.CreateChild(1, name="c"))
    driver.put(ev.TaskCompleted(T0, task_id=0), ev.ChildCompleted(T0, task_id=1), execution_id=old)
    driver.put(ev.TimerFired(T0, timer_id=2, fire_at=Instant.of(T0)))
    turn = driver.settle()
    assert len(turn.consumed) == 3
    assert list(driver.state.tasks) == [0]
    assert list(driver.state.children) == [1]
    assert driver.plan() == Idle()


def test_the_same_ids_are_free_again() -> None:
    driver = Driver()
    for _ in range(3):
        driver.run(act.ScheduleTask(0, name="a"), act.CreateTimer(1, fire_at=Instant.of(T0 + 9)))
        driver.done(0)
        turn = driver.run(again())
        assert [t.timer_id for t in turn.timers_cleared] == [1]
        assert turn.timers_cleared[0].generation == turn.head.generation - 1


def test_reminders_of_this_very_turn_are_not_set() -> None:
    driver = Driver()
    turn = driver.run(act.CreateTimer(0, fire_at=Instant.of(T0 + 9)), again())
    assert not turn.timers_set
    assert not driver.reminders


def test_messages_and_creations_of_the_last_turn_leave() -> None:
    driver = Driver()
    turn = driver.run(
        act.SendEvent(0, instance_id="o", name="e"),
        act.CreateDetached(1, name="d", instance_id="free"),
        again(),
    )
    assert [m.target for m in turn.messages] == ["o"]
    assert [c.head.instance_id for c in turn.creations] == ["free"]


@pytest.mark.parametrize(
    ("fields", "version", "tags"),
    [
        pytest.param({}, "1", {"k": "v"}, id="kept"),
        pytest.param({"new_version": "2"}, "2", {"k": "v"}, id="new-version"),
        pytest.param({"tags": {"n": "m"}}, "1", {"n": "m"}, id="new-tags"),
    ],
)
def test_version_and_tags(fields: dict[str, object], version: str, tags: dict[str, str]) -> None:
    base = Driver()
    driver = Driver(
        start("f", instance_id="wf", version="1", tags={"k": "v"}, now=T0, ids=base.ids)
    )
    head = driver.run(again(**fields)).head
    assert (head.version, head.tags) == (version, tags)
    begun = driver.batch().events[1]
    assert isinstance(begun, ev.ExecutionStarted)
    assert (begun.version, begun.tags) == (version, tags)


def test_the_last_answer_may_set_the_custom_status() -> None:
    driver = Driver()
    assert driver.run(again(), custom_status="new").head.custom_status == "new"


def test_patches_are_decided_anew() -> None:
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"), version=ev.VersionInfo("v1", ("p",)))
    driver.done(0)
    assert driver.run(again(), version=ev.VersionInfo("v1", ("p",))).head.code is None
    driver.run(DONE, version=ev.VersionInfo("v2", ("q",)))
    assert driver.status is Status.COMPLETED


def test_a_child_that_goes_on_still_answers_its_parent() -> None:
    parent = Driver()
    (creation,) = parent.run(act.CreateChild(0, name="c")).creations
    child = Driver(creation, ids=parent.ids)
    child.run(again())
    first = child.batch().events[1]
    assert isinstance(first, ev.ExecutionStarted)
    assert first.parent == creation.start.parent
    (message,) = child.run(DONE).messages
    parent.put(message.item)
    parent.run(DONE)
    assert parent.status is Status.COMPLETED


def test_a_thousand_generations_cost_no_history() -> None:
    driver = Driver()
    for number in range(1000):
        assert driver.run(again(result=str(number))).head.history_bytes <= 1
    assert driver.state.head.generation == 1000


def keyed(driver: Driver, key: str) -> None:
    driver.put(raise_event("go", None, key=key, now=T0, ids=driver.ids))


@pytest.mark.parametrize("generations", [0, 1, 2])
def test_an_event_raised_again_under_its_key_is_dropped(generations: int) -> None:
    driver = Driver()
    driver.run()
    keyed(driver, "k")
    driver.run(*([again()] if generations else []))
    for _ in range(generations - 1):
        driver.run(again())
    if generations:
        driver.run()
    keyed(driver, "k")
    driver.settle()
    assert driver.inbox == []
    keyed(driver, "other")
    assert [event.key for event in driver.batch().events if isinstance(event, ev.EventRaised)] == [
        "other"
    ]


def test_the_last_keys_are_kept_and_no_more() -> None:
    driver = Driver()
    driver.run()
    for number in range(KEYS_KEPT + 1):
        keyed(driver, f"k{number}")
    driver.run(again())
    driver.run()
    assert driver.state.head.raised == tuple(f"k{number}" for number in range(1, KEYS_KEPT + 1))
    keyed(driver, "k0")  # too long ago
    keyed(driver, "k1")
    assert [event.key for event in driver.batch().events if isinstance(event, ev.EventRaised)] == [
        "k0"
    ]
