"""The next step of a WorkflowEvent."""

from __future__ import annotations

from typing import Any

import pytest

from support.values import CREATED, FINISHED, NOW, STARTED, UID, event, workflow
from tenure_common.times import NANOS, parse_time
from tenure_operator.reconcile.event import Seen, next_step
from tenure_operator.reconcile.refusals import Refusal, refusal, unanswered
from tenure_operator.reconcile.steps import Delete, Raise, Rest
from tenure_operator.resources import EventStatus, WorkflowEvent

RUNNING = workflow(status=STARTED)
KEY = f"kubernetes/{UID}"
DELIVERED = {"phase": "Delivered", "completionTime": "2026-01-01T00:00:05Z"}


def step(of: WorkflowEvent, seen: Seen = Seen(), now: int = NOW, attempts: int = 0) -> Any:
    return next_step(of, seen, now=now, attempts=attempts)


def status(found: Any) -> EventStatus:
    assert isinstance(found, Rest)
    assert isinstance(found.status, EventStatus)
    return found.status


def test_it_is_raised_on_the_run_of_its_workflow() -> None:
    found = step(event(data={"by": "Ada"}), Seen(RUNNING))
    body = {"data": {"by": "Ada"}}
    assert found == Raise("shop", "orders", "order-1-01234567", "Approve", KEY, body)


def test_it_is_raised_on_the_run_with_that_id() -> None:
    found = step(event(instanceID="i", appID="other"))
    assert found == Raise("shop", "other", "i", "Approve", KEY, {})


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param(Seen(), "NoSuchWorkflow", id="no workflow"),
        pytest.param(Seen(workflow()), "WorkflowNotStarted", id="not started"),
        pytest.param(
            Seen(RUNNING, refusal=unanswered("away")), "GatewayUnavailable", id="gateway away"
        ),
        pytest.param(
            Seen(RUNNING, refusal=refusal("TN0101", 404, "none")), "NoSuchInstance", id="no run"
        ),
        pytest.param(
            Seen(RUNNING, refusal=refusal("TN0109", 404, "none")), "NoSuchApp", id="no app"
        ),
    ],
)
def test_it_waits_for_what_may_come(seen: Seen, reason: str) -> None:
    found = step(event(), seen)
    assert status(found).phase == "Pending"
    assert status(found).reason == reason
    assert NOW < found.wake_at <= NOW + NANOS
    (told,) = found.announcements
    assert told.warning
    again = event(status={"phase": "Pending", "reason": reason})
    assert step(again, seen).announcements == (), "told once"


@pytest.mark.parametrize("code", ["TN0701", "TN0004", "TN0200"])
def test_what_cannot_get_better_fails_at_once(code: str) -> None:
    why: Refusal = refusal(code, 409, "no")
    assert status(step(event(), Seen(RUNNING, refusal=why))).phase == "Failed"


def test_it_gives_up_when_its_time_is_over() -> None:
    limit = parse_time(CREATED) + 5 * NANOS
    of = event(timeoutSeconds=5)
    waits = step(of, now=limit - 1, attempts=9)
    assert status(waits).phase == "Pending"
    assert waits.wake_at == limit
    over = status(step(of, now=limit))
    assert over.phase == "Failed"
    assert over.reason == "NoSuchWorkflow"
    assert "given up after 5 s" in (over.message or "")


def test_what_was_raised_is_delivered_whatever_else_is_known() -> None:
    for seen in (Seen(RUNNING, raised=True), Seen(raised=True)):
        found = step(event(), seen)
        assert status(found).phase == "Delivered"
        assert [one.reason for one in found.announcements] == ["Delivered"]


def test_a_run_that_has_ended_is_asked_all_the_same() -> None:
    # The gateway knows better than a status that may be old.
    assert isinstance(step(event(), Seen(workflow(status=FINISHED))), Raise)


@pytest.mark.parametrize("phase", ["Delivered", "Failed"])
def test_what_is_over_is_left_alone(phase: str) -> None:
    over = {**DELIVERED, "phase": phase}
    assert step(event(status=over), Seen(RUNNING)) == Rest()


@pytest.mark.parametrize(
    ("ttl", "found"),
    [
        (0, Delete()),
        (5, Delete()),
        (6, Rest(wake_at=parse_time("2026-01-01T00:00:11Z"))),
    ],
)
def test_ttl(ttl: int, found: Any) -> None:
    assert step(event(status=DELIVERED, ttlSecondsAfterFinished=ttl)) == found


def test_one_that_is_being_deleted_is_not_raised() -> None:
    gone = event(metadata={"deletionTimestamp": CREATED})
    assert step(gone, Seen(RUNNING)) == Rest()
