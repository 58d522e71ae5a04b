"""The management API on aiohttp: bytes to calls, answers to bytes.

Decoding is strict and happens before the handler runs, so a handler never sees a value of the wrong
type.  Errors leave as ``ErrorView`` with the status of their class; the server around (limits, guard)
uses ``failure`` for what it refuses on this API's paths.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

import msgspec
from aiohttp import web

from tenure_common.errors import BadRequestError, TenureError
from tenure_common.names import docs_page
from tenure_sidecar.http.access import ANYBODY, Caller
from tenure_sidecar.http.manage import openapi, reading
from tenure_sidecar.http.manage.api import Answer, AppsCall, Call
from tenure_sidecar.http.manage.choices import choices
from tenure_sidecar.http.manage.lines import Broken
from tenure_sidecar.http.manage.queries import NoQuery
from tenure_sidecar.http.manage.routes import BASE, DOCUMENT, NAMESPACES, ROUTES, Route, watched
from tenure_sidecar.http.manage.views import ErrorView

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aiohttp.typedefs import Handler
    from multidict import MultiMapping

    from tenure_sidecar.http.manage.api import Apps, Lines

# Requests that may take minutes; a stop of the server does not wait for them.
Long = dict[asyncio.Task[Any], Caller]
LONG: Final[web.AppKey[Long]] = web.AppKey("tenure-long-requests")

ALONE: Final[web.AppKey[bool]] = web.AppKey("tenure-manage-alone")
# What stands in front of all paths, where another server passes requests on.
UNDER: Final[web.AppKey[str]] = web.AppKey("tenure-manage-under")
# Who sent a request, where the server in front finds that out.
CALLER: Final[web.RequestKey[Caller]] = web.RequestKey("tenure-caller", Caller)

_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"
_PLACE: Final = re.compile(r" - at `\$\.?(.*)`$")


def owns(request: web.Request) -> bool:
    """Whether its errors are told in this API's form."""
    path = request.path
    return path == DOCUMENT or path.startswith("/v1alpha1/") or request.app.get(ALONE, False)


def routes(apps: Apps) -> list[web.RouteDef]:
    """The routes of this API."""
    return [
        web.get(DOCUMENT, _document, allow_head=False),
        *(
            web.route(route.method, path, _handler(route, apps))
            for route in ROUTES
            for path in (route.path, route.namespaced)
        ),
    ]


def routes_under(prefix: str, apps: Apps) -> list[web.RouteDef]:
    """Those of apps in namespaces, under another server's path.

    What may take minutes has a second path, by which that server sees that it may (``watched``).
    """
    return [
        web.route(route.method, prefix + path, _handler(route, apps))
        for route in ROUTES
        for path in (route.namespaced, *([watched(route)] if route.long else []))
    ]


def failure(error: TenureError) -> web.Response:
    """An error as an answer."""
    return web.Response(
        body=msgspec.json.encode(view(error)), status=error.http, content_type=_JSON
    )


def view(error: TenureError) -> ErrorView:
    """An error as it is told."""
    return ErrorView(error.code, error.message, docs_page(error.code), error.details)


async def _document(_request: web.Request) -> web.Response:
    return web.Response(body=openapi.document(), content_type=_JSON)


def _handler(route: Route, apps: Apps) -> Handler:
    if route.handler is reading.apps:

        async def list_apps(request: web.Request) -> web.StreamResponse:
            _parameters(request.query, NoQuery)
            namespace = request.match_info.get("namespace")
            caller = request.get(CALLER, ANYBODY)
            if namespace is not None:
                caller.check(namespace, reads=True)
            call = AppsCall(apps=apps, seen=caller.sees, namespace=namespace)
            return _answer(await reading.apps(call), request)

        return list_apps
    decoder = None if route.body is None else msgspec.json.Decoder(route.body)

    async def handle(request: web.Request) -> web.StreamResponse:
        match = _match(request)
        caller, namespace = request.get(CALLER, ANYBODY), match.get("namespace", apps.default)
        caller.check(namespace, reads=route.reads)  # before a word on whether there is such an app
        query = _parameters(request.query, route.query)
        body = await _body(request, decoder, route.body)
        async with apps.use(namespace, match["app"]) as api:
            call = Call(
                api=api,
                body=body,
                query=query,
                id=match.get("id", ""),
                name=match.get("name", ""),
                job=match.get("job", ""),
                key=request.headers.get("Idempotency-Key"),
            )
            if not route.long:
                return _answer(await route.handler(call), request)
            with _ended_with(request.app[LONG], caller):
                answer = await route.handler(call)
                if isinstance(answer, Answer):
                    return _answer(answer, request)
                return await _send(request, answer)

    return handle


