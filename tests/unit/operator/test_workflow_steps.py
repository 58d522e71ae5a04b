"""The next step of a Workflow, state by state.

Out of scope: what its status says (test_mirror), whole lives with crashes in them (test_lives).
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from support.values import CREATED, FINISHED, KEPT, NOW, STARTED, run, workflow
from tenure_common.times import NANOS, parse_time
from tenure_operator.reconcile.backoff import LAST
from tenure_operator.reconcile.refusals import refusal, unanswered
from tenure_operator.reconcile.steps import (
    Announcement,
    Delete,
    Look,
    Rest,
    SetFinalizers,
    Start,
    Steer,
)
from tenure_operator.reconcile.workflow import ASK_AGAIN_AFTER, GIVE_UP_AFTER, Seen, next_step
from tenure_operator.resources import FINALIZER, Workflow, WorkflowStatus

AWAY = unanswered("no answer")


def step(of: Workflow, seen: Seen = Seen(), now: int = NOW, attempts: int = 0) -> Any:
    return next_step(of, seen, now=now, attempts=attempts)


def status(found: Any) -> WorkflowStatus:
    assert isinstance(found, Rest)
    assert isinstance(found.status, WorkflowStatus)
    return found.status


# --- until it runs --------------------------------------------------------------------------------


def test_the_finalizer_comes_before_the_start() -> None:
    assert step(workflow(held=False)) == SetFinalizers((FINALIZER,))


def test_other_finalizers_are_kept() -> None:
    theirs = workflow(held=False, metadata={"finalizers": ["example.com/keep"]})
    assert step(theirs) == SetFinalizers(("example.com/keep", FINALIZER))


def test_a_run_that_shall_outlive_its_resource_needs_no_finalizer() -> None:
    assert isinstance(step(workflow(held=False, deletionPolicy="Orphan")), Start)
    assert step(workflow(deletionPolicy="Orphan")) == SetFinalizers(())


def test_the_start_says_all_that_the_spec_says() -> None:
    found = step(
        workflow(input={"a": 1}, version="2", startAt="2030-01-01T00:00:00Z", instanceID="mine")
    )
    assert isinstance(found, Start)
    assert found.instance_id == "mine"
    assert found.request_key == "kubernetes/0123456789abcdef"
    assert found.body == {
        "workflow": "Order",
        "instanceId": "mine",
        "tags": {"managed-by": "kubernetes", "kubernetes/workflow": "shop/order-1"},
        "input": {"a": 1},
        "version": "2",
        "startAt": "2030-01-01T00:00:00Z",
    }


def test_without_an_id_the_run_has_one_of_name_and_uid() -> None:
    found = step(workflow())
    assert isinstance(found, Start)
    assert found.instance_id == "order-1-01234567"
    assert "input" not in found.body


def test_a_run_without_resource_fields_for_it_is_started_by_no_stale_status() -> None:
    started = workflow()
    found = step(started, Seen(known=True, instance=run(started, "PENDING", payloads=False)))
    assert status(found).phase == "Pending"
    assert status(found).reason == "WaitingForApp"


@pytest.mark.parametrize("field", ["suspend", "terminate"])
def test_what_is_held_back_is_first_looked_for(field: str) -> None:
    # A start may have got through before a crash, and the field was set after it.
    held = workflow(**{field: True})
    assert step(held) == Look()
    found = step(held, Seen(known=True))
    assert status(found).instance_id is None
    running = Seen(known=True, instance=run(held))
    assert isinstance(step(held, running), Steer)


@pytest.mark.parametrize(
    ("why", "pause"),
    [
        pytest.param(AWAY, 1 * NANOS, id="transient: soon"),
        pytest.param(refusal("TN0109", 404, "no such app"), LAST, id="for good: rarely"),
        pytest.param(refusal("TN0102", 409, "in use"), LAST, id="the id is taken"),
        pytest.param(refusal("TN0202", 429, "too many"), 1 * NANOS, id="too many"),
    ],
)
def test_a_refused_start_is_tried_again(why: Any, pause: int) -> None:
    found = step(workflow(), Seen(refusal=why))
    assert status(found).phase == "Pending"
    assert status(found).reason == why.reason
    assert 0.8 * pause <= found.wake_at - NOW <= pause


def test_pauses_grow() -> None:
    pauses = [step(workflow(), Seen(refusal=AWAY), attempts=n).wake_at - NOW for n in range(12)]
    assert all(a < b for a, b in itertools.pairwise(pauses[:9]))
    assert max(pauses) <= LAST


def test_a_start_whose_request_was_written_differently_is_looked_for() -> None:
    reused = refusal("TN0111", 409, "another request")
    assert step(workflow(), Seen(refusal=reused)) == Look()
    theirs = Seen(known=True, instance=run(workflow(), ours=False), refusal=reused)
    assert status(step(workflow(), theirs)).reason == "InstanceIDInUse"


# --- while it runs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "of", "found"),
    [
        ({}, "RUNNING", None),
        ({"suspend": True}, "RUNNING", "suspend"),
        ({"suspend": True}, "PENDING", "suspend"),
        ({"suspend": True}, "SUSPENDED", None),
        ({"suspend": False}, "SUSPENDED", "resume"),
        ({"suspend": False}, "RUNNING", None),
        ({}, "SUSPENDED", None),
        ({"terminate": True}, "RUNNING", "terminate"),
        ({"terminate": True}, "SUSPENDED", "terminate"),
        ({"terminate": True, "suspend": True}, "RUNNING", "terminate"),
        ({"terminate": True}, "COMPLETED", None),
        ({"suspend": True}, "FAILED", None),
    ],
)
def test_steering(spec: dict[str, Any], of: str, found: str | None) -> None:
    steered = workflow(status=STARTED, **spec)
    next_ = step(steered, Seen(known=True, instance=run(steered, of)))
    assert next_ == Steer(found) if found else isinstance(next_, Rest)  # type: ignore[arg-type]


def test_what_was_asked_once_is_asked_again_later_and_not_at_once() -> None:
    ended = workflow(status=STARTED, terminate=True)
    seen = Seen(known=True, instance=run(ended), asked=frozenset({"terminate"}))
    found = step(ended, seen)
    assert isinstance(found, Rest)
    assert found.wake_at is not None
    assert found.wake_at > NOW


def test_a_started_run_is_looked_for_before_anything_is_said_of_it() -> None:
    assert step(workflow(status=STARTED)) == Look()
    assert status(step(workflow(status=STARTED), Seen(known=True))).phase == "Missing"


def test_an_end_without_its_payloads_is_looked_at() -> None:
    of = workflow(status=STARTED)
    assert step(of, Seen(known=True, instance=run(of, "COMPLETED", payloads=False))) == Look()


def test_an_outage_leaves_the_last_known_state() -> None:
    found = step(workflow(status=STARTED), Seen(refusal=AWAY))
    assert isinstance(found, Rest)
    assert found.status is None
    assert found.wake_at is not None


def test_the_end_of_a_run_is_not_told_without_what_it_came_to() -> None:
    # A repeated start finds that the run has ended, and the look that follows is refused.
    of = workflow(status=STARTED)
    ended = run(of, "COMPLETED", payloads=False)
    found = step(of, Seen(known=True, instance=ended, refusal=AWAY))
    assert isinstance(found, Rest)
    assert found.status is None
    assert found.wake_at is not None


def test_an_end_is_told_whatever_was_refused_before() -> None:
    of = workflow(status=STARTED, terminate=True)
    ended = Seen(known=True, instance=run(of, "COMPLETED"), refusal=AWAY)
    assert status(step(of, ended)).phase == "Completed"
    deleted = workflow(status=STARTED, deleted=EARLY)
    assert step(deleted, ended) == SetFinalizers((), (ENDED,))


@pytest.mark.parametrize("known", [True, False])
def test_what_cannot_be_asked_of_a_run_is_told(*, known: bool) -> None:
    of = workflow(status=STARTED, terminate=True)
    why = refusal("TN0202", 429, "too many", seconds=7.0)
    seen = Seen(known=known, instance=run(of) if known else None, refusal=why)
    found = step(of, seen)
    told = status(found)
    assert (told.phase, told.reason) == ("Running", "TooManyRequests")
    assert "cannot terminate the run yet: too many" in (told.message or "")
    assert found.wake_at == NOW + 7 * NANOS, "the pause that was asked for"
    (steered,) = [one for one in told.conditions if one.type == "Steered"]
    assert (steered.status, steered.reason) == ("False", "TooManyRequests")
    assert [one.reason for one in found.announcements] == ["TooManyRequests"]
    again = step(msgspec.structs.replace(of, status=told), seen, now=NOW + NANOS)
    assert again.status == told, "nothing new to write"
    assert again.announcements == ()
    of = msgspec.structs.replace(of, status=told)
    ended = status(step(of, Seen(known=True, instance=run(of, "TERMINATED"))))
    (steered,) = [one for one in ended.conditions if one.type == "Steered"]
    assert steered.status == "True"
    assert ended.reason is None


def test_a_run_that_is_there_is_not_called_unstarted() -> None:
    # Before the first status: it was started, and then could not be suspended.
    of = workflow(suspend=True)
    found = status(step(of, Seen(known=True, instance=run(of), refusal=AWAY)))
    assert found.phase == "Running"
    assert found.instance_id == of.instance_id
    assert {one.type: one.status for one in found.conditions}["Started"] == "True"


# --- afterwards -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "held", "found"),
    [
        ("Terminate", True, SetFinalizers(())),
        ("Orphan", True, SetFinalizers(())),
        ("Purge", True, None),
        ("Purge", False, SetFinalizers((FINALIZER,))),
        ("Terminate", False, None),
    ],
)
def test_a_finished_run_needs_the_finalizer_only_to_be_purged(
    policy: str, *, held: bool, found: SetFinalizers | None
) -> None:
    next_ = step(workflow(status=FINISHED, held=held, metadata=KEPT, deletionPolicy=policy))
    assert next_ == found if found else isinstance(next_, Rest)


@pytest.mark.parametrize(
    ("ttl", "now", "found"),
    [
        (0, "2026-01-01T00:00:05Z", Delete()),
        (10, "2026-01-01T00:00:15Z", Delete()),
        (10, "2026-01-01T00:00:14.999Z", "2026-01-01T00:00:15Z"),
        (None, "2036-01-01T00:00:00Z", None),
    ],
)
def test_ttl(ttl: int | None, now: str, found: Any) -> None:
    of = workflow(status=FINISHED, held=False, metadata=KEPT, ttlSecondsAfterFinished=ttl)
    next_ = step(of, now=parse_time(now))
    if isinstance(found, Delete):
        assert next_ == found
    else:
        assert isinstance(next_, Rest)
        assert next_.wake_at == (None if found is None else parse_time(found))


def test_a_change_after_the_end_is_seen() -> None:
    of = workflow(status=FINISHED, held=False, metadata={**KEPT, "generation": 7})
    assert status(step(of)).observed_generation == 7


# --- the end of the resource ----------------------------------------------------------------------

EARLY, LATE = "2026-01-01T00:00:09Z", "2025-12-31T00:00:00Z"
ENDED = Announcement("RunEnded", "Deleted, and run 'order-1-01234567' with it: it has ended")


@pytest.mark.parametrize(
    ("policy", "seen", "found"),
    [
        ("Orphan", Seen(), SetFinalizers(())),
        ("Terminate", Seen(), Look()),
        ("Terminate", Seen(known=True), SetFinalizers(())),
        ("Terminate", "RUNNING", Steer("terminate")),
        ("Terminate", "COMPLETED", SetFinalizers((), (ENDED,))),
        ("Purge", "RUNNING", Steer("terminate")),
        ("Purge", "TERMINATED", Steer("purge")),
        ("Purge", Seen(known=True), SetFinalizers(())),
        ("Purge", Seen(refusal=refusal("TN0109", 404, "no such app")), SetFinalizers(())),
        ("Purge", Seen(refusal=refusal("TN0101", 404, "no such run")), SetFinalizers(())),
    ],
)
def test_leaving(policy: str, seen: Seen | str, found: Any) -> None:
    of = workflow(status=STARTED, deleted=EARLY, deletionPolicy=policy)
    if isinstance(seen, str):
        seen = Seen(known=True, instance=run(of, seen))
    assert step(of, seen) == found


def test_somebody_elses_run_is_left_alone() -> None:
    for policy in ("Terminate", "Purge"):
        of = workflow(deleted=EARLY, deletionPolicy=policy, instanceID="theirs")
        found = step(of, Seen(known=True, instance=run(of, ours=False)))
        assert found == SetFinalizers(()), policy


def test_a_deletion_waits_for_an_outage_and_not_for_ever() -> None:
    of = workflow(status=STARTED, deleted=CREATED)
    begun = parse_time(CREATED)
    waits = step(of, Seen(refusal=AWAY), now=begun + NANOS)
    assert isinstance(waits, Rest)
    assert waits.status.reason == "WaitsForRun"
    assert waits.status.phase == "Running"
    assert "2026-01-01T00:05:00Z" in waits.status.message
    assert AWAY.message in waits.status.message
    assert [one.reason for one in waits.announcements] == ["WaitsForRun"]
    assert waits.wake_at is not None
    of = msgspec.structs.replace(of, status=waits.status)
    assert step(of, Seen(refusal=AWAY), now=begun + 2 * NANOS).announcements == ()
    over = step(of, Seen(refusal=AWAY), now=begun + GIVE_UP_AFTER, attempts=9)
    assert isinstance(over, SetFinalizers)
    assert over.finalizers == ()
    (told,) = over.announcements
    assert told.warning
    assert "may still be going" in told.message
    soon = step(of, Seen(refusal=AWAY), now=begun + GIVE_UP_AFTER - NANOS, attempts=9)
    assert isinstance(soon, Rest)
    assert soon.wake_at == begun + GIVE_UP_AFTER


def test_a_deletion_tells_of_a_run_that_takes_long_to_end() -> None:
    of = workflow(status=STARTED, deleted=CREATED)
    begun = parse_time(CREATED)
    asked = Seen(known=True, instance=run(of, "RUNNING"), asked=frozenset({"terminate"}))
    soon = step(of, asked, now=begun + NANOS)
    assert (soon.status, soon.wake_at) == (None, begun + NANOS + ASK_AGAIN_AFTER)
    late = step(of, asked, now=begun + ASK_AGAIN_AFTER)
    assert late.status.reason == "WaitsForRun"


def test_a_resource_without_our_finalizer_is_not_ours_to_end() -> None:
    assert step(workflow(held=False, deleted=LATE)) == Rest()
