"""Settings of the engine, one field each; ``tenure_common.settings`` fills them in."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tenure_common import names
from tenure_common.errors import BadRequestError, BadSettingError
from tenure_common.logging import Format, Level
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.retention import FOREVER, Retention, parse_retention

Kept = Annotated[str, Meta(description="How long finished workflows are kept: 7d, 0s, or forever.")]
KeptCompleted = Annotated[str, Meta(description="The same for COMPLETED ones, before --retention.")]
KeptFailed = Annotated[str, Meta(description="The same for FAILED ones, before --retention.")]
KeptTerminated = Annotated[
    str, Meta(description="The same for TERMINATED ones, before --retention.")
]
PurgeRate = Annotated[float, Meta(gt=0, description="Expired workflows deleted a second, at most.")]
LogLevel = Annotated[Level, Meta(description="Least level that is logged.")]
LogFormat = Annotated[Format, Meta(description="Form of the log.")]
HealthHost = Annotated[
    str, Meta(description="Address for health and metrics; empty = all, IPv4 and IPv6.")
]
HealthPort = Annotated[
    int, Meta(ge=0, le=65535, description="HTTP port of health and metrics; 0 = any free one.")
]
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
PodName = Annotated[str, Meta(description="Name of the pod.")]
PodUid = Annotated[str, Meta(description="Uid of the pod, the same after a restart.")]


class AccessConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where workflows are kept, and how to get there."""

    store: Annotated[
        str, Meta(description="Where workflows are kept: sqlite:PATH or etcd://HOST:PORT,….")
    ]
    etcd_ca: Annotated[
        str, Meta(description="File with the certificates that etcd's own are checked against.")
    ] = ""
    etcd_cert: Annotated[str, Meta(description="File with our certificate for etcd.")] = ""
    etcd_key: Annotated[str, Meta(description="File with that certificate's key.")] = ""
    etcd_user: Annotated[str, Meta(description="Who to log in to etcd as.")] = ""
    etcd_password: Annotated[
        str, Meta(description="The user's password; better given as a variable.")
    ] = ""


class StoreConfig(AccessConfig, frozen=True, kw_only=True):
    """Where one app's workflows are."""

    app_id: Annotated[str, Meta(description="Name of the app whose workflows these are.")]
    namespace: Annotated[str, Meta(description="Namespace of the app.")] = "default"


class EngineConfig(StoreConfig, frozen=True, kw_only=True):
    """Settings of an app's engine, whatever it runs as; times in seconds, sizes in bytes."""

    host: Annotated[str, Meta(description="Loopback address to listen on.")] = names.LOOPBACK
    grpc_port: Annotated[
        int, Meta(ge=0, le=65535, description="gRPC port for Dapr SDKs; 0 = any free one.")
    ] = names.PORT_GRPC
    taskhub_port: Annotated[
        int, Meta(ge=0, le=65535, description="gRPC port for Durable Task SDKs; 0 = any.")
    ] = names.PORT_TASKHUB
    http_port: Annotated[
        int, Meta(ge=0, le=65535, description="HTTP port: health, metadata, API; 0 = any.")
    ] = names.PORT_HTTP
    transport: Annotated[Literal["native", "grpcio"], Meta(description="gRPC server.")] = "native"
    flavour: Annotated[
        Literal["", "dapr", "microsoft"],
        Meta(description="Protocol flavour of every worker; empty = detect."),
    ] = ""
    partitions: Annotated[
        int,
        Meta(
            ge=0,
            description="Partitions of a new store, fixed when it is created; 0 = 64, or what an "
            "existing one has.",
        ),
    ] = 0
    max_message_bytes: Annotated[
        int, Meta(ge=1, description="Largest message taken from an app.")
    ] = 64 * 1024 * 1024
    max_worker_message_bytes: Annotated[
        int,
        Meta(ge=1, description="Largest message that workers accept, if their limit is raised."),
    ] = 4 * 1024 * 1024
    turn_lease: Annotated[
        float, Meta(ge=0, description="A turn not answered for so long is sent again; 0 = never.")
    ] = 120.0
    activity_lease: Annotated[
        float,
        Meta(ge=0, description="An activity not answered for so long is sent again; 0 = never."),
    ] = 0.0
    grace: Annotated[
        float,
        Meta(
            ge=0, description="How long a stop waits for calls, activities under way and the app."
        ),
    ] = 5.0
    api_token: Annotated[
        str,
        Meta(
            description="Token that all callers must send as dapr-api-token; apps: DAPR_API_TOKEN."
        ),
    ] = ""
    retention: Kept = FOREVER
    retention_completed: KeptCompleted = ""
    retention_failed: KeptFailed = ""
    retention_terminated: KeptTerminated = ""
    retention_rate: PurgeRate = 500.0
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"

    @property
    def kept(self) -> Retention:
        """How long finished workflows are kept.  Raises: BadSettingError."""
        own = {
            Status.COMPLETED: ("--retention-completed", self.retention_completed),
            Status.FAILED: ("--retention-failed", self.retention_failed),
            Status.TERMINATED: ("--retention-terminated", self.retention_terminated),
        }
        return Retention(
            any=_kept("--retention", self.retention),
            by_status={status: _kept(*one) for status, one in own.items() if one[1]},
        )


