"""Dapr's workflow API over HTTP, as ``@dapr/dapr`` and people with curl call it.

=====================================================  ==========================================
POST ``/v1.0/workflows/<component>/<name>/start``      202 ``{"instanceID": ...}``
GET  ``/v1.0/workflows/<component>/<id>``              200, the state
POST ``/v1.0/workflows/<component>/<id>/<verb>``       202; pause, resume, terminate, purge
POST ``.../<id>/raiseEvent/<event>``                   202
=====================================================  ==========================================

``v1.0-beta1`` and ``v1.0-alpha1`` are the same.  The component is Dapr's word and is ignored.
Bodies are the payloads themselves, as text.  Terminate and purge include children, as in Dapr.
Error codes and texts are Dapr's.  Where this differs from daprd: a start on an id in use answers
409 (daprd: 500), and a stalled instance says so in a property, since its status can only be UNKNOWN
here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from tenure_common.errors import (
    BadRequestError,
    InstanceExistsError,
    NoSuchInstanceError,
    TenureError,
)
from tenure_common.times import NANOS, format_time, parse_time
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.http.replies import error, json, nothing

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head, Stall
    from tenure_sidecar.http.port import Engine, Workflows

VERSIONS: Final = ("v1.0", "v1.0-beta1", "v1.0-alpha1")
MAX_ID_LENGTH: Final = 64
_ID: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_START_TIME: Final = "dapr.workflow.start_time"

Handler = Callable[[web.Request], Awaitable[web.Response]]


def routes(engine: Engine) -> list[web.RouteDef]:
    """The routes of this module."""
    api = WorkflowApi(engine.workflows)
    verbs: dict[str, Handler] = {
        "start": api.start,
        "raiseEvent/{event}": api.raise_event,
        "pause": api.pause,
        "resume": api.resume,
        "terminate": api.terminate,
        "purge": api.purge,
    }
    table: list[web.RouteDef] = []
    for version in VERSIONS:
        base = f"/{version}/workflows/{{component}}/{{id}}"
        table.append(web.get(base, _of_this_app(engine, api.get), allow_head=False))
        for verb, handler in verbs.items():
            table.append(web.post(f"{base}/{verb}", _of_this_app(engine, handler)))
    return table


def _of_this_app(engine: Engine, handler: Handler) -> Handler:
    """``?appID=`` addresses another app's workflows in Dapr 1.19; refused, not ignored."""

    async def checked(request: web.Request) -> web.Response:
        wanted = request.query.get("appID")
        if wanted and wanted != engine.app_id:
            message = (
                f"workflow app ID '{wanted}' is invalid: "
                f"this sidecar serves the workflows of '{engine.app_id}' alone"
            )
            return error(HTTPStatus.BAD_REQUEST, "ERR_WORKFLOW_APP_ID_INVALID", message)
        return await handler(request)

    return checked


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


def _why(stall: Stall) -> str:
    text = stall.reason.name
    return f"{text}: {stall.description}" if stall.description else text


def status_name(status: Status) -> str:
    """The status as this API names it: it has no word for STALLED."""
    return "UNKNOWN" if status is Status.STALLED else status.name


