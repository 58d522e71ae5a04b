"""The next step of a WorkflowSchedule.  Out of scope: when it is due (test_cron)."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from support.values import CREATED, FINISHED, STARTED, UID, schedule, workflow
from tenure_common.times import NANOS, parse_time
from tenure_operator.reconcile.schedule import next_step
from tenure_operator.reconcile.steps import Create, Delete, Patch, Reread, Rest
from tenure_operator.resources import (
    FINALIZER,
    Key,
    ScheduleStatus,
    Workflow,
    WorkflowSchedule,
)

FIVE = parse_time("2026-01-01T05:00:00Z")
SETTLED = {"observedGeneration": 1, "countedFrom": CREATED}
DONE = {**SETTLED, "lastScheduleTime": "2026-01-01T05:00:00Z"}
FAILED = {**FINISHED, "phase": "Failed"}


def child(name: str, status: dict[str, Any] | None = None, **given: Any) -> Workflow:
    return workflow(name=name, status=status or STARTED, **given)


def due_name(hour: int) -> str:
    moment = parse_time(f"2026-01-01T{hour:02}:00:00Z")
    return f"hourly-{moment // NANOS // 60}"


def step(of: WorkflowSchedule, *children: Workflow, now: int = FIVE, **known: Any) -> Any:
    return next_step(of, children, now=now, **known)


def status(found: Any) -> ScheduleStatus:
    assert isinstance(found, Rest)
    assert isinstance(found.status, ScheduleStatus)
    return found.status


def lasting(of: WorkflowSchedule, found: Any) -> WorkflowSchedule:
    """The schedule after its status was written."""
    return msgspec.structs.replace(of, status=status(found))


# --- due times ------------------------------------------------------------------------------------


def test_before_the_first_due_time_it_waits() -> None:
    found = step(schedule(), now=parse_time("2026-01-01T00:10:00Z"))
    assert status(found).next_schedule_time == "2026-01-01T01:00:00Z"
    assert status(found).counted_from == CREATED
    assert status(found).last_schedule_time is None
    assert found.wake_at == parse_time("2026-01-01T01:00:00Z")


def test_a_due_time_becomes_a_workflow() -> None:
    of = schedule(
        status={**SETTLED, "lastScheduleTime": "2026-01-01T04:00:00Z"},
        workflowTemplate={
            "metadata": {"labels": {"team": "shop"}, "annotations": {"note": "x"}},
            "spec": {"appID": "orders", "workflow": "Order", "input": {"a": [1]}},
        },
    )
    found = step(of)
    assert isinstance(found, Create)
    made = found.object
    assert made["spec"] == {"appID": "orders", "workflow": "Order", "input": {"a": [1]}}
    assert made["metadata"]["name"] == due_name(5)
    assert made["metadata"]["labels"] == {"team": "shop", "tenure.dev/schedule": "hourly"}
    assert made["metadata"]["annotations"]["tenure.dev/scheduled-at"] == "2026-01-01T05:00:00Z"
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (UID, True)
    assert made["metadata"]["finalizers"] == [FINALIZER]


def named(name: str) -> WorkflowSchedule:
    of = schedule(status=SETTLED)
    return msgspec.structs.replace(of, metadata=msgspec.structs.replace(of.metadata, name=name))


@pytest.mark.parametrize("length", [63, 64, 180])
def test_the_label_holds_a_long_name(length: int) -> None:
    name = "n" * (length - 4) + ".end"
    found = step(named(name))
    assert isinstance(found, Create)
    label = found.object["metadata"]["labels"]["tenure.dev/schedule"]
    assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", label)
    assert (label == name) == (length == 63)
    assert step(named(f"{name[:-1]}x")).object["metadata"]["labels"]["tenure.dev/schedule"] != label


def test_a_run_that_may_outlive_its_workflow_does_not_hold_it() -> None:
    orphan = {"spec": {"appID": "orders", "workflow": "Order", "deletionPolicy": "Orphan"}}
    found = step(schedule(workflowTemplate=orphan, status=SETTLED))
    assert isinstance(found, Create)
    assert found.object["metadata"]["finalizers"] == []


def test_once_it_is_there_the_due_time_is_done() -> None:
    of = schedule(status={**SETTLED, "lastScheduleTime": "2026-01-01T04:00:00Z"})
    found = step(of, child(due_name(5)))
    assert status(found).last_schedule_time == "2026-01-01T05:00:00Z"
    assert status(found).next_schedule_time == "2026-01-01T06:00:00Z"
    assert status(found).active == (due_name(5),)
    again = step(lasting(of, found), child(due_name(5)), now=FIVE + NANOS)
    assert status(again) == status(found), "nothing to write"


def test_one_that_was_created_and_is_being_deleted_is_not_created_again() -> None:
    found = step(schedule(status=SETTLED), child(due_name(5), deleted=CREATED))
    assert status(found).last_schedule_time == "2026-01-01T05:00:00Z"


def test_a_name_that_another_workflow_has_is_told_and_the_next_due_time_waited_for() -> None:
    found = step(schedule(status=SETTLED), taken={due_name(5)})
    assert status(found).last_schedule_time == "2026-01-01T05:00:00Z"
    assert status(found).next_schedule_time == "2026-01-01T06:00:00Z"
    (told,) = found.announcements
    assert told.reason == "NameTaken"
    assert told.warning
    assert due_name(5) in told.message
    assert isinstance(step(schedule(status=SETTLED), taken={due_name(4)}), Create)


def test_of_many_missed_the_latest_is_made_up_for_and_the_rest_is_told() -> None:
    of = schedule(status=SETTLED)
    made = step(of)
    assert isinstance(made, Create)
    assert made.object["metadata"]["name"] == due_name(5)
    found = step(of, child(due_name(5)))
    (told,) = found.announcements
    assert told.reason == "MissedRuns"
    assert told.message.startswith("4 due times before 2026-01-01T05:00:00Z")


@pytest.mark.parametrize(("late", "creates"), [(60, True), (61, False)])
def test_the_deadline(late: int, *, creates: bool) -> None:
    of = schedule(status=SETTLED, startingDeadlineSeconds=60)
    found = step(of, now=FIVE + late * NANOS)
    assert isinstance(found, Create) == creates
    if not creates:
        assert status(found).last_schedule_time == "2026-01-01T05:00:00Z"
        assert [one.reason for one in found.announcements] == ["MissedRun"]


def test_a_change_counts_from_now_on() -> None:
    of = schedule(status=SETTLED, metadata={"generation": 2})
    found = step(of, now=FIVE + NANOS)
    assert status(found).counted_from == "2026-01-01T05:00:01Z"
    assert status(found).last_schedule_time is None


@pytest.mark.parametrize(
    "told",
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-06-30T23:59:60Z", "yesterday", ""],
)
@pytest.mark.parametrize("field", ["countedFrom", "lastScheduleTime"])
def test_a_time_in_the_status_that_cannot_be_counts_for_nothing(field: str, told: str) -> None:
    of = schedule(status={**SETTLED, field: told})
    found = step(of, now=FIVE + NANOS)
    assert status(found).counted_from == "2026-01-01T05:00:01Z"
    assert status(found).last_schedule_time is None
    assert isinstance(step(lasting(of, found), now=FIVE + 3_601 * NANOS), Create)


def test_a_run_that_a_change_passed_over_is_told() -> None:
    due = {**SETTLED, "nextScheduleTime": "2026-01-01T05:00:00Z"}
    of = schedule(status=due, metadata={"generation": 2})
    found = step(of, now=FIVE + NANOS)
    (told,) = found.announcements
    assert (told.reason, told.warning) == ("MissedRun", True)
    assert "due at 2026-01-01T05:00:00Z was not started" in told.message
    assert not step(lasting(of, found), now=FIVE + 2 * NANOS).announcements
    early = schedule(status=due, metadata={"generation": 2})
    assert not step(early, now=FIVE - NANOS).announcements


def test_a_clock_that_was_far_ahead_does_not_hold_it_up() -> None:
    """Another operator's, that took care of tomorrow."""
    of = schedule(status={**SETTLED, "lastScheduleTime": "2026-01-02T05:00:00Z"})
    found = step(of, now=FIVE + NANOS)
    assert isinstance(found, Rest)
    assert status(found).last_schedule_time is None
    assert isinstance(step(lasting(of, found), now=FIVE + 3_601 * NANOS), Create)