@contextlib.contextmanager
def _ended_with(tasks: Long, caller: Caller) -> Generator[None, None, None]:
    """The present request is one of ``tasks``, which a stop of the server ends."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a handler runs in one
    tasks[task] = caller
    try:
        yield
    finally:
        del tasks[task]


async def _end(app: web.Application) -> None:
    end_long(app, lambda _caller: True)


def end_long(app: web.Application, of: Callable[[Caller], bool]) -> None:
    """End the requests that may take minutes, of some callers."""
    for task, caller in tuple(app[LONG].items()):
        if of(caller):
            task.cancel()


def install(app: web.Application, apps: Apps, *, alone: bool = False, under: str = "") -> None:
    """Add this API to a server.

    Args:
        app: the server's.
        apps: what it serves.
        alone: it serves no other API.
        under: the path under which another server passes requests on; empty = clients call us.
    """
    app[LONG] = {}
    app[ALONE] = alone
    app[UNDER] = under
    app.on_shutdown.append(_end)
    app.add_routes(routes_under(under, apps) if under else routes(apps))


def _match(request: web.Request) -> dict[str, str]:
    """The names in the path.

    A server that passes requests on decodes a path before it looks at it, so a name that has a slash
    is encoded twice for it, and it leaves the second one to us.
    """
    if not request.app.get(UNDER):
        return dict(request.match_info)
    return {
        name: text if name == "namespace" else unquote(text)
        for name, text in request.match_info.items()
    }


def _answer(answer: Answer, request: web.Request) -> web.Response:
    response = web.Response(
        body=msgspec.json.encode(answer.value), status=answer.status, content_type=_JSON
    )
    if answer.location is not None:
        match, place = request.match_info, map(_quoted, answer.location)
        namespace = match.get("namespace")
        base = BASE if namespace is None else f"{NAMESPACES}/{_quoted(namespace)}/apps"
        base = request.app.get(UNDER, "") + base
        response.headers["Location"] = "/".join((base, _quoted(match["app"]), *place))
    return response


def _quoted(text: str) -> str:
    return quote(text, safe="")


async def _body(request: web.Request, decoder: msgspec.json.Decoder[Any] | None, kind: Any) -> Any:  # noqa: ANN401 - of the route's type
    body = await request.read()
    if decoder is None:
        if body:
            message = "this request takes no body"
            raise BadRequestError(message)
        return None
    try:
        body.decode()  # what is kept as it was written is looked at by no decoder
        return decoder.decode(body or b"{}")
    except msgspec.DecodeError as error:
        raise _bad(str(error), where="the body", kind=kind) from error
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8 at byte {error.start}"
        raise BadRequestError(message) from error


def _parameters(given: MultiMapping[str], kind: type[msgspec.Struct]) -> Any:  # noqa: ANN401 - of the type ``kind``
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    for name in dict.fromkeys(given):
        field = fields.get(name)
        texts = given.getall(name)
        if field is not None and isinstance(field.default, tuple):
            values[name] = texts
        elif len(texts) > 1:
            message = f"parameter '{name[:80]}' is given {len(texts)} times; it takes one value"
            raise BadRequestError(message, {"field": name[:80]})
        else:
            values[name] = texts[0]
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _bad(str(error), where="the query", kind=kind) from error


def _bad(text: str, *, where: str, kind: Any) -> BadRequestError:  # noqa: ANN401 - of the route's type
    """The words of msgspec with the field as a fact for programs, and what it could have been."""
    place = _PLACE.search(text)
    reason = _PLACE.sub("", text)
    unknown = re.search(r"unknown field `(.*)`", reason)
    field = place[1] if place else ""
    if unknown is not None:
        field = f"{field}.{unknown[1]}".strip(".")
    message = f"{where}: {reason}" + (f" (field '{field[:100]}')" if field else "")
    if reason.startswith("Invalid ") and (known := choices(kind, field)):
        message += f"; it is one of {', '.join(known)}"
    return BadRequestError(message, {"field": field[:100]} if field else {})


async def _send(request: web.Request, lines: Lines) -> web.StreamResponse:
    """A stream of lines; an error in the middle is the last of them."""
    response = web.StreamResponse()
    response.content_type = _LINES
    response.headers["Cache-Control"] = "no-store"
    async with contextlib.aclosing(_guarded(lines)) as guarded:
        # A client that has gone away shows only when something is sent to it.
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            async for line in guarded:
                await response.write(msgspec.json.encode(line) + b"\n")
    return response


async def _guarded(lines: Lines) -> Lines:
    try:
        async with contextlib.aclosing(lines):
            async for line in lines:
                yield line
    except TenureError as error:
        yield Broken(view(error))
