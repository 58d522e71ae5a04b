"""WorkflowApp at work: real API server, real engine, a stock app.

In scope: that the app's settings are as the resource says and stay so, what a user sees, several
resources of one app, outages, the end of the resource.  Out of scope: each decision by itself
(unit/operator), sidecars that share etcd (test_operator_gateway), what settings do (unit/dispatch).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.kube.controlplane import ControlPlane
from support.kube.objects import app
from support.kube.operating import Rig, at_work, until

APP = Path(__file__).parent / "apps" / "orders.py"
WEEK = {"any": "7d"}
NOTHING: dict[str, Any] = {"retention": {}, "concurrency": {}}


@pytest.fixture(scope="module")
def running(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Engine, app and one operator."""
    with at_work(installed, tmp_path_factory.mktemp("apps"), APP) as rig:
        yield rig


@pytest.fixture
def rig(running: Rig) -> Iterator[Rig]:
    """The same, with nothing set at first."""
    assert settings(running) == NOTHING
    yield running
    running.kubectl("delete", "workflowapps", "--all", "--timeout=60s")


def settings(rig: Rig) -> dict[str, Any]:
    """What is set for the app."""
    found = dict(rig.ask("settings"))
    del found["version"]
    return found


def is_set(rig: Rig, **wanted: Any) -> None:
    """Wait for exactly these settings."""
    until(f"settings {wanted}", lambda: settings(rig) == {**NOTHING, **wanted})


def condition(rig: Rig, name: str, kind: str = "Ready") -> dict[str, Any]:
    """A condition of a WorkflowApp; empty while there is none."""
    found = rig.status(name, "workflowapp").get("conditions", [])
    return next((one for one in found if one["type"] == kind), {})


def becomes(rig: Rig, name: str, reason: str) -> dict[str, Any]:
    """Wait for the reason of Ready; the condition then."""
    until(f"{name} {reason}", lambda: condition(rig, name).get("reason") == reason)
    return condition(rig, name)


def version(rig: Rig, name: str) -> str:
    return str(rig.kubectl.get("workflowapp", name)["metadata"]["resourceVersion"])


def told(rig: Rig, name: str, reason: str) -> str:
    """The message of the Kubernetes Event with that reason about a resource."""
    chosen = f"--field-selector=involvedObject.name={name},reason={reason}"
    found = until(f"{reason} about {name}", lambda: rig.kubectl.items("events", chosen))
    return str(found[0]["message"])


def looks_again(rig: Rig, name: str, word: str) -> None:
    """Let the operator look now; by itself it does so every 30 seconds."""
    rig.kubectl("label", "workflowapp", name, f"look={word}")


# --- settings -------------------------------------------------------------------------------------


def test_the_app_is_set_as_the_resource_says_and_the_status_tells_of_it(rig: Rig) -> None:
    given = {"retention": {**WEEK, "failed": "forever"}, "concurrency": {"activities": 3}}
    rig.kubectl.apply(app(**given))
    rig.kubectl("wait", "--for=condition=Ready", "twfa/orders", "--timeout=60s")
    assert settings(rig) == given
    status = rig.status("orders", "workflowapp")
    assert (status["appID"], status["store"]) == ("orders", "sqlite")
    assert (status["sidecars"], status["workers"]) == (1, 1)
    assert status["ownedPartitions"] == status["partitions"] > 0
    assert status["settingsVersion"] == rig.ask("settings")["version"]
    assert condition(rig, "orders", "Served")["status"] == "True"
    assert "a sidecar works on 3 activities at a time" in told(rig, "orders", "Configured")
    row = rig.kubectl("get", "twfa", "orders").splitlines()[1]
    assert row.split()[:5] == ["orders", "True", "Applied", "1", "1"]


def test_a_change_is_followed_and_what_is_left_out_is_taken_back(rig: Rig) -> None:
    rig.kubectl.apply(app(retention=WEEK, concurrency={"workflows": 4}))
    is_set(rig, retention=WEEK, concurrency={"workflows": 4})
    rig.kubectl.apply(app(concurrency={"workflows": 5}))
    is_set(rig, concurrency={"workflows": 5})
    seen = rig.kubectl.get("workflowapp", "orders")["metadata"]["generation"]
    until(
        "the change seen",
        lambda: rig.status("orders", "workflowapp").get("observedGeneration") == seen,
    )


