"""The verbs of the building block: check, do, and answer in Dapr's words when it fails.

Payloads come as bytes and are text.  Terminate and purge include children, as in Dapr.  The
component's name is Dapr's concept and is ignored by both transports.  Where this differs from
daprd: a start on an id in use is a conflict (daprd: an internal error), and a stalled instance says
so in a property, since its status can only be UNKNOWN here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

from tenure_common.errors import (
    BadRequestError,
    InstanceExistsError,
    NoSuchInstanceError,
    TenureError,
)
from tenure_common.times import NANOS, parse_time
from tenure_sidecar.dapr_api.errors import TAKEN, Code, DaprError, bad_request, not_found
from tenure_sidecar.engine.events import Instant, Status

if TYPE_CHECKING:
    from tenure_sidecar.dapr_api.port import Workflows
    from tenure_sidecar.engine.head import Head, Stall

START_TIME: Final = "dapr.workflow.start_time"  # option of a start: an RFC 3339 time
MAX_ID_LENGTH: Final = 64
_ID: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
# Actor types that the engine itself has; apps may not call them.
_RESERVED: Final = "dapr.internal."


class WorkflowBlock:
    """The verbs for one app.  All raise DaprError."""

    def __init__(self, workflows: Workflows, *, app_id: str) -> None:
        self._workflows = workflows
        self._app_id = app_id

    def own(self, app_id: str | None) -> None:
        """Dapr 1.19 lets a request address another app's workflows; refused, not ignored."""
        if app_id and app_id != self._app_id:
            message = (
                f"workflow app ID '{app_id}' is invalid: "
                f"this sidecar serves the workflows of '{self._app_id}' alone"
            )
            raise DaprError(Code.ERR_WORKFLOW_APP_ID_INVALID, message)

    async def start(
        self, name: str, *, instance_id: str, given: bytes, start_time: str | None
    ) -> str:
        """Start an instance; its id, which the engine chooses when ``instance_id`` is empty.

        ``start_time``: RFC 3339, None or empty = now.
        """
        if not name:
            raise DaprError(Code.ERR_WORKFLOW_NAME_MISSING, "workflow name is not configured")
        if instance_id:
            _check_id(instance_id)
        try:
            return await self._workflows.start_new(
                name,
                instance_id=instance_id or None,
                input=_text(given),
                start_at=_instant(start_time),
            )
        except BadRequestError as cause:
            raise bad_request(Code.ERR_START_WORKFLOW, cause.message) from cause
        except TenureError as cause:
            statuses = TAKEN if isinstance(cause, InstanceExistsError) else None
            message = f"error starting workflow '{name}': {cause.message}"
            raise DaprError(Code.ERR_START_WORKFLOW, message, statuses=statuses) from cause

    async def get(self, instance_id: str) -> tuple[Head, str | None] | None:
        """Head and input; None when there is no such instance."""
        _need_id(instance_id)
        try:
            return await self._workflows.state(instance_id)
        except TenureError as cause:
            what = f"error while getting workflow info on instance '{instance_id}'"
            raise _failed(Code.ERR_GET_WORKFLOW, what, cause) from cause

    async def raise_event(self, instance_id: str, event: str, data: bytes) -> None:
        """Raise an external event."""
        code = Code.ERR_RAISE_EVENT_WORKFLOW
        _need_id(instance_id)
        if not event:
            raise DaprError(Code.ERR_WORKFLOW_EVENT_NAME_MISSING, "missing workflow event name")
        try:
            text = _text(data)
        except BadRequestError as cause:
            raise bad_request(code, cause.message) from cause
        await _act(
            self._workflows.raise_event(instance_id, event, text),
            instance_id,
            code=code,
            what=f"error raising event on workflow '{instance_id}'",
        )

    async def pause(self, instance_id: str) -> None:
        """Suspend."""
        _need_id(instance_id)
        await _act(
            self._workflows.suspend(instance_id, None),
            instance_id,
            code=Code.ERR_PAUSE_WORKFLOW,
            what=f"error pausing workflow {instance_id}",
        )

    async def resume(self, instance_id: str) -> None:
        """Resume."""
        _need_id(instance_id)
        await _act(
            self._workflows.resume(instance_id, None),
            instance_id,
            code=Code.ERR_RESUME_WORKFLOW,
            what=f"error resuming workflow {instance_id}",
        )

    async def terminate(self, instance_id: str) -> None:
        """Terminate, with the children."""
        _need_id(instance_id)
        await _act(
            self._workflows.terminate(instance_id, None, recurse=True),
            instance_id,
            code=Code.ERR_TERMINATE_WORKFLOW,
            what=f"error terminating workflow '{instance_id}'",
        )

    async def purge(self, instance_id: str) -> None:
        """Delete an instance that has ended, with its children."""
        _need_id(instance_id)

        async def purge() -> None:
            if not await self._workflows.purge(instance_id, recursive=True):
                message = f"no such instance exists: '{instance_id}'"
                raise NoSuchInstanceError(message)

        await _act(
            purge(),
            instance_id,
            code=Code.ERR_PURGE_WORKFLOW,
            what=f"error purging workflow {instance_id}",
        )


