"""WorkflowSchedule and WorkflowEvent at work: real API server, real engine, a stock app.

In scope: that a due time becomes a run and an event reaches it, what users see of both, bad input.  A
test cannot wait for a minute of the clock to pass, so due times come from the past: a schedule whose
last due time was missed makes up for it at once.  Out of scope: when a schedule is due (unit/operator).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.kube.controlplane import ControlPlane
from support.kube.objects import event, schedule, workflow
from support.kube.operating import Rig, at_work, until

APP = Path(__file__).parent / "apps" / "orders.py"
ORDER = {"workflow": "order"}


@pytest.fixture(scope="module")
def rig(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Engine, app and one operator."""
    with at_work(installed, tmp_path_factory.mktemp("triggers"), APP) as rig:
        yield rig


def set_back(rig: Rig, name: str) -> None:
    """As after a long outage: every due time since 2020 was missed."""
    status = until("a status", lambda: rig.status(name, "workflowschedule"))
    assert status["conditions"], status
    counted = {"countedFrom": "2020-01-01T00:00:00Z", "lastScheduleTime": None}
    words = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": counted}))
    rig.kubectl("patch", "workflowschedule", name, *words)


def runs(rig: Rig, name: str) -> list[dict[str, Any]]:
    """The Workflows of a schedule."""
    return rig.kubectl.items("workflows", f"--selector=tenure.dev/schedule={name}")


def one_run(rig: Rig, name: str) -> dict[str, Any]:
    (found,) = until("a run", lambda: runs(rig, name))
    return dict(found)


def told(rig: Rig, name: str, reason: str) -> str:
    """The message of the Kubernetes Event with that reason about a resource."""
    chosen = f"--field-selector=involvedObject.name={name},reason={reason}"
    found = until(f"{reason} about {name}", lambda: rig.kubectl.items("events", chosen))
    return str(found[0]["message"])


def ready(rig: Rig, name: str) -> dict[str, Any]:
    """The condition Ready of a schedule."""
    status = until("a status", lambda: rig.status(name, "workflowschedule"))
    (found,) = status["conditions"]
    return dict(found)


# --- schedules ------------------------------------------------------------------------------------
# Once a year: no due time passes by itself while a test runs.


def test_a_schedule_with_the_longest_name_runs(rig: Rig) -> None:
    name = "y" * 180
    rig.kubectl.apply(schedule(name, schedule="0 3 1 1 *", run={**ORDER, "input": {}}))
    set_back(rig, name)
    made = one_run(rig, f"{name[:54]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}")["metadata"]
    assert made["ownerReferences"][0]["name"] == name
    rig.reaches(made["name"], "Completed")
    until("an end", lambda: rig.status(name, "workflowschedule").get("lastSuccessfulTime"))


def test_a_due_time_becomes_a_run(rig: Rig) -> None:
    rig.kubectl.apply(schedule("yearly", schedule="0 3 1 1 *", run={**ORDER, "input": {}}))
    assert ready(rig, "yearly")["status"] == "True"
    set_back(rig, "yearly")
    made = one_run(rig, "yearly")["metadata"]
    assert made["annotations"]["tenure.dev/scheduled-at"].endswith("-01-01T03:00:00Z")
    assert made["ownerReferences"][0]["name"] == "yearly"
    rig.reaches(made["name"], "Completed")
    until("an end", lambda: rig.status("yearly", "workflowschedule").get("lastSuccessfulTime"))
    status = rig.status("yearly", "workflowschedule")
    assert status["lastScheduleTime"] == made["annotations"]["tenure.dev/scheduled-at"]
    assert status["nextScheduleTime"] > status["lastScheduleTime"]
    assert status.get("activeCount", 0) == 0
    assert "missed" in told(rig, "yearly", "MissedRuns")
    columns = rig.kubectl("get", "twfs", "yearly").splitlines()[1]
    assert "0 3 1 1 *" in columns
    assert "True" in columns.split()


def test_a_due_time_becomes_one_run_however_often_it_is_looked_at(rig: Rig) -> None:
    rig.kubectl.apply(schedule("once", schedule="0 3 1 1 *", run=ORDER))
    for _ in range(2):
        set_back(rig, "once")
        until("a look", lambda: rig.status("once", "workflowschedule").get("lastScheduleTime"))
    assert len(runs(rig, "once")) == 1


def test_a_run_that_is_too_late_is_left_out_and_told(rig: Rig) -> None:
    rig.kubectl.apply(schedule("late", schedule="0 3 1 1 *", run=ORDER, startingDeadlineSeconds=10))
    set_back(rig, "late")
    assert "10 s late" in told(rig, "late", "MissedRun")
    assert runs(rig, "late") == []


