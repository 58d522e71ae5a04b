"""The codec of AdmissionReview v1.  Out of scope: what is decided (test_admission.py)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from support.pods import body
from tenure_common.errors import BadReviewError
from tenure_injector import review
from tenure_injector.review import Answer


def test_request() -> None:
    request = review.decode(body({"spec": {}}, namespace="shop", uid="u-1", dryRun=True))
    assert (request.uid, request.namespace, request.dry_run) == ("u-1", "shop", True)
    assert request.is_new_pod
    assert json.loads(bytes(request.object)) == {"spec": {}}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"operation": "UPDATE"}, id="update"),
        pytest.param({"kind": {"group": "apps", "version": "v1", "kind": "Pod"}}, id="group"),
        pytest.param({"kind": {"group": "", "version": "v1", "kind": "Service"}}, id="kind"),
        pytest.param({"kind": {}}, id="no-kind"),
    ],
)
def test_what_is_not_a_new_pod(other: dict[str, Any]) -> None:
    assert not review.decode(body({}, **other)).is_new_pod


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(b"pod", "invalid character", id="no-json"),
        pytest.param(b"[]", "got `array`", id="list"),
        pytest.param(b"{}", "missing required field `apiVersion`", id="no-version"),
        pytest.param(
            b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
            "missing required field `request`",
            id="no-request",
        ),
        pytest.param(
            b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview",'
            b' "request": {"uid": "u"}}',
            "takes AdmissionReview of admission.k8s.io/v1",
            id="beta",
        ),
        pytest.param(
            b'{"apiVersion": "v1", "kind": "Pod", "request": {"uid": "u"}}',
            "the body is a Pod of v1",
            id="pod",
        ),
        pytest.param(
            b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",'
            b' "request": {"uid": ""}}',
            "no uid",
            id="empty-uid",
        ),
        pytest.param(
            b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",'
            b' "request": {"uid": 7}}',
            "$.request.uid",
            id="uid-type",
        ),
        pytest.param(b'{"x": ' + b"[" * 20_000, "nested too deeply", id="deep"),
        pytest.param(b'{"apiVersion": "\xff\xfe"}', "AdmissionReview", id="not-utf-8"),
    ],
)
def test_what_is_no_review(text: bytes, reason: str) -> None:
    with pytest.raises(BadReviewError) as caught:
        review.decode(text)
    assert reason in caught.value.message


def response(**fields: Any) -> dict[str, Any]:
    document = json.loads(review.encode(Answer(**{"uid": "u", "allowed": True, **fields})))
    assert (document["apiVersion"], document["kind"]) == (review.VERSION, review.KIND)
    found: dict[str, Any] = document["response"]
    return found


def test_plain_answer_has_nothing_more() -> None:
    assert response() == {"uid": "u", "allowed": True}


def test_patch() -> None:
    operations = [{"op": "add", "path": "/a", "value": "ü"}]
    found = response(patch=operations)
    assert found["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(found["patch"])) == operations


def test_denial() -> None:
    found = response(allowed=False, status=403, message="no", reason="Forbidden")
    assert found["status"] == {
        "status": "Failure",
        "code": 403,
        "reason": "Forbidden",
        "message": "no",
    }
    assert "patch" not in found


def test_what_is_too_long_for_the_api_server_is_cut() -> None:
    found = response(
        allowed=False, message="m" * 5000, warnings=tuple("w" * 300 for _ in range(20))
    )
    assert len(found["status"]["message"]) == 2048
    assert [len(warning) for warning in found["warnings"][:-1]] == [256] * 7
    assert found["warnings"][-1] == "tenure: and 13 more, which are told as Events"


def test_as_many_warnings_as_fit_are_all_shown() -> None:
    warnings = tuple(f"tenure: {number}" for number in range(8))
    assert response(warnings=warnings)["warnings"] == list(warnings)


def test_audit() -> None:
    assert response(audit={"reason": "Injected"})["auditAnnotations"] == {"reason": "Injected"}
