"""Dapr's annotations: each one of Dapr's set has a meaning here or a reason why not.

The set is written down again below, from Dapr's documentation, so that none is forgotten.
"""

from __future__ import annotations

import pytest

from tenure_injector import annotation_set, dapr
from tenure_injector.options import Options
from tenure_injector.review import LONGEST_WARNING
from tenure_injector.texts import SecretVariable, Variable

TEXT = """
enabled app-id app-port app-protocol app-channel-address app-max-concurrency app-ssl config log-level
log-as-json enable-api-logging enable-profiling enable-debug debug-port env env-from-secret
api-token-secret app-token-secret disable-init-endpoints app-binding-options-timeout grpc-port
internal-grpc-port metrics-port enable-metrics sidecar-listen-addresses unix-domain-socket-path
sidecar-image sidecar-cpu-request sidecar-cpu-limit sidecar-memory-request sidecar-memory-limit
sidecar-seccomp-profile-type volume-mounts volume-mounts-rw sidecar-liveness-probe-delay-seconds
sidecar-liveness-probe-timeout-seconds sidecar-liveness-probe-period-seconds
sidecar-liveness-probe-threshold sidecar-readiness-probe-delay-seconds
sidecar-readiness-probe-timeout-seconds sidecar-readiness-probe-period-seconds
sidecar-readiness-probe-threshold max-body-size http-max-request-size read-buffer-size
http-read-buffer-size graceful-shutdown-seconds block-shutdown-duration enable-app-health-check
app-health-check-path app-health-probe-interval app-health-probe-timeout app-health-threshold
placement-host-address scheduler-host-address actors-disseminate-timeout
sentry-request-jwt-audiences disable-builtin-k8s-secret-store sidecar-svc-annotations
pluggable-components pluggable-components-sockets-folder component-container
inject-pluggable-components enable-native-sidecar
"""
DOCUMENTED = TEXT.split()


def parsed(**given: str) -> annotation_set.Parsed:
    named = {f"dapr.io/{name.replace('_', '-')}": text for name, text in given.items()}
    return annotation_set.parse(named, compat=True)


def test_every_annotation_of_dapr_is_accounted_for() -> None:
    groups = [set(dapr.COUNTERPARTS), set(dapr.WITHOUT_EFFECT)]
    assert set.union(*groups) == set(DOCUMENTED)
    assert sum(map(len, groups)) == len(set(DOCUMENTED)), "one group for each"


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("enabled", "true", Options(inject=True)),
        ("enabled", "Yes", Options(inject=True)),
        ("enabled", "off", Options(inject=False)),
        ("app_id", "orders", Options(app_id="orders")),
        ("log_level", "DEBUG", Options(log_level="debug")),
        ("log_level", "warn", Options(log_level="warning")),
        ("log_level", "fatal", Options(log_level="error")),
        ("metrics_port", "9090", Options(health_port=9090)),
        ("api_token_secret", "dapr-api-token", Options(api_token_secret="dapr-api-token")),
        ("log_as_json", "true", Options(log_format="json")),
        ("log_as_json", "false", Options(log_format="human")),
        ("env", "A=1", Options(env=(Variable("A", "1"),))),
        ("env_from_secret", "A=s", Options(env_from_secret=(SecretVariable("A", "s", "s"),))),
        ("grpc_port", "50005", Options(grpc_port=50005)),
        ("internal_grpc_port", "50006", Options(peers_port=50006)),
        ("max_body_size", "4Mi", Options(max_message_bytes=4194304)),
        ("http_max_request_size", "8", Options(max_message_bytes=8388608)),
        ("graceful_shutdown_seconds", "7", Options(grace_seconds=7)),
        ("graceful_shutdown_seconds", "-1", Options()),
        ("enable_native_sidecar", "1", Options(native_sidecar=True)),
        ("sidecar_cpu_limit", "300m", Options(sidecar_cpu_limit="300m")),
        (
            "sidecar_liveness_probe_delay_seconds",
            "180",
            Options(sidecar_liveness_probe_delay_seconds=180),
        ),
    ],
)
def test_counterpart(name: str, text: str, options: Options) -> None:
    found = parsed(**{name: text})
    assert found == annotation_set.Parsed(options)


@pytest.mark.parametrize("name", sorted(dapr.WITHOUT_EFFECT))
def test_what_has_no_effect_is_told(name: str) -> None:
    found = parsed(**{name: "x"})
    assert found.options == Options()
    (note,) = found.notes
    assert note == f"annotation dapr.io/{name} has no effect: {dapr.WITHOUT_EFFECT[name]}"
    assert len(f"tenure: {note}") <= LONGEST_WARNING


def test_typo_is_named() -> None:
    (note,) = parsed(app_idd="x").notes
    assert note == (
        "annotation dapr.io/app-idd is not known and has no effect; did you mean dapr.io/app-id?"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("enabled", "perhaps"),
        ("app_id", "Orders"),
        ("log_level", "loud"),
        ("max_body_size", "big"),
        ("http_max_request_size", "4Mi"),
        ("grpc_port", "0"),
    ],
)
def test_problem_names_what_the_author_wrote(name: str, text: str) -> None:
    (problem,) = parsed(**{name: text}).problems
    assert problem.startswith(f"annotation dapr.io/{name.replace('_', '-')}: ")


def test_ours_beats_daprs() -> None:
    given = {"tenure.dev/app-id": "ours", "dapr.io/app-id": "theirs", "dapr.io/enabled": "true"}
    options = annotation_set.parse(given, compat=True).options
    assert (options.app_id, options.inject) == ("ours", True)


def test_without_compatibility_nothing_of_it_counts() -> None:
    given = {f"dapr.io/{name}": "x" for name in DOCUMENTED}
    assert annotation_set.parse(given, compat=False) == annotation_set.Parsed(Options())
