"""The API token, from a Secret: the engine asks for it, and the app's SDKs send it.

Without it whoever runs a program in the pod may call the engine.  The value itself stays in the
Secret, which Dapr's users have under the same key.
"""

from __future__ import annotations

from typing import Final

from tenure_common import names
from tenure_injector.edits import is_sidecar, with_containers, with_variables
from tenure_injector.pods import Json
from tenure_injector.sidecar import Sidecar

KEY: Final = "token"


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Give the token to all containers, where the annotations name a Secret."""
    if not sidecar.api_token_secret:
        return pod
    source = {"secretKeyRef": {"name": sidecar.api_token_secret, "key": KEY}}

    def given(container: Json) -> Json:
        name = names.TENURE_API_TOKEN if is_sidecar(container) else names.DAPR_API_TOKEN
        return with_variables(container, [{"name": name, "valueFrom": source}])

    return with_containers(pod, given)
