"""Settings of the operator, one field each; ``tenure_common.settings`` fills them in."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tenure_common import names
from tenure_common.logging import Format, Level


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of ``tenure operator``; times in seconds."""

    gateway: Annotated[
        str,
        Meta(
            description="URL of the management API up to its version; {namespace} stands for the "
            "resource's namespace."
        ),
    ] = f"https://tenure-gateway:{names.PORT_GATEWAY}/v1alpha1/namespaces/{{namespace}}"
    gateway_token_file: Annotated[
        str,
        Meta(
            description="File with the operator's bearer token for the gateway; read anew each time."
        ),
    ] = ""
    gateway_ca: Annotated[str, Meta(description="File with the gateway's authority (PEM).")] = ""
    gateway_cert: Annotated[
        str, Meta(description="File with the operator's client certificate (PEM).")
    ] = ""
    gateway_key: Annotated[str, Meta(description="File with its key (PEM).")] = ""
    gateway_answer_seconds: Annotated[
        int, Meta(ge=1, le=300, description="How long an answer of the gateway may take.")
    ] = 30
    give_up_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="How long a deletion waits for a gateway that does not do its part.",
        ),
    ] = 300
    namespaces: Annotated[
        tuple[str, ...], Meta(description="Namespaces to serve, with commas; empty = all.")
    ] = ()
    kubeconfig: Annotated[
        str,
        Meta(description="kubeconfig file; empty = the pod's service account, or the usual one."),
    ] = ""
    lease_namespace: Annotated[
        str, Meta(description="Namespace of the Lease by which one operator works at a time.")
    ] = "tenure-system"
    lease_name: Annotated[str, Meta(min_length=1, description="Name of that Lease.")] = (
        "tenure-operator"
    )
    lease_seconds: Annotated[
        int, Meta(ge=3, le=300, description="How long an operator may be silent.")
    ] = 15
    identity: Annotated[
        str, Meta(description="Name of this operator in the Lease; empty = host name and a number.")
    ] = ""
    workers: Annotated[int, Meta(ge=1, le=256, description="Resources worked on at a time.")] = 16
    health_host: Annotated[
        str, Meta(description="Address for health and metrics; empty = all, IPv4 and IPv6.")
    ] = ""
    health_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port for health and metrics; 0 = any.")
    ] = names.PORT_HEALTH
    log_level: Annotated[Level, Meta(description="Least level that is logged.")] = "info"
    log_format: Annotated[Format, Meta(description="Form of the log.")] = "auto"
