"""Dapr's injector annotations, translated: a pod that was made for Dapr needs no new annotation.

Each annotation of Dapr is in one of three groups: it has a counterpart here, it needs none (what it
switches on or off, Tenure does not have or always does), or it asks for something that Tenure does
not do.  Those of the last group are told to whoever looks at the pod; none is silently dropped.
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


def _same(text: str) -> str:
    return text


# Dapr's name, without prefix -> ours, without prefix, and how the value changes
# (None: the value says nothing).
COUNTERPARTS: Final[Mapping[str, tuple[str, Callable[[str], str | None]]]] = {
    "enabled": ("inject", _truth),
    "app-id": ("app-id", _same),
    "log-level": ("log-level", str.lower),
    "log-as-json": ("log-format", _log_format),
    "env": ("env", _same),
    "env-from-secret": ("env-from-secret", _same),
    "graceful-shutdown-seconds": ("grace-seconds", _grace),
    "grpc-port": ("grpc-port", _same),
    "internal-grpc-port": ("peers-port", _same),
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

# What these ask for holds anyway, or concerns parts of Dapr that a workflow app does not need here.
NEEDLESS: Final = frozenset(
    {
        "actors-disseminate-timeout",
        "app-channel-address",
        "app-max-concurrency",
        "app-port",
        "app-protocol",
        "app-ssl",
        "disable-builtin-k8s-secret-store",
        "disable-init-endpoints",
        "enable-metrics",
        "http-read-buffer-size",
        "metrics-port",
        "placement-host-address",
        "read-buffer-size",
        "scheduler-host-address",
        "sentry-request-jwt-audiences",
        "sidecar-seccomp-profile-type",
        "sidecar-svc-annotations",
    }
)

# Tenure does not do these; why, or what to use instead.
UNSUPPORTED: Final[Mapping[str, str]] = {
    "api-token-secret": "the engine listens on loopback only",
    "app-binding-options-timeout": "there are no bindings",
    "app-health-check-path": "a worker's connection is its health",
    "app-health-probe-interval": "a worker's connection is its health",
    "app-health-probe-timeout": "a worker's connection is its health",
    "app-health-threshold": "a worker's connection is its health",
    "app-token-secret": "the engine never calls the app",
    "block-shutdown-duration": "see tenure.dev/grace-seconds",
    "component-container": "there are no components",
    "config": "there is no Configuration resource",
    "debug-port": "there is no debug server",
    "enable-api-logging": "calls are not logged",
    "enable-app-health-check": "a worker's connection is its health",
    "enable-debug": "there is no debug server",
    "enable-profiling": "there is no profiling server",
    "inject-pluggable-components": "there are no components",
    "pluggable-components": "there are no components",
    "pluggable-components-sockets-folder": "there are no components",
    "sidecar-image": "Dapr's image is not Tenure's; see tenure.dev/sidecar-image",
    "sidecar-listen-addresses": "the engine listens on loopback only",
    "unix-domain-socket-path": "the engine listens on loopback ports only",
}

_KNOWN: Final = sorted({*COUNTERPARTS, *NEEDLESS, *UNSUPPORTED})


def translate(name: str, text: str) -> Translated:
    """What one ``dapr.io/`` annotation means here."""
    short = name.removeprefix(PREFIX)
    counterpart = COUNTERPARTS.get(short)
    if counterpart is not None:
        ours, change = counterpart
        value = change(text)
        return Translated({} if value is None else {f"{OURS}{ours}": value})
    if short in NEEDLESS:
        return Translated()
    reason = UNSUPPORTED.get(short)
    if reason is not None:
        return Translated(notes=(f"annotation {name} has no effect: {reason}",))
    close = difflib.get_close_matches(short, _KNOWN, n=1, cutoff=0.6)
    hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
    return Translated(notes=(f"annotation {name} is not known and has no effect{hint}",))
