"""A run is started once, also when the resource's status is lost: what stands outside of the status, and
what is done with it.

Out of scope: the other steps (test_workflow_steps), whole lives (test_lives).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from support.values import CREATED, FINISHED, NOW, UID, run, workflow
from tenure_operator.reconcile.ended import MAX_ANNOTATIONS
from tenure_operator.reconcile.refusals import refusal, unanswered
from tenure_operator.reconcile.steps import Delete, Look, Rest, SetFinalizers, Start, Steer
from tenure_operator.reconcile.workflow import Seen, next_step
from tenure_operator.resources import ANNOTATION_ENDED, FINALIZER, Workflow, WorkflowStatus

ENDED = {
    "namespace": "shop",
    "name": "order-1",
    "uid": UID,
    "phase": "Completed",
    "instanceID": "order-1-01234567",
    "at": "2026-01-01T00:00:05Z",
}


def step(of: Workflow, seen: Seen = Seen()) -> Any:
    return next_step(of, seen, now=NOW)


def status(found: Any) -> WorkflowStatus:
    assert isinstance(found, Rest)
    assert isinstance(found.status, WorkflowStatus)
    return found.status


def conditions(found: Any) -> dict[str, str]:
    return {one.type: one.status for one in status(found).conditions}


def recalled(metadata: dict[str, Any] | None = None, **record: Any) -> Workflow:
    """A Workflow that has ended, without its status."""
    annotations = {ANNOTATION_ENDED: json.dumps({**ENDED, **record})}
    given = {"annotations": annotations, **(metadata or {})}
    return workflow(held=False, name=given.pop("name", "order-1"), metadata=given)


# --- what is kept ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "held", "finalizers"),
    [
        ("Terminate", True, ()),
        ("Terminate", False, ()),
        ("Orphan", False, ()),
        ("Purge", True, (FINALIZER,)),
    ],
)
def test_that_it_has_ended_is_kept_with_the_last_finalizers(
    policy: str, *, held: bool, finalizers: tuple[str, ...]
) -> None:
    found = step(workflow(status=FINISHED, held=held, deletionPolicy=policy))
    assert isinstance(found, SetFinalizers)
    assert found.finalizers == finalizers
    assert found.ended is not None
    assert json.loads(found.ended) == ENDED


def test_before_its_end_nothing_is_kept() -> None:
    assert step(workflow(held=False)) == SetFinalizers((FINALIZER,))


def test_what_is_kept_is_written_once() -> None:
    of = recalled()
    of = msgspec.structs.replace(of, status=workflow(status=FINISHED).status)
    found = step(of)
    assert isinstance(found, Rest)
    assert found.status == of.status


def test_annotations_that_leave_no_room_do_not_keep_the_finalizer() -> None:
    full = {"example.com/large": "x" * (MAX_ANNOTATIONS - 100)}
    found = step(workflow(status=FINISHED, metadata={"annotations": full}))
    assert found == SetFinalizers(())
    assert isinstance(
        step(workflow(status=FINISHED, held=False, metadata={"annotations": full})), Rest
    )


def test_what_is_deleted_at_once_needs_no_record() -> None:
    for policy in ("Orphan", "Terminate"):
        of = workflow(status=FINISHED, held=False, deletionPolicy=policy, ttlSecondsAfterFinished=0)
        assert step(of) == Delete()


# --- the status of a resource is lost -------------------------------------------------------------


def test_a_run_that_has_ended_is_looked_for_and_not_started() -> None:
    assert step(recalled()) == Look()


def test_what_the_engine_still_has_is_mirrored() -> None:
    of = recalled()
    found = step(of, Seen(known=True, instance=run(of, "COMPLETED", output=7)))
    assert status(found).output == 7
    assert status(found).phase == "Completed"


@pytest.mark.parametrize(
    ("phase", "completed", "failed"),
    [("Completed", "True", "False"), ("Failed", "False", "True"), ("Missing", "False", "True")],
)
def test_of_a_run_that_is_gone_its_end_is_told(phase: str, completed: str, failed: str) -> None:
    found = step(recalled(phase=phase), Seen(known=True))
    told = status(found)
    assert (told.phase, told.reason) == (phase, "StatusLost")
    assert told.instance_id == "order-1-01234567"
    assert told.completion_time == "2026-01-01T00:00:05Z"
    assert conditions(found) == {
        "Started": "True",
        "Finished": "True",
        "Completed": completed,
        "Failed": failed,
    }
    assert [one.reason for one in found.announcements] == ["StatusLost"]


def test_one_that_never_ran_is_not_called_started() -> None:
    found = step(recalled(phase="Terminated", instanceID=None), Seen(known=True))
    assert status(found).instance_id is None
    assert conditions(found)["Started"] == "False"
    assert conditions(found)["Finished"] == "True"


def test_an_outage_is_waited_for() -> None:
    found = step(recalled(), Seen(refusal=unanswered("no answer")))
    assert status(found).reason == "GatewayUnavailable"
    assert found.wake_at is not None
    gone = step(recalled(), Seen(refusal=refusal("TN0109", 404, "no such app")))
    assert status(gone).reason == "StatusLost"


def test_the_time_to_live_counts_from_the_end() -> None:
    of = recalled()
    spec = msgspec.structs.replace(of.spec, ttl_seconds_after_finished=1)
    lost = status(step(of, Seen(known=True)))
    of = msgspec.structs.replace(of, spec=spec, status=lost)
    assert step(of) == Delete()


def test_a_resource_without_status_is_deleted_like_any() -> None:
    assert step(recalled({"deletionTimestamp": CREATED})) == Rest()


# --- another resource with what was kept ----------------------------------------------------------


def test_a_resource_that_came_back_from_a_backup_is_not_started() -> None:
    found = step(recalled({"uid": "fedcba9876543210"}))
    told = status(found)
    assert (told.phase, told.reason) == ("Completed", "Restored")
    assert told.instance_id == "order-1-01234567", "the run that it was"
    assert ANNOTATION_ENDED in (told.message or "")
    assert conditions(found)["Finished"] == "True"
    assert [one.reason for one in found.announcements] == ["Restored"]


@pytest.mark.parametrize("changed", [{"name": "order-2"}, {"namespace": "test"}])
def test_a_copy_under_another_name_is_a_run_of_its_own(changed: dict[str, str]) -> None:
    copied = recalled({"uid": "fedcba9876543210", "finalizers": [FINALIZER], **changed})
    assert isinstance(step(copied), Start)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "[]",
        "{}",
        json.dumps({**ENDED, "phase": "Running"}),
        json.dumps({**ENDED, "at": "yesterday"}),
        json.dumps({**ENDED, "instanceID": "x" * 1000}),
        json.dumps({**ENDED, "uid": None}),
    ],
)
def test_nonsense_counts_for_nothing(text: str) -> None:
    of = workflow(metadata={"annotations": {ANNOTATION_ENDED: text}, "finalizers": [FINALIZER]})
    assert isinstance(step(of), Start)
    ended = msgspec.structs.replace(of, status=workflow(status=FINISHED).status)
    found = step(ended)
    assert isinstance(found, SetFinalizers)
    assert json.loads(found.ended or "") == ENDED


def test_a_run_that_goes_on_goes_on_whatever_is_written_there() -> None:
    of = recalled()
    assert status(step(of, Seen(known=True, instance=run(of)))).phase == "Running"


# --- before the first status ----------------------------------------------------------------------


def test_a_run_that_went_before_its_first_status_is_not_started_again() -> None:
    # Its history was deleted by retention while no status could be written.
    of = workflow()
    assert step(of, Seen(started=True)) == Look()
    told = status(step(of, Seen(started=True, known=True)))
    assert (told.phase, told.instance_id) == ("Missing", of.instance_id)
    ended = msgspec.structs.replace(of, status=told)
    assert isinstance(step(ended), SetFinalizers)
    assert told.completion_time == "2026-01-01T00:00:10Z"


# --- a status that says what is not so ------------------------------------------------------------


def test_an_end_that_the_news_contradict_is_asked_about() -> None:
    lie = workflow(status=FINISHED)
    assert step(lie, Seen(doubted=True)) == Look()
    found = step(lie, Seen(known=True, instance=run(lie), doubted=True))
    assert status(found).phase == "Running"
    assert conditions(found)["Finished"] == "False"
    assert conditions(found)["Completed"] == "False"


def test_an_end_that_is_confirmed_counts() -> None:
    of = workflow(status=FINISHED)
    for instance in (None, run(of, "COMPLETED")):
        found = step(of, Seen(known=True, instance=instance, doubted=True))
        assert isinstance(found, SetFinalizers)


def test_nothing_is_let_go_while_nobody_answers() -> None:
    away = Seen(refusal=unanswered("no answer"), doubted=True)
    found = step(workflow(status=FINISHED), away)
    assert isinstance(found, Rest)
    assert found.status is None
    assert found.wake_at is not None


def test_a_run_that_goes_on_is_ended_with_its_resource_whatever_the_status_says() -> None:
    lie = workflow(status=FINISHED, deleted=CREATED)
    assert step(lie, Seen(doubted=True)) == Look()
    found = step(lie, Seen(known=True, instance=run(lie), doubted=True))
    assert found == Steer("terminate")


def test_the_id_of_the_run_is_not_taken_from_the_status() -> None:
    of = workflow(status={**FINISHED, "instanceID": "theirs", "conditions": []})
    assert of.instance_id == "order-1-01234567"
