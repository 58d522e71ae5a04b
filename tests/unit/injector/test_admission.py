"""From request to answer: verdicts as the API server sees them.

Out of scope: which verdict a pod gets (test_policy.py), the bytes (test_admission_review.py).
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.pods import CONFIG, admitted, body, considered, pod
from tenure_injector import admission, review
from tenure_injector.report import Verdict

LENIENT = msgspec.structs.replace(CONFIG, failure_policy="ignore")


def test_injected() -> None:
    outcome = considered(pod())
    answer = outcome.answer
    assert (answer.uid, answer.allowed, answer.warnings) == ("review-1", True, ())
    assert answer.patch
    assert answer.audit == {"reason": "Injected"}
    assert outcome.pod is not None
    assert outcome.pod.title == "orders"


def test_skipped_pod_is_admitted_as_it_is() -> None:
    answer = considered(pod(annotations={"tenure.dev/inject": "false"})).answer
    assert answer.allowed
    assert not answer.patch
    assert not answer.warnings


def test_denied() -> None:
    answer = considered(pod(hostNetwork=True)).answer
    assert not answer.allowed
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == (
        "tenure does not admit pod orders: TN0903: with hostNetwork the engine's loopback ports "
        "would be open to the whole node"
    )
    assert not answer.patch


def test_lenient_policy_admits_and_warns() -> None:
    made = pod(hostNetwork=True, annotations={"tenure.dev/http-prot": "1"})
    answer = considered(made, config=LENIENT).answer
    assert answer.allowed
    assert not answer.patch
    assert answer.warnings[0].startswith("tenure: the engine was not added: TN0903: with hostNet")
    assert "did you mean tenure.dev/http-port?" in answer.warnings[1]


def test_typo_is_a_warning() -> None:
    answer = considered(pod(annotations={"tenure.dev/log-levle": "info"})).answer
    assert answer.allowed
    assert answer.patch
    (warning,) = answer.warnings
    assert warning.startswith("tenure: annotation tenure.dev/log-levle is not known")


@pytest.mark.parametrize("odd", [None, [], "pod", {"spec": []}, {"spec": {"containers": 1}}])
def test_unreadable_pod_follows_the_failure_policy(odd: Any) -> None:
    outcome = considered(odd)
    assert (outcome.report.verdict, outcome.report.reason) == (Verdict.DENY, "Unreadable")
    assert outcome.report.code == "TN0901"
    assert "is not a pod" in outcome.answer.message
    lenient = considered(odd, config=LENIENT)
    assert lenient.answer.allowed
    assert not lenient.answer.patch
    assert "is not a pod" in lenient.answer.warnings[0]


def test_other_objects_pass() -> None:
    request = review.decode(body({"spec": 1}, operation="UPDATE"))
    outcome = admission.consider(request, CONFIG)
    assert outcome.answer.allowed
    assert outcome.report.reason == "NotANewPod"


def test_namespace_of_the_request_counts() -> None:
    # The pod's own field may be empty, or wrong in a request that is not from the API server.
    made = pod()
    made["metadata"]["namespace"] = "shop"
    assert considered(made, namespace="kube-system").report.reason == "NamespaceExcluded"
    made["metadata"]["namespace"] = "kube-system"
    assert considered(made, namespace="").report.reason == "NamespaceExcluded"


def test_second_call_changes_nothing() -> None:
    once = admitted(pod())
    again = considered(once)
    assert again.report.verdict is Verdict.COMPLETE
    assert not again.answer.patch
