"""All changes to a pod, in order.

A mutator is a function of a pod and a decided ``Sidecar`` that returns a new pod; it knows one
concern and none of the others.  Those of ``ENGINE`` only add, and what they add does not depend on
the pod: replicas have it from one run on an empty pod.  Those of ``APP`` connect the pod's own
containers with the engine.

``inject`` applies all of them to a pod without the engine.  ``complete`` applies those that matter to
a pod that has it: another webhook may have added a container in the meantime, and the API server
then asks again.  What other webhooks did to the engine's container (another registry in front of its
image, say) stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from tenure_injector.edits import INIT_CONTAINERS
from tenure_injector.mutators import (
    app,
    arguments,
    container,
    environment,
    marks,
    ports,
    probes,
    resources,
    security,
    token,
    volumes,
)
from tenure_injector.pods import Json, entries
from tenure_injector.sidecar import Sidecar

Mutator = Callable[[Json, Sidecar], Json]

ENGINE: Final[Sequence[Mutator]] = (
    container.mutate,
    arguments.mutate,
    environment.mutate,
    ports.mutate,
    probes.mutate,
    resources.mutate,
    security.mutate,
    volumes.mutate,
)
APP: Final[Sequence[Mutator]] = (app.mutate, token.mutate, marks.mutate)


def inject(pod: Json, sidecar: Sidecar) -> Json:
    """The pod with the engine."""
    spec = {**pod["spec"]}
    for key, added in _engine(sidecar).items():
        present = entries(spec, key)
        spec[key] = [*added, *present] if key == INIT_CONTAINERS else [*present, *added]
    return _fold(APP, {**pod, "spec": spec}, sidecar)


def complete(pod: Json, sidecar: Sidecar) -> Json:
    """The pod, which has the engine, with what came later connected to it."""
    return _fold(APP, pod, sidecar)


@lru_cache(maxsize=64)
def _engine(sidecar: Sidecar) -> Json:
    """The spec of a pod in which there is nothing but the engine."""
    spec: Json = _fold(ENGINE, {"spec": {}}, sidecar)["spec"]
    return spec


def _fold(mutators: Sequence[Mutator], pod: Json, sidecar: Sidecar) -> Json:
    for mutate in mutators:
        pod = mutate(pod, sidecar)
    return pod
