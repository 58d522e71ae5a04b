"""The Pod Security Standard ``restricted``, as a checker of its own.

Written from the standard's text (Kubernetes documentation, "Pod Security Standards"), not from what
the injector writes.  ``violations`` names each control that a pod breaks; with ``only`` it looks at
the named containers and leaves the pod's other parts out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
SECCOMP = {"RuntimeDefault", "Localhost"}


def containers(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All containers of a pod's spec."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(key) or []


def violations(pod: dict[str, Any], *, only: Collection[str] | None = None) -> list[str]:
    """What the standard forbids, a line each."""
    spec = pod["spec"]
    found: list[str] = []
    if only is None:
        found += [f"pod: {name}" for name in HOST_NAMESPACES if spec.get(name)]
        for volume in spec.get("volumes") or []:
            kinds = set(volume) - {"name"}
            found += [f"volume {volume['name']}: {kind}" for kind in kinds - VOLUMES]
    for container in containers(spec):
        if only is None or container["name"] in only:
            found += [
                f"container {container['name']}: {problem}" for problem in _of(container, spec)
            ]
    return found


def _of(container: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext") or {}
    outer = spec.get("securityContext") or {}
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if (context.get("runAsNonRoot", outer.get("runAsNonRoot"))) is not True:
        yield "runAsNonRoot is not true"
    if context.get("runAsUser", outer.get("runAsUser")) == 0:
        yield "runAsUser is 0"
    seccomp = context.get("seccompProfile") or outer.get("seccompProfile") or {}
    if seccomp.get("type") not in SECCOMP:
        yield "seccompProfile"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield "capabilities are not dropped"
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield "capabilities are added"
    if (context.get("procMount") or "Default") != "Default":
        yield "procMount"
    for port in container.get("ports") or []:
        if port.get("hostPort"):
            yield "hostPort"