class Config(EngineConfig, frozen=True, kw_only=True):
    """Settings of ``tenure dev``."""

    app_id: Annotated[str, Meta(description="Name of the app whose workflows these are.")] = "app"
    store: Annotated[
        str, Meta(description="Where workflows are kept: sqlite:PATH or etcd://HOST:PORT,….")
    ] = "sqlite:.tenure/tenure.db"
    profile: Annotated[
        str, Meta(description="Write a profile of the event loop's thread to this file.")
    ] = ""
    command: tuple[str, ...] = ()


class SidecarConfig(EngineConfig, frozen=True, kw_only=True):
    """Settings of ``tenure sidecar``: the app and the store must be named."""

    health_host: HealthHost = ""
    health_port: HealthPort = names.PORT_HEALTH
    pod_name: PodName = ""
    pod_uid: PodUid = ""
    pod_ip: Annotated[
        str, Meta(description="Address of the pod; the app's other sidecars connect to it.")
    ] = ""
    peers_port: Annotated[
        int, Meta(ge=0, le=65535, description="gRPC port on --pod-ip for them; 0 = any free one.")
    ] = names.PORT_PEERS
    peers_cert: Annotated[
        str, Meta(description="File with our certificate for them (PEM); with it, all is mTLS.")
    ] = ""
    peers_key: Annotated[str, Meta(description="File with that certificate's key (PEM).")] = ""
    peers_ca: Annotated[
        str, Meta(description="File with the authorities of their certificates (PEM).")
    ] = ""


class GatewayConfig(AccessConfig, frozen=True, kw_only=True):
    """Settings of ``tenure gateway``; times in seconds."""

    namespaces: Annotated[
        tuple[str, ...],
        Meta(description="Namespaces whose apps are served; empty = all in the store."),
    ] = ()
    default_namespace: Annotated[str, Meta(description="Namespace of paths that name none.")] = (
        "default"
    )
    gateway_host: Annotated[
        str,
        Meta(
            description="Address to listen on, empty = all, IPv4 and IPv6; one that other machines "
            "reach needs TLS and callers."
        ),
    ] = names.LOOPBACK
    gateway_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the management API; 0 = any free one.")
    ] = names.PORT_GATEWAY
    tls_cert: Annotated[
        str, Meta(description="File with the server's certificate and those above it (PEM).")
    ] = ""
    tls_key: Annotated[str, Meta(description="File with its key (PEM).")] = ""
    client_ca: Annotated[
        str, Meta(description="File with the authorities of callers' certificates (PEM).")
    ] = ""
    access_file: Annotated[
        str, Meta(description="File that says who may call, and what they may do (TOML).")
    ] = ""
    kubernetes_api: Annotated[
        bool, Meta(description="Be a part of the Kubernetes API, for `kubectl tenure`.")
    ] = False
    kubernetes_port: Annotated[
        int,
        Meta(ge=0, le=65535, description="Port on which the API server calls; 0 = any free one."),
    ] = names.PORT_KUBERNETES_API
    kubernetes_ca: Annotated[
        str, Meta(description="File with the CA of --tls-cert, to be told to the API server.")
    ] = ""
    api_server: Annotated[
        str, Meta(description="URL of the Kubernetes API; empty = the cluster's own.")
    ] = ""
    api_token_file: Annotated[
        str, Meta(description="File with the token for it; read again when it changes.")
    ] = f"{_ACCOUNT}/token"
    api_ca_file: Annotated[str, Meta(description="File with the CA of it.")] = f"{_ACCOUNT}/ca.crt"
    health_host: HealthHost = ""
    health_port: HealthPort = names.PORT_HEALTH
    idle: Annotated[
        float,
        Meta(ge=0, description="An app that nobody asked for so long, and that runs, is let go."),
    ] = 60.0
    pod_name: PodName = ""
    pod_uid: PodUid = ""
    retention: Kept = FOREVER
    retention_completed: KeptCompleted = ""
    retention_failed: KeptFailed = ""
    retention_terminated: KeptTerminated = ""
    retention_rate: PurgeRate = 500.0
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"

    def engine(self, namespace: str, app_id: str) -> EngineConfig:
        """The settings of one app's engine."""
        return EngineConfig(
            app_id=app_id,
            namespace=namespace,
            store=self.store,
            retention=self.retention,
            retention_completed=self.retention_completed,
            retention_failed=self.retention_failed,
            retention_terminated=self.retention_terminated,
            retention_rate=self.retention_rate,
        )


def every_setting() -> frozenset[str]:
    """The settings of all commands of this package: one file and environment serve them all."""
    commands = (Config, SidecarConfig, GatewayConfig)
    return frozenset({field for one in commands for field in one.__struct_fields__} - {"command"})


def _kept(flag: str, text: str) -> int | None:
    try:
        return parse_retention(text)
    except BadRequestError as error:
        message = f"{flag}: {error.message}, or 'forever'"
        raise BadSettingError(message) from error
