"""The engine's container under the Pod Security Standard ``restricted``, whatever the app's is.

Everything is said in the container and nothing is left to the pod's own security context: a pod
that runs as root must not make the engine do so.
"""

from __future__ import annotations

from tenure_injector.edits import with_sidecar
from tenure_injector.pods import Json
from tenure_injector.sidecar import Sidecar


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Set the security context."""
    context: Json = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if sidecar.user:
        context |= {"runAsUser": sidecar.user, "runAsGroup": sidecar.user}
    return with_sidecar(pod, lambda container: {**container, "securityContext": context})
