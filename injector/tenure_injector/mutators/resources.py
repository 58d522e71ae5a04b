"""What the engine's container reserves and may use."""

from __future__ import annotations

from tenure_injector.edits import with_sidecar
from tenure_injector.pods import Json
from tenure_injector.sidecar import Sidecar


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Set requests and limits, leaving out what is empty."""
    wanted = sidecar.resources
    requests = _given(cpu=wanted.cpu_request, memory=wanted.memory_request)
    limits = _given(cpu=wanted.cpu_limit, memory=wanted.memory_limit)
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
    return with_sidecar(pod, lambda container: {**container, "resources": resources})


def _given(**quantities: str) -> dict[str, str]:
    return {name: quantity for name, quantity in quantities.items() if quantity}
