"""What people are told: which Events a decision makes, on what, how often."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import msgspec
import pytest

from support.pods import CONFIG, considered, pod
from tenure_injector.notices import LONGEST, Notice, Recent, event, notices
from tenure_injector.pods import Owner

LENIENT = msgspec.structs.replace(CONFIG, failure_policy="ignore")
OWNED: dict[str, Any] = {
    "name": "",
    "owner": ("ReplicaSet", "orders-7d4b9"),
    "labels": {"pod-template-hash": "7d4b9"},
}


def told(of: dict[str, Any], **more: Any) -> list[Notice]:
    outcome = considered(of, **more)
    return list(notices(outcome.report, outcome.pod, namespace="shop"))


def test_injection_is_told_on_the_controller() -> None:
    (notice,) = told(pod(**OWNED))
    assert (notice.kind, notice.reason) == ("Normal", "Injected")
    assert (notice.about.kind, notice.about.name) == ("ReplicaSet", "orders-7d4b9")
    assert notice.about.uid == "uid-of-orders-7d4b9"
    assert notice.message == (
        "pod unnamed...: engine of app orders added as native sidecar 'tenure'"
    )


def test_single_pod_is_told_on_itself() -> None:
    (notice,) = told(pod())
    assert (notice.about.kind, notice.about.name) == ("Pod", "orders")


def test_denial_is_a_warning_with_its_code() -> None:
    (notice,) = told(pod(hostNetwork=True))
    assert (notice.kind, notice.reason) == ("Warning", "InjectionDenied")
    assert "TN0903" in notice.message


def test_pod_that_passes_without_the_engine_is_a_warning() -> None:
    (notice,) = told(pod(hostNetwork=True), config=LENIENT)
    assert (notice.kind, notice.reason) == ("Warning", "InjectionSkipped")


def test_typo_is_told_besides() -> None:
    one, two = told(pod(annotations={"tenure.dev/http-prot": "1"}))
    assert one.reason == "Injected"
    assert (two.kind, two.reason) == ("Warning", "DoubtfulAnnotation")
    assert "did you mean tenure.dev/http-port?" in two.message


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(pod(annotations={"tenure.dev/inject": "false"}), id="switched-off"),
        pytest.param("no pod at all", id="unreadable"),
        pytest.param(pod(name="", annotations={"tenure.dev/app-id": "x"}), id="nameless"),
        pytest.param(
            pod(annotations={"tenure.dev/injected": "1"}, initContainers=[{"name": "tenure"}]),
            id="complete",
        ),
    ],
)
def test_nothing_to_tell(of: Any) -> None:
    assert told(of) == []


def test_event_is_one_that_kubernetes_takes() -> None:
    (notice,) = told(pod(**OWNED))
    made = event(notice, instance="tenure-injector-1", now=1_700_000_000_000_000_000)
    kubernetes_validate.validate(made, "1.34", strict=True)
    assert made["metadata"] == {"generateName": "tenure-", "namespace": "shop"}
    assert made["involvedObject"]["namespace"] == "shop"
    assert made["firstTimestamp"].startswith("2023-11-14T22:13:20")
    assert made["reportingInstance"] == "tenure-injector-1"


def test_event_leaves_out_what_it_does_not_know() -> None:
    (notice,) = told(pod())
    assert "uid" not in event(notice, instance="", now=0)["involvedObject"]


def test_message_fits() -> None:
    made = pod(annotations={f"tenure.dev/x{n}": "" for n in range(3)}, name="a" * 60)
    made["metadata"]["annotations"]["tenure.dev/app-id"] = "B" * 5000
    made["metadata"]["annotations"] |= {f"tenure.dev/http-port{'x' * 1500}": "1"}
    assert all(len(notice.message) <= LONGEST for notice in told(made))


def notice(text: str = "x") -> Notice:
    return Notice(namespace="n", about=Owner(), kind="Normal", reason="R", message=text)


def test_the_same_is_said_once_in_a_while() -> None:
    recent = Recent(repeat_after=600.0)
    assert recent.is_new(notice(), now=0.0)
    assert not recent.is_new(notice(), now=599.0)
    assert recent.is_new(notice("y"), now=599.0)
    assert recent.is_new(notice(), now=600.0)
    assert not recent.is_new(notice(), now=1199.0)


def test_memory_is_bounded() -> None:
    recent = Recent(remembered=3)
    for number in range(10):
        assert recent.is_new(notice(str(number)), now=0.0)
    assert recent.is_new(notice("0"), now=0.0), "forgotten"
    assert not recent.is_new(notice("9"), now=0.0), "not forgotten"
    assert len(recent._said) == 3
