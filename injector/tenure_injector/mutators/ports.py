"""The ports that are reached from outside the pod; those on loopback are nobody else's business."""

from __future__ import annotations

from tenure_injector.edits import with_sidecar
from tenure_injector.pods import Json
from tenure_injector.sidecar import Sidecar

HEALTH = "tenure-health"  # 15 characters at most
PEERS = "tenure-peers"


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Name the ports, so that a PodMonitor finds the metrics."""
    ports: list[Json] = [
        {"name": HEALTH, "containerPort": sidecar.ports.health, "protocol": "TCP"},
        {"name": PEERS, "containerPort": sidecar.ports.peers, "protocol": "TCP"},
    ]
    return with_sidecar(pod, lambda container: {**container, "ports": ports})
