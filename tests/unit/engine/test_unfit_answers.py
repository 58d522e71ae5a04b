"""Answers of workers that fit their turn in part, or not at all: what is refused, failed or kept back.

Answers that fit are in test_turns.
"""

from __future__ import annotations

import msgspec
import pytest

from support.engine_driver import APP, T0, Driver, names
from tenure_common.errors import BadTurnError, StaleTurnError
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import Instant, Status

DONE = act.Complete(9, status=Status.COMPLETED, result='"r"')


def test_an_action_that_the_history_has_makes_the_answer_stale() -> None:
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"), act.ScheduleTask(1, name="b"))
    driver.done(0)
    batch = driver.batch()
    with pytest.raises(StaleTurnError) as caught:
        driver.answer(batch, act.Response(actions=(act.ScheduleTask(1, name="b"),)))
    assert caught.value.code == "TN0107"
    assert "'wf'" in str(caught.value)


def test_an_id_may_be_taken_again_when_its_task_is_resolved() -> None:
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"))
    driver.done(0)
    turn = driver.run(act.ScheduleTask(0, name="a"))
    assert [activity.task_id for activity in turn.activities] == [0]
    driver.done(0)
    assert driver.run(DONE).head.status is Status.COMPLETED


def test_the_same_id_twice_in_an_answer_is_refused() -> None:
    driver = Driver()
    twice = (act.ScheduleTask(0, name="a"), act.CreateTimer(0, fire_at=Instant(1)))
    with pytest.raises(BadTurnError) as caught:
        driver.answer(driver.batch(), act.Response(actions=twice))
    assert caught.value.code == "TN0007"


def test_an_answer_to_a_batch_of_another_state_is_stale() -> None:
    driver = Driver()
    batch = driver.batch()
    driver.commit(driver.answer(batch, act.Response(actions=(act.ScheduleTask(0, name="a"),))))
    with pytest.raises(StaleTurnError):
        driver.answer(batch, act.Response())


def test_an_answer_for_an_ended_instance_is_stale() -> None:
    driver = Driver()
    batch = driver.batch()
    driver.run(DONE)
    base = driver.state.head.commit_id
    with pytest.raises(StaleTurnError):
        driver.answer(msgspec.structs.replace(batch, base=base), act.Response())


def test_an_unasked_rewind_is_refused() -> None:
    driver = Driver()
    with pytest.raises(BadTurnError):
        driver.answer(driver.batch(), act.Response(actions=(act.Rewind(-1, history=()),)))


@pytest.mark.parametrize(
    ("action", "text"),
    [
        pytest.param(act.Unsupported(1, what="an entity call"), "an entity call", id="entity"),
        pytest.param(act.ScheduleTask(1, name="a", target_app="o"), "'o'", id="activity"),
        pytest.param(act.CreateChild(1, name="a", target_app="o"), "'o'", id="child"),
        pytest.param(
            act.CreateDetached(1, name="a", instance_id="i", target_app="o"), "'o'", id="detached"
        ),
        pytest.param(act.Complete(1, status=Status.CANCELED), "CANCELED", id="end-as-canceled"),
        pytest.param(act.Complete(1, status=Status.RUNNING), "RUNNING", id="end-as-running"),
    ],
)
def test_what_is_not_supported_fails_the_workflow_with_the_reason(
    action: act.Action, text: str
) -> None:
    driver = Driver()
    turn = driver.run(act.ScheduleTask(0, name="a"), action, act.SendEvent(2, "o", "e"))
    assert turn.head.status is Status.FAILED
    failure = turn.head.failure
    assert failure is not None
    assert failure.error_type == "Unsupported"
    assert failure.non_retriable
    assert text in failure.message
    assert "TN0300" in failure.message
    assert not turn.activities
    assert not turn.messages
    assert names(turn.append) == ["WorkflowStarted", "ExecutionStarted", "ExecutionCompleted"]


def test_the_own_app_is_no_other_app() -> None:
    turn = Driver().run(
        act.ScheduleTask(0, name="a", target_app=APP), act.ScheduleTask(1, name="a", target_app="")
    )
    assert len(turn.activities) == 2


# --- processed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processed", "taken"),
    [
        pytest.param(None, 3, id="absent"),
        pytest.param(0, 3, id="zero-is-absent"),
        pytest.param(1, 3, id="no-progress-is-absent"),
        pytest.param(2, 1, id="one-event"),
        pytest.param(3, 2, id="two-events"),
        pytest.param(4, 3, id="all"),
        pytest.param(99, 3, id="more-than-there-are"),
    ],
)
def test_only_what_the_worker_processed_is_consumed(processed: int | None, taken: int) -> None:
    driver = Driver()
    driver.run(act.ScheduleTask(0, name="a"))
    for name in "xyz":
        driver.raised(name)
    driver.put(ev.TimerFired(T0, timer_id=77, fire_at=Instant(0)))  # garbage goes in any case
    turn = driver.run(processed=processed)
    assert names(turn.append) == ["WorkflowStarted"] + ["EventRaised"] * taken
    left = [i.event.name for i in driver.inbox if isinstance(i.event, ev.EventRaised)]
    assert left == list("xyz")[taken:]
    assert len(driver.inbox) == len(left)
    if left:
        driver.run()
        assert not driver.inbox
