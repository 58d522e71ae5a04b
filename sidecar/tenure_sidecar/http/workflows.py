"""Dapr's workflow API over HTTP, as ``@dapr/dapr`` and people with curl call it.

=====================================================  ==========================================
POST ``/v1.0/workflows/<component>/<name>/start``      202 ``{"instanceID": ...}``
GET  ``/v1.0/workflows/<component>/<id>``              200, the state
POST ``/v1.0/workflows/<component>/<id>/<verb>``       202; pause, resume, terminate, purge
POST ``.../<id>/raiseEvent/<event>``                   202
=====================================================  ==========================================

``v1.0-beta1`` and ``v1.0-alpha1`` are the same, and so is a path with a slash behind it, as in daprd.
An id or a name that is empty comes here too, so that it is refused as what it is and not as an
unknown path.  Bodies are the payloads themselves, as text.  What is checked, done and answered when it
fails is in ``dapr_api``.  Of Dapr's actors there is one thing here: a call of the engine's own actor
types is refused by name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from tenure_common.times import format_time
from tenure_sidecar.dapr_api.errors import not_found
from tenure_sidecar.dapr_api.workflows import (
    START_TIME,
    WorkflowBlock,
    properties,
    refuse_reserved,
    status_name,
)
from tenure_sidecar.http.replies import json, nothing

if TYPE_CHECKING:
    from tenure_sidecar.dapr_api.port import Engine

VERSIONS: Final = ("v1.0", "v1.0-beta1", "v1.0-alpha1")

Handler = Callable[[web.Request], Awaitable[web.Response]]


def routes(engine: Engine) -> list[web.RouteDef]:
    """The routes of this module."""
    block = WorkflowBlock(engine.workflows, app_id=engine.app_id)
    api = WorkflowApi(block)
    verbs: dict[str, Handler] = {
        "start": api.start,
        "raiseEvent/{event:[^/]*}": api.raise_event,
        "pause": _act(block.pause),
        "resume": _act(block.resume),
        "terminate": _act(block.terminate),
        "purge": _act(block.purge),
    }
    table: list[web.RouteDef] = []
    for version in VERSIONS:
        base = f"/{version}/workflows/{{component}}/{{id:[^/]*}}"
        for end in ("", "/"):
            table.append(web.get(base + end, _of_this_app(block, api.get), allow_head=False))
            for verb, handler in verbs.items():
                table.append(web.post(f"{base}/{verb}{end}", _of_this_app(block, handler)))
    table.append(web.route("*", "/v1.0/actors/{type}/{rest:.*}", _actors))
    return table


def _of_this_app(block: WorkflowBlock, handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.Response:
        block.own(request.query.get("appID"))
        return await handler(request)

    return checked


def _act(verb: Callable[[str], Awaitable[None]]) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        await verb(request.match_info["id"])
        return nothing(HTTPStatus.ACCEPTED)

    return handle


async def _actors(request: web.Request) -> web.Response:
    refuse_reserved(request.match_info["type"])
    raise web.HTTPNotFound


class WorkflowApi:
    """The handlers that have more than an id."""

    def __init__(self, block: WorkflowBlock) -> None:
        self._block = block

    async def start(self, request: web.Request) -> web.Response:
        """Start an instance; ``?instanceID=`` chooses its id, the body is its input."""
        instance_id = await self._block.start(
            request.match_info["id"],
            instance_id=request.query.get("instanceID", ""),
            given=await request.read(),
            start_time=request.query.get(START_TIME),
        )
        return json({"instanceID": instance_id}, status=HTTPStatus.ACCEPTED)

    async def get(self, request: web.Request) -> web.Response:
        """The state of an instance."""
        instance_id = request.match_info["id"]
        found = await self._block.get(instance_id)
        if found is None:
            raise not_found(instance_id)
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
        await self._block.raise_event(
            request.match_info["id"], request.match_info["event"], await request.read()
        )
        return nothing(HTTPStatus.ACCEPTED)
