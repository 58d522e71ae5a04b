"""The session of kopf's watches: an error in a stream becomes what kopf begins anew after.

The API server may end a watch with an event of type ERROR.  kopf lists and watches again after the one
that says "too old" (410), at once and however often; any other ends the operator.  But they are passing
trouble all the same: a cache of the API server that is built anew, an etcd that does not answer, an
object that cannot be decoded just now.  So here each of them is logged, waits for a pause that grows
while streams break soon after they began, and is handed on as a 410.  A list after it loses nothing.

kopf ends, too, when a kind that it watches is not served any more (404).  But definitions are replaced,
and when they are deleted there are finalizers to be taken away.  So that is handed on as the wish for a
pause (429), after which kopf asks again, for ever.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import kopf
import msgspec
import structlog
from aiohttp.connector import Connection

from tenure_common.names import API_GROUP, API_VERSION
from tenure_common.times import NANOS
from tenure_operator.reconcile.backoff import LONGEST_WISH, backoff

_log = structlog.get_logger(__name__)

FIRST: Final = NANOS // 2
LAST: Final = 10 * NANOS
LIVED: Final = 20.0  # seconds after which a stream is no sign of trouble
_MARK: Final = b'"ERROR"'
_AT_START: Final = 32  # bytes of a line in which its type is
_OURS: Final = f"/apis/{API_GROUP}/{API_VERSION}/"
_EXPIRED: Final[dict[str, Any]] = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the watch is to be begun anew",
        "reason": "Expired",
        "code": int(HTTPStatus.GONE),
    },
}
BEGIN_ANEW: Final = msgspec.json.encode(_EXPIRED) + b"\n"


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    retry_after_seconds: float = 0.0


class _Said(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""
    details: _Details = _Details()


class _Line(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw = msgspec.Raw()


@dataclasses.dataclass(frozen=True)
class Session(kopf.AiohttpSession):
    """A session for kopf.  Two with the same credentials are equal, so that kopf does not take one
    whose credentials were refused for a new one."""

    aiohttp_session: aiohttp.ClientSession = dataclasses.field(compare=False, repr=False)
    credentials: tuple[str, ...] = dataclasses.field(default=(), repr=False)


def session(info: kopf.ConnectionInfo, breaks: Breaks) -> Session:
    """A session with these credentials, whose watches count in ``breaks``; kopf closes it."""
    opened = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
        response_class=_response(breaks),
    )
    known = (str(info.scheme), str(info.token), str(info.certificate_path), str(info.ca_data))
    return Session(server=info.server, aiohttp_session=opened, credentials=known)


class Breaks:
    """How often the watches of one path broke in a row."""

    def __init__(self, *, first: int = FIRST) -> None:
        """``first``: the first pause, nanoseconds."""
        self._first = first
        self._broken: dict[str, int] = {}

    def pause(self, path: str, *, lived: float, wish: float) -> float:
        """Seconds to wait after a stream that ``lived`` so many; ``wish`` is the server's."""
        count = self._broken[path] = 1 if lived > LIVED else self._broken.get(path, 0) + 1
        grown = backoff(count, seed=path, first=self._first, last=LAST) / NANOS
        return max(grown, min(wish, LONGEST_WISH))


class Mended:
    """The content of a watch, whole lines; see the module docstring."""

    def __init__(self, content: aiohttp.StreamReader, path: str, breaks: Breaks) -> None:
        self._content = content
        self._path = path
        self._breaks = breaks
        self._opened = asyncio.get_running_loop().time()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the content
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Whole lines, several at a time; what is no line at the end was cut off and is left out."""
        rest = bytearray()
        async for data in self._content.iter_chunked(size):
            rest += data
            if b"\n" not in data:
                continue
            whole, newline, last = bytes(rest).rpartition(b"\n")
            rest = bytearray(last)
            if _MARK not in whole:
                yield whole + newline
                continue
            for line in whole.split(b"\n"):
                if (said := _error(line)) is not None:
                    await self._wait(said)
                    yield BEGIN_ANEW
                    return
                yield line + newline

    async def _wait(self, said: _Said) -> None:
        lived = asyncio.get_running_loop().time() - self._opened
        pause = self._breaks.pause(self._path, lived=lived, wish=said.details.retry_after_seconds)
        tell = _log.info if said.code == HTTPStatus.GONE else _log.warning
        tell("watch broke", path=self._path, code=said.code, error=said.message, pause=pause)
        await asyncio.sleep(pause)


def _error(line: bytes) -> _Said | None:
    """What an ERROR says; None when the line is none."""
    if _MARK not in line[:_AT_START]:
        return None
    found = msgspec.json.decode(line, type=_Line)
    if found.type != "ERROR":
        return None
    try:
        return msgspec.json.decode(found.object, type=_Said)
    except msgspec.DecodeError:
        return _Said(message=bytes(found.object)[:200].decode(errors="replace"))


def _response(breaks: Breaks) -> type[aiohttp.ClientResponse]:
    """An answer to kopf; only watches are different from others."""

    class Response(aiohttp.ClientResponse):
        async def start(self, connection: Connection) -> Response:
            await super().start(connection)
            if self.status == HTTPStatus.NOT_FOUND and _OURS in self.url.path:
                self.status = HTTPStatus.TOO_MANY_REQUESTS
            if self.status == HTTPStatus.OK and self.url.query.get("watch") == "true":
                content: Any = Mended(self.content, self.url.path, breaks)
                self.content = content
            return self

    return Response
