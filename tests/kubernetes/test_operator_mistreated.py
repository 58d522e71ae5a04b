"""The operator and what people and tools do to its resources: real API server, real engine, a stock app.

In scope: a status that is lost or changed by hand, copies and backups, finalizers of others and those
taken away, definitions that are applied again, replaced or taken away, rights that are taken away, names
and sizes at their limits, and many missed runs.  Out of scope: outages (test_operator_faults), a
namespace that goes (there, too), what the schema refuses (test_resources).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kube.controlplane import ControlPlane
from support.kube.fixtures import CRDS
from support.kube.objects import schedule, workflow
from support.kube.operating import ACCOUNT, Rig, at_work, rules, until

APP = Path(__file__).parent / "apps" / "orders.py"
ENDED = "tenure.dev/ended"


@pytest.fixture(scope="module")
def rig(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Engine, app and one operator."""
    with at_work(installed, tmp_path_factory.mktemp("mistreated"), APP) as rig:
        yield rig


def set_status(rig: Rig, name: str, status: object) -> None:
    """As a hand does it."""
    words = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    rig.kubectl("patch", "workflow", name, *words)


def meta(rig: Rig, name: str) -> dict[str, Any]:
    return dict(rig.kubectl.get("workflow", name)["metadata"])


def seen_by_the_operator(rig: Rig, name: str) -> None:
    """The change before is dealt with, as one after it is."""
    rig.kubectl.apply(workflow(name, workflow="echo"))
    rig.reaches(name, "Completed")


def has_ended(rig: Rig, name: str, **spec: Any) -> str:
    """A run that has ended, with all that is written then; its id."""
    rig.kubectl.apply(workflow(name, workflow="order", **spec))
    rig.reaches(name, "Completed")
    until("the record", lambda: ENDED in meta(rig, name).get("annotations", {}))
    return rig.run_of(name)


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["status"] for one in status["conditions"]}


# --- a status that is lost ------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["Terminate", "Purge", "Orphan"])
def test_what_has_ended_is_not_started_again_without_its_status(rig: Rig, policy: str) -> None:
    name = f"wiped-{policy.lower()}"
    run = has_ended(rig, name, deletionPolicy=policy)
    rig.post(f"instances/{run}/purge")
    set_status(rig, name, None)
    status = rig.reaches(name, "Completed")
    assert status["reason"] == "StatusLost"
    assert conditions(status)["Completed"] == "True"
    assert rig.engine_knows(run) is None, "it was not started again"
    rig.kubectl("delete", "workflow", name, "--timeout=60s")
    assert rig.engine_knows(run) is None


def test_a_status_that_is_lost_while_the_engine_has_the_run_is_made_anew(rig: Rig) -> None:
    run = has_ended(rig, "made-anew")
    before = rig.status("made-anew")
    rig.kubectl.apply(workflow("goes-on", workflow="approval"))
    rig.reaches("goes-on", "Running")
    for name in ("made-anew", "goes-on"):
        set_status(rig, name, None)
    after = rig.reaches("made-anew", "Completed")
    rig.reaches("goes-on", "Running")
    assert after["output"] == before["output"]
    assert "reason" not in after
    history = rig.history(run)
    assert [one["type"] for one in history].count("ExecutionStarted") == 1


# --- copies ---------------------------------------------------------------------------------------


def as_tools_copy(rig: Rig, name: str) -> dict[str, Any]:
    """A resource as `kubectl get -o yaml` and backup tools keep it, and as it is created again."""
    found = rig.kubectl.get("workflow", name)
    kept = {key: found["metadata"][key] for key in ("name", "annotations", "labels", "uid")
            if key in found["metadata"]}  # fmt: skip
    return {**found, "metadata": kept}


def test_what_comes_back_from_a_backup_is_not_started_again(rig: Rig) -> None:
    run = has_ended(rig, "restored")
    backup = as_tools_copy(rig, "restored")
    rig.kubectl("delete", "workflow", "restored", "--timeout=60s")
    rig.post(f"instances/{run}/purge")
    count = rig.count()
    rig.kubectl("create", "-f", "-", stdin=json.dumps(backup))
    assert meta(rig, "restored")["uid"] != backup["metadata"]["uid"]
    status = rig.reaches("restored", "Completed")
    assert status["reason"] == "Restored"
    assert conditions(status)["Finished"] == "True"
    assert status["instanceID"] == run
    assert rig.count() == count
    chosen = "--field-selector=involvedObject.name=restored,reason=Restored"
    until("an event", lambda: rig.kubectl.items("events", chosen))


