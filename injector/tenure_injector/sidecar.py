"""What the engine's container will be: annotations over settings, every value decided.

``resolve`` answers the questions "from where does this value come" once; the mutators only write
what stands here.  Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from tenure_common import names
from tenure_injector import quantities
from tenure_injector.config import Config
from tenure_injector.options import Options
from tenure_injector.texts import Mount, SecretVariable, Variable

VOLUME_CREDENTIALS: Final = "tenure-credentials"
VOLUME_EMPTY: Final = "tenure-empty"
VOLUME_PEERS: Final = "tenure-peers"
PATH_CREDENTIALS: Final = "/var/run/tenure/store"
PATH_PEERS: Final = "/var/run/tenure/peers"
# Where Kubernetes puts a pod's token.  An empty volume there keeps the token out: the engine needs
# no rights in the cluster, and what it does not have cannot be taken from it.
PATH_TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """When and how often the kubelet asks; times in seconds."""

    delay: int = 0
    timeout: int
    period: int
    threshold: int


LIVENESS: Final = Probe(timeout=3, period=10, threshold=5)
READINESS: Final = Probe(timeout=2, period=5, threshold=3)
# Two minutes for an engine to come up, asked often: the app's own start waits for it.
STARTUP: Final = Probe(timeout=1, period=1, threshold=120)


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where the engine listens: the first three on loopback, the others on the pod's address."""

    grpc: int = names.PORT_GRPC
    taskhub: int = names.PORT_TASKHUB
    http: int = names.PORT_HTTP
    health: int = names.PORT_HEALTH
    peers: int = names.PORT_PEERS

    def named(self) -> dict[str, int]:
        """Annotation (without prefix) to port."""
        return {f"{field}-port": getattr(self, field) for field in self.__struct_fields__}


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Quantities; empty = none."""

    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """The container, decided."""

    app_id: str
    native: bool
    image: str
    pull_policy: str
    user: int  # 0 = the image's
    store: str
    store_secret: str  # empty = the store needs no credentials
    peers_secret: str  # empty = the store is the pod's own, and so there are no peers
    api_token_secret: str  # empty = whoever is in the pod may call
    log_level: str
    log_format: str
    ports: Ports = Ports()
    resources: Resources
    liveness: Probe = LIVENESS
    readiness: Probe | None = READINESS
    startup: Probe = STARTUP
    settings: tuple[tuple[str, str], ...] = ()  # further flags, name and value
    variables: tuple[Variable, ...] = ()
    secret_variables: tuple[SecretVariable, ...] = ()
    mounts: tuple[Mount, ...] = ()
    writable_mounts: tuple[Mount, ...] = ()


@lru_cache(maxsize=64)  # replicas have the same annotations, which may be 256 KB of text
def resolve(options: Options, config: Config, *, app_id: str) -> Sidecar:
    """The container for a pod with these annotations."""
    store = options.store or config.sidecar_store
    secret = options.store_secret or config.sidecar_store_secret
    peers = options.peers_secret or config.sidecar_peers_secret
    shared = store.startswith("etcd://")
    native = config.sidecar_native if options.native_sidecar is None else options.native_sidecar
    return Sidecar(
        app_id=app_id,
        native=native,
        image=options.sidecar_image or config.sidecar_image,
        pull_policy=options.sidecar_image_pull_policy or config.sidecar_image_pull_policy,
        user=config.sidecar_user,
        store=store,
        store_secret=secret if shared and "tls=false" not in store else "",
        peers_secret=peers if shared else "",
        api_token_secret=options.api_token_secret or "",
        log_level=options.log_level or config.sidecar_log_level,
        log_format=options.log_format or config.sidecar_log_format,
        ports=_ports(options),
        resources=_resources(options, config),
        liveness=_probe("liveness", LIVENESS, options),
        readiness=(
            None if options.readiness_probe is False else _probe("readiness", READINESS, options)
        ),
        startup=_probe("startup", STARTUP, options),
        settings=_settings(options),
        variables=options.env or (),
        secret_variables=options.env_from_secret or (),
        mounts=options.volume_mounts or (),
        writable_mounts=options.volume_mounts_rw or (),
    )


def contradictions(sidecar: Sidecar) -> list[str]:
    """What does not go together, a sentence each: found here, it is told in the pod's own words."""
    found: list[str] = []
    taken: dict[int, str] = {}
    for name, port in sidecar.ports.named().items():
        if port in taken:
            found.append(f"{taken[port]} and {name} are both {port}")
        taken.setdefault(port, name)
    resources = sidecar.resources
    for what, request, limit in (
        ("CPU", resources.cpu_request, resources.cpu_limit),
        ("memory", resources.memory_request, resources.memory_limit),
    ):
        if request and limit and quantities.parse(request) > quantities.parse(limit):
            found.append(f"the {what} request {request} is above the {what} limit {limit}")
    variables = [one.name for one in sidecar.variables]
    variables += [one.name for one in sidecar.secret_variables]
    variables += [names.TENURE_API_TOKEN] if sidecar.api_token_secret else []
    again = sorted({name for name in variables if variables.count(name) > 1})
    found += [f"the variable {name} is set twice" for name in again]
    paths = [mount.path.rstrip("/") for mount in (*sidecar.mounts, *sidecar.writable_mounts)]
    paths += [PATH_CREDENTIALS, PATH_PEERS, PATH_TOKEN]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    found += [f"two volumes are mounted at {path}" for path in twice]
    return found


def _ports(options: Options) -> Ports:
    given = {field: getattr(options, f"{field}_port") for field in Ports.__struct_fields__}
    return Ports(**{field: port for field, port in given.items() if port is not None})


def _resources(options: Options, config: Config) -> Resources:
    """A limit of the pod's own below the usual request lowers the request, and the other way."""
    values: dict[str, str] = {}
    for what in ("cpu", "memory"):
        request_asked: str | None = getattr(options, f"sidecar_{what}_request")
        limit_asked: str | None = getattr(options, f"sidecar_{what}_limit")
        request = request_asked or getattr(config, f"sidecar_{what}_request")
        limit = limit_asked or getattr(config, f"sidecar_{what}_limit")
        if request and limit and quantities.parse(request) > quantities.parse(limit):
            if request_asked is None:
                request = limit
            elif limit_asked is None:
                limit = request
        values |= {f"{what}_request": request, f"{what}_limit": limit}
    return Resources(**values)


def _probe(kind: str, usual: Probe, options: Options) -> Probe:
    start = f"sidecar_{kind}_probe"
    given = {
        "delay": getattr(options, f"{start}_delay_seconds"),
        "timeout": getattr(options, f"{start}_timeout_seconds"),
        "period": getattr(options, f"{start}_period_seconds"),
        "threshold": getattr(options, f"{start}_threshold"),
    }
    return msgspec.structs.replace(usual, **{k: v for k, v in given.items() if v is not None})


def _settings(options: Options) -> tuple[tuple[str, str], ...]:
    given = {
        "flavour": options.flavour,
        "grace": options.grace_seconds,
        "max-message-bytes": options.max_message_bytes,
        "turn-lease": options.turn_lease_seconds,
        "activity-lease": options.activity_lease_seconds,
    }
    return tuple((name, str(value)) for name, value in given.items() if value is not None)
