"""A watch whose stream says ERROR, as kopf reads it: a real server and kopf's own reading.

Out of scope: the whole operator behind a proxy that says it (kubernetes/test_operator_faulty_api.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import kopf
import pytest
from aiohttp import web

from tenure_operator.watching import BEGIN_ANEW, LIVED, Breaks, session

CHANGE = b'{"type":"MODIFIED","object":{"metadata":{"name":"\xc3\xa4"},"note":"\\"ERROR\\""}}\n'
BROKEN: dict[str, Any] = {"kind": "Status", "code": 500, "message": "etcdserver: no leader"}


def error(status: object) -> bytes:
    return json.dumps({"type": "ERROR", "object": status}, separators=(",", ":")).encode() + b"\n"


class Server:
    """Answers with the pieces of the test."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.url = ""
        self.status = 200

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        return response


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    made, application = Server(), web.Application()
    application.router.add_get("/{rest:.*}", made.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def read(server: Server, query: str = "watch=true") -> bytes:
    opened = session(kopf.ConnectionInfo(server=server.url), Breaks(first=0)).aiohttp_session
    async with opened, opened.get(f"{server.url}/apis/workflows?{query}") as answer:
        return b"".join([piece async for piece in answer.content.iter_chunked(1024)])


@pytest.mark.parametrize(
    "status",
    [
        BROKEN,
        {**BROKEN, "code": 410, "reason": "Expired"},
        {**BROKEN, "code": 504, "details": {"retryAfterSeconds": 1}},
        {"kind": "Status"},
        "no object",
    ],
)
async def test_what_follows_an_error_is_a_new_beginning(server: Server, status: object) -> None:
    server.pieces = [CHANGE, error(status), CHANGE]
    assert await read(server) == CHANGE + BEGIN_ANEW
    assert json.loads(BEGIN_ANEW)["object"]["code"] == 410


async def test_a_line_that_is_cut_off_is_left_out_and_others_are_as_they_were(
    server: Server,
) -> None:
    server.pieces = [CHANGE[:20], CHANGE[20:] + CHANGE, CHANGE[:50]]
    assert await read(server) == CHANGE + CHANGE


async def test_a_list_is_as_it_was(server: Server) -> None:
    server.pieces = [error(BROKEN)[:-1]]
    assert await read(server, "limit=1") == error(BROKEN)[:-1]


def test_pauses_grow_while_streams_break_at_once() -> None:
    breaks = Breaks()
    pauses = [breaks.pause("/a", lived=0.0, wish=0.0) for _ in range(12)]
    assert 0.4 <= pauses[0] <= 0.5
    assert 8 <= pauses[-1] <= 10
    assert breaks.pause("/b", lived=0.0, wish=0.0) <= 0.5, "each path has its own"
    assert breaks.pause("/a", lived=LIVED + 1, wish=0.0) <= 0.5
    assert breaks.pause("/a", lived=0.0, wish=17.0) == 17.0
    assert breaks.pause("/a", lived=0.0, wish=7000.0) == 60.0


async def test_a_session_with_refused_credentials_is_not_taken_for_a_new_one() -> None:
    infos = [
        kopf.ConnectionInfo(server="http://x", scheme="Bearer", token=token)
        for token in ("a", "a", "b")
    ]
    first, same, other = (session(info, Breaks()) for info in infos)
    assert first == same
    assert first != other
    assert "a" not in repr(first).partition("server")[0]
    for one in (first, same, other):
        assert isinstance(one.aiohttp_session, aiohttp.ClientSession)
        await one.aiohttp_session.close()


@pytest.mark.parametrize(
    ("path", "answered"),
    [
        ("/apis/tenure.dev/v1alpha1/workflows?watch=true", 429),
        ("/apis/tenure.dev/v1alpha1/namespaces/shop/workflows", 429),
        ("/apis/tenure.dev/v1alpha1", 404),
    ],
)
async def test_a_kind_that_is_not_served_is_asked_for_again(
    server: Server, path: str, answered: int
) -> None:
    server.status = 404
    opened = session(kopf.ConnectionInfo(server=server.url), Breaks(first=0)).aiohttp_session
    async with opened, opened.get(f"{server.url}{path}") as answer:
        assert answer.status == answered
