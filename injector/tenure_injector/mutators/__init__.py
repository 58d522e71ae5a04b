"""All changes to a pod, in order.

A mutator is a function of a pod and a decided ``Sidecar`` that returns a new pod; it knows one
concern and none of the others.  ``inject`` applies all of them to a pod without the engine.
``complete`` applies those that matter to a pod that has it: another webhook may have added a
container in the meantime, and the API server then asks again.  What other webhooks did to the
engine's container (another registry in front of its image, say) stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

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
from tenure_injector.pods import Json
from tenure_injector.sidecar import Sidecar

Mutator = Callable[[Json, Sidecar], Json]

INJECT: Final[Sequence[Mutator]] = (
    container.mutate,
    arguments.mutate,
    environment.mutate,
    ports.mutate,
    probes.mutate,
    resources.mutate,
    security.mutate,
    volumes.mutate,
    app.mutate,
    token.mutate,
    marks.mutate,
)
COMPLETE: Final[Sequence[Mutator]] = (app.mutate, token.mutate, marks.mutate)


def inject(pod: Json, sidecar: Sidecar) -> Json:
    """The pod with the engine."""
    return _fold(INJECT, pod, sidecar)


def complete(pod: Json, sidecar: Sidecar) -> Json:
    """The pod, which has the engine, with what came later connected to it."""
    return _fold(COMPLETE, pod, sidecar)


def _fold(mutators: Sequence[Mutator], pod: Json, sidecar: Sidecar) -> Json:
    for mutate in mutators:
        pod = mutate(pod, sidecar)
    return pod
