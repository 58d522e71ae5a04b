"""What every request of our HTTP servers passes: size limit, errors as JSON, headers.

The limits hold before a byte of the body is read.  Errors leave in the form of the API that was
called: the management API's, or Dapr's for everything else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from tenure_common.errors import (
    BadRequestError,
    MessageTooLargeError,
    MethodNotAllowedError,
    NoSuchRouteError,
    SlowRequestError,
    TenureError,
)
from tenure_sidecar.dapr_api.errors import DaprError
from tenure_sidecar.http.manage import server as manage
from tenure_sidecar.http.manage.routes import DOCUMENT
from tenure_sidecar.http.replies import error, failure

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

_log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 4 * 1024 * 1024  # as daprd's --max-body-size
BODY_SECONDS: Final = 30.0


def limit(max_bytes: int) -> Middleware:
    """Refuse bodies that are larger, or arrive too slowly."""

    @web.middleware
    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (request.content_length or 0) > max_bytes:
            return _too_large(request, max_bytes)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await request.read()  # handlers find it read; aiohttp stops at client_max_size
        except TimeoutError:
            message = f"the request's body did not arrive within {BODY_SECONDS:.0f} s"
            return refuse(request, SlowRequestError(message), "ERR_BODY_TIMEOUT")
        except web.HTTPRequestEntityTooLarge:
            return _too_large(request, max_bytes)
        except web.RequestPayloadError:
            encoding = request.headers.get("Content-Encoding", "identity")[:40]
            message = (
                f"the body cannot be read: it is not whole, or not in its encoding ({encoding})"
            )
            response = refuse(request, BadRequestError(message), "ERR_MALFORMED_BODY")
            response.force_close()  # where it ends is not known
            return response
        return await handler(request)

    return limited


def refuse(request: web.Request, cause: TenureError, code: str) -> web.Response:
    """The refusal in the form of the API that was called; ``code`` is Dapr's kind of code."""
    if manage.owns(request):
        return manage.failure(cause)
    return error(cause.http, code, cause.message)


def _too_large(request: web.Request, max_bytes: int) -> web.Response:
    message = f"the body is larger than {max_bytes} bytes"
    response = refuse(request, MessageTooLargeError(message), "ERR_BODY_TOO_LARGE")
    response.force_close()  # what is still to come must not be read as the next request
    return response


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell what a handler raised, in the form of the API that was called."""
    try:
        return await handler(request)
    except (DaprError, TenureError) as cause:
        return _failed(request, cause)
    except web.HTTPNotFound:
        there = "of Dapr, Tenure serves the workflow API alone"
        if manage.owns(request):
            there = f"{DOCUMENT} lists all that there is"
        message = f"there is no {request.path} here; {there}"
        return refuse(request, NoSuchRouteError(message), "ERR_NOT_FOUND")
    except web.HTTPMethodNotAllowed as cause:
        allowed = ", ".join(sorted(cause.allowed_methods))
        message = f"{request.method} is not allowed here; use {allowed}"
        response = refuse(request, MethodNotAllowedError(message), "ERR_METHOD_NOT_ALLOWED")
        response.headers["Allow"] = allowed
        return response
    except web.HTTPException as cause:
        return error(cause.status, "ERR_HTTP", cause.reason)
    except Exception as cause:  # noqa: BLE001 - one request must not end the server
        _log.exception("request failed", method=request.method, path=request.path)
        bug = TenureError(f"{type(cause).__name__}: {cause}")
        return refuse(request, bug, bug.code)


def _failed(request: web.Request, cause: DaprError | TenureError) -> web.Response:
    if isinstance(cause, DaprError):
        return error(cause.statuses.http, cause.code, cause.message)
    return manage.failure(cause) if manage.owns(request) else failure(cause)


async def headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Put what every answer says about its server."""
    response.headers["Server"] = "tenure"
    response.headers["X-Content-Type-Options"] = "nosniff"
