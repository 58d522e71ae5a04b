"""Waiting for a change of a list: what is asked, and when the wait is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from tenure_common.errors import ClusterApiError
from tenure_common.kube import KubeApi

PATH = "/api/v1/namespaces"
Answer = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


@asynccontextmanager
async def served(folder: Path, answer: Answer) -> AsyncGenerator[KubeApi]:
    """A client of a server that answers watches so."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await answer(request, response)
        return response

    app = web.Application()
    app.router.add_get(PATH, handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (folder / "token").write_text("abc\n")
    trustme.CA().cert_pem.write_to_path(folder / "ca.crt")
    try:
        async with KubeApi(
            server=f"http://127.0.0.1:{runner.addresses[0][1]}",
            token_file=str(folder / "token"),
            ca_file=str(folder / "ca.crt"),
            timeout=10,
            manager="test",
        ) as api:
            yield api
    finally:
        await runner.cleanup()


async def test_it_is_over_with_the_first_change(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    change, over = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request, response: web.StreamResponse) -> None:
        asked.append((request.query_string, request.headers["Authorization"]))
        await change.wait()
        await response.write(b'{"type":"ADDED"}\n')
        await over.wait()

    async with served(tmp_path, answer) as api:
        wait = asyncio.ensure_future(api.changed("watch", PATH, version="7", within=60.5))
        while not asked:
            await asyncio.sleep(0)
        done, _ = await asyncio.wait({wait}, timeout=0)
        assert not done, "nothing has changed"
        change.set()
        await wait
        over.set()
    query = "watch=1&resourceVersion=7&timeoutSeconds=60"
    assert asked == [(query, "Bearer abc")]


async def test_it_is_over_when_the_server_ends_it(tmp_path: Path) -> None:
    async def answer(_request: web.Request, _response: web.StreamResponse) -> None:
        return

    async with served(tmp_path, answer) as api:
        await api.changed("watch", PATH, version="7", within=60)


async def test_a_refusal_is_an_error(tmp_path: Path) -> None:
    async def answer(_request: web.Request, _response: web.StreamResponse) -> None:
        return

    async with served(tmp_path, answer) as api:
        with pytest.raises(ClusterApiError, match="watch failed: 404"):
            await api.changed("watch", "/other", version="7", within=60)
