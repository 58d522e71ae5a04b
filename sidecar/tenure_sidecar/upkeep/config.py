"""Settings of ``tenure upkeep``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tenure_common import names
from tenure_common.kube import ACCOUNT
from tenure_sidecar.config import LogFormat, LogLevel

DAY: Final = 86_400.0
MIB: Final = 1024 * 1024
GATEWAY_USER: Final = "tenure-gateway"  # of etcd


class UpkeepConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One installation; times in seconds, sizes in bytes."""

    namespace: Annotated[str, Meta(description="Namespace of the installation.")]
    full_name: Annotated[str, Meta(description="First part of the names of all its objects.")]
    etcd_members: Annotated[
        int, Meta(ge=0, le=3, description="Members of the etcd to look after; 0 = none.")
    ] = 0
    etcd_quota: Annotated[
        int, Meta(ge=0, description="Its quota, which a NOSPACE alarm was about.")
    ] = 4096 * MIB
    etcd_wait: Annotated[float, Meta(ge=0, description="How long to wait until it answers.")] = (
        300.0
    )
    defragment_from: Annotated[
        int, Meta(ge=0, description="Free bytes in a member's file that are worth an interruption.")
    ] = 256 * MIB
    gateway: Annotated[bool, Meta(description="Make the gateway's certificate too.")] = False
    app_namespaces: Annotated[
        tuple[str, ...],
        Meta(
            description="Namespaces of apps; each gets a user of etcd and a certificate of peers."
        ),
    ] = ()
    app_users: Annotated[
        bool,
        Meta(description="Give them their users of etcd, and take away those of any others."),
    ] = True
    follow: Annotated[
        bool,
        Meta(
            description="Stay, and look after namespaces of apps alone, as they come and go: those "
            f"named and those with the label {names.LABEL_STORE}=true."
        ),
    ] = False
    exclude_namespaces: Annotated[
        tuple[str, ...],
        Meta(description="Namespaces that no label counts for, beside the installation's own."),
    ] = ("kube-system", "kube-public", "kube-node-lease")
    look_every: Annotated[
        float, Meta(ge=1, description="Longest time between two looks at a namespace's Secrets.")
    ] = 900.0
    health_host: Annotated[
        str,
        Meta(
            description="Address for probes and metrics of one that stays; "
            "empty = all, IPv4 and IPv6."
        ),
    ] = ""
    health_port: Annotated[int, Meta(ge=0, le=65535, description="Port for them; 0 = any.")] = (
        names.PORT_HEALTH
    )
    app_secret: Annotated[
        str, Meta(description="Secret there, for the certificate of that user.")
    ] = names.STORE_SECRET
    peers_secret: Annotated[
        str, Meta(description="Secret there, for TLS between the sidecars of an app.")
    ] = names.PEERS_SECRET
    certificate_life: Annotated[
        float, Meta(ge=60, description="Life of certificates; renewed at two thirds.")
    ] = 90 * DAY
    authority_life: Annotated[
        float, Meta(ge=60, description="Life of the CA; replaced at two thirds.")
    ] = 3650 * DAY
    api_server: Annotated[
        str, Meta(description="URL of the Kubernetes API; empty = the cluster's own.")
    ] = ""
    api_token_file: Annotated[
        str, Meta(description="File with the token for it; read again when it changes.")
    ] = f"{ACCOUNT}/token"
    api_ca_file: Annotated[str, Meta(description="File with the CA of it.")] = f"{ACCOUNT}/ca.crt"
    api_timeout: Annotated[float, Meta(gt=0, description="Longest time for one call to it.")] = 10.0
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"

    @property
    def etcd(self) -> str:
        """Name of etcd's StatefulSet and Service."""
        return f"{self.full_name}-etcd"

    @property
    def excluded(self) -> frozenset[str]:
        """Namespaces that no label counts for."""
        return frozenset({self.namespace, *self.exclude_namespaces})

    @property
    def members(self) -> tuple[str, ...]:
        """Host names of etcd's members."""
        names = (f"{self.etcd}-{number}" for number in range(self.etcd_members))
        return tuple([f"{name}.{self.etcd}-peers.{self.namespace}.svc" for name in names])


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate: the Secret that it is kept in, whom it names, for which hosts it is good."""

    secret: str
    name: str
    namespace: str
    hosts: frozenset[str] = frozenset()


_OF_A_NAMESPACE: Final = "tenure:"  # all users with such a name are the upkeep's


def user_of(namespace: str) -> str:
    """The user of etcd who may use a namespace's keys."""
    return f"{_OF_A_NAMESPACE}{namespace}"


def namespace_of(user: str) -> str:
    """The namespace of a user that ``user_of`` made."""
    return user.removeprefix(_OF_A_NAMESPACE)


def left_over(users: Iterable[str], namespaces: Collection[str]) -> list[str]:
    """The users whose access ends, in order.

    Args:
        users: all of etcd; only those with a name that ``user_of`` makes are looked at.
        namespaces: those that are served.
    """
    kept = {user_of(one) for one in namespaces}
    return sorted(one for one in users if one.startswith(_OF_A_NAMESPACE) and one not in kept)


def wanted(config: UpkeepConfig) -> tuple[Wanted, ...]:
    """All certificates of the installation."""
    found: list[Wanted] = []
    if config.etcd_members:
        hosts = frozenset(
            {
                f"{config.etcd}.{config.namespace}.svc",
                f"*.{config.etcd}-peers.{config.namespace}.svc.cluster.local",
                "localhost",
                *config.members,
            }
        )
        own = config.namespace
        # etcd would take the common name of its own certificate for that of a user.
        found.append(Wanted(secret=f"{config.etcd}-tls", name="", namespace=own, hosts=hosts))
        # etcd compares a client's host names with where it comes from: these have none.
        found.append(Wanted(secret=f"{config.etcd}-root", name="root", namespace=own))
        found.append(Wanted(secret=f"{config.etcd}-gateway", name=GATEWAY_USER, namespace=own))
        found += [
            Wanted(secret=config.app_secret, name=user_of(one), namespace=one)
            for one in config.app_namespaces
        ]
    # No common name: etcd, which trusts the same authority, must not take it for a user of its own.
    found += [
        Wanted(
            secret=config.peers_secret,
            name="",
            namespace=one,
            hosts=frozenset({f"*.{one}.{names.PEERS_DOMAIN}"}),
        )
        for one in config.app_namespaces
    ]
    if config.gateway:
        name = f"{config.full_name}-gateway"
        service = f"{name}.{config.namespace}.svc"
        api = f"{name}-kubernetes-api.{config.namespace}.svc"  # as the API server calls it
        hosts = frozenset(
            {name, f"{name}.{config.namespace}", service, f"{service}.cluster.local", api}
        )
        found.append(
            Wanted(secret=f"{name}-certificate", name=name, namespace=config.namespace, hosts=hosts)
        )
    return tuple(found)
