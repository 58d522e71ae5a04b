"""The app's containers: variables by which its SDK finds the engine, as under ``dapr run``.

They stand first, so that the app's own variables may refer to them; one that a container sets
itself is left as it is.
"""

from __future__ import annotations

from tenure_common import names
from tenure_injector.edits import is_sidecar, with_containers, with_variables
from tenure_injector.pods import Json
from tenure_injector.sidecar import Sidecar


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Add the variables to all containers but the engine's."""
    variables = _variables(sidecar)
    return with_containers(
        pod, lambda one: one if is_sidecar(one) else with_variables(one, variables)
    )


def _variables(sidecar: Sidecar) -> list[Json]:
    grpc, http = sidecar.ports.grpc, sidecar.ports.http
    values = {
        names.APP_ID: sidecar.app_id,
        names.DAPR_GRPC_PORT: str(grpc),
        names.DAPR_GRPC_ENDPOINT: f"http://{names.LOOPBACK}:{grpc}",
        names.DAPR_HTTP_PORT: str(http),
        names.DAPR_HTTP_ENDPOINT: f"http://{names.LOOPBACK}:{http}",
    }
    return [{"name": name, "value": value} for name, value in values.items()]