def test_a_copy_under_another_name_is_a_run_of_its_own(rig: Rig) -> None:
    has_ended(rig, "original", input={"items": ["tea"]})
    copied = as_tools_copy(rig, "original")
    copied["metadata"]["name"] = "copied"
    rig.kubectl.apply(copied)
    assert rig.reaches("copied", "Completed")["output"] == {"total": 10, "items": ["tea"]}
    assert rig.run_of("copied") != rig.run_of("original")


# --- a status that is changed by hand -------------------------------------------------------------


def lie(*kinds: str) -> list[dict[str, str]]:
    """Conditions that hold, by hand."""
    return [
        {
            "type": kind,
            "status": "True",
            "reason": "ByHand",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in kinds
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("phase", {"phase": "Completed"}),
        ("end", {"phase": "Completed", "conditions": lie("Started", "Finished", "Completed")}),
        ("condition", {"conditions": lie("Finished")}),
        ("id", {"instanceID": "somebody-elses"}),
        ("output", {"output": {"total": 0}, "completionTime": "2020-01-01T00:00:00Z"}),
    ],
)
def test_a_status_that_is_not_so_is_set_right(rig: Rig, name: str, said: dict[str, Any]) -> None:
    name = f"lie-{name}"
    rig.kubectl.apply(workflow(name, workflow="approval", ttlSecondsAfterFinished=0))
    rig.reaches(name, "Running")
    until("a custom status", lambda: rig.status(name).get("customStatus"))
    run, right = rig.run_of(name), rig.status(name)
    set_status(rig, name, said)
    until("the status as it was", lambda: without_times(rig.status(name)) == without_times(right))
    rig.kubectl("delete", "workflow", name, "--timeout=60s")
    found = rig.engine_knows(run)
    assert found is not None
    assert found["status"] == "TERMINATED"


def test_an_end_that_was_written_while_no_operator_ran_is_asked_about(rig: Rig) -> None:
    rig.kubectl.apply(workflow("lie-away", workflow="approval", ttlSecondsAfterFinished=3600))
    rig.reaches("lie-away", "Running")
    run = rig.run_of("lie-away")
    has_ended(rig, "true-away")
    operator = rig.operators[0]
    assert operator.stop() == 0
    ended = lie("Started", "Finished", "Completed")
    set_status(rig, "lie-away", {"phase": "Completed", "conditions": ended})
    bare = '-p={"metadata": {"annotations": {"tenure.dev/ended": null}}}'
    rig.kubectl("patch", "workflow", "true-away", "--type=merge", bare)
    operator.ready()
    rig.reaches("lie-away", "Running")
    until("it kept", lambda: "tenure.dev/ended" in meta(rig, "true-away").get("annotations", {}))
    assert rig.status("true-away")["phase"] == "Completed"
    rig.post(f"instances/{run}/events/Approve", {"data": 7})
    assert rig.reaches("lie-away", "Completed")["output"] == {"approved": 7}


def without_times(status: dict[str, Any]) -> dict[str, Any]:
    times = {"lastTransitionTime"}
    conditions = [
        {key: value for key, value in one.items() if key not in times}
        for one in sorted(status.get("conditions", []), key=lambda one: str(one["type"]))
    ]
    return {**status, "conditions": conditions}


@pytest.mark.parametrize(
    "said", [{"phase": "Done"}, {"phase": 7}, {"conditions": "all"}, {"completionTime": "soon"}, []]
)
def test_a_status_of_another_form_is_refused(rig: Rig, said: object) -> None:
    rig.kubectl.apply(workflow("form", workflow="approval"))
    rig.reaches("form", "Running")
    words = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": said}))
    assert "status" in rig.kubectl.fails("patch", "workflow", "form", *words)


# --- finalizers -----------------------------------------------------------------------------------


def test_a_finalizer_that_is_taken_away_comes_back(rig: Rig) -> None:
    rig.kubectl.apply(workflow("bare", workflow="approval"))
    rig.reaches("bare", "Running")
    run = rig.run_of("bare")
    gone = '-p={"metadata": {"finalizers": null}}'
    rig.kubectl("patch", "workflow", "bare", "--type=merge", gone)
    until("the finalizer", lambda: meta(rig, "bare").get("finalizers") == ["tenure.dev/run"])
    rig.kubectl("delete", "workflow", "bare", "--timeout=60s")
    found = rig.engine_knows(run)
    assert found is not None
    assert found["status"] == "TERMINATED"


def only_theirs(rig: Rig, name: str) -> None:
    until("ours away", lambda: meta(rig, name)["finalizers"] == ["example.com/keep"])


