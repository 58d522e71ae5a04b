"""Replies whose decisions are kept.  Out of scope: what is decided (test_admission.py)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from support.pods import CONFIG, applied, body, pod
from tenure_injector import review
from tenure_injector.replies import KEPT, LONGEST_KEPT, Replies, Reply
from tenure_injector.report import Verdict


@pytest.fixture
def replies() -> Replies:
    return Replies(CONFIG)


def asked(replies: Replies, of: Any, **request: Any) -> Reply:
    return replies.to(review.decode(body(of, **request)))


def response(reply: Reply) -> dict[str, Any]:
    answered: dict[str, Any] = json.loads(reply.body)["response"]
    return answered


def replica(number: int, **spec: Any) -> dict[str, Any]:
    """As the API server sends it: with a volume of a random name, and when it was written."""
    token = f"kube-api-access-{number:05}"
    container = {
        "name": "app",
        "image": "example.org/orders:1",
        "volumeMounts": [{"name": token, "mountPath": "/var/run/secrets/token"}],
    }
    made = pod(
        owner=("ReplicaSet", "orders-1"),
        labels={"pod-template-hash": "1"},
        containers=[container],
        volumes=[{"name": token, "projected": {"sources": []}}],
        **spec,
    )
    made["metadata"]["managedFields"] = [{"time": f"2026-01-01T00:00:{number:02}Z"}]
    return made


def test_replicas_are_decided_once_and_answered_each(replies: Replies) -> None:
    first, second = replica(1), replica(2)
    one, two = asked(replies, first, uid="u-1"), asked(replies, second, uid='u-"2"')
    assert two.report is one.report
    assert (response(one)["uid"], response(two)["uid"]) == ("u-1", 'u-"2"')
    for of, reply in ((first, one), (second, two)):
        made = applied(of, response(reply))
        assert made["spec"]["volumes"][0] == of["spec"]["volumes"][0]
        assert made["spec"]["initContainers"][0]["name"] == "tenure"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"labels": None}, id="labels"),
        pytest.param({"annotations": {"tenure.dev/log-level": "debug"}}, id="annotation"),
        pytest.param({"name": "invoices"}, id="name"),
        pytest.param({"owner": ("StatefulSet", "invoices")}, id="owner"),
        pytest.param({"hostNetwork": True}, id="spec"),
        pytest.param({"volumes": []}, id="empty-list"),
        pytest.param({"volumes": None}, id="null-list"),
    ],
)
def test_pods_that_differ_in_what_matters_are_not_mistaken(
    replies: Replies, other: dict[str, Any]
) -> None:
    usual = pod(labels={"a": "b"})
    changed = pod(**{"labels": {"a": "b"}, **other})
    for of in (usual, changed, usual, changed):
        assert asked(replies, of).body == asked(Replies(CONFIG), of).body
    assert asked(replies, usual).body != asked(replies, changed).body


def test_namespaces_are_not_mistaken(replies: Replies) -> None:
    verdicts = [
        asked(replies, pod(), namespace=namespace).report.verdict
        for namespace in ("shop", "kube-system", "shop")
    ]
    assert verdicts == [Verdict.INJECT, Verdict.SKIP, Verdict.INJECT]


@pytest.mark.parametrize(
    "asks",
    [
        "tenure.dev/volume-mounts",
        "tenure.dev/volume-mounts-rw",
        "dapr.io/volume-mounts",
        "dapr.io/volume-mounts-rw",
    ],
)
def test_token_volume_keeps_its_name_where_it_is_to_be_mounted(asks: str) -> None:
    replies = Replies(msgspec.structs.replace(CONFIG, compat_dapr=True))
    of = replica(1)
    asked(replies, of)
    of["metadata"]["annotations"][asks] = "kube-api-access-00001:/token"
    assert asked(replies, of).report.verdict is Verdict.INJECT
    of["spec"]["volumes"][0]["name"] = "kube-api-access-00002"
    assert asked(replies, of).report.reason == "VolumeMissing"


def test_large_pods_are_not_kept(replies: Replies) -> None:
    large = pod(annotations={"x": "y" * LONGEST_KEPT})
    assert asked(replies, large).report is not asked(replies, large).report
    assert asked(replies, large).report == asked(replies, large).report


def test_so_many_decisions_are_kept_and_the_oldest_goes(replies: Replies) -> None:
    first = asked(replies, pod(name="app-0")).report
    for number in range(1, KEPT):
        asked(replies, pod(name=f"app-{number}"))
    assert asked(replies, pod(name="app-0")).report is first
    asked(replies, pod(name="one-more"))
    assert asked(replies, pod(name="app-0")).report is not first
    assert asked(replies, pod(name=f"app-{KEPT - 1}")).report.sidecar is not None


def test_what_is_no_pod_is_answered(replies: Replies) -> None:
    assert response(asked(replies, {"spec": {"containers": 1}}))["allowed"] is False
    assert response(asked(replies, pod(), operation="UPDATE"))["allowed"] is True
    lenient = Replies(msgspec.structs.replace(CONFIG, failure_policy="ignore"))
    assert response(asked(lenient, None))["allowed"] is True
