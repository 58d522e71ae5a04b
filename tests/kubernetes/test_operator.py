"""The operator at work on Workflows: real API server, real engine, a stock app.

In scope: what a user sees of a run, steering it, the end of the resource, bad input, rights.  Out of
scope: outages and several operators (test_operator_faults), schedules and events
(test_operator_triggers), each decision by itself (unit/operator).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.kube.controlplane import ControlPlane
from support.kube.objects import workflow
from support.kube.operating import ACCOUNT, Rig, at_work, rules, until

APP = Path(__file__).parent / "apps" / "orders.py"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture(scope="module")
def rig(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Engine, app and one operator."""
    with at_work(installed, tmp_path_factory.mktemp("operator"), APP) as rig:
        yield rig


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["status"] for one in status["conditions"]}


def events(rig: Rig, name: str) -> dict[str, str]:
    """Reason and message of the Kubernetes Events about a Workflow."""
    found = rig.kubectl.items("events", f"--field-selector=involvedObject.name={name}")
    return {one["reason"]: one["message"] for one in found}


# --- a run ----------------------------------------------------------------------------------------


def test_a_run_completes_and_its_status_says_all(rig: Rig) -> None:
    given = {"items": ["tea", "cups"], "card": "valid"}
    rig.kubectl.apply(workflow("done", workflow="order", input=given))
    rig.kubectl("wait", "--for=condition=Completed", "workflow/done", "--timeout=60s")
    status = rig.status("done")
    assert status["phase"] == "Completed"
    assert status["output"] == {"total": 20, "items": ["tea", "cups"]}
    assert status["customStatus"] == {"total": 20}
    assert TIME.fullmatch(status["startTime"])
    assert TIME.fullmatch(status["completionTime"])
    assert conditions(status) == {
        "Started": "True",
        "Finished": "True",
        "Completed": "True",
        "Failed": "False",
    }
    run = rig.instance("done")
    assert run is not None
    assert run["status"] == "COMPLETED"
    assert status["progress"]["historyLength"] == run["historyLength"]
    assert run["startedAt"].startswith(status["startTime"][:-1])
    assert run["completedAt"].startswith(status["completionTime"][:-1])
    until("events", lambda: {"Started", "Completed"} <= events(rig, "done").keys())


def test_get_shows_the_run(rig: Rig) -> None:
    rig.kubectl.apply(workflow("shown", workflow="order"))
    rig.reaches("shown", "Completed")
    head, row = rig.kubectl("get", "twf", "shown").splitlines()
    assert head.split() == ["NAME", "STATUS", "REASON", "APP", "WORKFLOW", "AGE"]
    assert row.split()[:4] == ["shown", "Completed", "orders", "order"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("text", id="text"),
        pytest.param(0, id="zero"),
        pytest.param(1.5, id="fraction"),
        pytest.param(False, id="false"),
        pytest.param([], id="empty list"),
        pytest.param({"a": [1, {"b": "c"}]}, id="nested"),
        pytest.param("Grüße, 世界\n\u2028", id="unicode"),
    ],
)
def test_a_value_comes_back_as_it_was(rig: Rig, value: Any, request: pytest.FixtureRequest) -> None:
    name = "echo-" + re.sub(r"\W", "-", request.node.callspec.id)
    rig.kubectl.apply(workflow(name, workflow="echo", input=value))
    assert rig.reaches(name, "Completed")["output"] == value


def test_a_failure_has_the_error_and_its_place(rig: Rig) -> None:
    rig.kubectl.apply(workflow("broke", workflow="order", input={"card": "expired"}))
    rig.kubectl("wait", "--for=condition=Failed", "workflow/broke", "--timeout=60s")
    status = rig.status("broke")
    assert conditions(status)["Completed"] == "False"
    assert conditions(status)["Finished"] == "True"
    assert "the card is expired" in status["failure"]["message"]
    assert "the card is expired" in status["message"]
    assert status["failure"]["errorType"].endswith(status["reason"])
    until("an event", lambda: "expired" in events(rig, "broke").get("Failed", ""))


def test_a_run_waits_where_its_code_waits(rig: Rig) -> None:
    rig.kubectl.apply(workflow("waits", workflow="approval"))
    status = rig.reaches("waits", "Running")
    assert conditions(status)["Finished"] == "False"
    until("a custom status", lambda: rig.status("waits").get("customStatus"))
    assert rig.status("waits")["customStatus"] == "waiting for approval"


def test_an_output_too_long_to_copy_is_only_measured(rig: Rig) -> None:
    rig.kubectl.apply(workflow("long", workflow="echo", input="x" * 40_000))
    status = rig.reaches("long", "Completed")
    assert "output" not in status
    assert status["outputBytes"] == 40_002


def test_a_start_time_to_come(rig: Rig) -> None:
    rig.kubectl.apply(workflow("tomorrow", workflow="echo", startAt="2999-01-01T00:00:00Z"))
    status = until("a run", lambda: rig.status("tomorrow"))
    assert status["phase"] == "Pending"
    assert status["reason"] == "Scheduled"
    assert "2999-01-01T00:00:00Z" in status["message"]