def test_finalizers_of_others_hold_the_resource_and_nothing_else(rig: Rig) -> None:
    for policy in ("Terminate", "Purge"):
        name = f"theirs-{policy.lower()}"
        given = workflow(name, workflow="approval", deletionPolicy=policy)
        given["metadata"]["finalizers"] = ["example.com/keep"]
        rig.kubectl.apply(given)
        rig.reaches(name, "Running")
        run = rig.run_of(name)
        rig.kubectl("delete", "workflow", name, "--wait=false")
        only_theirs(rig, name)
        found = rig.engine_knows(run)
        assert (found and found["status"]) == ("TERMINATED" if policy == "Terminate" else None)
        writes = rig.operators[0].metric("tenure_operator_writes_total")
        version = meta(rig, name)["resourceVersion"]
        rig.kubectl("label", "workflow", name, "touched=yes")
        seen_by_the_operator(rig, f"beside-{name}")
        assert rig.operators[0].metric("tenure_operator_writes_total") <= writes + 4
        assert meta(rig, name)["resourceVersion"] != version, "the label"
        gone = '-p={"metadata": {"finalizers": null}}'
        rig.kubectl("patch", "workflow", name, "--type=merge", gone)
        rig.kubectl("wait", "--for=delete", f"workflow/{name}", "--timeout=60s")


def test_a_finalizer_that_is_taken_away_during_the_deletion_lets_the_resource_go(rig: Rig) -> None:
    rig.kubectl.apply(workflow("hurried", workflow="approval"))
    rig.reaches("hurried", "Running")
    rig.engine.pause()
    try:
        rig.kubectl("delete", "workflow", "hurried", "--wait=false")
        gone = '-p={"metadata": {"finalizers": null}}'
        rig.kubectl("patch", "workflow", "hurried", "--type=merge", gone)
        rig.kubectl("wait", "--for=delete", "workflow/hurried", "--timeout=60s")
    finally:
        rig.engine.go_on()
    seen_by_the_operator(rig, "after-hurried")
    rig.kubectl.apply(workflow("hurried", workflow="echo", input=1))
    assert rig.reaches("hurried", "Completed")["output"] == 1


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["0", "1st", "2026-11-27", "a" * 200, "1." + "2" * 198])
def test_any_name_that_is_allowed_works(rig: Rig, name: str) -> None:
    rig.kubectl.apply(workflow(name, workflow="echo", input=name))
    assert rig.reaches(name, "Completed")["output"] == name
    chosen = f"--field-selector=involvedObject.name={name},reason=Completed"
    until("an event", lambda: rig.kubectl.items("events", chosen))


def test_a_name_that_is_too_long_is_refused_with_the_limit(rig: Rig) -> None:
    said = rig.kubectl.fails(
        "apply", "-f", "-", stdin=json.dumps(workflow("a" * 253, workflow="echo"))
    )
    assert "200 characters" in said


def test_texts_at_their_limits(rig: Rig) -> None:
    given = {"workflow": "世" * 512, "version": "é" * 512, "instanceID": "9" * 256}
    rig.kubectl.apply(workflow("texts", **given))
    status = rig.reaches("texts", "Failed")
    assert status["instanceID"] == "9" * 256
    assert "世" in status["message"]


def test_hundreds_of_missed_runs_become_one(rig: Rig) -> None:
    rig.kubectl.apply(schedule("minutely", schedule="* * * * *", suspend=True))
    until("a status", lambda: rig.status("minutely", "workflowschedule").get("conditions"))
    words = ("--subresource=status", "--type=merge", "-p")
    rig.kubectl("patch", "workflowschedule", "minutely", '-p={"spec": {"suspend": false}}',
                "--type=merge")  # fmt: skip
    current = rig.kubectl.get("workflowschedule", "minutely")["metadata"]["generation"]
    until(
        "the change seen",
        lambda: rig.status("minutely", "workflowschedule")["observedGeneration"] == current,
    )
    before = len(children(rig, "minutely"))
    set_back = {"status": {"countedFrom": "2000-01-01T00:00:00Z", "lastScheduleTime": None}}
    rig.kubectl("patch", "workflowschedule", "minutely", *words, json.dumps(set_back))
    chosen = "--field-selector=involvedObject.name=minutely,reason=MissedRuns"
    (told,) = until("an event", lambda: rig.kubectl.items("events", chosen))
    assert "not made up for" in told["message"]
    assert len(children(rig, "minutely")) <= before + 2
    rig.kubectl("delete", "workflowschedule", "minutely", "--timeout=60s")


