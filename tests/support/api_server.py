"""A few lines of the Kubernetes API over plain HTTP: it answers as a test says and keeps what it got."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import kubernetes.aio.client
from aiohttp import web

from tenure_operator.link import Link

_client: Any = kubernetes.aio.client  # calls itself typed and is not


class Said(NamedTuple):
    """An answer."""

    status: int = 200
    headers: Mapping[str, str] = {}


@dataclass
class ApiServer:
    """``says`` decides on the body of each request; ``taken`` has those that were answered with 2xx."""

    says: Callable[[Any], Said] = lambda _: Said(201)
    asked: list[Any] = field(default_factory=list[Any])
    taken: list[Any] = field(default_factory=list[Any])
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = json.loads(await request.text() or "{}")
        self.asked.append(body)
        said = self.says(body)
        if said.status < 300:
            self.taken.append(body)
        return web.json_response({}, status=said.status, headers=said.headers)


@asynccontextmanager
async def api_server() -> AsyncIterator[tuple[ApiServer, Link]]:
    """A server and a connection to it."""
    server = ApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    link = link_to(server.url)
    try:
        yield server, link
    finally:
        await link.close()
        await runner.cleanup()


def link_to(url: str, *, proxy: str | None = None) -> Link:
    """A connection without credentials."""
    return Link(_client.ApiClient(_client.Configuration(host=url, proxy=proxy)))
