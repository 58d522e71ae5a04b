"""The operator killed, doubled and crowded at the moments that matter (F21).

In scope: a death between what the gateway did and what the resource says of it, a deletion in that
moment, a write of an operator that is not the one any more, an answer that the news overtake, and how
many requests a crowd of resources costs.  Moments are chosen by proxies that hold requests or answers,
before the real API server and the real engine; never by waiting.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.kube.between import Asked, Between, Chosen
from support.kube.controlplane import ControlPlane
from support.kube.objects import event, schedule, workflow
from support.kube.operating import Rig, until
from support.kube.operator_process import OperatorProcess

APP = Path(__file__).parent / "apps" / "orders.py"


class Stage:
    """A rig whose operators reach the API server and the engine through proxies."""

    def __init__(self, rig: Rig, api: Between, gateway: Between) -> None:
        self.rig, self.api, self.gateway = rig, api, gateway

    def operator(self, name: str = "operator", **settings: str) -> OperatorProcess:
        urls = {"api": self.api.url, "gateway": self.gateway.url}
        return self.rig.operator(name, **urls, **settings)


@pytest.fixture
def stage(installed: ControlPlane, tmp_path: Path) -> Iterator[Stage]:
    """Engine, app and proxies; each test starts its operators."""
    rig = Rig(installed, tmp_path, APP)
    with ExitStack() as stack:
        stack.callback(rig.close)
        rig.start()
        api = stack.enter_context(installed.between())
        yield Stage(rig, api, stack.enter_context(Between(rig.engine.http_url)))


def status_of(name: str, kind: str = "workflows") -> Chosen:
    return lambda asked: asked.path.endswith(f"/{kind}/{name}/status")


def start(asked: Asked) -> bool:
    """The start of a run, at the gateway."""
    return asked.method == "POST" and asked.path.endswith("/instances")


def creation(asked: Asked) -> bool:
    """The creation of a Workflow."""
    return asked.method == "POST" and asked.path.endswith("/workflows")


def killed_when(held: Any, operator: OperatorProcess, between: Between) -> None:
    """Kill it while the proxy holds one request or answer; what was held back never arrives."""
    until("the moment", lambda: held.held)
    operator.kill()
    between.stop()
    between.clear()
    between.start()


# --- killed ---------------------------------------------------------------------------------------


def test_killed_before_the_gateway_s_answer_arrives(stage: Stage) -> None:
    rig, operator = stage.rig, stage.operator()
    operator.ready()
    held = stage.gateway.hold_answer(start)
    rig.kubectl.apply(workflow("one", workflow="echo", input=1))
    killed_when(held, operator, stage.gateway)
    assert rig.count() == 1, "it was started"
    assert "instanceID" not in rig.status("one")
    operator.ready()
    assert rig.reaches("one", "Completed")["output"] == 1
    assert rig.count() == 1


@pytest.mark.parametrize("written", [False, True])
def test_killed_between_the_gateway_s_answer_and_the_status(stage: Stage, *, written: bool) -> None:
    rig, operator = stage.rig, stage.operator()
    operator.ready()
    hold = stage.api.hold_answer if written else stage.api.hold
    held = hold(status_of("one"))
    rig.kubectl.apply(workflow("one", workflow="approval"))
    killed_when(held, operator, stage.api)
    assert rig.count() == 1
    assert ("instanceID" in rig.status("one")) is written
    operator.ready()
    rig.reaches("one", "Running")
    rig.post(f"instances/{rig.run_of('one')}/events/Approve", {"data": 7})
    assert rig.reaches("one", "Completed")["output"] == {"approved": 7}
    assert rig.count() == 1
    until("no finalizer", lambda: not any(held_back(rig, ["one"])))


@pytest.mark.parametrize(("policy", "left"), [("Terminate", "TERMINATED"), ("Purge", None)])
def test_deleted_while_no_operator_knows_that_it_was_started(
    stage: Stage, policy: str, left: str | None
) -> None:
    rig, operator = stage.rig, stage.operator()
    operator.ready()
    held = stage.api.hold(status_of("early"))
    given = {"instanceID": "early", "deletionPolicy": policy}
    rig.kubectl.apply(workflow("early", workflow="later", **given))
    killed_when(held, operator, stage.api)
    rig.kubectl("delete", "workflow", "early", "--wait=false")
    operator.ready()
    rig.kubectl("wait", "--for=delete", "workflow/early", "--timeout=60s")
    found = rig.engine_knows("early")
    assert (None if found is None else found["status"]) == left


@pytest.mark.parametrize("policy", ["Terminate", "Purge"])
def test_killed_between_the_run_s_end_and_the_resource_s(stage: Stage, policy: str) -> None:
    rig, operator = stage.rig, stage.operator()
    operator.ready()
    given = {"instanceID": "ending", "deletionPolicy": policy}
    rig.kubectl.apply(workflow("ending", workflow="later", **given))
    rig.reaches("ending", "Running")
    held = stage.api.hold(
        lambda one: one.method == "PATCH" and one.path.endswith("/workflows/ending")
    )
    rig.kubectl("delete", "workflow", "ending", "--wait=false")
    killed_when(held, operator, stage.api)
    rig.kubectl.get("workflow", "ending")
    operator.ready()
    rig.kubectl("wait", "--for=delete", "workflow/ending", "--timeout=60s")
    found = rig.engine_knows("ending")
    assert (None if found is None else found["status"]) == (
        "TERMINATED" if policy == "Terminate" else None
    )


@pytest.mark.parametrize("at", ["creation", "status"])
def test_killed_while_a_due_time_becomes_a_workflow(stage: Stage, at: str) -> None:
    rig, operator = stage.rig, stage.operator()
    operator.ready()
    rig.kubectl.apply(schedule("yearly", schedule="0 3 1 1 *", run={"workflow": "echo"}))
    until("a status", lambda: rig.status("yearly", "workflowschedule").get("conditions"))
    if at == "creation":
        held = stage.api.hold_answer(creation)
    else:
        held = stage.api.hold(
            lambda one: (
                status_of("yearly", "workflowschedules")(one) and bool(stage.api.count(creation))
            )
        )
    missed = {"status": {"countedFrom": "2020-01-01T00:00:00Z", "lastScheduleTime": None}}
    words = ("--subresource=status", "--type=merge", "-p", json.dumps(missed))
    rig.kubectl("patch", "workflowschedule", "yearly", *words)
    killed_when(held, operator, stage.api)
    assert len(rig.kubectl.items("workflows")) == 1, "it was created"
    assert "lastScheduleTime" not in rig.status("yearly", "workflowschedule")
    operator.ready()
    until("the time", lambda: rig.status("yearly", "workflowschedule").get("lastScheduleTime"))
    (made,) = rig.kubectl.items("workflows")
    rig.reaches(made["metadata"]["name"], "Completed")
    assert rig.count() == 1
    rig.kubectl("delete", "workflowschedule", "yearly", "--timeout=60s")
    rig.kubectl("wait", "--for=delete", f"workflow/{made['metadata']['name']}", "--timeout=60s")


def test_killed_between_an_event_and_its_status(stage: Stage) -> None:
    rig, operator = stage.rig, stage.operator()
    operator.ready()
    rig.kubectl.apply(workflow("waits", workflow="approval"))
    rig.reaches("waits", "Running")
    held = stage.api.hold(status_of("note", "workflowevents"))
    rig.kubectl.apply(event("note", workflowName="waits", event="Note"))
    killed_when(held, operator, stage.api)
    operator.ready()
    rig.reaches("note", "Delivered", "workflowevent")
    rig.kubectl.apply(event("approve", workflowName="waits"))
    rig.reaches("waits", "Completed")
    history = rig.history(rig.run_of("waits"))
    raised = [one["name"] for one in history if one["type"] == "EventRaised"]
    assert raised == ["Note", "Approve"]


# --- two ------------------------------------------------------------------------------------------


def test_a_late_write_of_an_operator_that_was_replaced_changes_nothing(stage: Stage) -> None:
    rig = stage.rig
    first = stage.operator("first", lease_seconds="3")
    first.ready()
    held = stage.api.hold(status_of("one"))
    rig.kubectl.apply(workflow("one", workflow="approval"))
    until("its write", lambda: held.held)
    first.pause()
    second = rig.operator("second", lease_seconds="3")  # not through the proxy
    second.ready()
    rig.reaches("one", "Running")
    rig.post(f"instances/{rig.run_of('one')}/events/Approve", {"data": 1})
    rig.reaches("one", "Completed")
    until(
        "the finalizer gone",
        lambda: not rig.kubectl.get("workflow", "one")["metadata"].get("finalizers"),
    )
    before = rig.kubectl.get("workflow", "one")
    held.release()
    first.go_on()
    until("its end", lambda: not first.alive)
    after = rig.kubectl.get("workflow", "one")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert after["status"] == before["status"]
    assert rig.count() == 1


# --- overtaken ------------------------------------------------------------------------------------


def test_the_news_of_a_run_may_overtake_the_answer_to_its_start(stage: Stage) -> None:
    rig, operator = stage.rig, stage.operator()
    operator.ready()
    rig.kubectl.apply(workflow("before", workflow="approval"))
    rig.reaches("before", "Running")
    held = stage.gateway.hold_answer(start)
    rig.kubectl.apply(workflow("fast", workflow="echo", input=1, instanceID="fast"))
    until("its start", lambda: held.held)
    until("its end told", lambda: any(ended(line, "fast") for line in stage.gateway.lines()))
    told = len(stage.gateway.lines())
    until("all read", lambda: operator.metric("tenure_operator_lines_total") >= told)
    held.release()
    assert rig.reaches("fast", "Completed")["output"] == 1
    until("no finalizer", lambda: not any(held_back(rig, ["fast"])))
    assert stage.api.count(status_of("fast")) == 1, "its end was known when it was first written"


def ended(line: bytes, run: str) -> bool:
    told = json.loads(line)
    instance = told.get("instance", {})
    return bool(instance.get("instanceId") == run and instance.get("status") == "COMPLETED")


# --- many -----------------------------------------------------------------------------------------


def test_a_crowd_costs_each_resource_a_few_requests_and_then_none(stage: Stage) -> None:
    rig, operator = stage.rig, stage.operator(lease_seconds="120")
    operator.ready()
    names = [f"crowd-{number}" for number in range(60)]
    bad = [f"bad-{number}" for number in range(10)]
    rig.kubectl.apply(
        *(workflow(name, workflow="echo", input=name) for name in names),
        *(workflow(name, appID="nobody", workflow="echo") for name in bad),
    )
    for name in names:
        assert rig.reaches(name, "Completed")["output"] == name
    for name in bad:
        assert rig.reaches(name, "Pending")["reason"] == "NoSuchApp"
    until("rest", lambda: operator.metric("tenure_operator_queue_due") == 0)
    until("no finalizers", lambda: not any(held_back(rig, names)))
    assert rig.count() == len(names)
    assert starts(stage, "orders") == len(names)
    for name in names:
        writes = stage.api.count(lambda one, name=name: writes_to(one, name))
        assert writes <= 4, "the finalizer, at most a beginning and an end, the finalizer"
        assert stage.api.count(lambda one, name=name: reads(one, name)) == 0
    for name in bad:
        assert stage.api.count(lambda one, name=name: writes_to(one, name)) == 2
    assert starts(stage, "nobody") <= 2 * len(bad)
    ends = stage.api.count(lambda one: one.path.endswith("/status") and "/crowd-" in one.path)
    assert ends < 2 * len(names), "one that ends at once is written once"
    before = stage.api.count(ours), stage.gateway.count(lambda one: not one.watch)
    rig.kubectl.apply(workflow("after", workflow="echo"))
    rig.reaches("after", "Completed")
    until("its finalizer gone", lambda: not any(held_back(rig, ["after"])))
    others = stage.api.count(
        lambda one: ours(one) and not one.path.partition("/workflows/after")[1]
    )
    assert others == before[0], "one that changes costs the others nothing"


def starts(stage: Stage, app: str) -> int:
    return stage.gateway.count(lambda one: start(one) and f"/apps/{app}/" in one.path)


def writes_to(asked: Asked, name: str) -> bool:
    paths = (f"/workflows/{name}", f"/workflows/{name}/status")
    return asked.method == "PATCH" and asked.path.endswith(paths)


def reads(asked: Asked, name: str) -> bool:
    return asked.method == "GET" and asked.path.endswith(f"/workflows/{name}")


def ours(asked: Asked) -> bool:
    """About Tenure's resources; watches are not counted, nor Kubernetes Events."""
    return "tenure.dev" in asked.path and not asked.watch and asked.method != "GET"


def held_back(rig: Rig, names: list[str]) -> Iterator[bool]:
    found = {one["metadata"]["name"]: one["metadata"] for one in rig.kubectl.items("workflows")}
    return (bool(found[name].get("finalizers")) for name in names)