def test_forbid_leaves_the_new_run_out(rig: Rig) -> None:
    first = again(rig, "forbid", concurrencyPolicy="Forbid")
    assert first in told(rig, "forbid", "SkippedRun")
    assert one_run(rig, "forbid")["metadata"]["name"] == first


def test_replace_ends_the_old_run(rig: Rig) -> None:
    first = again(rig, "replace", concurrencyPolicy="Replace")
    rig.reaches(first, "Terminated")
    until("two runs", lambda: len(runs(rig, "replace")) == 2)
    (second,) = {one["metadata"]["name"] for one in runs(rig, "replace")} - {first}
    until(
        "the second one alone at work",
        lambda: rig.status("replace", "workflowschedule").get("active") == [second],
    )


def test_allow_runs_both(rig: Rig) -> None:
    first = again(rig, "allow")
    until("two runs", lambda: rig.status("allow", "workflowschedule").get("activeCount") == 2)
    assert rig.status(first)["phase"] == "Running"


def again(rig: Rig, name: str, **policy: Any) -> str:
    """A second due time comes while the run of the first goes on; the name of the first."""
    waits = {"workflow": "approval"}
    rig.kubectl.apply(schedule(name, schedule="0 3 1 1 *", run=waits, **policy))
    set_back(rig, name)
    first = str(one_run(rig, name)["metadata"]["name"])
    rig.reaches(first, "Running")
    until("it active", lambda: rig.status(name, "workflowschedule").get("active") == [first])
    rig.kubectl.apply(schedule(name, schedule="0 4 1 1 *", run=waits, **policy))
    current = rig.kubectl.get("workflowschedule", name)["metadata"]["generation"]
    until(
        "the change seen",
        lambda: rig.status(name, "workflowschedule")["observedGeneration"] == current,
    )
    set_back(rig, name)
    return first


def test_a_suspended_schedule_starts_nothing_and_makes_up_for_nothing(rig: Rig) -> None:
    rig.kubectl.apply(schedule("asleep", schedule="0 3 1 1 *", run=ORDER, suspend=True))
    assert ready(rig, "asleep")["reason"] == "Suspended"
    set_back(rig, "asleep")
    rig.kubectl.apply(schedule("asleep", schedule="0 3 1 1 *", run=ORDER, suspend=False))
    until("awake", lambda: ready(rig, "asleep")["status"] == "True")
    assert runs(rig, "asleep") == []
    assert rig.status("asleep", "workflowschedule")["countedFrom"] > "2026"


def test_old_runs_are_cleared_away(rig: Rig) -> None:
    limits = {"successfulRunsHistoryLimit": 0, "failedRunsHistoryLimit": 0}
    rig.kubectl.apply(schedule("tidy", schedule="0 3 1 1 *", run=ORDER, **limits))
    set_back(rig, "tidy")
    until("a run's end", lambda: rig.status("tidy", "workflowschedule").get("lastSuccessfulTime"))
    until("it gone", lambda: runs(rig, "tidy") == [])


def test_a_deleted_schedule_takes_its_workflows_along(rig: Rig) -> None:
    rig.kubectl.apply(schedule("over", schedule="0 3 1 1 *", run=ORDER))
    set_back(rig, "over")
    made = one_run(rig, "over")["metadata"]["name"]
    rig.kubectl("delete", "workflowschedule", "over", "--timeout=60s")
    rig.kubectl("wait", "--for=delete", f"workflow/{made}", "--timeout=60s")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param({"schedule": "61 * * * *"}, "61 * * * *", id="cron"),
        pytest.param({"timeZone": "Europe/Berln"}, "Europe/Berln", id="zone"),
    ],
)
def test_a_schedule_that_cannot_be_followed_says_why(
    rig: Rig, given: dict[str, str], why: str, request: pytest.FixtureRequest
) -> None:
    name = f"bad-{request.node.callspec.id}"
    rig.kubectl.apply(schedule(name, run=ORDER, **given))
    found = ready(rig, name)
    assert found["status"] == "False"
    assert found["reason"] == "BadSchedule"
    assert why in found["message"]
    assert "TN0801" in found["message"]
    assert why in told(rig, name, "BadSchedule")
    assert "False" in rig.kubectl("get", "workflowschedule", name)
    assert why in rig.kubectl("get", "workflowschedule", name, "-o", "wide")


# --- events ---------------------------------------------------------------------------------------


