"""Settings of the injector: what is refused, and what is made of the surroundings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tenure_common import settings
from tenure_common.errors import BadSettingError
from tenure_common.kube import api_server
from tenure_injector import runtime
from tenure_injector.__main__ import main
from tenure_injector.config import Config

KNOWN = settings.settings_of(Config)


def resolved(*argv: str, env: Mapping[str, str] | None = None) -> Config:
    return settings.resolve(Config, flags=settings.parse(argv, KNOWN).flags, env=env or {})


def test_defaults_are_good() -> None:
    runtime.check(resolved())


def test_every_setting_says_what_it_is() -> None:
    assert [one.field for one in KNOWN if not one.help] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sidecar_cpu_request": "much"}, "--sidecar-cpu-request: 'much' will not do"),
        ({"sidecar_memory_limit": "1GB"}, "--sidecar-memory-limit: '1GB' will not do"),
        ({"certificate": "/x"}, "--certificate and --key belong together"),
        ({"key": "/x"}, "--certificate and --key belong together"),
    ],
)
def test_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadSettingError) as caught:
        runtime.check(msgspec.structs.replace(Config(), **change))
    assert reason in caught.value.message


def test_no_limit_is_allowed() -> None:
    runtime.check(Config(sidecar_cpu_limit="", sidecar_memory_limit=""))


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "https://10.96.0.1:443"),
        ({"KUBERNETES_SERVICE_HOST": "fd00::1"}, "https://[fd00::1]:443"),
    ],
)
def test_api_server_of_the_cluster(env: dict[str, str], url: str) -> None:
    assert api_server("", env | {"KUBERNETES_SERVICE_PORT": "443"}) == url


def test_api_server_that_is_named_counts() -> None:
    assert api_server("https://x", {}) == "https://x"


def test_outside_of_a_cluster_it_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadSettingError, match="--api-server"):
        api_server("", {})


def test_certificate_is_for_the_service() -> None:
    config = Config(service="s", namespace="n", certificate_names=("10.0.0.1",))
    names = runtime.certificate_names(config)
    assert names == {"s.n.svc", "s.n.svc.cluster.local", "10.0.0.1"}


def test_settings_of_the_chart_are_read_from_the_environment() -> None:
    env = {
        "TENURE_SIDECAR_IMAGE": "reg/tenure:1",
        "TENURE_COMPAT_DAPR": "true",
        "TENURE_EXCLUDE_NAMESPACES": "kube-system, infra",
        "TENURE_FAILURE_POLICY": "ignore",
    }
    config = resolved(env=env)
    assert config.sidecar_image == "reg/tenure:1"
    assert config.exclude_namespaces == ("kube-system", "infra")
    assert config.asking == ("tenure.dev/inject", "dapr.io/enabled")
    assert config.failure_policy == "ignore"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "--certificate-life SECONDS" in capsys.readouterr().out


def test_error_has_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--failure-policy", "maybe"]) == 2
    assert "TN0003" in capsys.readouterr().err
