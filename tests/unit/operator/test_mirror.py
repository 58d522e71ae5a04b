"""What a Workflow's status says of its run, and what is told when it changes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.values import CREATED, NOW, STARTED, run, workflow
from tenure_operator.instance import InstanceFailure, Stall
from tenure_operator.reconcile.conditions import Wanted, conditions
from tenure_operator.reconcile.mirror import (
    MAX_PAYLOAD,
    just_begun,
    mirrored,
    missing,
    only_progress,
    refused,
    word,
)
from tenure_operator.reconcile.refusals import unanswered
from tenure_operator.reconcile.stories import stories
from tenure_operator.resources import Condition, WorkflowStatus

OF = workflow(status=STARTED)


def kinds(status: WorkflowStatus) -> dict[str, str]:
    return {one.type: one.status for one in status.conditions}


@pytest.mark.parametrize(
    ("status", "phase", "holds"),
    [
        ("PENDING", "Pending", {"Started"}),
        ("RUNNING", "Running", {"Started"}),
        ("SUSPENDED", "Suspended", {"Started"}),
        ("STALLED", "Stalled", {"Started"}),
        ("COMPLETED", "Completed", {"Started", "Finished", "Completed"}),
        ("FAILED", "Failed", {"Started", "Finished", "Failed"}),
        ("TERMINATED", "Terminated", {"Started", "Finished", "Failed"}),
        ("CANCELED", "Canceled", {"Started", "Finished", "Failed"}),
    ],
)
def test_phases_and_conditions(status: str, phase: str, holds: set[str]) -> None:
    found = mirrored(OF, run(OF, status), now=NOW)
    assert found.phase == phase
    assert {kind for kind, value in kinds(found).items() if value == "True"} == holds
    assert set(kinds(found)) == {"Started", "Finished", "Completed", "Failed"}, "always all"
    assert (found.completion_time is not None) == ("Finished" in holds)


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        (
            {"failure": InstanceFailure(error_type="shop.errors.CardError", message="expired")},
            "CardError",
            "shop.errors.CardError: expired",
        ),
        ({"failure": InstanceFailure(error_type="", message="")}, "WorkflowFailed", ""),
        ({"failure": None}, "WorkflowFailed", ""),
    ],
)
def test_why_it_failed(given: dict[str, Any], reason: str, message: str) -> None:
    found = mirrored(OF, run(OF, "FAILED", **given), now=NOW)
    assert (found.reason, found.message) == (reason, message)


def test_why_it_stalled() -> None:
    stall = Stall("VERSION_NOT_AVAILABLE", "no worker has version 2")
    found = mirrored(OF, run(OF, "STALLED", stall=stall), now=NOW)
    assert (found.reason, found.message) == ("VersionNotAvailable", "no worker has version 2")


def test_values_that_are_nothing_are_values() -> None:
    for value in (None, 0, False, "", [], {}):
        found = mirrored(OF, run(OF, "COMPLETED", output=value, custom_status=value), now=NOW)
        assert msgspec.to_builtins(found)["output"] == value
        assert msgspec.to_builtins(found)["customStatus"] == value
    nothing = mirrored(OF, run(OF, "COMPLETED"), now=NOW)
    assert "output" not in msgspec.to_builtins(nothing)


def test_a_long_value_is_only_measured() -> None:
    fits, too_long = "x" * (MAX_PAYLOAD - 2), "x" * (MAX_PAYLOAD - 1)
    found = mirrored(OF, run(OF, "COMPLETED", output=fits), now=NOW)
    assert (found.output, found.output_bytes) == (fits, None)
    found = mirrored(OF, run(OF, "COMPLETED", output=too_long), now=NOW)
    assert (found.output, found.output_bytes) == (msgspec.UNSET, MAX_PAYLOAD + 1)


def test_texts_stay_within_what_the_definition_allows() -> None:
    failure = InstanceFailure(error_type="E" * 5000, message="m" * 50_000, stack_trace="s" * 50_000)
    found = mirrored(OF, run(OF, "FAILED", failure=failure), now=NOW)
    assert found.failure is not None
    assert len(found.failure.error_type) == 1024
    assert len(found.failure.message) == 8192
    assert len(found.failure.stack_trace or "") == 8192
    assert len(found.message or "") <= 4096
    assert len(found.reason or "") <= 64


def test_a_history_that_is_gone_keeps_what_was_known() -> None:
    found = missing(OF, now=NOW)
    assert found.phase == "Missing"
    assert found.instance_id == OF.status.instance_id
    assert kinds(found)["Failed"] == "True"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ValueError", "ValueError"),
        ("shop.errors.CardError", "CardError"),
        ("Acme::Card-Error!", "Error"),
        ("Microsoft.X`1", "1"),
        ("", ""),
        ("!!", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_a_reason_is_one_word(text: str, found: str) -> None:
    assert word(text) == found


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    def one(holds: bool | None, old: tuple[Condition, ...] = (), now: int = NOW) -> Condition:
        (found,) = conditions(old, [Wanted("Ready", holds, "R", "m")], generation=3, now=now)
        return found

    first = one(True, now=NOW - 60 * 10**9)
    assert one(True, (first,)).last_transition_time == first.last_transition_time
    assert one(False, (first,)).last_transition_time > first.last_transition_time
    assert one(None, (first,)).status == "Unknown"


def test_conditions_of_others_are_kept() -> None:
    theirs = Condition(
        type="Theirs", status="True", reason="R", message="", last_transition_time=CREATED
    )
    found = conditions((theirs,), [Wanted("Ready", True, "R")], generation=1, now=NOW)
    assert theirs in found


def test_the_same_run_gives_the_same_status_at_another_time() -> None:
    for status in ("PENDING", "RUNNING", "COMPLETED", "FAILED"):
        first = mirrored(OF, run(OF, status), now=NOW)
        again = msgspec.structs.replace(OF, status=first)
        assert mirrored(again, run(OF, status), now=NOW + 10**12) == first


def test_only_progress() -> None:
    old = mirrored(OF, run(OF, history_length=3), now=NOW)
    more = mirrored(OF, run(OF, history_length=9, custom_status="half"), now=NOW)
    assert only_progress(old, more)
    assert not only_progress(old, mirrored(OF, run(OF, "SUSPENDED"), now=NOW))


# --- stories --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, "PENDING", [("Started", False)]),
        (None, "COMPLETED", [("Started", False), ("Completed", False)]),
        ("RUNNING", "RUNNING", []),
        ("RUNNING", "SUSPENDED", [("Suspended", False)]),
        ("SUSPENDED", "RUNNING", [("Resumed", False)]),
        ("PENDING", "RUNNING", []),
        ("RUNNING", "FAILED", [("Failed", True)]),
        ("RUNNING", "STALLED", [("Stalled", True)]),
        ("RUNNING", "TERMINATED", [("Terminated", False)]),
    ],
)
def test_what_is_told(before: str | None, after: str, told: list[tuple[str, bool]]) -> None:
    old = WorkflowStatus() if before is None else mirrored(OF, run(OF, before), now=NOW)
    new = mirrored(OF, run(OF, after), now=NOW)
    assert [(one.reason, one.warning) for one in stories(old, new)] == told
    assert all(one.message for one in stories(old, new))


@pytest.mark.parametrize(
    ("status", "waits"),
    [("PENDING", True), ("RUNNING", True), ("COMPLETED", False), ("STALLED", False)],
)
def test_the_first_status_of_a_run_that_goes_on_may_wait(status: str, waits: bool) -> None:
    of = workflow()
    new = mirrored(of, run(of, status), now=NOW)
    assert just_begun(of.status, new) is waits
    assert not just_begun(new, new), "the second does not"


def test_a_refusal_does_not_wait() -> None:
    of = workflow()
    assert not just_begun(of.status, refused(of, unanswered("away"), now=NOW))
