"""JSON answers, and errors in Dapr's form: ``{"errorCode": "...", "message": "..."}``."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from aiohttp import web

from tenure_common.errors import TenureError


class ErrorBody(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gets instead of an answer."""

    error_code: str
    message: str


def json(value: object, *, status: int = HTTPStatus.OK) -> web.Response:
    """``value`` (anything that msgspec encodes) as JSON."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def error(status: int, code: str, message: str) -> web.Response:
    """An error of the protocol."""
    return json(ErrorBody(code, message), status=status)


def failure(cause: TenureError) -> web.Response:
    """An error of ours: its code is the code, its class decides the status."""
    return error(cause.http, cause.code, cause.message)


def nothing(status: int = HTTPStatus.NO_CONTENT) -> web.Response:
    """Done, and nothing to say."""
    return web.Response(status=status)
