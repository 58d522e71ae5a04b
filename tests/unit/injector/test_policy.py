"""Which pods get the engine: every question, and the order in which they are asked.

Out of scope: what an injected pod looks like (test_mutators.py, test_golden_pods.py).
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.pods import CONFIG, Json, considered, pod
from tenure_injector.annotation_set import MOST_NAMED
from tenure_injector.report import Report, Verdict

LENIENT = msgspec.structs.replace(CONFIG, failure_policy="ignore")
COMPAT = msgspec.structs.replace(CONFIG, compat_dapr=True)
CLASSIC = msgspec.structs.replace(CONFIG, sidecar_native=False)
APP = {"name": "app", "image": "x"}


def report(of: Json, **more: Any) -> Report:
    return considered(of, **more).report


def bare(**more: Any) -> Json:
    """A pod that asks for nothing."""
    made = pod(**more)
    del made["metadata"]["annotations"]["tenure.dev/inject"]
    return made


# --- was it asked for -----------------------------------------------------------------------------


def test_annotation_asks() -> None:
    found = report(pod())
    assert (found.verdict, found.reason) == (Verdict.INJECT, "Injected")
    assert found.text == "engine of app orders added as native sidecar 'tenure'"


def test_label_asks() -> None:
    assert report(bare(labels={"tenure.dev/inject": "true"})).verdict is Verdict.INJECT


@pytest.mark.parametrize("labels", [None, {"tenure.dev/inject": "false"}, {"app": "x"}])
def test_neither_asks(labels: dict[str, str] | None) -> None:
    found = report(bare(labels=labels))
    assert (found.verdict, found.reason, found.code) == (Verdict.SKIP, "NotAsked", "")


def test_annotation_takes_back_what_the_label_asks() -> None:
    switched = pod(annotations={"tenure.dev/inject": "false"}, labels={"tenure.dev/inject": "true"})
    found = report(switched)
    assert (found.verdict, found.reason) == (Verdict.SKIP, "SwitchedOff")


def test_unclear_annotation_is_told_to_its_author() -> None:
    found = report(pod(annotations={"tenure.dev/inject": "yes please"}))
    assert (found.verdict, found.reason) == (Verdict.DENY, "InvalidAnnotation")
    assert "tenure.dev/inject: 'yes please' will not do: it must be true or false" in found.text


def test_bad_annotations_of_a_pod_that_does_not_ask_are_left_alone() -> None:
    assert report(bare(annotations={"tenure.dev/http-port": "0"})).reason == "NotAsked"


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        ({"annotations": {"tenure.dev/injct": "true"}}, "did you mean tenure.dev/inject?"),
        ({"annotations": {"tenure.dev/Inject": "true"}}, "did you mean tenure.dev/inject?"),
        ({"labels": {"tenure.dev/injekt": "true"}}, "did you mean tenure.dev/inject?"),
        ({"labels": {"tenure.dev/inject": "True"}}, "is 'True', and only 'true' asks"),
        ({"annotations": {"tenure.dev/app-id": "a"}}, "tenure.dev/app-id has no effect, because"),
    ],
)
def test_a_slip_in_what_asks_is_told(marks: dict[str, dict[str, str]], told: str) -> None:
    found = report(bare(**marks))
    assert (found.verdict, found.reason, found.code) == (Verdict.SKIP, "NotAsked", "")
    (note,) = found.notes
    assert told in note
    assert next(iter(next(iter(marks.values())))) in note, "the slip itself is named"


@pytest.mark.parametrize(
    "marks",
    [
        {"annotations": {"other/x": "y"}},
        {"labels": {"tenure.dev/app-id": "orders", "tenure.dev/inject": "false"}},
    ],
)
def test_what_is_no_slip_is_not_told(marks: dict[str, dict[str, str]]) -> None:
    assert report(bare(**marks)).notes == ()
    assert report(bare(**marks), config=COMPAT).notes == ()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("dapr.io/enable", "is not known and has no effect; did you mean dapr.io/enabled?"),
        ("dapr.io/app-id", "does not ask for the engine: set dapr.io/enabled: 'true'"),
    ],
)
def test_a_slip_in_what_asks_for_dapr_is_told_with_compatibility(name: str, told: str) -> None:
    made = bare(annotations={name: "x"})
    (note,) = report(made, config=COMPAT).notes
    assert name in note
    assert told in note
    assert report(made).notes == ()


def test_no_more_labels_are_named_than_somebody_reads() -> None:
    made = bare(labels={f"tenure.dev/x{number}": "1" for number in range(100)})
    notes = report(made).notes
    assert len(notes) == MOST_NAMED + 1
    assert notes[-1] == f"{100 - MOST_NAMED} more labels are not known and have no effect"


@pytest.mark.parametrize(
    "namespace", ["kube-system", "kube-public", "kube-node-lease", "tenure-system"]
)
def test_system_namespaces_and_our_own_are_left_alone(namespace: str) -> None:
    found = report(pod(), namespace=namespace)
    assert (found.verdict, found.reason) == (Verdict.SKIP, "NamespaceExcluded")


def test_dapr_annotation_asks_only_with_compatibility() -> None:
    made = bare(annotations={"dapr.io/enabled": "true", "dapr.io/app-id": "orders"})
    assert report(made).reason == "NotAsked"
    assert report(made, config=COMPAT).verdict is Verdict.INJECT


def test_unclear_dapr_annotation_is_told() -> None:
    made = bare(annotations={"dapr.io/enabled": "perhaps"})
    assert report(made, config=COMPAT).reason == "InvalidAnnotation"


# --- whose is it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "app_id"),
    [
        pytest.param(pod(annotations={"tenure.dev/app-id": "billing"}), "billing", id="said"),
        pytest.param(pod(name="single"), "single", id="single-pod"),
        pytest.param(
            pod(
                name="",
                owner=("ReplicaSet", "orders-7d4b9"),
                labels={"pod-template-hash": "7d4b9"},
            ),
            "orders",
            id="deployment",
        ),
        pytest.param(pod(name="", owner=("StatefulSet", "queue")), "queue", id="stateful-set"),
        pytest.param(pod(name="", owner=("DaemonSet", "agent")), "agent", id="daemon-set"),
    ],
)
def test_app(made: Json, app_id: str) -> None:
    found = report(made)
    assert found.sidecar is not None
    assert found.sidecar.app_id == app_id


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(pod(name=""), id="generated-name"),
        pytest.param(pod(name="", owner=("Job", "nightly-28")), id="job"),
        pytest.param(pod(name="", owner=("Rollout", "orders")), id="custom"),
        pytest.param(pod(name="", owner=("ReplicaSet", "lonely")), id="replica-set-of-nobody"),
        pytest.param(
            pod(name="", owner=("ReplicaSet", "x-1"), labels={"pod-template-hash": "2"}),
            id="another-hash",
        ),
        pytest.param(pod(name="a.b"), id="dotted"),
        pytest.param(pod(name="a" * 64), id="long"),
    ],
)
def test_app_without_a_name_is_denied(made: Json) -> None:
    found = report(made)
    assert (found.verdict, found.reason, found.code) == (Verdict.DENY, "AppIdMissing", "TN0902")
    assert "tenure.dev/app-id" in found.text


# --- can it be done -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "reason", "text"),
    [
        pytest.param(pod(hostNetwork=True), "HostNetwork", "hostNetwork", id="host-network"),
        pytest.param(pod(os={"name": "windows"}), "Windows", "Windows", id="windows"),
        pytest.param(
            pod(nodeSelector={"kubernetes.io/os": "windows"}),
            "Windows",
            "Windows nodes",
            id="windows-nodes",
        ),
        pytest.param(
            pod(containers=[APP, {"name": "daprd"}]), "DaprPresent", "'daprd'", id="dapr-classic"
        ),
        pytest.param(
            pod(initContainers=[{"name": "daprd"}]), "DaprPresent", "'daprd'", id="dapr-native"
        ),
        pytest.param(
            pod(containers=[{"name": "tenure"}]), "NameTaken", "'tenure' of its own", id="container"
        ),
        pytest.param(
            pod(volumes=[{"name": "tenure-credentials"}]),
            "NameTaken",
            "volume 'tenure-credentials'",
            id="volume",
        ),
        pytest.param(
            pod(containers=[{**APP, "ports": [{"containerPort": 3500}]}]),
            "PortTaken",
            "port 3500 is used by container 'app': set tenure.dev/http-port",
            id="port",
        ),
        pytest.param(
            pod(initContainers=[{"name": "i", "ports": [{"containerPort": 50002}]}]),
            "PortTaken",
            "set tenure.dev/peers-port",
            id="port-of-an-init-container",
        ),
        pytest.param(
            pod(annotations={"tenure.dev/http-port": "50001"}),
            "Contradiction",
            "grpc-port and http-port are both 50001",
            id="two-ports",
        ),
        pytest.param(
            pod(
                annotations={
                    "tenure.dev/sidecar-cpu-request": "2",
                    "tenure.dev/sidecar-cpu-limit": "1500m",
                }
            ),
            "Contradiction",
            "the CPU request 2 is above the CPU limit 1500m",
            id="cpu",
        ),
        pytest.param(
            pod(
                annotations={
                    "tenure.dev/sidecar-memory-request": "1Gi",
                    "tenure.dev/sidecar-memory-limit": "1000Mi",
                }
            ),
            "Contradiction",
            "the memory request 1Gi is above the memory limit 1000Mi",
            id="memory",
        ),
        pytest.param(
            pod(annotations={"tenure.dev/volume-mounts": "data:/data"}),
            "VolumeMissing",
            "volume 'data', which the pod does not have",
            id="volume-missing",
        ),
        pytest.param(
            pod(
                annotations={"tenure.dev/volume-mounts": "v:/var/run/tenure/store/"},
                volumes=[{"name": "v"}],
            ),
            "Contradiction",
            "two volumes are mounted at /var/run/tenure/store",
            id="over-the-credentials",
        ),
        pytest.param(
            pod(
                annotations={
                    "tenure.dev/volume-mounts": "v:/v",
                    "tenure.dev/volume-mounts-rw": "v:/v",
                },
                volumes=[{"name": "v"}],
            ),
            "Contradiction",
            "two volumes are mounted at /v",
            id="one-path-twice",
        ),
        pytest.param(
            pod(
                annotations={
                    "tenure.dev/env": "A=1",
                    "tenure.dev/env-from-secret": "A=s:k",
                },
            ),
            "Contradiction",
            "the variable A is set twice",
            id="one-variable-twice",
        ),
        pytest.param(
            pod(
                annotations={
                    "tenure.dev/env-from-secret": "TENURE_API_TOKEN=s:k",
                    "tenure.dev/api-token-secret": "tokens",
                },
            ),
            "Contradiction",
            "the variable TENURE_API_TOKEN is set twice",
            id="two-tokens",
        ),
    ],
)
def test_obstacle(made: Json, reason: str, text: str) -> None:
    found = report(made)
    assert (found.verdict, found.reason, found.code) == (Verdict.DENY, reason, "TN0903")
    assert text in found.text
    assert found.sidecar is None
    lenient = report(made, config=LENIENT)
    assert (lenient.verdict, lenient.reason, lenient.text) == (Verdict.SKIP, reason, found.text)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(
            pod(containers=[{**APP, "ports": [{"containerPort": 3500, "protocol": "UDP"}]}]),
            id="udp",
        ),
        pytest.param(
            pod(
                annotations={"tenure.dev/http-port": "3600"},
                containers=[{**APP, "ports": [{"containerPort": 3500}]}],
            ),
            id="moved-away",
        ),
        pytest.param(pod(os={"name": "linux"}), id="linux"),
        pytest.param(pod(hostNetwork=False), id="no-host-network"),
        pytest.param(
            pod(annotations={"tenure.dev/volume-mounts": "v:/v"}, volumes=[{"name": "v"}]),
            id="volume-there",
        ),
        pytest.param(
            pod(annotations={"tenure.dev/sidecar-memory-limit": "64Mi"}), id="limit-below-default"
        ),
        pytest.param(
            pod(annotations={"tenure.dev/sidecar-cpu-request": "4"}), id="request-above-default"
        ),
    ],
)
def test_no_obstacle(made: Json) -> None:
    assert report(made).verdict is Verdict.INJECT


def test_bad_values_come_before_obstacles() -> None:
    made = pod(annotations={"tenure.dev/http-port": "0"}, hostNetwork=True)
    assert report(made).reason == "InvalidAnnotation"


def test_typo_is_a_note() -> None:
    found = report(pod(annotations={"tenure.dev/log-levle": "debug"}))
    assert found.verdict is Verdict.INJECT
    (note,) = found.notes
    assert note == (
        "annotation tenure.dev/log-levle is not known and has no effect; "
        "did you mean tenure.dev/log-level?"
    )


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
def test_classic_container_in_a_pod_that_ends_is_doubted(policy: str) -> None:
    made = pod(restartPolicy=policy)
    (note,) = report(made, config=CLASSIC).notes
    assert "tenure.dev/native-sidecar" in note
    assert report(made).notes == ()


def test_classic_container_in_a_pod_that_stays_is_fine() -> None:
    assert report(pod(restartPolicy="Always"), config=CLASSIC).notes == ()


# --- again ----------------------------------------------------------------------------------------


def test_pod_that_has_the_engine_is_completed() -> None:
    made = pod(
        annotations={"tenure.dev/injected": "0.0.9"},
        initContainers=[{"name": "tenure", "ports": [{"containerPort": 3501}]}],
    )
    found = report(made)
    assert (found.verdict, found.reason) == (Verdict.COMPLETE, "AlreadyInjected")


def test_mark_alone_is_not_the_engine() -> None:
    # An exported pod carries the mark; without the container it needs the engine.
    assert report(pod(annotations={"tenure.dev/injected": "1"})).verdict is Verdict.INJECT
