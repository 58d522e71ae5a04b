"""The operator and a gateway in trouble: errors, wishes for a pause, silence, answers cut in the middle.

In scope, for each call that the operator makes: how often it is made meanwhile, what a user sees, and
that all is right afterwards.  Engine and API server are real; a proxy in front of the engine answers, or
holds back, the requests that a test chooses.  Out of scope: a gateway that is gone
(test_operator_faults).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.kube.between import Between, Chosen, Rule
from support.kube.controlplane import ControlPlane
from support.kube.objects import event, workflow
from support.kube.operating import Rig, until
from support.kube.operator_process import OperatorProcess

APP = Path(__file__).parent / "apps" / "orders.py"
ANSWER_WITHIN = "1"  # seconds; a silent gateway is what a test waits for
Fault = Callable[[Between, Chosen], Rule]


def says(status: int, body: dict[str, str]) -> Fault:
    return lambda between, calls: between.answer(calls, status, body)


FAULTS: dict[str, Fault] = {
    "500": says(500, {"code": "TN0001", "message": "by the test"}),
    "503": says(503, {"code": "TN0400", "message": "by the test"}),
    "proxy-503": says(503, {}),
    "429": says(429, {"code": "TN0202", "message": "by the test"}),
    "silent": Between.hold,
    "cut": Between.cut,
}
REFUSED = [one for one in FAULTS if one != "cut"]  # of others the call has its effect


def to(path: str) -> Chosen:
    """Calls that change something, at the end of that path."""
    return lambda asked: asked.method == "POST" and asked.path.endswith(path)


def start_of(name: str) -> Chosen:
    """The start of that run."""
    known = json.dumps(name).encode()
    return lambda asked: asked.method == "POST" and known in asked.body


@pytest.fixture(scope="module")
def rig(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Engine and app."""
    rig = Rig(installed, tmp_path_factory.mktemp("gateway"), APP)
    try:
        rig.start()
        yield rig
    finally:
        rig.close()


@pytest.fixture(scope="module")
def whole(rig: Rig) -> Iterator[Between]:
    with Between(rig.engine.http_url) as between:
        yield between


@pytest.fixture(scope="module")
def running(rig: Rig, whole: Between) -> OperatorProcess:
    """An operator that reaches the engine through the proxy."""
    operator = rig.operator(gateway=whole.url, gateway_answer_seconds=ANSWER_WITHIN)
    operator.ready()
    return operator


@pytest.fixture
def gateway(whole: Between, running: OperatorProcess) -> Iterator[Between]:
    """The proxy; nothing is wrong with it before a test and after it."""
    assert running.alive, running.tail()
    yield whole
    whole.clear()


def spaced(rule: Rule, attempts: int) -> None:
    """So many attempts, each after a longer pause than the one before, however much happens."""
    until("attempts", lambda: len(rule.hits) >= attempts)
    for number, (one, following) in enumerate(itertools.pairwise(rule.hits[:attempts])):
        assert following.at - one.at >= 0.75 * 2**number, "a fifth less than 1, 2, 4 … seconds"


def steered(rig: Rig, name: str) -> dict[str, Any] | None:
    """The condition that tells whether the run was told what the spec asks."""
    found = rig.status(name).get("conditions", [])
    return next((dict(one) for one in found if one["type"] == "Steered"), None)


# Each test has one resource for each fault, and their pauses pass together.


def test_starting(rig: Rig, gateway: Between) -> None:
    rules = {
        f"start-{one}": fault(gateway, start_of(f"start-{one}")) for one, fault in FAULTS.items()
    }
    for name in rules:
        rig.kubectl.apply(workflow(name, workflow="echo", input=name, instanceID=name))
    assert rig.reaches("start-cut", "Completed")["output"] == "start-cut", "the watch tells of it"
    for one in REFUSED:
        name = f"start-{one}"
        spaced(rules[name], 3)
        found = {cond["type"]: cond for cond in rig.status(name)["conditions"]}["Started"]
        assert found["status"] == "False"
        assert found["reason"] in rig.kubectl("get", "workflow", name)
        gateway.forget(rules[name])
    for one in REFUSED:
        assert rig.reaches(f"start-{one}", "Completed")["output"] == f"start-{one}"


def test_steering(rig: Rig, gateway: Between) -> None:
    names = waiting(rig, "steer")
    rules = {name: FAULTS[one](gateway, to(f"{name}/suspend")) for one, name in names.items()}
    for name in rules:
        rig.kubectl("patch", "workflow", name, "--type=merge", '-p={"spec": {"suspend": true}}')
    for name, rule in rules.items():
        until("an attempt", lambda rule=rule: rule.hits)
        for number in range(20):  # news of the run are no reason to hurry
            rig.post(f"instances/{name}/events/Other", {"data": number})
    rig.reaches(names["cut"], "Suspended")
    for one in REFUSED:
        name = names[one]
        spaced(rules[name], 3)
        told = until("a condition", lambda name=name: steered(rig, name))
        assert told["status"] == "False"
        assert "cannot suspend the run" in told["message"]
        assert told["reason"] in rig.kubectl("get", "workflow", name)
        assert told["reason"] in rig.kubectl("describe", "workflow", name)
        gateway.forget(rules[name])
    for one in REFUSED:
        assert "reason" not in rig.reaches(names[one], "Suspended")
        assert (steered(rig, names[one]) or {})["status"] == "True"


