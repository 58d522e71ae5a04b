"""The resource definitions as a user meets them: taken, completed, refused, shown, explained.

In scope: what the API server does with them alone; no operator runs.  Out of scope: the schema's own
tidiness (tests/unit/crds).
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from support.kube.controlplane import ControlPlane
from support.kube.kubectl import Kubectl
from support.kube.objects import app, event, schedule, without, workflow

FULL = workflow(
    "full",
    version="2",
    input={"items": [1, 2.5, "three", True], "to": {"street": "x"}},
    instanceID="order:42@shop",
    startAt="2030-01-01T00:00:00Z",
    suspend=True,
    terminate=True,
    ttlSecondsAfterFinished=0,
    deletionPolicy="Purge",
)


@pytest.fixture(autouse=True)
def definitions(installed: ControlPlane) -> None:
    """All tests here need them."""


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(workflow(), id="smallest workflow"),
        pytest.param(FULL, id="full workflow"),
        pytest.param(workflow(input="text"), id="input is text"),
        pytest.param(workflow(input=[1, None]), id="input is a list"),
        pytest.param(workflow(input=7), id="input is a number"),
        pytest.param(workflow(input=False), id="input is false"),
        pytest.param(workflow(appID="My_App.v2-x"), id="odd app id"),
        pytest.param(workflow("n" * 200), id="long name"),
        pytest.param(schedule(), id="smallest schedule"),
        pytest.param(schedule(schedule="*/5 8-18 * jan-mar mon,fri"), id="full cron"),
        pytest.param(schedule(schedule="@daily", timeZone="America/Argentina/Ushuaia"), id="macro"),
        pytest.param(app(), id="smallest app"),
        pytest.param(
            app(
                "a" * 200,
                appID="My_App.v2-x",
                partitions=64,
                retention={
                    "any": "forever",
                    "completed": "0s",
                    "failed": "1.5h",
                    "terminated": "1w2d",
                },
                concurrency={"workflows": 1, "activities": 1_000_000},
            ),
            id="full app",
        ),
        pytest.param(event(workflowName="order-1"), id="event for a resource"),
        pytest.param(event(instanceID="a b/c", appID="orders", data=None), id="event for an id"),
    ],
)
def test_is_taken(kubectl: Kubectl, resource: dict[str, Any]) -> None:
    kubectl.apply(resource)
    kept = kubectl.get(resource["kind"], resource["metadata"]["name"])["spec"]
    for field, value in resource["spec"].items():
        if value is not None and field != "workflowTemplate":
            assert kept[field] == value


def test_defaults(kubectl: Kubectl) -> None:
    kubectl.apply(workflow(), schedule(), event(workflowName="order-1"))
    run = kubectl.get("workflow", "order-1")["spec"]
    assert (run["terminate"], run["deletionPolicy"]) == (False, "Terminate")
    assert "suspend" not in run, "not given means: leave it to others"
    timed = kubectl.get("workflowschedule", "nightly")["spec"]
    assert timed["timeZone"] == "Etc/UTC"
    assert timed["concurrencyPolicy"] == "Allow"
    assert (timed["successfulRunsHistoryLimit"], timed["failedRunsHistoryLimit"]) == (3, 1)
    assert kubectl.get("workflowevent", "approval")["spec"]["timeoutSeconds"] == 300


LETTERS = "an app id has letters, digits, '-', '_' and '.'"
FIVE = "a schedule has five fields (minute, hour, day of month, month, day of week)"


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        pytest.param(
            workflow(workflow=7),
            'spec.workflow in body must be of type string: "integer"',
            id="type",
        ),
        pytest.param(workflow(flow="x"), 'unknown field "spec.flow"', id="unknown field"),
        pytest.param(without(workflow(), "appID"), "spec.appID: Required value", id="no app"),
        pytest.param(
            without(workflow(), "workflow"), "spec.workflow: Required value", id="no workflow"
        ),
        pytest.param(workflow(appID="a b"), LETTERS, id="app id"),
        pytest.param(workflow(appID="-a"), LETTERS, id="app id begins with a dash"),
        pytest.param(
            workflow(appID="a" * 64),
            "spec.appID: Too long: may not be more than 63",
            id="long app id",
        ),
        pytest.param(
            workflow(workflow="w" * 513), "Too long: may not be more than 512", id="long workflow"
        ),
        pytest.param(
            workflow("n" * 201), "the name may have 200 characters at most", id="long name"
        ),
        pytest.param(
            workflow(instanceID="a/b"),
            "an instance id has letters, digits and any of",
            id="instance id",
        ),
        pytest.param(
            workflow(startAt="tomorrow"),
            "spec.startAt in body must be of type date-time",
            id="time",
        ),
        pytest.param(
            workflow(suspend="yes"), "spec.suspend in body must be of type boolean", id="boolean"
        ),
        pytest.param(
            workflow(ttlSecondsAfterFinished=-1), "should be greater than or equal to 0", id="ttl"
        ),
        pytest.param(
            workflow(deletionPolicy="Keep"),
            'supported values: "Terminate", "Purge", "Orphan"',
            id="policy",
        ),
        pytest.param(schedule(schedule="* * * *"), FIVE, id="four fields"),
        pytest.param(schedule(schedule="0 * * * * *"), FIVE, id="six fields"),
        pytest.param(schedule(schedule="@never"), FIVE, id="unknown macro"),
        pytest.param(
            schedule(schedule="TZ=UTC * * * *"), "give the time zone in timeZone", id="zone in cron"
        ),
        pytest.param(
            schedule(timeZone="Berlin time"),
            "a time zone is a name such as Europe/Berlin",
            id="zone",
        ),
        pytest.param(
            schedule(concurrencyPolicy="Never"),
            'supported values: "Allow", "Forbid", "Replace"',
            id="concurrency",
        ),
        pytest.param(
            schedule(startingDeadlineSeconds=1),
            "should be greater than or equal to 10",
            id="deadline",
        ),
        pytest.param(
            schedule(run={"instanceID": "x"}),
            'unknown field "spec.workflowTemplate.spec.instanceID"',
            id="template",
        ),
        pytest.param(
            schedule("n" * 181), "the name may have 180 characters at most", id="long schedule name"
        ),
        pytest.param(app(appID="a b"), LETTERS, id="app id of an app"),
        pytest.param(app("a" * 64), "63 characters at most", id="long name of an app"),
        pytest.param(app(store="etcd"), 'unknown field "spec.store"', id="store of an app"),
        pytest.param(
            app(partitions=0), "spec.partitions in body should be greater than", id="partitions"
        ),
        pytest.param(
            app(retention={"any": "soon"}), "a time is a number and a unit", id="retention"
        ),
        pytest.param(
            app(retention={"canceled": "1d"}),
            'unknown field "spec.retention.canceled"',
            id="retention of another status",
        ),
        pytest.param(
            app(concurrency={"activities": 0}),
            "spec.concurrency.activities in body should be greater than or equal to 1",
            id="no activity at all",
        ),
        pytest.param(event(), "give either workflowName or instanceID", id="event for nobody"),
        pytest.param(
            event(workflowName="a", instanceID="b", appID="c"),
            "give either workflowName or instanceID",
            id="event for two",
        ),
        pytest.param(
            event(instanceID="b"), "instanceID and appID go together", id="event without app"
        ),
        pytest.param(
            event(workflowName="b", appID="c"),
            "instanceID and appID go together",
            id="event with app",
        ),
        pytest.param(
            event(workflowName="a", event=""),
            "spec.event in body should be at least 1 chars long",
            id="event without name",
        ),
        pytest.param(
            workflow(input="x" * (4 << 20)),
            "Request entity too large: limit is 3145728",
            id="huge input",
        ),
    ],
)
def test_is_refused_with_the_reason(
    kubectl: Kubectl, resource: dict[str, Any], reason: str
) -> None:
    assert reason in kubectl.fails("create", "-f", "-", stdin=json.dumps(resource))
    assert kubectl.items("tenure") == []


CHANGED = {
    "appID": "other",
    "workflow": "Other",
    "version": "3",
    "input": {"items": []},
    "instanceID": "other",
    "startAt": "2031-01-01T00:00:00Z",
}


OPTIONAL = sorted(CHANGED.keys() - {"appID", "workflow"})
CASES = [
    *(pytest.param(name, "changed", id=f"{name} changed") for name in CHANGED),
    *(
        pytest.param(name, how, id=f"{name} {how}")
        for name in OPTIONAL
        for how in ("added", "removed")
    ),
]


@pytest.mark.parametrize(("field", "how"), CASES)
def test_what_a_run_was_started_with_stays(kubectl: Kubectl, field: str, how: str) -> None:
    lacking = without(FULL, field)
    changed = {**FULL, "spec": {**FULL["spec"], field: CHANGED[field]}}
    before, after = {
        "changed": (FULL, changed),
        "added": (lacking, FULL),
        "removed": (FULL, lacking),
    }[how]
    kubectl.apply(before)
    assert f"{field} cannot change; create another Workflow" in kubectl.refuses(after)
    kept = kubectl.get("workflow", "full")["spec"]
    assert kept.get(field) == before["spec"].get(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [("event", "Reject"), ("workflowName", "order-2"), ("data", {"by": "bob"})],
)
def test_an_event_stays(kubectl: Kubectl, field: str, value: object) -> None:
    kubectl.apply(event(workflowName="order-1", data={"by": "ann"}))
    changed = event(**{"workflowName": "order-1", "data": {"by": "ann"}, field: value})
    assert "cannot change; create another WorkflowEvent" in kubectl.refuses(changed)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"appID": "one"}, {"appID": "two"}, id="changed"),
        pytest.param({}, {"appID": "orders"}, id="added"),
        pytest.param({"appID": "one"}, {}, id="removed"),
    ],
)
def test_a_workflow_app_stays_that_of_its_app(
    kubectl: Kubectl, before: dict[str, str], after: dict[str, str]
) -> None:
    kubectl.apply(app(**before))
    assert "appID cannot change; create another WorkflowApp" in kubectl.refuses(app(**after))
    kubectl.apply(app(**before, partitions=3, retention={"any": "1d"}))
    kubectl.apply(app(**before, concurrency={"workflows": 2}))
    assert kubectl.get("workflowapp", "orders")["spec"] == {
        **before,
        "concurrency": {"workflows": 2},
    }


def test_a_run_can_be_steered(kubectl: Kubectl) -> None:
    kubectl.apply(workflow(input={"a": 1}))
    for steered in (
        {"suspend": True},
        {"suspend": False},
        {},
        {"ttlSecondsAfterFinished": 5},
        {"deletionPolicy": "Orphan"},
    ):
        kubectl.apply(workflow(input={"a": 1}, **steered))
    kubectl.apply(workflow(input={"a": 1}, terminate=True))
    refused = kubectl.refuses(workflow(input={"a": 1}, terminate=False))
    assert "terminate cannot be taken back; create another Workflow" in refused


STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "phase": "Failed",
    "reason": "TaskFailed",
    "message": "TaskFailed: no stock",
    "instanceID": "order-1-0a1b2c3d",
    "startTime": "2026-01-01T00:00:00Z",
    "completionTime": "2026-01-01T00:00:09Z",
    "output": {"a": None, "b": [None]},
    "progress": {"historyLength": 17, "pendingActivities": 2, "generation": 0},
    "conditions": [
        {
            "type": "Completed",
            "status": "True",
            "reason": "Completed",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:09Z",
        }
    ],
}


def put_status(
    plane: ControlPlane, kubectl: Kubectl, namespace: str, kind: str, status: object
) -> None:
    """As the operator writes it: the status alone, with the version that it has seen."""
    plural = f"{kind.lower()}s"
    (seen,) = kubectl.items(kind)
    name = seen["metadata"]["name"]
    patch = [
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": seen["metadata"]["resourceVersion"],
        },
        {"op": "add", "path": "/status", "value": status},
    ]
    path = f"/apis/tenure.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}/status"
    plane.request(path, method="PATCH", body=patch, form="json-patch+json")


def test_columns(installed: ControlPlane, kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(workflow())
    put_status(installed, kubectl, namespace, "Workflow", STATUS)
    shown = kubectl("get", "twf").splitlines()
    assert re.split(r"\s{2,}", shown[0].strip()) == [
        "NAME",
        "STATUS",
        "REASON",
        "APP",
        "WORKFLOW",
        "AGE",
    ]
    assert re.split(r"\s{2,}", shown[1])[:5] == [
        "order-1",
        "Failed",
        "TaskFailed",
        "orders",
        "Order",
    ]
    wide = kubectl("get", "workflows", "-o", "wide").splitlines()
    assert re.split(r"\s{2,}", wide[0].strip())[6:] == [
        "INSTANCE",
        "PENDING",
        "EVENTS",
        "FINISHED",
        "MESSAGE",
    ]
    cells = re.split(r"\s{2,}", wide[1].strip())
    assert cells[6:9] == ["order-1-0a1b2c3d", "2", "17"]
    assert cells[10] == "TaskFailed: no stock"


def test_columns_of_schedules_and_events(kubectl: Kubectl) -> None:
    kubectl.apply(schedule(suspend=True), event(workflowName="order-1"))
    head, row = (re.split(r"\s{2,}", line.strip()) for line in kubectl("get", "twfs").splitlines())
    assert head == ["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "READY", "ACTIVE", "LAST", "AGE"]
    assert row[:4] == ["nightly", "0 3 * * *", "Etc/UTC", "true"]
    head, row = (re.split(r"\s{2,}", line.strip()) for line in kubectl("get", "twfe").splitlines())
    assert head == ["NAME", "STATUS", "REASON", "EVENT", "WORKFLOW", "AGE"]
    assert row[:3] == ["approval", "Approve", "order-1"]


APP_STATUS = {
    "appID": "orders",
    "store": "etcd",
    "partitions": 64,
    "ownedPartitions": 60,
    "sidecars": 2,
    "workers": 3,
    "settingsVersion": 9,
    "conditions": [
        {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": "nothing is set",
            "lastTransitionTime": "2026-01-01T00:00:09Z",
        }
        for kind, reason in (("Ready", "Applied"), ("Served", "WorkerConnected"))
    ],
}


def test_columns_of_apps(installed: ControlPlane, kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(app())
    put_status(installed, kubectl, namespace, "WorkflowApp", APP_STATUS)
    shown = kubectl("get", "twfa", "-o", "wide").splitlines()
    head, row = (re.split(r"\s{2,}", line.strip()) for line in shown)
    assert head[:6] == ["NAME", "READY", "REASON", "SIDECARS", "WORKERS", "AGE"]
    assert row[:5] == ["orders", "True", "Applied", "2", "3"]
    assert head[6:] == ["APP", "PARTITIONS", "OWNED", "MESSAGE"]
    assert row[6:] == ["orders", "64", "60", "nothing is set"]
    assert len(re.split(r"\s{2,}", kubectl("get", "twfa").splitlines()[0].strip())) == 6
    kubectl("wait", "--for=condition=Served", "twfa/orders", "--timeout=60s")


def test_the_category_shows_all_kinds(kubectl: Kubectl) -> None:
    kubectl.apply(workflow(), schedule(), event(workflowName="order-1"), app())
    shown = kubectl("get", "tenure", "-o", "name").split()
    assert shown == [
        "workflowapp.tenure.dev/orders",
        "workflowevent.tenure.dev/approval",
        "workflow.tenure.dev/order-1",
        "workflowschedule.tenure.dev/nightly",
    ]


def test_waiting_for_a_condition(installed: ControlPlane, kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(workflow())
    assert "timed out" in kubectl.fails(
        "wait", "--for=condition=Completed", "twf/order-1", "--timeout=1s"
    )
    put_status(installed, kubectl, namespace, "Workflow", STATUS)
    kubectl("wait", "--for=condition=Completed", "twf/order-1", "--timeout=60s")


def test_status_and_spec_are_written_apart(
    installed: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    kubectl.apply({**workflow(), "status": STATUS})
    assert "status" not in kubectl.get("workflow", "order-1"), "a user cannot write a status"
    put_status(installed, kubectl, namespace, "Workflow", STATUS)
    kept = kubectl.get("workflow", "order-1")
    assert kept["metadata"]["generation"] == 1, "a status is no change of the spec"
    assert kept["status"]["output"] == {"a": None, "b": [None]}
    kubectl.apply(workflow(ttlSecondsAfterFinished=9))
    changed = kubectl.get("workflow", "order-1")
    assert changed["metadata"]["generation"] == 2
    assert changed["status"] == kept["status"]


def test_a_status_that_is_too_late_is_refused(
    installed: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    kubectl.apply(workflow())
    old = kubectl.get("workflow", "order-1")["metadata"]["resourceVersion"]
    kubectl.apply(workflow(suspend=True))
    patch = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": old},
        {"op": "add", "path": "/status", "value": STATUS},
    ]
    path = f"/apis/tenure.dev/v1alpha1/namespaces/{namespace}/workflows/order-1/status"
    with pytest.raises(AssertionError, match="409: .*the object has been modified"):
        installed.request(path, method="PATCH", body=patch, form="json-patch+json")
    assert "status" not in kubectl.get("workflow", "order-1")


def test_two_appliers_of_one_field(kubectl: Kubectl) -> None:
    text = json.dumps(workflow(ttlSecondsAfterFinished=5))
    kubectl("apply", "--server-side", "--field-manager=ann", "-f", "-", stdin=text)
    other = json.dumps(workflow(ttlSecondsAfterFinished=6))
    refused = kubectl.fails("apply", "--server-side", "--field-manager=bob", "-f", "-", stdin=other)
    assert 'conflict with "ann": .spec.ttlSecondsAfterFinished' in refused


NULLS = {"a": None, "b": [None, {"c": None}]}


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        pytest.param(("create",), NULLS, id="create"),
        pytest.param(("apply", "--server-side"), NULLS, id="server-side apply"),
        pytest.param(("apply",), {"b": [None, {}]}, id="apply"),
    ],
)
def test_a_null_inside_an_input_is_dropped_by_plain_kubectl_apply_alone(
    kubectl: Kubectl, words: tuple[str, ...], kept: dict[str, Any]
) -> None:
    kubectl(*words, "-f", "-", stdin=json.dumps(workflow(input=NULLS)))
    assert kubectl.get("workflow", "order-1")["spec"]["input"] == kept


def test_an_input_that_is_null_is_none(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=json.dumps(workflow(input=None)))
    assert "input" not in kubectl.get("workflow", "order-1")["spec"]


def test_the_policy_for_payloads_is_sound(installed: ControlPlane) -> None:
    policy = json.loads(
        installed.kubectl("get", "validatingadmissionpolicy", "payloads.tenure.dev", "-o", "json")
    )
    assert policy["status"].get("typeChecking") in (None, {})


@pytest.mark.parametrize(
    "kind", ["workflows", "workflowschedules", "workflowevents", "workflowapps"]
)
def test_explain_explains_every_field(kubectl: Kubectl, kind: str) -> None:
    for path in (kind, f"{kind}.spec", f"{kind}.status"):
        shown = kubectl("explain", path)
        assert "DESCRIPTION:\n    <empty>" not in shown
        assert "<no description>" not in shown