# --- steering -------------------------------------------------------------------------------------


def test_suspend_and_resume(rig: Rig) -> None:
    rig.kubectl.apply(workflow("paused", workflow="approval"))
    rig.reaches("paused", "Running")
    patch(rig, "paused", '{"spec": {"suspend": true}}')
    rig.reaches("paused", "Suspended")
    patch(rig, "paused", '{"spec": {"suspend": false}}')
    rig.reaches("paused", "Running")


def test_somebody_else_may_suspend_a_run_whose_spec_says_nothing(rig: Rig) -> None:
    rig.kubectl.apply(workflow("theirs", workflow="approval"))
    rig.reaches("theirs", "Running")
    rig.post(f"instances/{rig.run_of('theirs')}/suspend")
    rig.reaches("theirs", "Suspended")
    rig.post(f"instances/{rig.run_of('theirs')}/resume")
    rig.reaches("theirs", "Running")


def test_a_workflow_that_is_created_suspended_starts_when_it_is_resumed(rig: Rig) -> None:
    rig.kubectl.apply(workflow("held", workflow="echo", input=1, suspend=True))
    status = rig.reaches("held", "Suspended")
    assert status["reason"] == "NotStarted"
    assert "instanceID" not in status
    patch(rig, "held", '{"spec": {"suspend": false}}')
    rig.reaches("held", "Completed")


def test_terminate(rig: Rig) -> None:
    rig.kubectl.apply(workflow("ended", workflow="later"))
    rig.reaches("ended", "Running")
    patch(rig, "ended", '{"spec": {"terminate": true}}')
    status = rig.reaches("ended", "Terminated")
    assert conditions(status)["Failed"] == "True"
    run = rig.instance("ended")
    assert run is not None
    assert run["status"] == "TERMINATED"


def test_a_workflow_that_is_created_terminated_never_starts(rig: Rig) -> None:
    rig.kubectl.apply(workflow("stillborn", workflow="echo", instanceID="still", terminate=True))
    assert rig.reaches("stillborn", "Terminated")["reason"] == "NeverStarted"
    assert rig.engine_knows("still") is None


# --- the end of the resource ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "left"), [("Terminate", "TERMINATED"), ("Purge", None), ("Orphan", "RUNNING")]
)
def test_deletion_does_what_the_policy_says(rig: Rig, policy: str, left: str | None) -> None:
    name = f"gone-{policy.lower()}"
    rig.kubectl.apply(workflow(name, workflow="approval", deletionPolicy=policy))
    rig.reaches(name, "Running")
    run = rig.run_of(name)
    rig.kubectl("delete", "workflow", name, "--timeout=60s")
    found = rig.engine_knows(run)
    assert (None if found is None else found["status"]) == left


def test_deletion_of_a_finished_run_leaves_its_history_unless_purged(rig: Rig) -> None:
    for name, policy in (("kept", "Terminate"), ("swept", "Purge")):
        rig.kubectl.apply(workflow(name, workflow="echo", deletionPolicy=policy))
        rig.reaches(name, "Completed")
    kept, swept = rig.run_of("kept"), rig.run_of("swept")
    rig.kubectl("delete", "workflow", "kept", "swept", "--timeout=60s")
    found = rig.engine_knows(kept)
    assert found is not None
    assert found["status"] == "COMPLETED"
    assert rig.engine_knows(swept) is None


def test_ttl_deletes_the_resource_after_its_run(rig: Rig) -> None:
    rig.kubectl.apply(
        workflow("brief", workflow="echo", ttlSecondsAfterFinished=1, deletionPolicy="Purge"),
        workflow("running", workflow="approval", ttlSecondsAfterFinished=0),
    )
    rig.reaches("running", "Running")
    rig.kubectl("wait", "--for=delete", "workflow/brief", "--timeout=60s")
    assert rig.status("running")["phase"] == "Running"


def test_a_name_used_again_is_a_run_of_its_own(rig: Rig) -> None:
    runs: set[str] = set()
    for value in (1, 2):
        rig.kubectl.apply(workflow("again", workflow="echo", input=value))
        status = rig.reaches("again", "Completed")
        assert status["output"] == value
        runs.add(status["instanceID"])
        rig.kubectl("delete", "workflow", "again", "--timeout=60s")
    assert len(runs) == 2


def test_a_history_deleted_under_a_run_is_told(rig: Rig) -> None:
    rig.kubectl.apply(workflow("lost", workflow="approval"))
    rig.reaches("lost", "Running")
    rig.post(f"instances/{rig.run_of('lost')}/purge", {"force": True})
    status = rig.reaches("lost", "Missing")
    assert status["reason"] == "InstanceMissing"
    assert conditions(status)["Failed"] == "True"


# --- bad input ------------------------------------------------------------------------------------


def test_an_app_that_is_not_there(rig: Rig) -> None:
    rig.kubectl.apply(workflow("nowhere", appID="shipping", workflow="order"))
    status = rig.reaches("nowhere", "Pending")
    assert status["reason"] == "NoSuchApp"
    assert "shipping" in status["message"]
    assert conditions(status)["Started"] == "False"
    assert "NoSuchApp" in rig.kubectl("get", "workflow", "nowhere")
    until("an event", lambda: "shipping" in events(rig, "nowhere").get("NoSuchApp", ""))


