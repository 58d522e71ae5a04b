"""The operator and an API server in trouble (F20): pauses asked for, errors, conflicts, lost watches.

In scope: that trouble with one resource is that resource's alone, how often it is tried, that runs go on
meanwhile, and that all is right afterwards.  The API server is real; a proxy in front of it answers, or
holds back, the requests that a test chooses.  Out of scope: an API server that is gone
(test_operator_faults).
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError

import pytest

from support.kube.between import EXPIRED, Asked, Between, Chosen
from support.kube.controlplane import ControlPlane
from support.kube.objects import schedule, workflow
from support.kube.operating import Rig, until
from support.kube.operator_process import OperatorProcess

APP = Path(__file__).parent / "apps" / "orders.py"
LONG_LEASE = "120"  # seconds: it is not what these tests are about
KINDS = 4  # that the operator watches


@pytest.fixture(scope="module")
def rig(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Engine and app."""
    rig = Rig(installed, tmp_path_factory.mktemp("faulty"), APP)
    try:
        rig.start()
        yield rig
    finally:
        rig.close()


@pytest.fixture(scope="module")
def whole(rig: Rig) -> Iterator[Between]:
    with rig.control_plane.between() as between:
        yield between


@pytest.fixture(scope="module")
def running(rig: Rig, whole: Between) -> OperatorProcess:
    """An operator that reaches the API server through the proxy."""
    operator = rig.operator(api=whole.url, lease_seconds=LONG_LEASE)
    operator.ready()
    return operator


@pytest.fixture
def api(whole: Between, running: OperatorProcess) -> Iterator[Between]:
    """The proxy; nothing is wrong with it before a test and after it."""
    assert running.alive, running.tail()
    yield whole
    whole.clear()


def status_of(name: str, kind: str = "workflows") -> Chosen:
    """Writes of a status."""
    return lambda asked: asked.path.endswith(f"/{kind}/{name}/status")


def ours(asked: Asked) -> bool:
    """All but what keeps the operator the one that works."""
    return not asked.path.endswith("/version") and "/leases" not in asked.path


def runs(rig: Rig, name: str) -> list[str]:
    """The Workflows of a schedule."""
    found = rig.kubectl.items("workflows", f"--selector=tenure.dev/schedule={name}")
    return sorted(one["metadata"]["name"] for one in found)


def set_back(rig: Rig, name: str, since: str = "2020-01-01T00:00:00Z") -> None:
    """As after a long outage: the due times since then were missed."""
    until("a status", lambda: rig.status(name, "workflowschedule").get("conditions"))
    status = {"countedFrom": since, "lastScheduleTime": None}
    words = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    rig.kubectl("patch", "workflowschedule", name, *words)


# --- one resource ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_resource_that_is_refused_for_now_slows_down_no_other(
    rig: Rig, running: OperatorProcess, api: Between, status: int
) -> None:
    name, away = f"bad-{status}", running.metric("tenure_operator_api_away_total")
    rule = api.answer(status_of(name), status)
    rig.kubectl.apply(workflow(name, workflow="echo", input=1))
    until("an attempt", lambda: rule.hits)
    for number in range(5):
        rig.kubectl.apply(workflow(f"{name}-beside-{number}", workflow="echo"))
        rig.reaches(f"{name}-beside-{number}", "Completed")
    until("attempts", lambda: len(rule.hits) >= 4)
    first, *_, fourth = (one.at for one in rule.hits[:4])
    assert fourth - first > 4, "pauses of 1, 2 and 4 seconds, less a fifth at most"
    assert running.metric("tenure_operator_api_away_total") == away, "the API server was there"
    api.forget(rule)
    assert rig.reaches(name, "Completed")["output"] == 1


def test_a_pause_that_the_api_server_asks_for_is_kept(rig: Rig, api: Between) -> None:
    rule = api.answer(status_of("asked"), 429, headers={"Retry-After": "4"})
    rig.kubectl.apply(workflow("asked", workflow="echo"))
    until("two attempts", lambda: len(rule.hits) >= 2)
    assert rule.hits[1].at - rule.hits[0].at > 3
    api.forget(rule)
    rig.reaches("asked", "Completed")


