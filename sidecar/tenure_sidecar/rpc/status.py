"""Errors as gRPC statuses.

Client errors keep the exact texts that SDKs match on (``no such instance exists`` and others) as
the start of the message; the code of the error page follows in brackets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import TenureError
from tenure_sidecar.dapr_api.errors import DaprError

if TYPE_CHECKING:
    from tenure_sidecar.rpc.transport import Call, Stream

_log = structlog.get_logger(__name__)


def fail(call: Call | Stream, error: BaseException) -> None:
    """End the call with the status that the error stands for."""
    if isinstance(error, TenureError):
        call.fail(error.grpc, f"{error.message} [{error.code}]")
        return
    if isinstance(error, DaprError):
        call.fail(error.statuses.grpc, f"{error.message} [{error.code}]")
        return
    _log.error("request failed", exc_info=error)
    call.fail("INTERNAL", f"{type(error).__name__}: {error} [TN0001]")
