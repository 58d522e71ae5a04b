"""The engine's command line.

Only what differs from the engine's defaults is said: the injector and the image may be of different
versions, and a flag that is not given cannot be unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tenure_injector.edits import with_sidecar
from tenure_injector.pods import Json
from tenure_injector.sidecar import PATH_CREDENTIALS, PATH_PEERS, Ports, Sidecar

_USUAL: Final = Ports().named()


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Set the arguments; the image's entry point is ``tenure``."""
    arguments = ["sidecar", *(f"--{name}={value}" for name, value in _flags(sidecar))]
    return with_sidecar(pod, lambda container: {**container, "args": arguments})


def _flags(sidecar: Sidecar) -> Iterator[tuple[str, str]]:
    yield "app-id", sidecar.app_id
    yield "store", sidecar.store
    if sidecar.store_secret:
        yield "etcd-ca", f"{PATH_CREDENTIALS}/ca.crt"
        yield "etcd-cert", f"{PATH_CREDENTIALS}/tls.crt"
        yield "etcd-key", f"{PATH_CREDENTIALS}/tls.key"
    if sidecar.peers_secret:
        yield "peers-ca", f"{PATH_PEERS}/ca.crt"
        yield "peers-cert", f"{PATH_PEERS}/tls.crt"
        yield "peers-key", f"{PATH_PEERS}/tls.key"
    for name, port in sidecar.ports.named().items():
        if port != _USUAL[name]:
            yield name, str(port)
    yield "log-level", sidecar.log_level
    yield "log-format", sidecar.log_format
    yield from sidecar.settings