def test_a_clock_that_was_a_little_ahead_is_waited_for() -> None:
    of = schedule(status={**SETTLED, "lastScheduleTime": "2026-01-01T05:00:00Z"})
    found = step(of, now=FIVE - 60 * NANOS)
    assert status(found).next_schedule_time == "2026-01-01T05:00:00Z"
    assert isinstance(step(lasting(of, found), now=FIVE + NANOS), Rest)


def test_what_passes_while_it_is_suspended_is_not_made_up_for() -> None:
    asleep = schedule(status=SETTLED, suspend=True)
    found = step(asleep)
    assert isinstance(found, Rest)
    assert found.wake_at is None
    assert status(found).next_schedule_time is None
    (ready,) = status(found).conditions
    assert (ready.status, ready.reason) == ("False", "Suspended")
    # Resuming is a change of the spec.
    awake = schedule(status=SETTLED, suspend=False, metadata={"generation": 2})
    assert isinstance(step(awake), Rest)


def test_one_that_is_being_deleted_creates_nothing() -> None:
    gone = schedule(status=SETTLED, metadata={"deletionTimestamp": CREATED})
    assert step(gone) == Rest()


# --- while the run before has not ended -----------------------------------------------------------


def test_allow() -> None:
    assert isinstance(step(schedule(status=SETTLED), child(due_name(4))), Create)


