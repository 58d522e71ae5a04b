"""What Dapr's API answers when something is wrong: one table for HTTP and gRPC.

The codes, statuses and texts are Dapr's (https://docs.dapr.io/reference/errors/), because clients
match on them.  Where an error of ours is behind one, its text and code stand at the end.
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Final, NamedTuple


class Statuses(NamedTuple):
    """An error's HTTP status and the name of its gRPC status."""

    http: int
    grpc: str


class Code(StrEnum):
    """What an error is called; Dapr's names."""

    ERR_WORKFLOW_NAME_MISSING = "ERR_WORKFLOW_NAME_MISSING"
    ERR_WORKFLOW_EVENT_NAME_MISSING = "ERR_WORKFLOW_EVENT_NAME_MISSING"
    ERR_WORKFLOW_APP_ID_INVALID = "ERR_WORKFLOW_APP_ID_INVALID"
    ERR_INSTANCE_ID_TOO_LONG = "ERR_INSTANCE_ID_TOO_LONG"
    ERR_INSTANCE_ID_INVALID = "ERR_INSTANCE_ID_INVALID"
    ERR_INSTANCE_ID_PROVIDED_MISSING = "ERR_INSTANCE_ID_PROVIDED_MISSING"
    ERR_INSTANCE_ID_NOT_FOUND = "ERR_INSTANCE_ID_NOT_FOUND"
    ERR_START_WORKFLOW = "ERR_START_WORKFLOW"
    ERR_GET_WORKFLOW = "ERR_GET_WORKFLOW"
    ERR_RAISE_EVENT_WORKFLOW = "ERR_RAISE_EVENT_WORKFLOW"
    ERR_PAUSE_WORKFLOW = "ERR_PAUSE_WORKFLOW"
    ERR_RESUME_WORKFLOW = "ERR_RESUME_WORKFLOW"
    ERR_TERMINATE_WORKFLOW = "ERR_TERMINATE_WORKFLOW"
    ERR_PURGE_WORKFLOW = "ERR_PURGE_WORKFLOW"
    ERR_ACTOR_TYPE_RESERVED = "ERR_ACTOR_TYPE_RESERVED"
    ERR_METADATA_TOO_LONG = "ERR_METADATA_TOO_LONG"
    ERR_METADATA_TOO_MANY = "ERR_METADATA_TOO_MANY"


_BAD: Final = Statuses(HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT")
_FAILED: Final = Statuses(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL")
TAKEN: Final = Statuses(HTTPStatus.CONFLICT, "ALREADY_EXISTS")

STATUSES: Final[dict[Code, Statuses]] = {
    Code.ERR_WORKFLOW_NAME_MISSING: _BAD,
    Code.ERR_WORKFLOW_EVENT_NAME_MISSING: _BAD,
    Code.ERR_WORKFLOW_APP_ID_INVALID: _BAD,
    Code.ERR_INSTANCE_ID_TOO_LONG: _BAD,
    Code.ERR_INSTANCE_ID_INVALID: _BAD,
    Code.ERR_INSTANCE_ID_PROVIDED_MISSING: _BAD,
    Code.ERR_INSTANCE_ID_NOT_FOUND: Statuses(HTTPStatus.NOT_FOUND, "NOT_FOUND"),
    Code.ERR_START_WORKFLOW: _FAILED,
    Code.ERR_GET_WORKFLOW: _FAILED,
    Code.ERR_RAISE_EVENT_WORKFLOW: _FAILED,
    Code.ERR_PAUSE_WORKFLOW: _FAILED,
    Code.ERR_RESUME_WORKFLOW: _FAILED,
    Code.ERR_TERMINATE_WORKFLOW: _FAILED,
    Code.ERR_PURGE_WORKFLOW: _FAILED,
    Code.ERR_ACTOR_TYPE_RESERVED: Statuses(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED"),
    Code.ERR_METADATA_TOO_LONG: _BAD,
    Code.ERR_METADATA_TOO_MANY: _BAD,
}


class DaprError(Exception):
    """An answer of the table.

    ``statuses`` are the table's, unless what is behind it makes them others.
    """

    def __init__(self, code: Code, message: str, *, statuses: Statuses | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.statuses = statuses or STATUSES[code]


def bad_request(code: Code, message: str) -> DaprError:
    """A failure that is the caller's."""
    return DaprError(code, message, statuses=_BAD)


def not_found(instance_id: str) -> DaprError:
    """There is no such instance."""
    message = f"unable to find workflow with the provided instance ID: {instance_id}"
    return DaprError(Code.ERR_INSTANCE_ID_NOT_FOUND, message)
