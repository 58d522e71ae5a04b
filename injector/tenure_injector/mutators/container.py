"""The engine's container itself, in its place.

As a native sidecar it is the *first* init container: it is up before the app's own init containers
run, stays while the app runs, is asked to stop after the app has ended, and does not keep a Job from
completing.  As a classic container it stands last, so that the app's containers keep their indexes.
"""

from __future__ import annotations

from tenure_common.names import SIDECAR_CONTAINER
from tenure_injector.edits import CONTAINERS, INIT_CONTAINERS, with_spec
from tenure_injector.pods import Json, entries
from tenure_injector.sidecar import Sidecar


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Add the container."""
    container: Json = {
        "name": SIDECAR_CONTAINER,
        "image": sidecar.image,
        "imagePullPolicy": sidecar.pull_policy,
    }
    if sidecar.native:
        listed = entries(pod["spec"], INIT_CONTAINERS)
        return with_spec(pod, INIT_CONTAINERS, [{**container, "restartPolicy": "Always"}, *listed])
    return with_spec(pod, CONTAINERS, [*entries(pod["spec"], CONTAINERS), container])
