"""Dapr's injector annotations, translated: a pod that was made for Dapr needs no new annotation.

Each annotation of Dapr is in one of two groups: it has a counterpart here, or it has no effect.  Those
of the second group are told to whoever looks at the pod, with the reason or what to use instead; none
is silently dropped.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tenure_injector import quantities
from tenure_injector.options import PREFIX as OURS

PREFIX: Final = "dapr.io/"
DAPR_CONTAINER: Final = "daprd"

_TRUE: Final = frozenset({"y", "yes", "true", "on", "1"})
_FALSE: Final = frozenset({"n", "no", "false", "off", "0"})


class Translated(NamedTuple):
    """Our annotations that stand for one of Dapr's, and what has to be said about it."""

    options: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()


def _truth(text: str) -> str:
    """Dapr takes more words for a truth value than we do."""
    word = text.strip().lower()
    return "true" if word in _TRUE else "false" if word in _FALSE else text


def _bytes(text: str) -> str:
    """``4Mi`` as a number of bytes; what is no quantity stays, to be refused by name."""
    try:
        return str(int(quantities.parse(text.strip())))
    except ValueError:
        return text


def _megabytes(text: str) -> str:
    return str(int(text) * 2**20) if text.strip().isdecimal() else text


def _log_format(text: str) -> str:
    return {"true": "json", "false": "human"}.get(_truth(text), text)


def _grace(text: str) -> str | None:
    return None if text.strip() == "-1" else text  # Dapr's way to say: the default


def _level(text: str) -> str:
    """Dapr has two names more, and does not mind capitals."""
    level = text.strip().lower()
    return {"warn": "warning", "fatal": "error"}.get(level, level)


def _same(text: str) -> str:
    return text


# Dapr's name, without prefix -> ours, without prefix, and how the value changes
# (None: the value says nothing).
COUNTERPARTS: Final[Mapping[str, tuple[str, Callable[[str], str | None]]]] = {
    "enabled": ("inject", _truth),
    "api-token-secret": ("api-token-secret", _same),
    "app-id": ("app-id", _same),
    "log-level": ("log-level", _level),
    "log-as-json": ("log-format", _log_format),
    "env": ("env", _same),
    "env-from-secret": ("env-from-secret", _same),
    "graceful-shutdown-seconds": ("grace-seconds", _grace),
    "grpc-port": ("grpc-port", _same),
    "internal-grpc-port": ("peers-port", _same),
    "metrics-port": ("health-port", _same),  # where the metrics are
    "max-body-size": ("max-message-bytes", _bytes),
    "http-max-request-size": ("max-message-bytes", _megabytes),
    "enable-native-sidecar": ("native-sidecar", _truth),
    "volume-mounts": ("volume-mounts", _same),
    "volume-mounts-rw": ("volume-mounts-rw", _same),
    **{
        name: (name, _same)
        for name in (
            "sidecar-cpu-request",
            "sidecar-cpu-limit",
            "sidecar-memory-request",
            "sidecar-memory-limit",
            *(
                f"sidecar-{probe}-probe-{what}"
                for probe in ("liveness", "readiness")
                for what in ("delay-seconds", "timeout-seconds", "period-seconds", "threshold")
            ),
        )
    },
}

_COMPONENTS: Final = "there are no components"
_WORKERS: Final = "a worker's connection is its health"
_WORK: Final = "the engine never calls the app, whose SDK fetches its work"

# Dapr's name -> why it has no effect, or what to use instead.
WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "actors-disseminate-timeout": "there is no placement service",
    "app-binding-options-timeout": "there are no bindings",
    "app-channel-address": _WORK,
    "app-health-check-path": _WORKERS,
    "app-health-probe-interval": _WORKERS,
    "app-health-probe-timeout": _WORKERS,
    "app-health-threshold": _WORKERS,
    "app-max-concurrency": f"{_WORK}; see spec.concurrency of a WorkflowApp",
    "app-port": _WORK,
    "app-protocol": _WORK,
    "app-ssl": _WORK,
    "app-token-secret": _WORK,
    "block-shutdown-duration": "a native sidecar ends after the app; see tenure.dev/grace-seconds",
    "component-container": _COMPONENTS,
    "config": "there is no Configuration resource; see the WorkflowApp resource",
    "debug-port": "there is no debug server",
    "disable-builtin-k8s-secret-store": "there are no secret stores",
    "disable-init-endpoints": "the engine never calls the app's endpoints",
    "enable-api-logging": "calls are not logged; see tenure.dev/log-level",
    "enable-app-health-check": _WORKERS,
    "enable-debug": "there is no debug server",
    "enable-metrics": "metrics are always served, at tenure.dev/health-port",
    "enable-profiling": "there is no profiling server",
    "http-read-buffer-size": "the size of HTTP headers is fixed",
    "inject-pluggable-components": _COMPONENTS,
    "placement-host-address": "there is no placement service; see tenure.dev/store",
    "pluggable-components": _COMPONENTS,
    "pluggable-components-sockets-folder": _COMPONENTS,
    "read-buffer-size": "the size of HTTP headers is fixed",
    "scheduler-host-address": "there is no scheduler service; see tenure.dev/store",
    "sentry-request-jwt-audiences": "there is no Sentry; certificates come with the Secrets",
    "sidecar-image": "Dapr's image is not Tenure's; see tenure.dev/sidecar-image",
    "sidecar-listen-addresses": "the engine listens on loopback only; others call the gateway",
    "sidecar-seccomp-profile-type": "the engine always has the profile RuntimeDefault",
    "sidecar-svc-annotations": "no Service is made for an app",
    "unix-domain-socket-path": "the engine listens on loopback ports only",
}

_KNOWN: Final = sorted({*COUNTERPARTS, *WITHOUT_EFFECT})


def translate(name: str, text: str) -> Translated:
    """What one ``dapr.io/`` annotation means here."""
    short = name.removeprefix(PREFIX)
    counterpart = COUNTERPARTS.get(short)
    if counterpart is not None:
        ours, change = counterpart
        value = change(text)
        return Translated({} if value is None else {f"{OURS}{ours}": value})
    reason = WITHOUT_EFFECT.get(short)
    if reason is not None:
        return Translated(notes=(f"annotation {name} has no effect: {reason}",))
    return Translated(notes=(unknown(name),))


def is_known(name: str) -> bool:
    """Whether an annotation is one of Dapr's."""
    short = name.removeprefix(PREFIX)
    return short in COUNTERPARTS or short in WITHOUT_EFFECT


def unknown(name: str) -> str:
    """A sentence about an annotation that Dapr does not know either, with the nearest name."""
    close = difflib.get_close_matches(name.removeprefix(PREFIX), _KNOWN, n=1, cutoff=0.6)
    hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
    return f"annotation {name} is not known and has no effect{hint}"