class WorkflowApi:
    """The handlers."""

    def __init__(self, workflows: Workflows) -> None:
        self._workflows = workflows

    async def start(self, request: web.Request) -> web.Response:
        """Start an instance; ``?instanceID=`` chooses its id, the body is its input."""
        name, wanted = request.match_info["id"], request.query.get("instanceID") or None
        if wanted is not None:
            wrong = _refuse_id(wanted)
            if wrong is not None:
                return wrong
        try:
            instance_id = await self._workflows.start_new(
                name,
                instance_id=wanted,
                input=await _text(request),
                start_at=_start_at(request.query.get(_START_TIME)),
            )
        except BadRequestError as cause:
            return error(HTTPStatus.BAD_REQUEST, "ERR_START_WORKFLOW", cause.message)
        except TenureError as cause:
            taken = isinstance(cause, InstanceExistsError)
            status = HTTPStatus.CONFLICT if taken else HTTPStatus.INTERNAL_SERVER_ERROR
            message = f"error starting workflow '{name}': {cause.message}"
            return error(status, "ERR_START_WORKFLOW", message)
        return json({"instanceID": instance_id}, status=HTTPStatus.ACCEPTED)

    async def get(self, request: web.Request) -> web.Response:
        """The state of an instance."""
        instance_id = request.match_info["id"]
        try:
            found = await self._workflows.state(instance_id)
        except TenureError as cause:
            what = f"error while getting workflow info on instance '{instance_id}'"
            return _failed("ERR_GET_WORKFLOW", what, cause)
        if found is None:
            return _not_found(instance_id)
        head, given = found
        return json(
            {
                "instanceID": head.instance_id,
                "workflowName": head.name,
                "createdAt": format_time(head.created_at),
                "lastUpdatedAt": format_time(head.updated_at),
                "runtimeStatus": status_name(head.status),
                "properties": properties(head, given),
            }
        )

    async def raise_event(self, request: web.Request) -> web.Response:
        """Raise an external event; the body is its data."""
        instance_id, event = request.match_info["id"], request.match_info["event"]
        data = await _text(request)
        return await _act(
            self._workflows.raise_event(instance_id, event, data),
            instance_id,
            code="ERR_RAISE_EVENT_WORKFLOW",
            what=f"error raising event on workflow '{instance_id}'",
        )

    async def pause(self, request: web.Request) -> web.Response:
        """Suspend."""
        instance_id = request.match_info["id"]
        return await _act(
            self._workflows.suspend(instance_id, None),
            instance_id,
            code="ERR_PAUSE_WORKFLOW",
            what=f"error pausing workflow {instance_id}",
        )

    async def resume(self, request: web.Request) -> web.Response:
        """Resume."""
        instance_id = request.match_info["id"]
        return await _act(
            self._workflows.resume(instance_id, None),
            instance_id,
            code="ERR_RESUME_WORKFLOW",
            what=f"error resuming workflow {instance_id}",
        )

    async def terminate(self, request: web.Request) -> web.Response:
        """Terminate, with the children."""
        instance_id = request.match_info["id"]
        return await _act(
            self._workflows.terminate(instance_id, None, recurse=True),
            instance_id,
            code="ERR_TERMINATE_WORKFLOW",
            what=f"error terminating workflow '{instance_id}'",
        )

    async def purge(self, request: web.Request) -> web.Response:
        """Delete an instance that has ended, with its children."""
        instance_id = request.match_info["id"]

        async def purge() -> None:
            if not await self._workflows.purge(instance_id, recursive=True):
                message = f"no such instance exists: '{instance_id}'"
                raise NoSuchInstanceError(message)

        return await _act(
            purge(),
            instance_id,
            code="ERR_PURGE_WORKFLOW",
            what=f"error purging workflow {instance_id}",
        )


async def _act(verb: Awaitable[None], instance_id: str, *, code: str, what: str) -> web.Response:
    try:
        await verb
    except NoSuchInstanceError:
        return _not_found(instance_id)
    except BadRequestError as cause:
        return error(HTTPStatus.BAD_REQUEST, code, cause.message)
    except TenureError as cause:
        return _failed(code, what, cause)
    return nothing(HTTPStatus.ACCEPTED)


def _failed(code: str, what: str, cause: TenureError) -> web.Response:
    return error(HTTPStatus.INTERNAL_SERVER_ERROR, code, f"{what}: {cause.message} [{cause.code}]")


def _not_found(instance_id: str) -> web.Response:
    message = f"unable to find workflow with the provided instance ID: {instance_id}"
    return error(HTTPStatus.NOT_FOUND, "ERR_INSTANCE_ID_NOT_FOUND", message)


def _refuse_id(instance_id: str) -> web.Response | None:
    if len(instance_id) > MAX_ID_LENGTH:
        message = f"workflow instance ID exceeds the max length of {MAX_ID_LENGTH} characters"
        return error(HTTPStatus.BAD_REQUEST, "ERR_INSTANCE_ID_TOO_LONG", message)
    if not _ID.fullmatch(instance_id):
        message = (
            f"workflow instance ID '{instance_id}' is invalid: "
            "only alphanumeric and underscore characters are allowed (dash is allowed too)"
        )
        return error(HTTPStatus.BAD_REQUEST, "ERR_INSTANCE_ID_INVALID", message)
    return None


def _start_at(text: str | None) -> Instant | None:
    if not text:
        return None
    return Instant(*divmod(parse_time(text), NANOS))


async def _text(request: web.Request) -> str | None:
    """The body; None when there is none.  Raises: BadRequestError when it is not UTF-8."""
    body = await request.read()
    try:
        return body.decode() if body else None
    except UnicodeDecodeError as cause:
        message = f"the body is not UTF-8 at byte {cause.start}; payloads are text, JSON as a rule"
        raise BadRequestError(message) from cause
