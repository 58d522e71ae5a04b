"""The app's containers: variables by which its SDK finds the engine, as under ``dapr run``.

They stand first, so that the app's own variables may refer to them; one that a container sets
itself is left as it is.
"""

from __future__ import annotations

from tenure_common import names
from tenure_injector.edits import CONTAINERS, INIT_CONTAINERS, is_sidecar, with_spec
from tenure_injector.pods import Json, entries
from tenure_injector.sidecar import Sidecar


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Add the variables to all containers but the engine's."""
    variables = _variables(sidecar)
    for key in (INIT_CONTAINERS, CONTAINERS):
        listed = entries(pod["spec"], key)
        changed = [one if is_sidecar(one) else _with(one, variables) for one in listed]
        if any(new is not old for new, old in zip(changed, listed, strict=True)):
            pod = with_spec(pod, key, changed)
    return pod


def _with(container: Json, variables: dict[str, str]) -> Json:
    present = entries(container, "env")
    taken = {variable.get("name") for variable in present}
    added = [
        {"name": name, "value": value} for name, value in variables.items() if name not in taken
    ]
    return {**container, "env": [*added, *present]} if added else container


def _variables(sidecar: Sidecar) -> dict[str, str]:
    grpc, http = sidecar.ports.grpc, sidecar.ports.http
    return {
        names.APP_ID: sidecar.app_id,
        names.DAPR_GRPC_PORT: str(grpc),
        names.DAPR_GRPC_ENDPOINT: f"http://{names.LOOPBACK}:{grpc}",
        names.DAPR_HTTP_PORT: str(http),
        names.DAPR_HTTP_ENDPOINT: f"http://{names.LOOPBACK}:{http}",
    }
