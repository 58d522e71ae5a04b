"""The API token in front of gRPC handlers, where one is set.

Apps with a Dapr SDK send it as the metadata ``dapr-api-token`` when DAPR_API_TOKEN is set.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from tenure_common.errors import BadTokenError
from tenure_sidecar.rpc.status import fail

if TYPE_CHECKING:
    from tenure_sidecar.rpc.transport import Call, Stream

TOKEN_KEY: Final = "dapr-api-token"  # noqa: S105 - the name of a key

C = TypeVar("C", "Call", "Stream")


def guarded(
    handlers: Mapping[str, Callable[[C], None]], token: str
) -> Mapping[str, Callable[[C], None]]:
    """The handlers, which answer UNAUTHENTICATED to calls without ``token``; as they are when that
    is empty."""
    if not token:
        return handlers
    wanted = token.encode()

    def guard(handle: Callable[[C], None]) -> Callable[[C], None]:
        def checked(call: C) -> None:
            if _carries(call, wanted):
                handle(call)
            else:
                message = (
                    f"the metadata {TOKEN_KEY} is missing or wrong; give the app the engine's "
                    "--api-token as DAPR_API_TOKEN"
                )
                fail(call, BadTokenError(message))

        return checked

    return {path: guard(handle) for path, handle in handlers.items()}


def _carries(call: Call | Stream, token: bytes) -> bool:
    given = next((value for key, value in call.metadata if key == TOKEN_KEY), "")
    return hmac.compare_digest(given.encode() if isinstance(given, str) else given, token)