@pytest.mark.parametrize("status", [404, 409])
def test_a_resource_that_is_always_in_conflict_is_not_tried_in_a_hot_loop(
    rig: Rig, api: Between, status: int
) -> None:
    name, began = f"conflict-{status}", time.monotonic()
    rule = api.answer(status_of(name), status)
    rig.kubectl.apply(workflow(name, workflow="approval"))
    until("an attempt", lambda: rule.hits)
    run = rig.ask("instances?limit=1000")["instances"]
    (run,) = [one["instanceId"] for one in run if one["instanceId"].startswith(f"{name}-")]
    for number in range(20):  # news of the run are no reason to hurry
        rig.post(f"instances/{run}/{'resume' if number % 2 else 'suspend'}")
    until("attempts", lambda: len(rule.hits) >= 3)
    rig.kubectl.apply(workflow(f"{name}-beside", workflow="echo"))
    rig.reaches(f"{name}-beside", "Completed")
    assert len(rule.hits) <= time.monotonic() - began + 2
    api.forget(rule)
    rig.reaches(name, "Running")


def test_a_resource_that_cannot_be_written_has_an_event_that_says_why(
    rig: Rig, api: Between
) -> None:
    # As etcd refuses what has grown over its limit: there is no status that could say it.
    large = {"kind": "Status", "code": 500, "message": "etcdserver: request is too large"}
    rule = api.answer(status_of("unwritable"), 500, large)
    rig.kubectl.apply(workflow("unwritable", workflow="echo", input=1))
    chosen = "--field-selector=involvedObject.name=unwritable,reason=CannotWrite"
    (told,) = until("an event", lambda: rig.kubectl.items("events", chosen))
    assert told["type"] == "Warning"
    assert "request is too large" in told["message"]
    until("another attempt", lambda hits=len(rule.hits): len(rule.hits) > hits)
    assert len(rig.kubectl.items("events", chosen)) == 1, "told once"
    api.forget(rule)
    assert rig.reaches("unwritable", "Completed")["output"] == 1


def test_a_run_that_is_purged_before_its_status_can_be_written_is_not_started_again(
    rig: Rig, api: Between
) -> None:
    rule = api.answer(status_of("early"), 500)
    rig.kubectl.apply(workflow("early", workflow="echo", instanceID="early"))
    until("an attempt", lambda: rule.hits)
    until("its end", lambda: ended(rig, "early"))
    rig.post("instances/early/purge")
    until("another attempt", lambda hits=len(rule.hits): len(rule.hits) > hits)
    api.forget(rule)
    assert rig.reaches("early", "Missing")["reason"] == "InstanceMissing"
    assert rig.engine_knows("early") is None


def test_a_user_who_changes_a_resource_in_trouble_does_not_wait(
    rig: Rig, api: Between, running: OperatorProcess
) -> None:
    rule = api.answer(status_of("mended"), 500, headers={"Retry-After": "60"})
    rig.kubectl.apply(workflow("mended", workflow="approval"))
    until("an attempt", lambda: rule.hits)
    api.forget(rule)
    rig.kubectl("patch", "workflow", "mended", "--type=merge", '-p={"spec": {"suspend": true}}')
    rig.reaches("mended", "Suspended")
    assert time.monotonic() - rule.hits[0].at < 50
    assert running.alive


# --- schedules ------------------------------------------------------------------------------------
# Once a year: no due time passes by itself while a test runs.


def test_a_schedule_outlives_a_namespace_that_takes_no_workflow_for_now(
    rig: Rig, api: Between
) -> None:
    rule = api.answer(lambda one: one.method == "POST" and one.path.endswith("/workflows"), 404)
    rig.kubectl.apply(schedule("patient", schedule="0 3 1 1 *", run={"workflow": "echo"}))
    set_back(rig, "patient")
    until("attempts", lambda: len(rule.hits) >= 2)
    assert runs(rig, "patient") == []
    api.forget(rule)
    until("its run", lambda: runs(rig, "patient"))


def test_a_schedule_whose_run_is_gone_when_it_is_to_be_replaced_goes_on(
    rig: Rig, api: Between
) -> None:
    policy = {"concurrencyPolicy": "Replace", "run": {"workflow": "approval"}}
    rig.kubectl.apply(schedule("heir", schedule="0 3 1 1 *", **policy))
    set_back(rig, "heir", "2024-06-01T00:00:00Z")
    (first,) = until("a run", lambda: runs(rig, "heir"))
    rig.reaches(first, "Running")
    rule = api.answer(
        lambda one: one.method == "PATCH" and one.path.endswith(f"/workflows/{first}"), 404
    )
    rig.kubectl.apply(schedule("heir", schedule="0 4 1 1 *", **policy))
    current = rig.kubectl.get("workflowschedule", "heir")["metadata"]["generation"]
    until(
        "the change seen",
        lambda: rig.status("heir", "workflowschedule")["observedGeneration"] == current,
    )
    set_back(rig, "heir")
    until("the next run", lambda: len(runs(rig, "heir")) == 2)
    assert rule.hits


