"""What a pod can ask of the injector: one field for each annotation.

Field ``http_port`` is the annotation ``tenure.dev/http-port``.  Its type bounds it, its description
is its line in the documentation (docs/reference/annotations.md is checked against this file), and
None means that the pod does not say: then the injector's own setting counts.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from tenure_common.logging import Format, Level
from tenure_injector import quantities, texts
from tenure_injector.texts import Mount, SecretVariable, Variable

PREFIX: Final = "tenure.dev/"


def _form(pattern: str, form: str) -> Meta:
    return Meta(pattern=pattern, extra={"form": form})


# DNS labels: names of this form may stand in keys of the store, in label values and in host names.
Name = Annotated[
    str,
    _form(
        r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        "lower-case letters, digits and dashes between them, 63 at most",
    ),
]
ObjectName = Annotated[
    str, _form(r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$", "the name of an object")
]
Image = Annotated[
    str, _form(r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}$", "the name of an image, at most 512 long")
]
StoreUrl = Annotated[
    str, _form(r"^(etcd://|sqlite:)[^\s]{1,1000}$", "etcd://HOST:PORT or sqlite:PATH")
]
Port = Annotated[int, Meta(ge=1, le=65535)]
Delay = Annotated[int, Meta(ge=0, le=3600)]
Span = Annotated[int, Meta(ge=1, le=3600)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Bytes = Annotated[int, Meta(ge=1024, le=2**31 - 1)]
Quantity = Annotated[str, Meta(extra={"parse": quantities.checked})]
Variables = Annotated[tuple[Variable, ...], Meta(extra={"parse": texts.variables})]
SecretVariables = Annotated[tuple[SecretVariable, ...], Meta(extra={"parse": texts.secrets})]
Mounts = Annotated[tuple[Mount, ...], Meta(extra={"parse": texts.mounts})]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
Flavour = Literal["dapr", "microsoft"]


def _told(text: str) -> Meta:
    return Meta(description=text)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The annotations of one pod; times in seconds, sizes in bytes."""

    inject: Annotated[bool | None, _told("Put the engine into this pod.")] = None
    app_id: Annotated[
        Name | None,
        _told("Name of the app; without it, that of the pod's Deployment, StatefulSet, DaemonSet."),
    ] = None
    native_sidecar: Annotated[
        bool | None,
        _told("true: init container that keeps running; false: container beside the app's."),
    ] = None

    sidecar_image: Annotated[Image | None, _told("Image of the engine.")] = None
    sidecar_image_pull_policy: Annotated[PullPolicy | None, _told("When to pull it.")] = None
    sidecar_cpu_request: Annotated[Quantity | None, _told("CPU that is reserved.")] = None
    sidecar_cpu_limit: Annotated[Quantity | None, _told("CPU at most.")] = None
    sidecar_memory_request: Annotated[Quantity | None, _told("Memory that is reserved.")] = None
    sidecar_memory_limit: Annotated[Quantity | None, _told("Memory at most.")] = None

    grpc_port: Annotated[Port | None, _told("Loopback port for Dapr SDKs.")] = None
    taskhub_port: Annotated[Port | None, _told("Loopback port for Durable Task SDKs.")] = None
    http_port: Annotated[Port | None, _told("Loopback port for HTTP.")] = None
    health_port: Annotated[Port | None, _told("Port for probes and metrics.")] = None
    peers_port: Annotated[Port | None, _told("Port for the app's other engines.")] = None

    log_level: Annotated[Level | None, _told("Least level that the engine logs.")] = None
    log_format: Annotated[Format | None, _told("Form of the engine's log.")] = None
    store: Annotated[
        StoreUrl | None,
        _told("Where the app's workflows are kept."),
    ] = None
    store_secret: Annotated[
        ObjectName | None,
        _told("Secret with the store's ca.crt, tls.crt and tls.key."),
    ] = None
    peers_secret: Annotated[
        ObjectName | None,
        _told("Secret with ca.crt, tls.crt and tls.key for TLS with the app's other engines."),
    ] = None
    api_token_secret: Annotated[
        ObjectName | None,
        _told("Secret whose key `token` callers must send; the app gets it as `DAPR_API_TOKEN`."),
    ] = None
    flavour: Annotated[Flavour | None, _told("Protocol of the app's SDK; detected without.")] = None
    grace_seconds: Annotated[Delay | None, _told("How long a stop waits for open calls.")] = None
    max_message_bytes: Annotated[
        Bytes | None, _told("Largest message taken from the app; a plain number of bytes.")
    ] = None
    turn_lease_seconds: Annotated[
        Annotated[int, Meta(ge=0, le=86400)] | None,
        _told("A turn not answered for so long is sent again; 0 = never."),
    ] = None
    activity_lease_seconds: Annotated[
        Annotated[int, Meta(ge=0, le=2592000)] | None,
        _told("An activity not answered for so long is sent again; 0 = never."),
    ] = None

    env: Annotated[Variables | None, _told("Variables of the engine: `A=1,B=2`.")] = None
    env_from_secret: Annotated[
        SecretVariables | None,
        _told("Variables from Secrets of the namespace: `NAME=secret:key`."),
    ] = None
    volume_mounts: Annotated[
        Mounts | None, _told("Volumes of the pod that the engine reads: `name:/path`.")
    ] = None
    volume_mounts_rw: Annotated[
        Mounts | None, _told("Volumes of the pod that the engine writes: `name:/path`.")
    ] = None

    readiness_probe: Annotated[
        bool | None, _told("false: the engine's readiness does not count for the pod's.")
    ] = None
    sidecar_liveness_probe_delay_seconds: Annotated[
        Delay | None, _told("Liveness probe: seconds before the first.")
    ] = None
    sidecar_liveness_probe_timeout_seconds: Annotated[
        Span | None, _told("Liveness probe: seconds for an answer.")
    ] = None
    sidecar_liveness_probe_period_seconds: Annotated[
        Span | None, _told("Liveness probe: seconds between two.")
    ] = None
    sidecar_liveness_probe_threshold: Annotated[
        Count | None, _told("Liveness probe: failures in a row that count.")
    ] = None
    sidecar_readiness_probe_delay_seconds: Annotated[
        Delay | None, _told("Readiness probe: seconds before the first.")
    ] = None
    sidecar_readiness_probe_timeout_seconds: Annotated[
        Span | None, _told("Readiness probe: seconds for an answer.")
    ] = None
    sidecar_readiness_probe_period_seconds: Annotated[
        Span | None, _told("Readiness probe: seconds between two.")
    ] = None
    sidecar_readiness_probe_threshold: Annotated[
        Count | None, _told("Readiness probe: failures in a row that count.")
    ] = None
    sidecar_startup_probe_delay_seconds: Annotated[
        Delay | None, _told("Startup probe: seconds before the first.")
    ] = None
    sidecar_startup_probe_timeout_seconds: Annotated[
        Span | None, _told("Startup probe: seconds for an answer.")
    ] = None
    sidecar_startup_probe_period_seconds: Annotated[
        Span | None, _told("Startup probe: seconds between two.")
    ] = None
    sidecar_startup_probe_threshold: Annotated[
        Count | None, _told("Startup probe: failures in a row that count.")
    ] = None