def test_what_somebody_else_sets_is_set_back_and_told(rig: Rig) -> None:
    rig.kubectl.apply(app("tended", appID="orders", retention=WEEK))
    becomes(rig, "tended", "Applied")
    other = json.dumps({"retention": {"any": "1h"}}).encode()
    theirs = rig.ask("settings", other, "PUT")["version"]
    looks_again(rig, "tended", "now")
    is_set(rig, retention=WEEK)
    until(
        "the new version in the status",
        lambda: rig.status("tended", "workflowapp")["settingsVersion"] > theirs,
    )


def test_nothing_is_written_when_nothing_has_changed(rig: Rig) -> None:
    rig.kubectl.apply(app(retention=WEEK), app("spare", appID="orders"), app("nobody"))
    for name, reason in (
        ("orders", "Applied"),
        ("spare", "AppIDInUse"),
        ("nobody", "NoSuchApp"),
    ):
        becomes(rig, name, reason)
    operator = rig.operators[0]
    assert operator.stop() == 0
    before = {name: version(rig, name) for name in ("orders", "spare", "nobody")}
    kept = rig.ask("settings")["version"]
    operator.start()
    operator.wait_until(
        "all seen",
        lambda: (
            operator.metric("tenure_operator_rounds_total") >= len(before)
            and operator.metric("tenure_operator_queue_later") == len(before)
            and operator.metric("tenure_operator_queue_due") == 0
        ),
        within=60,
    )
    assert operator.metric("tenure_operator_writes_total") == 0
    assert {name: version(rig, name) for name in before} == before
    assert rig.ask("settings")["version"] == kept


def test_two_who_apply_different_fields_do_not_disturb_each_other(rig: Rig) -> None:
    for manager, given in (
        ("ann", {"retention": WEEK}),
        ("bob", {"concurrency": {"workflows": 2}}),
    ):
        words = ("apply", "--server-side", f"--field-manager={manager}", "-f", "-")
        rig.kubectl(*words, stdin=json.dumps(app(**given)))
    is_set(rig, retention=WEEK, concurrency={"workflows": 2})
    words = ("apply", "--server-side", "--field-manager=bob", "-f", "-")
    refused = rig.kubectl.fails(*words, stdin=json.dumps(app(retention={"any": "1d"})))
    assert 'conflict with "ann": .spec.retention.any' in refused
    is_set(rig, retention=WEEK, concurrency={"workflows": 2})


# --- what goes wrong ------------------------------------------------------------------------------


def test_an_app_that_is_not_there(rig: Rig) -> None:
    rig.kubectl.apply(app("shipping", retention=WEEK))
    found = becomes(rig, "shipping", "NoSuchApp")
    assert found["status"] == "False"
    assert "'shipping'" in found["message"]
    assert "NoSuchApp" in rig.kubectl("get", "workflowapp", "shipping")
    assert "TN0109" in told(rig, "shipping", "NoSuchApp")
    rig.kubectl("delete", "workflowapp", "shipping", "--timeout=60s")


def test_what_the_gateway_does_not_take_is_told_and_not_tried_in_a_hot_loop(rig: Rig) -> None:
    rig.kubectl.apply(app("long", appID="orders", retention={"any": "9" * 40 + "d"}))
    found = becomes(rig, "long", "BadRequest")
    assert "retention.any" in found["message"]
    assert "TN0004" in told(rig, "long", "BadRequest")
    seen = version(rig, "long")
    rig.kubectl.apply(app("other", appID="elsewhere"))
    becomes(rig, "other", "NoSuchApp")
    # Twice at most: the watch may tell of the finalizer before the answer to writing it is there.
    refused = rig.operators[0].metric("tenure_operator_refusals_total", 'reason="BadRequest"')
    assert 1 <= refused <= 2
    assert version(rig, "long") == seen
    assert settings(rig) == NOTHING


