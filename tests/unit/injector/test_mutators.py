"""What is written into a pod, one concern after the other.

Out of scope: whole pods (test_golden_pods.py) and whether a pod is touched at all
(test_policy.py).
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from support.pod_security import violations
from support.pods import CONFIG, admitted, engine, pod, variables
from tenure_common.version import VERSION
from tenure_injector import edits, mutators
from tenure_injector.pods import decode
from tenure_injector.policy import decide
from tenure_injector.sidecar import Sidecar

CLASSIC = msgspec.structs.replace(CONFIG, sidecar_native=False)
INSECURE = msgspec.structs.replace(CONFIG, sidecar_store="etcd://etcd:2379?tls=false")
APP = {"name": "app", "image": "x"}
OTHER = {"name": "other", "image": "y"}
INIT = {"name": "prepare", "image": "z"}
TLS_FILES = (("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key"))


def asked(**annotations: str) -> dict[str, str]:
    return {f"tenure.dev/{name.replace('_', '-')}": text for name, text in annotations.items()}


def sidecar_of(of: dict[str, Any]) -> Sidecar:
    found = decide(decode(msgspec.json.encode(of)), namespace="shop", config=CONFIG).sidecar
    assert found is not None
    return found


# --- container ------------------------------------------------------------------------------------


def test_native_sidecar_is_the_first_init_container() -> None:
    spec = admitted(pod(initContainers=[INIT]))["spec"]
    assert [one["name"] for one in spec["initContainers"]] == ["tenure", "prepare"]
    assert spec["initContainers"][0]["restartPolicy"] == "Always"
    assert [one["name"] for one in spec["containers"]] == ["app"]


@pytest.mark.parametrize(
    ("config", "annotations"),
    [(CLASSIC, {}), (CONFIG, asked(native_sidecar="false"))],
    ids=["setting", "annotation"],
)
def test_classic_container_is_the_last(config: Any, annotations: dict[str, str]) -> None:
    made = pod(annotations=annotations, containers=[APP, OTHER], initContainers=[INIT])
    spec = admitted(made, config=config)["spec"]
    assert [one["name"] for one in spec["containers"]] == ["app", "other", "tenure"]
    assert [one["name"] for one in spec["initContainers"]] == ["prepare"]
    assert "restartPolicy" not in spec["containers"][2]


def test_annotation_beats_the_classic_setting() -> None:
    made = pod(annotations=asked(native_sidecar="true"))
    assert "initContainers" in admitted(made, config=CLASSIC)["spec"]


def test_image() -> None:
    config = msgspec.structs.replace(
        CONFIG, sidecar_image="reg/tenure:1", sidecar_image_pull_policy="Always"
    )
    found = engine(admitted(pod(), config=config))
    assert (found["image"], found["imagePullPolicy"]) == ("reg/tenure:1", "Always")
    made = pod(annotations=asked(sidecar_image="mine:2", sidecar_image_pull_policy="Never"))
    found = engine(admitted(made, config=config))
    assert (found["image"], found["imagePullPolicy"]) == ("mine:2", "Never")


# --- arguments ------------------------------------------------------------------------------------


def test_arguments_of_a_plain_pod() -> None:
    assert engine(admitted(pod()))["args"] == [
        "sidecar",
        "--app-id=orders",
        "--store=etcd://tenure-etcd.tenure-system.svc:2379",
        "--etcd-ca=/var/run/tenure/store/ca.crt",
        "--etcd-cert=/var/run/tenure/store/tls.crt",
        "--etcd-key=/var/run/tenure/store/tls.key",
        "--peers-ca=/var/run/tenure/peers/ca.crt",
        "--peers-cert=/var/run/tenure/peers/tls.crt",
        "--peers-key=/var/run/tenure/peers/tls.key",
        "--log-level=info",
        "--log-format=json",
    ]
    assert "command" not in engine(admitted(pod()))


@pytest.mark.parametrize(
    ("annotations", "argument"),
    [
        (asked(grpc_port="50005"), "--grpc-port=50005"),
        (asked(taskhub_port="4002"), "--taskhub-port=4002"),
        (asked(http_port="3600"), "--http-port=3600"),
        (asked(health_port="3601"), "--health-port=3601"),
        (asked(peers_port="50006"), "--peers-port=50006"),
        (asked(log_level="debug"), "--log-level=debug"),
        (asked(log_format="human"), "--log-format=human"),
        (asked(store="etcd://mine:2379"), "--store=etcd://mine:2379"),
        (asked(flavour="microsoft"), "--flavour=microsoft"),
        (asked(grace_seconds="0"), "--grace=0"),
        (asked(max_message_bytes="4096"), "--max-message-bytes=4096"),
        (asked(turn_lease_seconds="60"), "--turn-lease=60"),
        (asked(activity_lease_seconds="0"), "--activity-lease=0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_annotation_becomes_an_argument(annotations: dict[str, str], argument: str) -> None:
    assert argument in engine(admitted(pod(annotations=annotations)))["args"]


@pytest.mark.parametrize("store", ["etcd://etcd:2379?tls=false", "sqlite:/data/tenure.db"])
def test_store_without_tls_needs_no_credentials(store: str) -> None:
    found = admitted(pod(annotations=asked(store=store)))
    assert not [word for word in engine(found)["args"] if word.startswith("--etcd")]
    assert "tenure-credentials" not in {one["name"] for one in found["spec"]["volumes"]}


# --- environment ----------------------------------------------------------------------------------


def test_identity_comes_from_the_pod() -> None:
    found = engine(admitted(pod()))["env"]
    assert {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in found} == {
        "TENURE_NAMESPACE": "metadata.namespace",
        "TENURE_POD_NAME": "metadata.name",
        "TENURE_POD_UID": "metadata.uid",
        "TENURE_POD_IP": "status.podIP",
    }


def test_variables_of_the_annotations() -> None:
    made = pod(annotations=asked(env="A=1, B=x", env_from_secret="C=vault:token"))
    found = engine(admitted(made))["env"][4:]
    assert found == [
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "vault", "key": "token"}}},
        {"name": "A", "value": "1"},
        {"name": "B", "value": "x"},
    ]


# --- ports and probes -----------------------------------------------------------------------------


def test_ports() -> None:
    made = pod(annotations=asked(health_port="3601"))
    assert engine(admitted(made))["ports"] == [
        {"name": "tenure-health", "containerPort": 3601, "protocol": "TCP"},
        {"name": "tenure-peers", "containerPort": 50002, "protocol": "TCP"},
    ]


def test_probes() -> None:
    found = engine(admitted(pod()))
    paths = {kind: found[kind]["httpGet"]["path"] for kind in found if kind.endswith("Probe")}
    assert paths == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert {found[kind]["httpGet"]["port"] for kind in paths} == {3501}


def test_probe_follows_the_health_port() -> None:
    found = engine(admitted(pod(annotations=asked(health_port="3601"))))
    assert found["livenessProbe"]["httpGet"]["port"] == 3601


@pytest.mark.parametrize("kind", ["liveness", "readiness", "startup"])
def test_probe_is_set_by_annotations(kind: str) -> None:
    start = f"tenure.dev/sidecar-{kind}-probe-"
    given = {"delay-seconds": "11", "timeout-seconds": "12", "period-seconds": "13"}
    annotations = {f"{start}{name}": text for name, text in given.items()}
    found = engine(admitted(pod(annotations={**annotations, f"{start}threshold": "14"})))
    probe = found[f"{kind}Probe"]
    del probe["httpGet"]
    assert probe == {
        "initialDelaySeconds": 11,
        "timeoutSeconds": 12,
        "periodSeconds": 13,
        "failureThreshold": 14,
    }


def test_readiness_can_be_left_to_the_app() -> None:
    found = engine(admitted(pod(annotations=asked(readiness_probe="false"))))
    assert "readinessProbe" not in found
    assert "livenessProbe" in found


# --- resources ------------------------------------------------------------------------------------


def test_resources() -> None:
    assert engine(admitted(pod()))["resources"] == {
        "requests": {"cpu": "50m", "memory": "96Mi"},
        "limits": {"cpu": "2", "memory": "512Mi"},
    }


def test_resources_of_the_annotations() -> None:
    made = pod(
        annotations=asked(
            sidecar_cpu_request="1",
            sidecar_cpu_limit="3",
            sidecar_memory_request="1Gi",
            sidecar_memory_limit="2Gi",
        )
    )
    assert engine(admitted(made))["resources"] == {
        "requests": {"cpu": "1", "memory": "1Gi"},
        "limits": {"cpu": "3", "memory": "2Gi"},
    }


def test_a_limit_alone_lowers_the_request() -> None:
    found = engine(admitted(pod(annotations=asked(sidecar_memory_limit="64Mi"))))["resources"]
    assert (found["requests"]["memory"], found["limits"]["memory"]) == ("64Mi", "64Mi")


def test_a_request_alone_raises_the_limit() -> None:
    found = engine(admitted(pod(annotations=asked(sidecar_cpu_request="4"))))["resources"]
    assert (found["requests"]["cpu"], found["limits"]["cpu"]) == ("4", "4")


def test_empty_setting_is_no_limit() -> None:
    config = msgspec.structs.replace(CONFIG, sidecar_cpu_limit="", sidecar_memory_limit="")
    assert engine(admitted(pod(), config=config))["resources"] == {
        "requests": {"cpu": "50m", "memory": "96Mi"}
    }


# --- security -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(None, id="none"),
        pytest.param({"runAsUser": 0}, id="root"),
        pytest.param({"runAsNonRoot": False, "seccompProfile": {"type": "Unconfined"}}, id="loose"),
    ],
)
def test_engine_is_restricted_whatever_the_pod_is(context: dict[str, Any] | None) -> None:
    made = pod() if context is None else pod(securityContext=context)
    found = admitted(made)
    assert violations(found, only={"tenure"}) == []
    assert violations(made, only={"app"}), "the checker sees what is not restricted"
    assert found["spec"].get("securityContext") == context, "the app's stays the app's"
    assert engine(found)["securityContext"]["readOnlyRootFilesystem"] is True


def test_user() -> None:
    assert engine(admitted(pod()))["securityContext"]["runAsUser"] == 65532
    config = msgspec.structs.replace(CONFIG, sidecar_user=0)
    found = admitted(pod(), config=config)
    assert "runAsUser" not in engine(found)["securityContext"]
    assert violations(found, only={"tenure"}) == []


# --- volumes --------------------------------------------------------------------------------------


def test_volumes() -> None:
    spec = admitted(pod(volumes=[{"name": "mine", "emptyDir": {}}]))["spec"]
    assert spec["volumes"] == [
        {"name": "mine", "emptyDir": {}},
        {"name": "tenure-empty", "emptyDir": {"sizeLimit": "1Mi"}},
        {
            "name": "tenure-credentials",
            "secret": {"secretName": "tenure-store", "defaultMode": 0o444},
        },
        {
            "name": "tenure-peers",
            "secret": {"secretName": "tenure-peers", "defaultMode": 0o444, "optional": True},
        },
    ]


def test_mounts() -> None:
    made = pod(
        annotations=asked(volume_mounts="mine:/in", volume_mounts_rw="ours:/out"),
        volumes=[{"name": "mine"}, {"name": "ours"}],
    )
    found = admitted(made)
    assert engine(found)["volumeMounts"] == [
        {
            "name": "tenure-empty",
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            "readOnly": True,
        },
        {"name": "tenure-credentials", "mountPath": "/var/run/tenure/store", "readOnly": True},
        {"name": "tenure-peers", "mountPath": "/var/run/tenure/peers", "readOnly": True},
        {"name": "mine", "mountPath": "/in", "readOnly": True},
        {"name": "ours", "mountPath": "/out"},
    ]
    assert "volumeMounts" not in found["spec"]["containers"][0], "credentials are the engine's"


def test_secret_of_the_store() -> None:
    found = admitted(pod(annotations=asked(store_secret="mine")))
    assert found["spec"]["volumes"][1]["secret"]["secretName"] == "mine"


PEERS = {f"--peers-{key}=/var/run/tenure/peers/{file}" for key, file in TLS_FILES}


@pytest.mark.parametrize("config", [CONFIG, INSECURE], ids=["etcd-tls", "etcd-plain"])
def test_engines_of_an_app_speak_tls_with_each_other(config: Any) -> None:
    found = admitted(pod(annotations=asked(peers_secret="mine")), config=config)
    (volume,) = [one for one in found["spec"]["volumes"] if one["name"] == "tenure-peers"]
    assert volume["secret"]["secretName"] == "mine"
    assert set(engine(found)["args"]) >= PEERS
    config = msgspec.structs.replace(config, sidecar_peers_secret="theirs")
    found = admitted(pod(), config=config)
    assert found["spec"]["volumes"][-1]["secret"]["secretName"] == "theirs"


def test_an_engine_with_a_store_of_its_own_has_no_peers() -> None:
    made = pod(annotations=asked(store="sqlite:/data/tenure.db"))
    found = admitted(made)
    assert not PEERS & set(engine(found)["args"])
    assert [one["name"] for one in found["spec"]["volumes"]] == ["tenure-empty"]


# --- app ------------------------------------------------------------------------------------------


def test_app_finds_the_engine() -> None:
    made = pod(
        annotations=asked(grpc_port="50005", http_port="3600"),
        containers=[APP, OTHER],
        initContainers=[INIT],
    )
    spec = admitted(made)["spec"]
    wanted = {
        "APP_ID": "orders",
        "DAPR_GRPC_PORT": "50005",
        "DAPR_GRPC_ENDPOINT": "http://127.0.0.1:50005",
        "DAPR_HTTP_PORT": "3600",
        "DAPR_HTTP_ENDPOINT": "http://127.0.0.1:3600",
    }
    for container in (spec["initContainers"][1], *spec["containers"]):
        assert variables(container) == wanted


def test_own_variables_stay_and_may_refer_to_ours() -> None:
    own = [
        {"name": "URL", "value": "$(DAPR_HTTP_ENDPOINT)/x"},
        {"name": "DAPR_GRPC_PORT", "value": "1"},
    ]
    (container,) = admitted(pod(containers=[{**APP, "env": own}]))["spec"]["containers"]
    names = [one["name"] for one in container["env"]]
    assert container["env"][-2:] == own
    assert names.index("DAPR_HTTP_ENDPOINT") < names.index("URL")
    assert names.count("DAPR_GRPC_PORT") == 1


# --- token ----------------------------------------------------------------------------------------


def from_secret(container: dict[str, Any]) -> dict[str, Any]:
    """Variables that come from Secrets."""
    return {
        one["name"]: one["valueFrom"]["secretKeyRef"]
        for one in container.get("env") or []
        if "secretKeyRef" in one.get("valueFrom", {})
    }


def test_token_is_asked_by_the_engine_and_sent_by_the_app() -> None:
    made = pod(annotations=asked(api_token_secret="tokens"), initContainers=[INIT])
    after = admitted(made)
    source = {"name": "tokens", "key": "token"}
    assert from_secret(engine(after)) == {"TENURE_API_TOKEN": source}
    assert from_secret(after["spec"]["containers"][0]) == {"DAPR_API_TOKEN": source}
    assert from_secret(after["spec"]["initContainers"][1]) == {"DAPR_API_TOKEN": source}
    assert admitted(after) == after, "the same again"


def test_own_token_of_the_app_stays() -> None:
    own = {"name": "DAPR_API_TOKEN", "value": "mine"}
    made = pod(annotations=asked(api_token_secret="tokens"), containers=[{**APP, "env": [own]}])
    (app,) = admitted(made)["spec"]["containers"]
    assert [one for one in app["env"] if one["name"] == "DAPR_API_TOKEN"] == [own]


def test_without_an_annotation_there_is_no_token() -> None:
    after = admitted(pod())
    assert "TOKEN" not in str(after)


# --- marks ----------------------------------------------------------------------------------------


def test_marks() -> None:
    metadata = admitted(pod(annotations=asked(app_id="billing"), labels={"app": "x"}))["metadata"]
    assert metadata["annotations"]["tenure.dev/injected"] == VERSION
    assert metadata["labels"] == {"app": "x", "tenure.dev/app-id": "billing"}


def test_label_says_what_the_engine_serves() -> None:
    made = pod(labels={"tenure.dev/app-id": "another"})
    assert admitted(made)["metadata"]["labels"] == {"tenure.dev/app-id": "orders"}


# --- again, and by the rules ----------------------------------------------------------------------


def test_container_that_came_later_is_connected() -> None:
    once = admitted(pod())
    once["spec"]["containers"].append(dict(OTHER))
    engine_before = copy.deepcopy(engine(once))
    twice = admitted(once)
    assert variables(twice["spec"]["containers"][1])["DAPR_GRPC_PORT"] == "50001"
    assert engine(twice) == engine_before


def test_what_others_did_to_the_engine_stays() -> None:
    once = admitted(pod())
    once["spec"]["initContainers"][0]["image"] = "mirror/tenure:1"
    assert engine(admitted(once))["image"] == "mirror/tenure:1"


def test_no_mutator_changes_what_it_gets() -> None:
    made = pod(
        annotations=asked(api_token_secret="tokens"),
        initContainers=[INIT],
        volumes=[{"name": "v", "emptyDir": {}}],
        labels={"a": "b"},
    )
    sidecar = sidecar_of(made)
    for mutate in (*mutators.ENGINE, *mutators.APP):
        before = copy.deepcopy(made)
        after = mutate(made, sidecar)
        assert made == before, mutate.__module__
        assert after is not made, f"{mutate.__module__} does nothing"
        made = after


def test_mutator_before_the_container_is_a_mistake() -> None:
    with pytest.raises(LookupError, match="added before it is changed"):
        edits.with_sidecar(pod(), lambda container: container)


def test_null_lists_are_empty_lists() -> None:
    made = pod(initContainers=None, volumes=None)
    made["metadata"]["labels"] = None
    found = admitted(made)
    assert [one["name"] for one in found["spec"]["initContainers"]] == ["tenure"]
    assert found["metadata"]["labels"] == {"tenure.dev/app-id": "orders"}
