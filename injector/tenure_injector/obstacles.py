"""Why the engine cannot run in a pod that asks for it: one small question each.

Each obstacle is found here, in words of the pod's author, instead of later as a container that does
not start, a port that is taken, or a message of the API server about a field that nobody wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from tenure_common.names import SIDECAR_CONTAINER
from tenure_injector.dapr import DAPR_CONTAINER
from tenure_injector.pods import Container, Pod
from tenure_injector.sidecar import (
    VOLUME_CREDENTIALS,
    VOLUME_EMPTY,
    VOLUME_PEERS,
    Sidecar,
    contradictions,
)

_OS_LABEL: Final = "kubernetes.io/os"


class Obstacle(NamedTuple):
    """A word for programs and a sentence for people."""

    reason: str
    text: str


def first(pod: Pod, sidecar: Sidecar) -> Obstacle | None:
    """The first obstacle, None when the engine can run in the pod."""
    return next((found for look in _ALL for found in look(pod, sidecar)), None)


def _host_network(pod: Pod, _: Sidecar) -> Iterator[Obstacle]:
    if pod.spec.host_network:
        text = "with hostNetwork the engine's loopback ports would be open to the whole node"
        yield Obstacle("HostNetwork", text)


def _windows(pod: Pod, _: Sidecar) -> Iterator[Obstacle]:
    wanted = {(pod.spec.node_selector or {}).get(_OS_LABEL), pod.spec.os and pod.spec.os.name}
    if "windows" in wanted:
        yield Obstacle("Windows", "the engine does not run on Windows nodes")


def _dapr(pod: Pod, _: Sidecar) -> Iterator[Obstacle]:
    if any(container.name == DAPR_CONTAINER for container in pod.containers()):
        text = (
            f"the pod has Dapr's sidecar '{DAPR_CONTAINER}', which listens on the same ports: "
            "take the pod out of Dapr's injection"
        )
        yield Obstacle("DaprPresent", text)


def _names(pod: Pod, _: Sidecar) -> Iterator[Obstacle]:
    if any(container.name == SIDECAR_CONTAINER for container in pod.containers()):
        text = f"the pod has a container '{SIDECAR_CONTAINER}' of its own: rename it"
        yield Obstacle("NameTaken", text)
    for volume in pod.spec.volumes or []:
        if volume.name in {VOLUME_CREDENTIALS, VOLUME_EMPTY, VOLUME_PEERS}:
            text = f"the pod has a volume '{volume.name}' of its own: rename it"
            yield Obstacle("NameTaken", text)


def _contradictions(_: Pod, sidecar: Sidecar) -> Iterator[Obstacle]:
    for text in contradictions(sidecar):
        yield Obstacle("Contradiction", f"{text}: change the annotations")


def _volumes(pod: Pod, sidecar: Sidecar) -> Iterator[Obstacle]:
    present = {volume.name for volume in pod.spec.volumes or []}
    for mount in (*sidecar.mounts, *sidecar.writable_mounts):
        if mount.volume not in present:
            text = f"the engine is to mount volume '{mount.volume}', which the pod does not have"
            yield Obstacle("VolumeMissing", text)


def _ports(pod: Pod, sidecar: Sidecar) -> Iterator[Obstacle]:
    ports = sidecar.ports.named()
    for container in pod.containers():
        for name, port in ports.items():
            if _listens(container, port):
                text = f"port {port} is used by container '{container.name}': set tenure.dev/{name}"
                yield Obstacle("PortTaken", text)


def _listens(container: Container, port: int) -> bool:
    return any(
        one.container_port == port and one.protocol in {None, "", "TCP"}
        for one in container.ports or []
    )


_ALL: Final[Sequence[Callable[[Pod, Sidecar], Iterator[Obstacle]]]] = (
    _host_network,
    _windows,
    _dapr,
    _names,
    _contradictions,
    _volumes,
    _ports,
)