def test_of_two_resources_the_older_one_has_the_app_and_the_other_takes_over(rig: Rig) -> None:
    rig.kubectl.apply(app("first", appID="orders", retention=WEEK))
    becomes(rig, "first", "Applied")
    rig.kubectl.apply(app("second", appID="orders", retention={"any": "2d"}))
    assert "'first'" in becomes(rig, "second", "AppIDInUse")["message"]
    assert "'first'" in told(rig, "second", "AppIDInUse")
    assert settings(rig) == {**NOTHING, "retention": WEEK}
    rig.kubectl("delete", "workflowapp", "first", "--timeout=60s")
    becomes(rig, "second", "Applied")
    assert settings(rig) == {**NOTHING, "retention": {"any": "2d"}}


def test_of_several_resources_deleted_at_once_nothing_stays_set(rig: Rig) -> None:
    names = ("one", "two", "three")
    rig.kubectl.apply(*(app(name, appID="orders", retention=WEEK) for name in names))
    for name in names:
        until(f"{name} known", lambda name=name: condition(rig, name))
    is_set(rig, retention=WEEK)
    rig.kubectl("delete", "workflowapps", *names, "--timeout=60s")
    assert settings(rig) == NOTHING


def test_the_one_that_waits_can_be_deleted_without_harm(rig: Rig) -> None:
    rig.kubectl.apply(app("first", appID="orders", retention=WEEK))
    becomes(rig, "first", "Applied")
    rig.kubectl.apply(app("next", appID="orders"))
    becomes(rig, "next", "AppIDInUse")
    rig.kubectl("delete", "workflowapp", "next", "--timeout=60s")
    assert settings(rig) == {**NOTHING, "retention": WEEK}


# --- the end --------------------------------------------------------------------------------------


def test_deletion_takes_the_settings_back(rig: Rig) -> None:
    rig.kubectl.apply(app(retention=WEEK, concurrency={"workflows": 1}))
    becomes(rig, "orders", "Applied")
    rig.kubectl("delete", "workflowapp", "orders", "--timeout=60s")
    assert settings(rig) == NOTHING


def test_a_gateway_that_is_away_is_told_and_all_is_made_up_for(rig: Rig) -> None:
    rig.kubectl.apply(app("kept", appID="orders", retention=WEEK))
    becomes(rig, "kept", "Applied")
    rig.engine.kill()
    try:
        rig.kubectl.apply(app("kept", appID="orders", retention={"any": "2d"}))
        found = becomes(rig, "kept", "GatewayUnavailable")
        assert found["status"] == "Unknown"
        assert rig.status("kept", "workflowapp")["partitions"] > 0, "what was known stands"
    finally:
        rig.engine.start()
    becomes(rig, "kept", "Applied")
    assert settings(rig) == {**NOTHING, "retention": {"any": "2d"}}


def test_a_deletion_waits_for_a_gateway_that_is_away_and_says_so(rig: Rig) -> None:
    rig.kubectl.apply(app("going", appID="orders", retention=WEEK))
    becomes(rig, "going", "Applied")
    rig.engine.kill()
    try:
        rig.kubectl("delete", "workflowapp", "going", "--wait=false")
        assert "no answer from the gateway" in becomes(rig, "going", "WaitsForReset")["message"]
        assert "no answer from the gateway" in told(rig, "going", "WaitsForReset")
    finally:
        rig.engine.start()
    rig.kubectl("wait", "--for=delete", "workflowapp/going", "--timeout=60s")
    assert settings(rig) == NOTHING


# --- rights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("list", "workflowapps", True),
        ("watch", "workflowapps", True),
        ("patch", "workflowapps/status", True),
        ("patch", "workflowapps", True),
        ("create", "workflowapps", False),
        ("delete", "workflowapps", False),
        ("update", "workflowapps", False),
    ],
)
def test_what_the_operator_may_do(rig: Rig, verb: str, resource: str, *, allowed: bool) -> None:
    name, _, sub = resource.partition("/")
    words = ["auth", "can-i", verb, f"{name}.tenure.dev"] + (
        [f"--subresource={sub}"] if sub else []
    )
    account = f"--as=system:serviceaccount:{rig.home}:tenure-operator"
    ran = rig.kubectl.run(*words, account)
    assert ran.stdout.strip() == ("yes" if allowed else "no"), ran.stderr