def children(rig: Rig, name: str) -> list[Any]:
    return list(rig.kubectl.items("workflows", f"--selector=tenure.dev/schedule={name}"))


# --- rights and definitions -----------------------------------------------------------------------


def test_rights_that_are_taken_away_and_given_back(rig: Rig) -> None:
    rig.kubectl.apply(workflow("before-rights", workflow="approval"))
    rig.reaches("before-rights", "Running")
    run = rig.run_of("before-rights")
    rig.control_plane.kubectl("delete", "clusterrolebinding", f"{ACCOUNT}-{rig.home}")
    rig.post(f"instances/{run}/events/Approve", {"data": 1})
    operator = rig.operators[0]
    failures = operator.metric("tenure_operator_failures_total")
    until("a refusal", lambda: operator.metric("tenure_operator_failures_total") > failures)
    rig.control_plane.kubectl.apply(*rules(rig.home))
    rig.kubectl("annotate", "workflow", "before-rights", "touched=yes")
    assert rig.reaches("before-rights", "Completed")["output"] == {"approved": 1}
    seen_by_the_operator(rig, "after-rights")
    assert operator.alive


def definitions() -> list[dict[str, Any]]:
    """The resource definitions, as values."""
    found = (yaml.safe_load_all(path.read_text(encoding="utf-8")) for path in CRDS.glob("*.yaml"))
    return [one for all_of_them in found for one in all_of_them
            if one["kind"] == "CustomResourceDefinition"]  # fmt: skip


def test_definitions_that_are_applied_again_and_changed(rig: Rig) -> None:
    rig.kubectl.apply(workflow("defined", workflow="approval"))
    rig.reaches("defined", "Running")
    admin = rig.control_plane.kubectl
    admin("apply", "--server-side", "-f", str(CRDS))
    changed = definitions()
    for one in changed:
        (version,) = one["spec"]["versions"]
        version["additionalPrinterColumns"].append(
            {"name": "Uid", "type": "string", "jsonPath": ".metadata.uid"}
        )
    try:
        admin("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(changed))
        until("the column", lambda: "UID" in rig.kubectl("get", "workflows"))
        rig.post(f"instances/{rig.run_of('defined')}/events/Approve", {"data": 1})
        rig.reaches("defined", "Completed")
        seen_by_the_operator(rig, "after-definitions")
    finally:
        admin("apply", "--server-side", "-f", str(CRDS))
    seen_by_the_operator(rig, "after-all")
    assert rig.operators[0].alive


@pytest.fixture
def plane(control_plane: ControlPlane, tmp_path: Path) -> Iterator[ControlPlane]:
    """One of its own, without definitions: all Workflows of a cluster go with them."""
    assert control_plane.bin
    plane = ControlPlane(tmp_path / "plane")
    plane.start()
    try:
        yield plane
    finally:
        plane.stop()


def test_definitions_that_are_taken_away_and_come_back(plane: ControlPlane, tmp_path: Path) -> None:
    install(plane)
    with at_work(plane, tmp_path, APP) as rig:
        operator = rig.operators[0]
        rig.kubectl.apply(workflow("swept", workflow="approval", instanceID="swept"))
        rig.reaches("swept", "Running")
        plane.kubectl("delete", "crd", *names_of_definitions(), "--timeout=120s")
        found = rig.engine_knows("swept")
        assert found is not None
        assert found["status"] == "TERMINATED", "its resource was deleted"
        install(plane)
        seen_by_the_operator(rig, "after-return")
        assert operator.alive


def test_an_operator_that_began_without_some_definitions_begins_anew_with_them(
    plane: ControlPlane, tmp_path: Path
) -> None:
    plane.kubectl("apply", "--server-side", "-f", str(CRDS / "workflows.yaml"))
    established(plane)
    with at_work(plane, tmp_path, APP) as rig:
        operator = rig.operators[0]
        seen_by_the_operator(rig, "with-some")
        install(plane)
        until("its end", lambda: not operator.alive)
        operator.ready()  # as its pod begins anew
        rig.kubectl.apply(schedule("yearly", schedule="0 3 1 1 *", run={"workflow": "echo"}))
        until("a status", lambda: rig.status("yearly", "workflowschedule").get("conditions"))
        assert operator.alive


def names_of_definitions() -> list[str]:
    return [one["metadata"]["name"] for one in definitions()]


def install(plane: ControlPlane) -> None:
    plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    established(plane)


def established(plane: ControlPlane) -> None:
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=120s")