def test_raising_events(rig: Rig, gateway: Between) -> None:
    names = waiting(rig, "event")
    rules = {
        name: FAULTS[one](gateway, to(f"{name}/events/Approve")) for one, name in names.items()
    }
    for name in rules:
        rig.kubectl.apply(event(name, workflowName=name, data=1))
    for name, rule in rules.items():
        until("an attempt", lambda rule=rule: rule.hits)
        for number in range(3):  # a change of the Workflow is no reason to hurry
            rig.kubectl("label", "workflow", name, f"number={number}", "--overwrite")
    for one in REFUSED:
        spaced(rules[names[one]], 3)
        found = rig.status(names[one], "workflowevent")
        assert found["phase"] == "Pending"
        assert found["reason"]
        gateway.forget(rules[names[one]])
    gateway.forget(rules[names["cut"]])
    for one, name in names.items():
        rig.reaches(name, "Delivered", "workflowevent")
        assert rig.reaches(name, "Completed")["output"] == {"approved": 1}, one


@pytest.mark.parametrize(("policy", "verb"), [("Terminate", "terminate"), ("Purge", "purge")])
def test_deleting(rig: Rig, gateway: Between, policy: str, verb: str) -> None:
    names = waiting(rig, verb, deletionPolicy=policy)
    rules = {name: FAULTS[one](gateway, to(f"{name}/{verb}")) for one, name in names.items()}
    rig.kubectl("delete", "workflow", *rules, "--wait=false")
    for one in REFUSED:
        spaced(rules[names[one]], 3)
        assert rig.status(names[one])["reason"] == "WaitsForRun"
        gateway.forget(rules[names[one]])
    for name in names.values():
        rig.kubectl("wait", "--for=delete", f"workflow/{name}", "--timeout=60s")
        left = rig.engine_knows(name)
        assert (left and left["status"]) == ("TERMINATED" if policy == "Terminate" else None)


def waiting(rig: Rig, what: str, **spec: str) -> dict[str, str]:
    """Names of Workflows that wait for an event, by fault."""
    names = {one: f"{what}-{one}" for one in FAULTS}
    for name in names.values():
        rig.kubectl.apply(workflow(name, workflow="approval", instanceID=name, **spec))
    for name in names.values():
        rig.reaches(name, "Running")
    return names


def test_a_pause_that_the_gateway_asks_for_is_kept(rig: Rig, gateway: Between) -> None:
    rig.kubectl.apply(workflow("asked", workflow="approval", instanceID="asked"))
    rig.reaches("asked", "Running")
    refused = {"code": "TN0202", "message": "too many"}
    rule = gateway.answer(to("asked/terminate"), 429, refused, {"Retry-After": "4"})
    rig.kubectl("patch", "workflow", "asked", "--type=merge", '-p={"spec": {"terminate": true}}')
    until("attempts", lambda: len(rule.hits) >= 2)
    assert rule.hits[1].at - rule.hits[0].at > 3.5
    gateway.forget(rule)
    rig.reaches("asked", "Terminated")


def test_a_user_who_changes_what_is_asked_does_not_wait(rig: Rig, gateway: Between) -> None:
    rig.kubectl.apply(workflow("minds", workflow="approval", instanceID="minds"))
    rig.reaches("minds", "Running")
    rule = gateway.answer(to("minds/suspend"), 500, {}, {"Retry-After": "60"})
    rig.kubectl("patch", "workflow", "minds", "--type=merge", '-p={"spec": {"suspend": true}}')
    until("an attempt", lambda: rule.hits)
    rig.kubectl("patch", "workflow", "minds", "--type=merge", '-p={"spec": {"terminate": true}}')
    rig.reaches("minds", "Terminated")
    assert len(rule.hits) == 1


@pytest.mark.parametrize("said", ["TN0400", ""])
def test_a_gateway_that_serves_nobody_is_asked_by_one_small_question_at_a_time(
    rig: Rig, gateway: Between, running: OperatorProcess, said: str
) -> None:
    away = running.metric("tenure_operator_gateway_away_total")
    names = [f"many-{said.lower() or 'proxy'}-{number}" for number in range(5)]
    body = {"code": said, "message": "by the test"} if said else {}
    rule = gateway.answer(lambda asked: not asked.watch, 503, body)
    gateway.answer(lambda asked: asked.watch, 503, body)
    gateway.end_streams()
    for name in names:
        rig.kubectl.apply(workflow(name, workflow="echo"))
    until("all told", lambda: all(rig.status(name).get("reason") for name in names))
    assert running.metric("tenure_operator_gateway_away_total") == away + 1
    until("questions", lambda: len(rule.hits) >= 4)
    assert sum(one.path.endswith("/instances") for one in rule.hits) <= len(names)
    gateway.clear()
    for name in names:
        rig.reaches(name, "Completed")
