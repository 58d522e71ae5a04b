"""Is it ready, who is connected, what does it count: health, metadata and metrics.

Paths and shapes are those of Dapr's sidecar, because SDKs poll them before they do anything else:
the Python ``DaprClient`` asks ``/v1.0/healthz/outbound``, the JavaScript one ``/v1.0/metadata``.
Neither may wait for a worker: the worker waits for them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from tenure_common.telemetry import CONTENT_TYPE
from tenure_common.version import VERSION
from tenure_sidecar.http.replies import error, json, nothing

if TYPE_CHECKING:
    from tenure_sidecar.dapr_api.port import Engine


def routes(engine: Engine) -> list[web.RouteDef]:
    """The routes of this module."""
    health = Health(engine)
    return [
        web.get("/v1.0/healthz", health.healthz),
        web.get("/v1.0/healthz/outbound", health.outbound),
        web.get("/v1.0/metadata", health.metadata),
        web.put("/v1.0/metadata/{key}", health.set_attribute),
        web.get("/metrics", health.metrics),
    ]


class Health:
    """Handlers on the engine's facts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def healthz(self, request: web.Request) -> web.Response:
        """204 when ready, 500 with the reasons when not; ``?appid=`` also checks who this is."""
        wanted = request.query.get("appid")
        if wanted is not None and wanted != self._engine.app_id:
            message = f"this is the sidecar of app '{self._engine.app_id}', not of '{wanted}'"
            return error(HTTPStatus.INTERNAL_SERVER_ERROR, "ERR_HEALTH_APPID_NOT_MATCH", message)
        return self._ready("ERR_HEALTH_NOT_READY")

    async def outbound(self, _request: web.Request) -> web.Response:
        """204 when the app may make calls."""
        return self._ready("ERR_OUTBOUND_HEALTH_NOT_READY")

    def _ready(self, code: str) -> web.Response:
        reasons = self._engine.not_ready()
        if not reasons:
            return nothing()
        message = f"tenure is not ready: {'; '.join(reasons)}"
        return error(HTTPStatus.INTERNAL_SERVER_ERROR, code, message)

    async def metadata(self, _request: web.Request) -> web.Response:
        """The sidecar's description of itself, in Dapr's shape."""
        engine = self._engine
        actors = [
            {"type": kind, "count": count} for kind, count in sorted(engine.active_actors().items())
        ]
        running = not engine.not_ready()
        described: dict[str, object] = {
            "id": engine.app_id,
            "runtimeVersion": VERSION,
            "enabledFeatures": [],
            "actors": actors,
            "actorRuntime": {
                "runtimeStatus": "RUNNING" if running else "INITIALIZING",
                "activeActors": actors,
                "hostReady": running,
            },
            "components": [],
            "subscriptions": [],
            "httpEndpoints": [],
            "extended": engine.attributes.extended(),
            "workflows": {"connectedWorkers": engine.connected_workers()},
        }
        return json(described)

    async def set_attribute(self, request: web.Request) -> web.Response:
        """Add to the metadata's ``extended``, until the process ends."""
        self._engine.attributes.set(request.match_info["key"], await request.text())
        return nothing()

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus text."""
        body = self._engine.metrics.render()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})
