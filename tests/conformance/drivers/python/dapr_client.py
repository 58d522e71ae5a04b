"""What ``DaprClient`` of the Dapr SDK for Python asks of a sidecar that has workflows alone.

Its workflow calls are those of the workflow client, which speaks to the task hub; what is left here
is health, metadata and the end of the sidecar.  The ports and the token come from the environment,
as an app gets them.  Prints what it saw as one JSON object.
"""

from __future__ import annotations

import json
import warnings

import grpc
from dapr.clients import DaprClient

warnings.simplefilter("ignore", DeprecationWarning)  # wait() is


def refused(call: object) -> list[str]:
    """Status and message of a call that is refused."""
    try:
        call()
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return []


def main() -> None:
    """Call everything once."""
    with DaprClient() as client:  # asks /v1.0/healthz/outbound until it is well
        client.wait(10)
        client.set_metadata("team", "blue")
        found = client.get_metadata()
        seen = {
            "id": found.application_id,
            "actors": dict(found.active_actors_count),
            "components": list(found.registered_components),
            "extended": dict(found.extended_metadata),
            "state": refused(lambda: client.get_state("store", "key")),
            "shutdown": refused(client.shutdown),
        }
    print(json.dumps(seen))


main()
