"""Stalls: version not available, patch mismatch, work item too large; and the ways out.

Out of scope: who measures a work item (dispatch), how long a retry waits (actors).
"""

from __future__ import annotations

import pytest

from support.engine_driver import T0, Driver, names
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import StallReason, Status, VersionInfo
from tenure_sidecar.engine.head import Stall
from tenure_sidecar.engine.stall import patch_mismatch, stall_oversize
from tenure_sidecar.engine.starting import resume, start, suspend, terminate

TASK = act.ScheduleTask(0, name="a")
DONE = act.Complete(9, status=Status.COMPLETED)


def running(version: VersionInfo | None = None) -> Driver:
    driver = Driver()
    driver.run(TASK, version=version)
    driver.done(0)
    return driver


def test_a_missing_version_stalls_and_consumes_nothing() -> None:
    driver = running(VersionInfo("v1"))
    inbox = list(driver.inbox)
    turn = driver.run(act.VersionNotAvailable(1), act.ScheduleTask(2, name="b"), custom_status="x")
    assert turn.consumed == ()
    assert driver.inbox == inbox
    assert not turn.activities
    head = turn.head
    text = "Version not available: v1"
    assert head.status is Status.STALLED
    assert head.stall == Stall(StallReason.VERSION_NOT_AVAILABLE, text)
    assert head.custom_status is None
    assert head.pending == 1
    assert turn.append == (
        ev.WorkflowStarted(head.clock),
        ev.ExecutionStalled(head.clock, reason=StallReason.VERSION_NOT_AVAILABLE, description=text),
    )


def test_before_the_first_turn_the_version_is_the_one_asked_for() -> None:
    base = Driver()
    driver = Driver(start("f", instance_id="wf", version="7", now=T0, ids=base.ids))
    turn = driver.run(act.VersionNotAvailable(1))
    assert turn.head.stall is not None
    assert turn.head.stall.description == "Version not available: 7"
    turn = driver.run(DONE)
    assert turn.head.status is Status.COMPLETED


def test_the_same_stall_again_is_not_recorded_again() -> None:
    driver = running()
    driver.run(act.VersionNotAvailable(1))
    length = len(driver.state.history)
    head = driver.state.head
    turn = driver.run(act.VersionNotAvailable(1))
    assert len(driver.state.history) == length
    assert turn.head.updated_at == head.updated_at
    assert turn.head.stall == head.stall


def test_another_reason_is_recorded() -> None:
    driver = running(VersionInfo("v1", ("p",)))
    driver.run(act.VersionNotAvailable(1))
    driver.run(DONE, version=VersionInfo("v1", ("q",)))
    driver.run(DONE, version=VersionInfo("v1", ("r",)))
    assert driver.kinds.count("ExecutionStalled") == 3


def test_a_turn_that_runs_clears_the_stall() -> None:
    driver = running()
    driver.run(act.VersionNotAvailable(1))
    turn = driver.run(act.ScheduleTask(1, name="b"))
    assert turn.head.status is Status.RUNNING
    assert turn.head.stall is None
    assert names(turn.append) == ["WorkflowStarted", "TaskCompleted", "TaskScheduled"]
    driver.done(1)
    driver.run(act.VersionNotAvailable(1))
    assert driver.kinds.count("ExecutionStalled") == 2


@pytest.mark.parametrize(
    ("recorded", "current", "ok"),
    [
        pytest.param((), (), True, id="none"),
        pytest.param((), ("a",), True, id="new-patch-later-in-the-run"),
        pytest.param(("a",), ("a",), True, id="same"),
        pytest.param(("a",), ("a", "b"), True, id="prefix"),
        pytest.param(("a", "b"), ("a",), False, id="lost-one"),
        pytest.param(("a", "b"), ("b", "a"), False, id="order"),
        pytest.param(("a",), ("x", "a"), False, id="inserted"),
        pytest.param(("a",), None, False, id="worker-reports-nothing"),
        pytest.param(None, ("a",), True, id="nothing-recorded"),
    ],
)
def test_patches_of_the_history_must_be_a_prefix(
    recorded: tuple[str, ...] | None, current: tuple[str, ...] | None, ok: bool
) -> None:
    text = patch_mismatch(
        None if recorded is None else VersionInfo(None, recorded),
        None if current is None else VersionInfo(None, current),
    )
    assert (text is None) is ok


