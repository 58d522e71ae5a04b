"""The HTTP server: routes, the guard in front of them, limits, and errors as JSON.

One listener on loopback.  Route modules give ``routes(engine)``; this module knows none of their
paths.  What passes every request, in this order: the guard (``guard.py``), the size limit (before a
byte of the body is read), the handler, and the translation of what it raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from tenure_common.errors import (
    MessageTooLargeError,
    MethodNotAllowedError,
    NoSuchRouteError,
    SlowRequestError,
    TenureError,
)
from tenure_sidecar.dapr_api.errors import DaprError
from tenure_sidecar.http import health, workflows
from tenure_sidecar.http.guard import refusal
from tenure_sidecar.http.manage import server as manage
from tenure_sidecar.http.replies import error, failure
from tenure_sidecar.rpc.ports import refusal as bind_refusal

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from tenure_sidecar.dapr_api.port import Engine
    from tenure_sidecar.http.manage.api import Apps

_log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 4 * 1024 * 1024  # as daprd's --max-body-size
BODY_SECONDS: Final = 30.0
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
            middlewares=[_guard(hosts, token), errors, _limit(max_body_bytes)],
            client_max_size=max_body_bytes,
        )
        app.add_routes([*health.routes(engine), *workflows.routes(engine), *more_routes])
        if apps is not None:
            manage.install(app, apps)
        app.on_response_prepare.append(_headers)
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
            return _refuse(request, refused.error, refused.code)
        return await handler(request)

    return guard


def _limit(max_bytes: int) -> Middleware:
    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (request.content_length or 0) > max_bytes:
            return _too_large(request, max_bytes)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await request.read()  # handlers find it read; aiohttp stops at client_max_size
        except TimeoutError:
            message = f"the request's body did not arrive within {BODY_SECONDS:.0f} s"
            return _refuse(request, SlowRequestError(message), "ERR_BODY_TIMEOUT")
        except web.HTTPRequestEntityTooLarge:
            return _too_large(request, max_bytes)
        return await handler(request)

    return limit


def _refuse(request: web.Request, cause: TenureError, code: str) -> web.Response:
    """The refusal in the form of the API that was called; ``code`` is Dapr's kind of code."""
    if manage.owns(request.path):
        return manage.failure(cause)
    return error(cause.http, code, cause.message)


def _too_large(request: web.Request, max_bytes: int) -> web.Response:
    message = f"the body is larger than {max_bytes} bytes"
    response = _refuse(request, MessageTooLargeError(message), "ERR_BODY_TOO_LARGE")
    response.force_close()  # what is still to come must not be read as the next request
    return response


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: what a handler raises, as an answer in the form of the API that was called."""
    try:
        return await handler(request)
    except (DaprError, TenureError) as cause:
        return _failed(request, cause)
    except web.HTTPNotFound:
        message = f"there is no {request.path} here; of Dapr, Tenure serves the workflow API alone"
        return _refuse(request, NoSuchRouteError(message), "ERR_NOT_FOUND")
    except web.HTTPMethodNotAllowed as cause:
        allowed = ", ".join(sorted(cause.allowed_methods))
        message = f"{request.method} is not allowed here; use {allowed}"
        response = _refuse(request, MethodNotAllowedError(message), "ERR_METHOD_NOT_ALLOWED")
        response.headers["Allow"] = allowed
        return response
    except web.HTTPException as cause:
        return error(cause.status, "ERR_HTTP", cause.reason)
    except Exception as cause:  # noqa: BLE001 - one request must not end the server
        _log.exception("request failed", method=request.method, path=request.path)
        bug = TenureError(f"{type(cause).__name__}: {cause}")
        return _refuse(request, bug, bug.code)


def _failed(request: web.Request, cause: DaprError | TenureError) -> web.Response:
    if isinstance(cause, DaprError):
        return error(cause.statuses.http, cause.code, cause.message)
    return manage.failure(cause) if manage.owns(request.path) else failure(cause)


async def _headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "tenure"
    response.headers["X-Content-Type-Options"] = "nosniff"
