"""Settings of the injector, one field each; ``tenure_common.settings`` fills them in.

Those that begin with ``sidecar_`` are what an injected pod gets when its annotations do not say
otherwise.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tenure_common import names
from tenure_common.logging import Format, Level

DAY = 86_400.0

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of ``tenure injector``; times in seconds, sizes in bytes."""

    namespace: Annotated[str, Meta(description="Namespace that the injector runs in.")] = (
        "tenure-system"
    )
    pod_name: Annotated[str, Meta(description="Name of the injector's own pod, for Events.")] = ""
    webhook: Annotated[
        str, Meta(description="Name of the MutatingWebhookConfiguration that calls the injector.")
    ] = "tenure-injector"
    service: Annotated[str, Meta(description="Name of the Service through which it is called.")] = (
        "tenure-injector"
    )
    failure_policy: Annotated[
        Literal["fail", "ignore"],
        Meta(description="A labelled pod that cannot have the engine: refuse it, or let it pass."),
    ] = "fail"
    compat_dapr: Annotated[bool, Meta(description="Let dapr.io annotations count as well.")] = False
    exclude_namespaces: Annotated[
        tuple[str, ...],
        Meta(description="Namespaces whose pods are left alone, besides the injector's own."),
    ] = ("kube-system", "kube-public", "kube-node-lease")

    host: Annotated[str, Meta(description="Address to listen on; empty = all, IPv4 and IPv6.")] = ""
    port: Annotated[int, Meta(ge=0, le=65535, description="HTTPS port for reviews; 0 = any.")] = (
        names.PORT_WEBHOOK
    )
    health_port: Annotated[
        int, Meta(ge=0, le=65535, description="HTTP port for probes and metrics; 0 = any.")
    ] = names.PORT_HEALTH
    max_review_bytes: Annotated[int, Meta(ge=1024, description="Largest review that is read.")] = (
        8 * 1024 * 1024
    )
    client_ca: Annotated[
        str, Meta(description="CA file: callers must show a certificate of it; empty = none asked.")
    ] = ""
    drain: Annotated[
        float, Meta(ge=0, description="How long it goes on serving when it is asked to stop.")
    ] = 5.0
    grace: Annotated[float, Meta(ge=0, description="How long a stop waits for open calls.")] = 10.0

    certificate: Annotated[
        str, Meta(description="Certificate file, when another program makes it; empty = own CA.")
    ] = ""
    key: Annotated[str, Meta(description="Key file of that certificate.")] = ""
    certificate_secret: Annotated[
        str, Meta(description="Secret that keeps the injector's own CA and certificate.")
    ] = "tenure-injector-certificates"  # noqa: S105 - the name of a Secret
    certificate_names: Annotated[
        tuple[str, ...],
        Meta(description="Names and addresses of the injector besides those of its Service."),
    ] = ()
    certificate_life: Annotated[
        float, Meta(ge=10, description="Life of the certificate; renewed at two thirds.")
    ] = 90 * DAY
    authority_life: Annotated[
        float, Meta(ge=10, description="Life of the CA; replaced at two thirds.")
    ] = 365 * DAY

    api_server: Annotated[
        str, Meta(description="URL of the Kubernetes API; empty = the cluster's own.")
    ] = ""
    api_token_file: Annotated[
        str, Meta(description="File with the token for it; read again when it changes.")
    ] = f"{_ACCOUNT}/token"
    api_ca_file: Annotated[str, Meta(description="File with the CA of it.")] = f"{_ACCOUNT}/ca.crt"
    api_timeout: Annotated[float, Meta(gt=0, description="Longest time for one call to it.")] = 10.0

    sidecar_image: Annotated[str, Meta(description="Image of the engine.")] = "tenure:latest"
    sidecar_image_pull_policy: Annotated[
        Literal["Always", "IfNotPresent", "Never"], Meta(description="When to pull it.")
    ] = "IfNotPresent"
    sidecar_native: Annotated[
        bool, Meta(description="Add the engine as a native sidecar (an init container that stays).")
    ] = True
    sidecar_store: Annotated[str, Meta(description="Store of the engines: etcd://HOST:PORT.")] = (
        "etcd://tenure-etcd.tenure-system.svc:2379"
    )
    sidecar_store_secret: Annotated[
        str, Meta(description="Secret in the pod's namespace with the store's credentials.")
    ] = names.STORE_SECRET
    sidecar_peers_secret: Annotated[
        str,
        Meta(
            min_length=1,
            description="Secret there for TLS between the engines of an app; no other is used.",
        ),
    ] = names.PEERS_SECRET
    sidecar_cpu_request: Annotated[str, Meta(description="CPU that is reserved.")] = "50m"
    sidecar_cpu_limit: Annotated[str, Meta(description="CPU at most; empty = no limit.")] = "2"
    sidecar_memory_request: Annotated[str, Meta(description="Memory that is reserved.")] = "96Mi"
    sidecar_memory_limit: Annotated[str, Meta(description="Memory at most; empty = none.")] = (
        "512Mi"
    )
    sidecar_user: Annotated[
        int, Meta(ge=0, description="User id of the engine; 0 = the image's (never root).")
    ] = 65532
    sidecar_log_level: Annotated[Level, Meta(description="Least level that engines log.")] = "info"
    sidecar_log_format: Annotated[Format, Meta(description="Form of the engines' logs.")] = "json"

    log_level: Annotated[Level, Meta(description="Least level that is logged.")] = "info"
    log_format: Annotated[Format, Meta(description="Form of the log.")] = "auto"

    @property
    def asking(self) -> tuple[str, ...]:
        """The annotations by which a pod asks for the engine."""
        ours = (names.ANNOTATION_INJECT,)
        return (*ours, names.ANNOTATION_DAPR_ENABLED) if self.compat_dapr else ours