def test_a_patch_mismatch_stalls_with_both_lists() -> None:
    driver = running(VersionInfo(None, ("p1", "p2")))
    turn = driver.run(DONE, version=VersionInfo(None, ("p2",)))
    assert turn.head.stall == Stall(
        StallReason.PATCH_MISMATCH,
        "Patch mismatch. History patches: [p1, p2], current patches: [p2]. ",
    )
    assert turn.consumed == ()
    driver.run(DONE, version=VersionInfo(None, ("p1", "p2", "p3")))
    assert driver.status is Status.COMPLETED


def test_an_answer_without_a_version_keeps_what_was_recorded() -> None:
    driver = running(VersionInfo("v1"))
    assert driver.run(act.ScheduleTask(1, name="b")).head.code == VersionInfo("v1")


def oversize(driver: Driver, size: int) -> bool:
    turn = stall_oversize(driver.state, size=size, limit=4_194_304, now=driver.now, ids=driver.ids)
    if turn is not None:
        driver.commit(turn)
    return turn is not None


def test_an_item_that_does_not_fit_stalls_with_the_figures() -> None:
    driver = running()
    inbox = list(driver.inbox)
    assert oversize(driver, 5_000_000)
    stall = driver.state.head.stall
    assert stall is not None
    assert stall.reason is StallReason.PAYLOAD_SIZE_EXCEEDED
    assert stall.description is not None
    for word in ("Payload size exceeded", "5000000", "4194304", "--max-message-bytes"):
        assert word in stall.description
    assert driver.inbox == inbox
    assert not oversize(driver, 5_000_000)
    assert oversize(driver, 5_000_001)


# --- control on a stalled instance ----------------------------------------------------------------


def stalled() -> Driver:
    driver = running()
    driver.run(act.VersionNotAvailable(1))
    return driver


def test_terminate_ends_a_stalled_instance() -> None:
    driver = stalled()
    driver.put(terminate("o", recurse=True, now=driver.now, ids=driver.ids))
    driver.settle()
    assert driver.status is Status.TERMINATED
    assert driver.state.head.stall is None


def test_suspend_and_resume_work_on_a_stalled_instance() -> None:
    driver = stalled()
    driver.put(suspend(None, now=driver.now, ids=driver.ids))
    driver.settle()
    assert driver.status is Status.SUSPENDED
    driver.put(resume(None, now=driver.now, ids=driver.ids))
    driver.settle()
    assert driver.status is Status.RUNNING
    driver.run(DONE)


def test_one_that_stalled_before_its_start_resumes_to_pending() -> None:
    driver = Driver()
    driver.run(act.VersionNotAvailable(1))
    driver.put(suspend(None, now=driver.now, ids=driver.ids))
    driver.settle()
    driver.put(resume(None, now=driver.now, ids=driver.ids))
    driver.settle()
    assert driver.status is Status.PENDING
    driver.run(DONE)
    assert driver.kinds.count("ExecutionStarted") == 1


@pytest.mark.parametrize("first_turn", [True, False], ids=["before-the-start", "later"])
def test_suspended_and_resumed_at_once_it_is_still_stalled(first_turn: bool) -> None:
    driver = Driver() if first_turn else running()
    driver.run(act.VersionNotAvailable(1))
    stalled_as = driver.state.head.stall
    driver.put(suspend(None, now=driver.now, ids=driver.ids))
    driver.put(resume(None, now=driver.now, ids=driver.ids))
    driver.settle()
    assert driver.status is Status.STALLED
    assert driver.state.head.stall == stalled_as
    driver.run(DONE)


def test_events_still_reach_a_stalled_instance() -> None:
    driver = stalled()
    driver.raised("x")
    turn = driver.run(DONE)
    assert "EventRaised" in names(turn.append)
