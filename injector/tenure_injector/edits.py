"""Changes to a pod without changing it: each gives a new pod that shares what stays the same.

What is shared is the same object, which is what makes the difference of the two cheap to find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tenure_common.names import SIDECAR_CONTAINER
from tenure_injector.pods import Json, entries, part

CONTAINERS = "containers"
INIT_CONTAINERS = "initContainers"


def with_spec(pod: Json, key: str, value: object) -> Json:
    """The pod with one field of its spec set."""
    return {**pod, "spec": {**pod["spec"], key: value}}


def with_mark(pod: Json, where: str, name: str, value: str) -> Json:
    """The pod with one label or annotation set."""
    metadata = part(pod, "metadata")
    return {**pod, "metadata": {**metadata, where: {**part(metadata, where), name: value}}}


def with_sidecar(pod: Json, change: Callable[[Json], Json]) -> Json:
    """The pod with the engine's container changed, wherever it stands."""
    for key in (INIT_CONTAINERS, CONTAINERS):
        listed = entries(pod["spec"], key)
        if any(is_sidecar(one) for one in listed):
            changed = [change(one) if is_sidecar(one) else one for one in listed]
            return with_spec(pod, key, changed)
    message = "the engine's container is added before it is changed"
    raise LookupError(message)


def with_containers(pod: Json, change: Callable[[Json], Json]) -> Json:
    """The pod with all containers changed; a ``change`` that has nothing to do returns its own."""
    for key in (INIT_CONTAINERS, CONTAINERS):
        listed = entries(pod["spec"], key)
        changed = [change(one) for one in listed]
        if any(new is not old for new, old in zip(changed, listed, strict=True)):
            pod = with_spec(pod, key, changed)
    return pod


def with_variables(container: Json, variables: Sequence[Json]) -> Json:
    """The container with those variables in front that it does not have."""
    present = entries(container, "env")
    taken = {variable.get("name") for variable in present}
    added = [variable for variable in variables if variable["name"] not in taken]
    return {**container, "env": [*added, *present]} if added else container


def is_sidecar(container: Json) -> bool:
    """Whether this is the engine's container."""
    return container.get("name") == SIDECAR_CONTAINER
