"""The typed view of a pod.  Out of scope: what decisions make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tenure_common.errors import BadReviewError
from tenure_injector import pods


def decoded(document: Any) -> pods.Pod:
    return pods.decode(json.dumps(document).encode())


def test_both_views_are_of_the_same_pod() -> None:
    document = {
        "metadata": {"name": "a", "labels": {"x": "y"}, "future": [1]},
        "spec": {
            "containers": [{"name": "app", "env": None, "novel": {"deep": True}}],
            "volumes": [{"name": "v"}, {"name": "w"}],
            "unheard": 1,
        },
    }
    pod = decoded(document)
    assert pods.document(pod) == {
        "metadata": {"name": "a", "labels": {"x": "y"}},
        "spec": {
            "containers": [{"name": "app", "env": None}],
            "volumes": [{"name": "v"}, {"name": "w"}],
        },
    }
    assert pod.labels == {"x": "y"}
    assert [container.name for container in pod.containers()] == ["app"]


def test_init_containers_come_first() -> None:
    pod = decoded({"spec": {"containers": [{"name": "b"}], "initContainers": [{"name": "a"}]}})
    assert [container.name for container in pod.containers()] == ["a", "b"]


@pytest.mark.parametrize("absent", [{}, {"labels": None, "annotations": None}])
def test_absent_and_null_marks_are_none(absent: dict[str, None]) -> None:
    pod = decoded({"metadata": absent, "spec": {}})
    assert (pod.labels, pod.annotations, pod.controller) == ({}, {}, None)
    assert list(pod.containers()) == []


@pytest.mark.parametrize(
    ("metadata", "title"),
    [
        pytest.param({"name": "a", "generateName": "b-"}, "a", id="named"),
        pytest.param({"generateName": "b-"}, "b-...", id="generated"),
        pytest.param({}, "unnamed...", id="neither"),
    ],
)
def test_title(metadata: dict[str, str], title: str) -> None:
    assert decoded({"metadata": metadata, "spec": {}}).title == title


def test_controller_is_the_owner_that_controls() -> None:
    owners = [
        {"kind": "Team", "name": "t"},
        {"kind": "ReplicaSet", "name": "r", "controller": True},
    ]
    pod = decoded({"metadata": {"ownerReferences": owners}, "spec": {}})
    assert pod.controller is not None
    assert pod.controller.name == "r"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(b"null", "null", id="null"),
        pytest.param(b"[]", "array", id="list"),
        pytest.param(b"{}", "it has no spec", id="no-spec"),
        pytest.param(b'{"spec": {"containers": {}}}', "$.spec.containers", id="containers"),
        pytest.param(b'{"spec": {"containers": [1]}}', "$.spec.containers[0]", id="container"),
        pytest.param(
            b'{"metadata": {"annotations": {"a": 1}}, "spec": {}}',
            "$.metadata.annotations",
            id="annotation",
        ),
        pytest.param(b'{"spec": {"hostNetwork": "yes"}}', "$.spec.hostNetwork", id="flag"),
        pytest.param(b"{", "truncated", id="cut"),
        pytest.param(b'{"spec": {"x": ' + b"[" * 9000 + b"]" * 9000 + b"}}", "deep", id="deep"),
        pytest.param(b'{"spec": {"x": "\xff"}}', "", id="not-utf-8"),
    ],
)
def test_what_is_no_pod_is_refused_with_the_field(text: bytes, reason: str) -> None:
    with pytest.raises(BadReviewError) as caught:
        pods.decode(text)
    assert caught.value.message.startswith("the review's object is not a pod: ")
    assert reason in caught.value.message