def refuse_reserved(actor_type: str) -> None:
    """Raises: DaprError for an actor type that is the engine's own."""
    if actor_type.startswith(_RESERVED):
        message = f"actor type '{actor_type}' is reserved for the workflow runtime"
        raise DaprError(Code.ERR_ACTOR_TYPE_RESERVED, message)


def properties(head: Head, input: str | None) -> dict[str, str]:  # noqa: A002 - Dapr's word
    """The state's ``properties``; absent values are left out, the output of a failed one too."""
    failure = head.failure
    stall = head.stall if head.status is Status.STALLED else None
    found = {
        "dapr.workflow.input": input,
        "dapr.workflow.custom_status": head.custom_status,
        "dapr.workflow.output": None if failure else head.output,
        "dapr.workflow.failure.error_type": failure.error_type if failure else None,
        "dapr.workflow.failure.error_message": failure.message if failure else None,
        "dapr.workflow.failure.stack_trace": failure.stack_trace if failure else None,
        "tenure.workflow.stalled": _why(stall) if stall else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def status_name(status: Status) -> str:
    """The status as this API names it: it has no word for STALLED."""
    return "UNKNOWN" if status is Status.STALLED else status.name


def _why(stall: Stall) -> str:
    text = stall.reason.name
    return f"{text}: {stall.description}" if stall.description else text


async def _act(verb: Awaitable[None], instance_id: str, *, code: Code, what: str) -> None:
    try:
        await verb
    except NoSuchInstanceError as cause:
        raise not_found(instance_id) from cause
    except BadRequestError as cause:
        raise bad_request(code, cause.message) from cause
    except TenureError as cause:
        raise _failed(code, what, cause) from cause


def _failed(code: Code, what: str, cause: TenureError) -> DaprError:
    return DaprError(code, f"{what}: {cause.message} [{cause.code}]")


def _need_id(instance_id: str) -> None:
    if not instance_id:
        raise DaprError(Code.ERR_INSTANCE_ID_PROVIDED_MISSING, "no instance ID was provided")


def _check_id(instance_id: str) -> None:
    """What a new id must look like."""
    if len(instance_id) > MAX_ID_LENGTH:
        message = f"workflow instance ID exceeds the max length of {MAX_ID_LENGTH} characters"
        raise DaprError(Code.ERR_INSTANCE_ID_TOO_LONG, message)
    if not _ID.fullmatch(instance_id):
        message = (
            f"workflow instance ID '{instance_id}' is invalid: "
            "only alphanumeric and underscore characters are allowed (dash is allowed too)"
        )
        raise DaprError(Code.ERR_INSTANCE_ID_INVALID, message)


def _instant(text: str | None) -> Instant | None:
    if not text:
        return None
    return Instant(*divmod(parse_time(text), NANOS))


def _text(data: bytes) -> str | None:
    """A payload; None when there is none.  Raises: BadRequestError when it is not UTF-8."""
    try:
        return data.decode() if data else None
    except UnicodeDecodeError as cause:
        message = f"the body is not UTF-8 at byte {cause.start}; payloads are text, JSON as a rule"
        raise BadRequestError(message) from cause