def test_a_name_that_belongs_to_another_workflow_is_told_and_not_taken(
    rig: Rig, api: Between
) -> None:
    due = datetime(datetime.now(UTC).year, 1, 1, 3, tzinfo=UTC)
    theirs = f"rival-{int(due.timestamp()) // 60}"
    rig.kubectl.apply(workflow(theirs, workflow="approval"))
    rig.reaches(theirs, "Running")
    rig.kubectl.apply(schedule("rival", schedule="0 3 1 1 *", run={"workflow": "echo"}))
    set_back(rig, "rival")
    chosen = "--field-selector=involvedObject.name=rival,reason=NameTaken"
    (told,) = until("an event", lambda: rig.kubectl.items("events", chosen))
    assert theirs in told["message"]
    assert rig.status(theirs)["phase"] == "Running", "it is somebody else's"
    assert rig.status("rival", "workflowschedule")["lastScheduleTime"] == f"{due:%FT%TZ}"
    tried = api.count(lambda one: one.method == "POST" and one.path.endswith("/workflows"))
    rig.kubectl.apply(workflow("rival-beside", workflow="echo"))
    rig.reaches("rival-beside", "Completed")
    again = api.count(lambda one: one.method == "POST" and one.path.endswith("/workflows"))
    assert again == tried, "tried once, and not for ever"


# --- the whole API server -------------------------------------------------------------------------


def test_an_api_server_that_asks_everybody_for_a_pause_is_not_pressed(
    rig: Rig, running: OperatorProcess, api: Between
) -> None:
    names = [f"pressed-{number}" for number in range(8)]
    rig.kubectl.apply(*(workflow(name, workflow="approval") for name in names))
    for name in names:
        rig.reaches(name, "Running")
    ids = {name: rig.run_of(name) for name in names}
    away = running.metric("tenure_operator_api_away_total")
    rule = api.answer(lambda _: True, 429, headers={"Retry-After": "1"})
    began = time.monotonic()
    api.end_streams()
    for name in names:
        rig.post(f"instances/{ids[name]}/events/Approve", {"data": name})
    for name in names:
        until("its end", lambda one=ids[name]: ended(rig, one))
    until("it noticed", lambda: running.metric("tenure_operator_api_away_total") > away)
    until("probes", lambda: sum(one.path == "/version" for one in rule.hits) >= 3)
    # At most one probe a second, three watches with a pause each, and what was under way at first.
    assert len(rule.hits) <= 4 * (time.monotonic() - began) + 40
    api.forget(rule)
    for name in names:
        assert rig.reaches(name, "Completed")["output"] == {"approved": name}
    rig.kubectl.apply(workflow("pressed-after", workflow="echo"))
    rig.reaches("pressed-after", "Completed")


def test_a_slow_api_server_is_waited_for(rig: Rig, api: Between) -> None:
    rig.kubectl.apply(workflow("slow", workflow="approval"))
    rig.reaches("slow", "Running")
    run = rig.run_of("slow")
    rule = api.hold(lambda one: ours(one) and not one.watch)
    rig.post(f"instances/{run}/events/Approve", {"data": 1})
    rig.kubectl.apply(*(workflow(f"slow-{number}", workflow="echo") for number in range(4)))
    until("its end", lambda: ended(rig, run))
    until("requests under way", lambda: rule.held >= 5)
    rule.release()
    for name in ("slow", *(f"slow-{number}" for number in range(4))):
        rig.reaches(name, "Completed")


def test_a_watch_that_is_too_old_is_begun_anew(
    rig: Rig, running: OperatorProcess, api: Between
) -> None:
    rig.kubectl.apply(workflow("old", workflow="approval"))
    rig.reaches("old", "Running")
    all_watched(api)
    rule = api.answer(lambda one: one.watch, 200, EXPIRED)
    assert api.end_streams(EXPIRED) >= KINDS
    until("refused watches", lambda: len(rule.hits) >= 3)
    rig.kubectl.apply(workflow("unseen", workflow="echo"))
    rig.kubectl("patch", "workflow", "old", "--type=merge", '-p={"spec": {"terminate": true}}')
    api.forget(rule)
    rig.reaches("unseen", "Completed")
    rig.reaches("old", "Terminated")
    assert running.alive


def all_watched(api: Between) -> None:
    """All kinds are watched.  After a test in which watches broke, some may still be in a pause: what
    that test waited for is told by one of them."""
    until("watches of all kinds", lambda: len(api.watched()) == KINDS)


def end_watches(api: Between, last: object) -> None:
    """The watches of all kinds end with that line, and are open again."""
    all_watched(api)
    assert api.end_streams(last) >= KINDS
    all_watched(api)


