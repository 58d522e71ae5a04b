"""The operator where things fail: outages of its neighbours, its own death, two of it.

In scope: convergence after an outage (F20, F21), who works, that nothing is written when nothing has
changed.  Everything is a real process; moments are chosen by what is seen, never by sleeping.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kube.controlplane import ControlPlane
from support.kube.objects import app, event, schedule, workflow
from support.kube.operating import Rig, until

APP = Path(__file__).parent / "apps" / "orders.py"


@pytest.fixture
def rig(installed: ControlPlane, tmp_path: Path) -> Iterator[Rig]:
    """Engine and app; each test starts its operators."""
    rig = Rig(installed, tmp_path, APP)
    try:
        rig.start()
        yield rig
    finally:
        rig.close()


def versions(rig: Rig) -> dict[str, str]:
    """The version of every Workflow: it changes with every write."""
    found = rig.kubectl.items("workflows")
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in found}


def test_the_gateway_goes_away_and_comes_back(rig: Rig) -> None:
    operator = rig.operator()
    operator.ready()
    rig.kubectl.apply(workflow("before", workflow="approval"))
    rig.reaches("before", "Running")
    rig.engine.kill()
    rig.kubectl.apply(workflow("during", workflow="echo", input=1))
    status = rig.reaches("during", "Pending")
    assert status["reason"] == "GatewayUnavailable"
    assert rig.status("before")["phase"] == "Running", "its last known state stands"
    rig.kubectl("patch", "workflow", "before", "--type=merge", '-p={"spec": {"terminate": true}}')
    rig.engine.start()
    assert rig.reaches("during", "Completed")["output"] == 1
    rig.reaches("before", "Terminated")
    assert operator.metric("tenure_operator_gateway_away_total") == 1


def test_the_api_server_goes_away_and_comes_back(rig: Rig, control_plane: ControlPlane) -> None:
    operator, second = (rig.operator(name, lease_seconds="60") for name in ("first", "second"))
    operator.ready()
    rig.kubectl.apply(workflow("waits", workflow="approval"), workflow("stays", workflow="later"))
    for name in ("waits", "stays"):
        rig.reaches(name, "Running")
    run = rig.run_of("waits")
    control_plane.apiserver.kill()
    try:
        second.start()
        rig.post(f"instances/{run}/events/Approve", {"data": "yes"})
        until("the run's end", lambda: ended(rig, run))
        until("a write that fails", lambda: operator.metric("tenure_operator_api_away_total"))
        second.wait_until("healthy", lambda: not second.leading(), within=60)
    finally:
        control_plane.start_apiserver()
    assert rig.reaches("waits", "Completed")["output"] == {"approved": "yes"}
    rig.kubectl.apply(workflow("after", workflow="echo", input=2))
    assert rig.reaches("after", "Completed")["output"] == 2
    assert operator.alive
    assert second.alive


def test_an_operator_killed_at_any_moment_starts_nothing_twice(rig: Rig) -> None:
    names = [f"echo-{number}" for number in range(12)]
    operator = rig.operator(lease_seconds="3")
    operator.ready()
    for name in names:
        rig.kubectl.apply(workflow(name, workflow="echo", input=name))
        if name in names[3::3]:
            operator.kill()
            operator.start()
    for name in names:
        assert rig.reaches(name, "Completed")["output"] == name
    assert rig.count() == len(names)


@pytest.mark.parametrize(("policy", "left"), [("Terminate", "TERMINATED"), ("Purge", None)])
def test_a_resource_deleted_while_its_run_is_being_started_leaves_no_run(
    rig: Rig, policy: str, left: str | None
) -> None:
    rig.operator().ready()
    rig.kubectl.apply(workflow("other", workflow="approval"))
    rig.reaches("other", "Running")
    rig.engine.pause()
    try:
        given = {"instanceID": "early", "deletionPolicy": policy}
        rig.kubectl.apply(workflow("early", workflow="later", **given))
        until("the finalizer, after which it is started", lambda: held(rig, "early"))
        rig.kubectl("delete", "workflow", "early", "--wait=false")
    finally:
        rig.engine.go_on()
    rig.kubectl("wait", "--for=delete", "workflow/early", "--timeout=60s")
    found = rig.engine_knows("early")
    assert (None if found is None else found["status"]) == left
    if left is not None:
        assert "early" in told(rig, "early", "RunEnded")
    assert rig.status("other")["phase"] == "Running"


def test_nothing_is_written_when_nothing_has_changed(rig: Rig) -> None:
    operator = rig.operator()
    operator.ready()
    for name in ("one", "two"):
        rig.kubectl.apply(workflow(name, workflow="echo"))
        rig.reaches(name, "Completed")
    rig.kubectl.apply(workflow("waits", workflow="approval"), workflow("no", appID="nobody"))
    until("a status", lambda: rig.status("waits").get("customStatus"))
    until("a reason", lambda: rig.status("no").get("reason"))
    until("no finalizer", lambda: all(not held(rig, one) for one in ("one", "two")))
    assert operator.stop() == 0
    before = versions(rig)
    operator.start()
    operator.wait_until("all seen", lambda: settled(operator, len(before)), within=60)
    assert operator.metric("tenure_operator_writes_total") == 0
    assert versions(rig) == before


def test_one_of_two_operators_works_and_the_other_takes_over(rig: Rig) -> None:
    first, second = rig.operator("first"), rig.operator("second")
    first.ready()
    second.start()
    second.wait_until("healthy", lambda: not second.leading(), within=60)
    rig.kubectl.apply(workflow("one", workflow="echo", input=1))
    rig.reaches("one", "Completed")
    assert second.metric("tenure_operator_rounds_total") == 0
    assert first.stop() == 0, "it gives the lease up"
    second.wait_until("leading", second.leading, within=60)
    rig.kubectl.apply(workflow("two", workflow="echo", input=2))
    rig.reaches("two", "Completed")


def test_an_operator_that_was_stopped_for_too_long_ends_instead_of_working_on(rig: Rig) -> None:
    first, second = (
        rig.operator("first", lease_seconds="3"),
        rig.operator("second", lease_seconds="3"),
    )
    first.ready()
    second.start()
    first.pause()
    second.wait_until("leading", second.leading, within=60)
    first.go_on()
    until("its end", lambda: not first.alive)
    assert "TN0808" in first.tail()
    rig.kubectl.apply(workflow("one", workflow="echo", input=1))
    rig.reaches("one", "Completed")
    assert rig.count() == 1


def test_a_deletion_does_not_wait_for_ever_for_a_gateway(rig: Rig) -> None:
    rig.operator().ready()
    rig.kubectl.apply(workflow("waits", workflow="approval"))
    rig.reaches("waits", "Running")
    rig.engine.kill()
    rig.kubectl("delete", "workflow", "waits", "--wait=false")
    until("the reason", lambda: rig.status("waits").get("reason") == "WaitsForRun")
    assert "WaitsForRun" in rig.kubectl("get", "workflow", "waits")
    assert "no answer from the gateway" in rig.status("waits")["message"]
    assert "no answer from the gateway" in told(rig, "waits", "WaitsForRun")
    rig.engine.start()
    rig.kubectl("wait", "--for=delete", "workflow/waits", "--timeout=60s")


@pytest.mark.parametrize("away", [False, True])
def test_a_namespace_that_is_deleted_goes_with_all_that_runs_in_it(rig: Rig, *, away: bool) -> None:
    rig.operator(give_up_seconds="5", gateway_answer_seconds="1").ready()
    policies = ("Terminate", "Purge", "Orphan")
    for policy in policies:
        name = policy.lower()
        rig.kubectl.apply(
            workflow(name, workflow="approval", instanceID=name, deletionPolicy=policy),
            event(name, workflowName=name, event="Other"),
        )
        rig.reaches(name, "Running")
    rig.kubectl.apply(
        workflow("refused", workflow="echo", appID="nobody"),
        schedule("yearly", schedule="0 3 1 1 *", run={"workflow": "echo"}),
        app(retention={"any": "1d"}),
    )
    until("a refusal", lambda: rig.status("refused").get("reason"))
    if away:
        rig.engine.pause()
    rig.control_plane.kubectl("delete", "namespace", rig.namespace, "--timeout=120s")
    if away:
        rig.engine.go_on()
        return
    found = [rig.engine_knows(policy.lower()) for policy in policies]
    left = [None if one is None else one["status"] for one in found]
    assert left == ["TERMINATED", None, "RUNNING"]


def held(rig: Rig, name: str) -> bool:
    return bool(rig.kubectl.get("workflow", name)["metadata"].get("finalizers"))


def told(rig: Rig, name: str, reason: str) -> str:
    """The message of the Kubernetes Event with that reason about a resource."""
    chosen = f"--field-selector=involvedObject.name={name},reason={reason}"
    found = until(f"{reason} about {name}", lambda: rig.kubectl.items("events", chosen))
    return str(found[0]["message"])


def ended(rig: Rig, run: str) -> bool:
    found = rig.engine_knows(run)
    return found is not None and found["status"] == "COMPLETED"


def settled(operator: object, count: int) -> bool:
    metric = operator.metric  # type: ignore[attr-defined]
    return (
        metric("tenure_operator_resources") == count
        and metric("tenure_operator_rounds_total") >= count
        and metric("tenure_operator_queue_due") == 0
    )
