"""The engine's variables: who it is, from the pod itself, and what the annotations add."""

from __future__ import annotations

from typing import Final

from tenure_injector.edits import with_sidecar
from tenure_injector.pods import Json
from tenure_injector.sidecar import Sidecar

# A container that starts again finds the same pod uid, and by it the work that it had.
IDENTITY: Final = {
    "TENURE_NAMESPACE": "metadata.namespace",
    "TENURE_POD_NAME": "metadata.name",
    "TENURE_POD_UID": "metadata.uid",
    "TENURE_POD_IP": "status.podIP",
}


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Set the variables."""
    variables: list[Json] = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in IDENTITY.items()
    ]
    variables += [
        {
            "name": one.name,
            "valueFrom": {"secretKeyRef": {"name": one.secret, "key": one.key}},
        }
        for one in sidecar.secret_variables
    ]
    variables += [{"name": one.name, "value": one.value} for one in sidecar.variables]
    return with_sidecar(pod, lambda container: {**container, "env": variables})