def test_an_error_in_a_watch_ends_neither_the_operator_nor_the_watch(
    rig: Rig, running: OperatorProcess, api: Between
) -> None:
    rig.kubectl.apply(workflow("told", workflow="approval"))
    rig.reaches("told", "Running")
    for said in (
        {"code": 500, "reason": "InternalError", "message": "etcdserver: no leader"},
        {"code": 504, "reason": "Timeout", "details": {"retryAfterSeconds": 1}},
        {"message": "no code at all"},
    ):
        status = {"kind": "Status", "status": "Failure", **said}
        end_watches(api, {"type": "ERROR", "object": status})
    rig.kubectl.apply(workflow("told-after", workflow="echo"))
    rig.kubectl("patch", "workflow", "told", "--type=merge", '-p={"spec": {"terminate": true}}')
    rig.reaches("told-after", "Completed")
    rig.reaches("told", "Terminated")
    assert running.alive, running.tail()


def test_a_workflow_that_went_while_nobody_watched_keeps_no_other_from_starting(
    rig: Rig, api: Between
) -> None:
    run = {"workflow": "approval", "deletionPolicy": "Orphan"}  # it can go without the operator
    rig.kubectl.apply(schedule("lone", schedule="0 3 1 1 *", run=run, concurrencyPolicy="Forbid"))
    set_back(rig, "lone", "2024-06-01T00:00:00Z")
    (first,) = until("a run", lambda: runs(rig, "lone"))
    rig.reaches(first, "Running")
    rule = api.answer(lambda one: one.watch, 200, EXPIRED)
    api.end_streams(EXPIRED)
    until("refused watches", lambda: len(rule.hits) >= 3)
    rig.kubectl("delete", "workflow", first)
    api.forget(rule)
    rig.kubectl.apply(schedule("lone", schedule="0 4 1 1 *", run=run, concurrencyPolicy="Forbid"))
    current = rig.kubectl.get("workflowschedule", "lone")["metadata"]["generation"]
    until(
        "the change seen",
        lambda: rig.status("lone", "workflowschedule")["observedGeneration"] == current,
    )
    set_back(rig, "lone")
    until("the next run", lambda: runs(rig, "lone"))


# --- the lease ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_a_candidate_that_may_not_use_the_lease_says_so_and_does_nothing(
    rig: Rig, running: OperatorProcess, status: int
) -> None:
    with rig.control_plane.between() as between:
        rule = between.answer(lambda one: "/leases" in one.path, status)
        began = time.monotonic()
        second = rig.operator(f"second-{status}", api=between.url, lease_seconds="3")
        second.start()
        second.wait_until("attempts", lambda: len(rule.hits) >= 3, within=60)
        why = ready(second)
        assert f"answered {status}" in why
        assert f"namespace '{rig.home}'" in why
        assert second.metric("tenure_operator_leading") == 0
        assert len(rule.hits) <= 2 * (time.monotonic() - began) + 1
        assert all("/leases" in one.path for one in between.asked), "nothing else was done"
        assert second.log.read_text().count("lease cannot be used") == 1, "said once"
        between.forget(rule)
        second.wait_until("ready", lambda: not ready(second), within=60)
        assert second.stop() == 0
    assert running.metric("tenure_operator_leading") == 1


def test_a_lease_namespace_that_is_not_there_is_told(rig: Rig) -> None:
    with rig.control_plane.between() as between:
        between.answer(lambda one: "/leases" in one.path, 404)
        lost = rig.operator("lost", api=between.url, lease_seconds="3")
        lost.start()
        lost.wait_until("a reason", lambda: "--lease-namespace" in ready(lost), within=60)
        assert lost.stop() == 0


def test_an_operator_that_loses_the_right_to_its_lease_ends_and_says_why(
    installed: ControlPlane, tmp_path: Path
) -> None:
    rig = Rig(installed, tmp_path, APP)
    try:
        rig.start()
        operator = rig.operator(lease_seconds="3")
        operator.ready()
        rig.control_plane.kubectl("-n", rig.home, "delete", "role,rolebinding", "--all")
        until("its end", lambda: not operator.alive)
        for word in ("TN0808", "forbidden", rig.home):
            assert word in operator.tail()
    finally:
        rig.close()


def ready(operator: OperatorProcess) -> str:
    """Why an operator is not ready; empty when it is."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/readyz", timeout=10):
            return ""
    except HTTPError as error:
        with error:
            return error.read().decode()


def ended(rig: Rig, run: str) -> bool:
    found = rig.engine_knows(run)
    return found is not None and found["status"] == "COMPLETED"