def waiting(rig: Rig, name: str, **spec: Any) -> str:
    """A run that waits for approval; its id."""
    rig.kubectl.apply(workflow(name, workflow="approval", **spec))
    rig.reaches(name, "Running")
    return rig.run_of(name)


def test_an_event_for_a_workflow(rig: Rig) -> None:
    run = waiting(rig, "order-1")
    rig.kubectl.apply(event("approve-1", workflowName="order-1", data={"by": "Ada"}))
    rig.kubectl("wait", "--for=condition=Delivered", "workflowevent/approve-1", "--timeout=60s")
    assert rig.reaches("order-1", "Completed")["output"] == {"approved": {"by": "Ada"}}
    status = rig.status("approve-1", "workflowevent")
    assert status["phase"] == "Delivered"
    assert status["instanceID"] == run
    assert "completionTime" in status
    told(rig, "approve-1", "Delivered")


def test_an_event_for_a_run_without_a_resource(rig: Rig) -> None:
    rig.post("instances", {"workflow": "approval", "instanceId": "bare"})
    rig.kubectl.apply(event("bare", instanceID="bare", appID="orders", data=7))
    rig.reaches("bare", "Delivered", "workflowevent")
    found = until("its end", lambda: (rig.engine_knows("bare") or {}).get("output"))
    assert found == {"approved": 7}


def test_an_event_may_come_before_its_workflow(rig: Rig) -> None:
    rig.kubectl.apply(event("early", workflowName="order-2"))
    assert rig.reaches("early", "Pending", "workflowevent")["reason"] == "NoSuchWorkflow"
    rig.kubectl.apply(workflow("order-2", workflow="approval"))
    rig.reaches("early", "Delivered", "workflowevent")
    assert rig.reaches("order-2", "Completed")["output"] == {"approved": None}


def test_an_event_for_a_run_that_has_ended_fails(rig: Rig) -> None:
    rig.kubectl.apply(workflow("order-3", workflow="echo"))
    rig.reaches("order-3", "Completed")
    rig.kubectl.apply(event("late", workflowName="order-3"))
    status = rig.reaches("late", "Failed", "workflowevent")
    assert status["reason"] == "AlreadyFinished"
    assert "COMPLETED" in status["message"]
    assert "AlreadyFinished" in rig.kubectl("get", "workflowevent", "late")


def test_an_event_that_nobody_can_get_fails_when_its_time_is_over(rig: Rig) -> None:
    given = {"instanceID": "nobody", "appID": "orders", "timeoutSeconds": 1}
    rig.kubectl.apply(event("lost", **given))
    status = rig.reaches("lost", "Failed", "workflowevent")
    assert status["reason"] == "NoSuchInstance"
    assert "given up after 1 s" in status["message"]


def test_an_event_is_raised_once_and_cleared_away(rig: Rig) -> None:
    run = waiting(rig, "order-4")
    given = {"workflowName": "order-4", "event": "Note"}
    rig.kubectl.apply(event("note", **given), event("brief", ttlSecondsAfterFinished=0, **given))
    rig.reaches("note", "Delivered", "workflowevent")
    rig.kubectl("wait", "--for=delete", "workflowevent/brief", "--timeout=60s")
    rig.kubectl("label", "workflowevent", "note", "looked=again")
    operator = rig.operators[0]
    assert operator.stop() == 0
    # As when it had died between the call and the status.
    nothing = ("--subresource=status", "--type=json", '-p=[{"op": "remove", "path": "/status"}]')
    rig.kubectl("patch", "workflowevent", "note", *nothing)
    operator.ready()
    rig.reaches("note", "Delivered", "workflowevent")
    rig.kubectl.apply(event("end", workflowName="order-4"))
    rig.reaches("order-4", "Completed")
    raised = [one for one in rig.history(run) if one["type"] == "EventRaised"]
    assert [one["name"] for one in raised] == ["Note", "Note", "Approve"]


def test_an_event_that_ended_its_run_is_delivered_also_when_that_was_forgotten(rig: Rig) -> None:
    waiting(rig, "order-5")
    operator = rig.operators[0]
    rig.kubectl.apply(event("last", workflowName="order-5"))
    rig.reaches("order-5", "Completed")
    rig.reaches("last", "Delivered", "workflowevent")
    operator.kill()
    nothing = ("--subresource=status", "--type=json", '-p=[{"op": "remove", "path": "/status"}]')
    rig.kubectl("patch", "workflowevent", "last", *nothing)
    operator.ready()
    rig.reaches("last", "Delivered", "workflowevent")