def test_forbid() -> None:
    of = schedule(status=SETTLED, concurrencyPolicy="Forbid")
    old = child(due_name(4))
    assert step(of, old) == Reread(old.key), "the watch may not have told that it is gone"
    found = step(of, old, reread={old.key})
    assert status(found).last_schedule_time == "2026-01-01T05:00:00Z"
    (told,) = found.announcements
    assert told.reason == "SkippedRun"
    assert due_name(4) in told.message
    assert isinstance(step(of, child(due_name(4), FINISHED)), Create)


def test_replace() -> None:
    of = schedule(status=SETTLED, concurrencyPolicy="Replace")
    old = child(due_name(4))
    assert step(of, old) == Patch(Key("Workflow", "shop", due_name(4)), {"terminate": True})
    assert isinstance(step(of, child(due_name(4), terminate=True)), Create)


# --- history --------------------------------------------------------------------------------------


def test_the_oldest_beyond_the_limits_go_one_by_one() -> None:
    of = schedule(status=DONE, successfulRunsHistoryLimit=1, failedRunsHistoryLimit=1)
    good = [child(f"good-{n}", FINISHED) for n in range(2)]
    bad = [child(f"bad-{n}", FAILED) for n in range(2)]
    children = [*good, *bad, child("at-work")]
    of = lasting(of, step(of, *children))
    assert step(of, *children) == Delete(good[0].key)
    assert step(of, *children[1:]) == Delete(bad[0].key)
    assert isinstance(step(of, good[1], bad[1], child("at-work")), Rest)


def test_what_a_run_came_to_is_written_before_it_goes() -> None:
    of = schedule(status=DONE, successfulRunsHistoryLimit=0)
    ended = child("good", FINISHED)
    found = step(of, ended)
    assert status(found).last_successful_time == "2026-01-01T00:00:05Z"
    of = lasting(of, found)
    assert step(of, ended) == Delete(ended.key)
    assert status(step(of)).last_successful_time == "2026-01-01T00:00:05Z", "and it stays"


def test_what_is_being_deleted_does_not_count() -> None:
    of = schedule(status=SETTLED, concurrencyPolicy="Forbid")
    assert isinstance(step(of, child(due_name(4), deleted=CREATED)), Create)


# --- bad schedules --------------------------------------------------------------------------------


def test_a_bad_schedule_says_why_once() -> None:
    of = schedule(schedule="61 * * * *")
    found = step(of)
    (ready,) = status(found).conditions
    assert (ready.status, ready.reason) == ("False", "BadSchedule")
    assert "TN0801" in ready.message
    assert found.wake_at is None, "nothing changes by itself"
    assert len(found.announcements) == 1
    again = step(lasting(of, found))
    assert again.announcements == ()
    assert status(again) == status(found)


def test_a_schedule_that_was_mended_counts_from_then_on() -> None:
    broken = schedule(schedule="61 * * * *", metadata={"generation": 2}, status=SETTLED)
    old = lasting(broken, step(broken, now=FIVE - 7200 * NANOS)).status
    mended = schedule(metadata={"generation": 3})
    found = step(msgspec.structs.replace(mended, status=old), now=FIVE)
    assert isinstance(found, Rest)
    assert status(found).counted_from == "2026-01-01T05:00:00Z"