def test_a_workflow_that_the_app_does_not_have(rig: Rig) -> None:
    rig.kubectl.apply(workflow("unknown", workflow="nosuch"))
    status = rig.reaches("unknown", "Failed")
    assert "nosuch" in status["message"]


def test_two_resources_with_one_instance_id(rig: Rig) -> None:
    rig.kubectl.apply(workflow("first", workflow="approval", instanceID="one"))
    rig.reaches("first", "Running")
    rig.kubectl.apply(workflow("second", workflow="approval", instanceID="one", suspend=True))
    rig.kubectl.apply(workflow("third", workflow="approval", instanceID="one"))
    status = rig.reaches("third", "Pending")
    assert status["reason"] == "InstanceIDInUse"
    rig.kubectl("delete", "workflow", "third", "second", "--timeout=60s")
    run = rig.engine_knows("one")
    assert run is not None
    assert run["status"] == "RUNNING"


def test_many_resources_with_one_instance_id_ask_once(rig: Rig) -> None:
    rig.kubectl.apply(workflow("holder", workflow="approval", instanceID="held"))
    rig.reaches("holder", "Running")
    names = [f"waiter-{number}" for number in range(5)]
    for name in names:
        rig.kubectl.apply(workflow(name, workflow="approval", instanceID="held"))
    for name in names:
        assert rig.reaches(name, "Pending")["reason"] == "InstanceIDInUse"
    operator = rig.operators[0]
    refused = operator.metric("tenure_operator_refusals_total")
    lines = operator.metric("tenure_operator_lines_total")
    for number in range(20):
        rig.post("instances/held/events/Other", {"data": number})
    until("news", lambda: operator.metric("tenure_operator_lines_total") >= lines + 5)
    rig.kubectl.apply(workflow("beside", workflow="echo"))
    rig.reaches("beside", "Completed")
    assert operator.metric("tenure_operator_refusals_total") == refused
    rig.post("instances/held/terminate")
    rig.reaches("holder", "Terminated")
    rig.post("instances/held/purge")  # a run that another resource has is never replaced
    until("one to run", lambda: "Running" in [rig.status(name)["phase"] for name in names])


def test_an_input_as_large_as_the_api_server_takes_and_a_larger_one(rig: Rig) -> None:
    rig.kubectl("create", "-f", "-", stdin=large("large", 1_200_000))
    assert rig.reaches("large", "Completed")["outputBytes"] == 1_200_002
    assert "large" in rig.kubectl.fails("create", "-f", "-", stdin=large("huge", 4_000_000))


def test_a_refused_workflow_is_not_tried_in_a_hot_loop(rig: Rig) -> None:
    rig.kubectl.apply(workflow("refused", appID="nobody", workflow="order"))
    rig.reaches("refused", "Pending")
    version = rig.kubectl.get("workflow", "refused")["metadata"]["resourceVersion"]
    before = rig.operators[0].metric("tenure_operator_refusals_total")
    rig.kubectl.apply(workflow("after", workflow="echo"))
    rig.reaches("after", "Completed")
    assert rig.operators[0].metric("tenure_operator_refusals_total") == before
    assert rig.kubectl.get("workflow", "refused")["metadata"]["resourceVersion"] == version


# --- rights ---------------------------------------------------------------------------------------


def test_the_operator_may_do_what_its_rules_say_and_nothing_else(rig: Rig) -> None:
    account = f"--as=system:serviceaccount:{rig.home}:{ACCOUNT}"
    for namespace in (rig.namespace, rig.home):
        wanted: set[tuple[str, str, str]] = set()
        for role in rules(rig.home):
            if role["kind"] == "ClusterRole" or (role["kind"] == "Role" and namespace == rig.home):
                for rule in role["rules"]:
                    for resource in rule["resources"]:
                        group = rule["apiGroups"][0]
                        full = f"{resource.split('/')[0]}.{group}" if group else resource
                        full += f"/{resource.split('/')[1]}" if "/" in resource else ""
                        names = " ".join(rule.get("resourceNames", []))
                        wanted |= {(full, names, verb) for verb in rule["verbs"]}
        shown = rig.control_plane.kubectl(
            account, "auth", "can-i", "--list", "--no-headers", "-n", namespace
        )
        found: set[tuple[str, str, str]] = set()
        for line in shown.splitlines():
            resource, _, names, verbs = re.fullmatch(
                r"(\S*) +\[(.*?)\] +\[(.*?)\] +\[(.*?)\]", line
            ).groups()  # type: ignore[union-attr]
            if resource and not resource.endswith(
                (".authentication.k8s.io", ".authorization.k8s.io")
            ):
                found |= {(resource, names, verb) for verb in verbs.split()}
        assert found == wanted


def large(name: str, size: int) -> str:
    return json.dumps(workflow(name, workflow="echo", input="x" * size))


def patch(rig: Rig, name: str, text: str) -> None:
    rig.kubectl("patch", "workflow", name, "--type=merge", "-p", text)
