"""An HTTP proxy between the operator and a server of its, which knows what is asked for.

It runs in a thread of its own.  Everything is passed on, answers in pieces as they come, until a test
says otherwise about requests that it chooses.  Tests call it from their own thread.


==================  ==============================================================================
``answer(…)``       they are answered here, and never reach the server
``cut(…)``          they reach the server; its answer ends in the middle
``hold(…)``         they wait here until ``release``, and reach the server then
``hold_answer(…)``  they reach the server at once; its answer waits here until ``release``
``end_streams(…)``  the watches that are open end, after one last line
``stop`` ``start``  nobody listens; again at the same port
==================  ==============================================================================

The first rule that fits counts.  ``asked`` has all requests, in order.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, TypeVar

import aiohttp
from aiohttp import web

from support.ports import free_ports

_HOP = {"host", "connection", "transfer-encoding", "content-length"}
_WITHIN = 60.0  # seconds
_LAST_ROUNDS = 0.2  # seconds in which the loop does away with connections that were closed
_T = TypeVar("_T")
EXPIRED = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "too old resource version",
        "reason": "Expired",
        "code": 410,
    },
}


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    watch: bool
    at: float  # seconds, monotonic
    body: bytes


Chosen = Callable[[Asked], bool]


@dataclass
class Rule:
    """What happens to the requests that it fits; ``hits`` counts them."""

    fits: Chosen
    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    holds: bool = False
    after: bool = False  # the answer is held, not the request
    cuts: bool = False  # the answer ends in the middle
    hits: list[Asked] = field(default_factory=list[Asked])
    held: int = 0  # that wait now
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let go what is held, and hold nothing more."""
        self.released.set()


class Between:
    """A proxy in front of the server at ``target`` (a URL); see the module docstring."""

    def __init__(self, target: str, tls: ssl.SSLContext | None = None) -> None:
        self._target = target.rstrip("/")
        self._tls = tls
        (self._port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}"
        self.asked: list[Asked] = []
        self._told: list[bytes] = []  # of watches
        self._rules: list[Rule] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._streams: dict[asyncio.Queue[bytes | None], str] = {}  # with the path
        self._handling: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self.stop()
        self._do(asyncio.sleep(_LAST_ROUNDS))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- what a test says -------------------------------------------------------------------------

    def start(self) -> None:
        """Listen."""
        self._do(self._start())

    def stop(self) -> None:
        """Listen no more; what is open is cut off."""
        self._do(self._stop())

    def answer(
        self,
        fits: Chosen,
        status: int,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Rule:
        """Answer such requests; without a body with a Status, as the API server does."""
        said = {"kind": "Status", "status": "Failure", "code": status, "message": "by the test"}
        text = json.dumps(said if body is None else body) + "\n"
        return self._rule(Rule(fits, status, text, headers or {}))

    def cut(self, fits: Chosen) -> Rule:
        """Pass such requests on, and end the connection in the middle of the answer."""
        return self._rule(Rule(fits, cuts=True))

    def hold(self, fits: Chosen) -> Rule:
        """Keep such requests from the server."""
        return self._rule(Rule(fits, holds=True))

    def hold_answer(self, fits: Chosen) -> Rule:
        """Keep the server's answers to such requests from who asked; ``held`` counts those."""
        return self._rule(Rule(fits, holds=True, after=True))

    def forget(self, rule: Rule) -> None:
        """Treat such requests as all others."""
        self._rules.remove(rule)
        rule.release()

    def clear(self) -> None:
        """Forget all rules."""
        for rule in tuple(self._rules):
            self.forget(rule)

    def end_streams(self, last: object = None) -> int:
        """End the open watches, after a line with ``last``; how many there were."""

        async def end() -> int:
            streams = tuple(self._streams)
            self._streams.clear()
            for stream in streams:
                if last is not None:
                    stream.put_nowait(json.dumps(last).encode() + b"\n")
                stream.put_nowait(None)
            return len(streams)

        return self._do(end())

    def watched(self) -> set[str]:
        """The paths of the watches that are open, and were not ended here."""

        async def look() -> set[str]:
            return set(self._streams.values())

        return self._do(look())

    def lines(self) -> list[bytes]:
        """The lines of watches that were passed on."""
        return b"".join(tuple(self._told)).splitlines()

    def count(self, fits: Chosen) -> int:
        """How many such requests there were."""
        return sum(fits(one) for one in tuple(self.asked))

    # --- the proxy --------------------------------------------------------------------------------

    def _rule(self, rule: Rule) -> Rule:
        self._rules.append(rule)
        return rule

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WITHIN)

    async def _start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls or True)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        )
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def _stop(self) -> None:
        handling = tuple(self._handling)
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            return await self._treat(request)
        finally:
            self._handling.discard(task)

    async def _treat(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch") == "true" or request.path.endswith("/watch")
        body = await request.read()
        asked = Asked(request.method, request.path, watch, time.monotonic(), body)
        self.asked.append(asked)
        rule = next((one for one in self._rules if one.fits(asked)), None)
        if rule is None:
            return await self._pass_on(request, asked)
        rule.hits.append(asked)
        if rule.cuts:
            return await self._pass_on(request, asked, rule)
        if not rule.holds:
            return web.Response(
                status=rule.status,
                text=rule.body,
                headers=dict(rule.headers),
                content_type="application/json",
            )
        if rule.after:
            return await self._pass_on(request, asked, rule)
        await _wait(rule)
        return await self._pass_on(request, asked)

    async def _pass_on(
        self, request: web.Request, asked: Asked, rule: Rule | None = None
    ) -> web.StreamResponse:
        assert self._session is not None
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in _HOP
        }
        body = await request.read() or None
        url = self._target + request.raw_path
        try:
            async with self._session.request(
                asked.method, url, headers=headers, data=body
            ) as answer:
                kept = {n: v for n, v in answer.headers.items() if n.lower() not in _HOP}
                if asked.watch and answer.status == 200:
                    return await self._stream(request, asked, answer, kept)
                content = await answer.read()
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=f"no answer of the server: {error!r}")
        if rule is not None and rule.cuts:
            return await _half(request, answer.status, content)
        if rule is not None:
            await _wait(rule)
        return web.Response(status=answer.status, body=content, headers=kept)

    async def _stream(
        self,
        request: web.Request,
        asked: Asked,
        answer: aiohttp.ClientResponse,
        headers: Mapping[str, str],
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams[queue] = asked.path
        pump = asyncio.ensure_future(_pump(answer, queue))
        try:
            while (piece := await queue.get()) is not None:
                await response.write(piece)
                self._told.append(piece)
            await response.write_eof()
        finally:
            self._streams.pop(queue, None)
            pump.cancel()
        return response


async def _pump(answer: aiohttp.ClientResponse, queue: asyncio.Queue[bytes | None]) -> None:
    """Whole lines: a line that a test puts between them must not break one."""
    rest = b""
    try:
        async for piece in answer.content.iter_any():
            whole, newline, rest = (rest + piece).rpartition(b"\n")
            if newline:
                queue.put_nowait(whole + newline)
    except aiohttp.ClientError:
        pass
    queue.put_nowait(None)


async def _half(request: web.Request, status: int, content: bytes) -> web.StreamResponse:
    """The first half of an answer that says how long it is."""
    response = web.StreamResponse(status=status, headers={"Content-Length": str(len(content) + 1)})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _wait(rule: Rule) -> None:
    rule.held += 1
    try:
        while not rule.released.is_set():
            await asyncio.sleep(0.005)
    finally:
        rule.held -= 1
