"""The HTTP server: routes, the guard in front of them, limits, and errors as JSON.

One listener on loopback.  Route modules give ``routes(engine)``; this module knows none of their
paths.  What passes every request, in this order: the guard (``guard.py``), the translation of errors
and the size limit (``middleware.py``), the handler.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from aiohttp import web

from tenure_sidecar.http import health, workflows
from tenure_sidecar.http.guard import refusal
from tenure_sidecar.http.manage import server as manage
from tenure_sidecar.http.middleware import MAX_BODY_BYTES, errors, headers, limit, refuse
from tenure_sidecar.rpc.ports import refusal as bind_refusal

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from tenure_sidecar.dapr_api.port import Engine
    from tenure_sidecar.http.manage.api import Apps

_FLAG: Final = "--http-port"


class HttpServer:
    """Serves ``engine`` over HTTP from ``start`` to ``stop``."""

    def __init__(  # noqa: PLR0913 - one argument for each thing that a test varies
        self,
        engine: Engine,
        *,
        host: str,
        port: int,
        hosts: Collection[str] = (),
        token: str | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        more_routes: Sequence[web.RouteDef] = (),
        apps: Apps | None = None,
    ) -> None:
        """Build the server; nothing listens yet.

        Args:
            engine: what is served.
            host: address to listen on.
            port: port to listen on, 0 = any free one.
            hosts: names that may stand in the Host header besides addresses and localhost.
            token: API token that requests must carry, None = none.
            max_body_bytes: largest request body.
            more_routes: of other APIs on the same port; the same guard and limits apply.
            apps: what the management API serves; None = it is not served.
        """
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        app = web.Application(
            middlewares=[_guard(hosts, token), errors, limit(max_body_bytes)],
            client_max_size=max_body_bytes,
        )
        app.add_routes([*health.routes(engine), *workflows.routes(engine), *more_routes])
        if apps is not None:
            manage.install(app, apps)
        app.on_response_prepare.append(headers)
        self._app = app

    async def start(self) -> int:
        """Listen; returns the port.  Raises: PortInUseError, BadSettingError."""
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as cause:
            await runner.cleanup()
            raise bind_refusal(cause, self._host, self._port, flag=_FLAG) from cause
        self._runner = runner
        bound = runner.addresses[0]
        return int(bound[1])

    async def stop(self) -> None:
        """Stop listening and end what is open; safe to call twice or before ``start``."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


def _guard(hosts: Collection[str], token: str | None) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = refusal(request.path, request.headers, hosts=hosts, token=token)
        if refused is not None:
            return refuse(request, refused.error, refused.code)
        return await handler(request)

    return guard
