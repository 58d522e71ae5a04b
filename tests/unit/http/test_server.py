"""The server around the routes: guard, limits, errors as JSON, ports.

Out of scope: what the routes answer (test_health.py, test_workflow_api.py) and the guard's rules
(test_guard.py).  Real sockets on loopback; the engine is a fake.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from support.http_fakes import FakeEngine
from tenure_common.errors import BadSettingError, MessageTooLargeError, PortInUseError
from tenure_sidecar.http import middleware
from tenure_sidecar.http.server import HttpServer

LIMIT = 1000

Serve = Callable[..., Awaitable[str]]


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def fail(_request: web.Request) -> web.Response:
    raise ZeroDivisionError("oops")


async def refuse(_request: web.Request) -> web.Response:
    raise MessageTooLargeError("the history is too large")


async def gone(_request: web.Request) -> web.Response:
    raise web.HTTPGone


MORE = [
    web.post("/echo", echo),
    web.get("/fail", fail),
    web.get("/refuse", refuse),
    web.get("/gone", gone),
]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start servers; returns their base URL."""
    running: list[HttpServer] = []

    async def start(**options: object) -> str:
        server = HttpServer(
            FakeEngine(),
            host="127.0.0.1",
            port=0,
            max_body_bytes=LIMIT,
            more_routes=MORE,
            **options,  # type: ignore[arg-type]
        )
        running.append(server)
        return f"http://127.0.0.1:{await server.start()}"

    yield start
    for server in running:
        await server.stop()


async def ask(
    url: str, *, method: str = "GET", body: object = None, **headers: str
) -> tuple[int, str, object]:
    """Status, error code and message."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=body, headers=named) as answer,
    ):
        text = await answer.text()
        if answer.content_type != "application/json":
            return answer.status, "", text
        parsed = json.loads(text)
        return answer.status, parsed["errorCode"], parsed["message"]


async def test_guard_stands_before_every_route(serve: Serve) -> None:
    url = await serve()
    for path in ("/v1.0/healthz", "/metrics", "/echo", "/nowhere"):
        status, code, _ = await ask(url + path, Origin="https://evil.example")
        assert (status, code) == (403, "ERR_ORIGIN_NOT_ALLOWED")
        status, code, _ = await ask(url + path, Host="evil.example")
        assert (status, code) == (403, "ERR_HOST_NOT_ALLOWED")


async def test_configured_host_passes(serve: Serve) -> None:
    url = await serve(hosts={"tenure"})
    assert (await ask(f"{url}/v1.0/healthz", Host="tenure:3500"))[0] == 204


async def test_token(serve: Serve) -> None:
    url = await serve(token="secret")
    assert (await ask(f"{url}/v1.0/healthz"))[0] == 204
    assert (await ask(f"{url}/v1.0/metadata"))[:2] == (401, "ERR_API_TOKEN")
    assert (await ask(f"{url}/metrics", dapr_api_token="secret"))[0] == 200


async def test_encoded_path_does_not_pass_as_health(serve: Serve) -> None:
    url = await serve(token="secret")
    async with aiohttp.ClientSession() as session:
        for path in ("/v1.0/healthz%2F..%2F..%2Fmetrics", "/v1.0/healthz/%2e%2e/metadata"):
            raw = aiohttp.client.URL(url + path, encoded=True)
            async with session.get(raw) as answer:
                assert answer.status in {401, 404}


@pytest.mark.parametrize(
    ("size", "status"),
    [pytest.param(LIMIT, 200, id="at-the-limit"), pytest.param(LIMIT + 1, 413, id="one-more")],
)
async def test_body_limit(serve: Serve, size: int, status: int) -> None:
    url = await serve()
    found, code, _ = await ask(f"{url}/echo", method="POST", body=b"x" * size)
    assert found == status
    assert code == ("ERR_BODY_TOO_LARGE" if status == 413 else "")


async def test_body_limit_holds_without_a_length(serve: Serve) -> None:
    url = await serve()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LIMIT):
            yield b"xx"

    status, code, _ = await ask(f"{url}/echo", method="POST", body=chunks())
    assert (status, code) == (413, "ERR_BODY_TOO_LARGE")


async def test_announced_size_is_refused_before_the_body_comes(serve: Serve) -> None:
    url = await serve()
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()
    await writer.wait_closed()


async def test_body_that_does_not_come_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.0)
    url = await serve()
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("path", "method", "status", "code", "says"),
    [
        pytest.param("/nowhere", "GET", 404, "ERR_NOT_FOUND", "/nowhere", id="no-route"),
        pytest.param(
            "/v1.0/state/x", "GET", 404, "ERR_NOT_FOUND", "workflow API", id="building-block"
        ),
        pytest.param("/v1.0/healthz", "DELETE", 405, "ERR_METHOD_NOT_ALLOWED", "GET", id="method"),
        pytest.param("/refuse", "GET", 413, "TN0201", "the history is too large", id="our-error"),
        pytest.param("/fail", "GET", 500, "TN0001", "ZeroDivisionError: oops", id="bug"),
        pytest.param("/gone", "GET", 410, "ERR_HTTP", "Gone", id="http-error"),
    ],
)
async def test_errors_are_json(
    serve: Serve, path: str, method: str, status: int, code: str, says: str
) -> None:
    url = await serve()
    found, found_code, message = await ask(url + path, method=method)
    assert (found, found_code) == (status, code)
    assert says in str(message)


async def test_a_bug_in_one_request_leaves_the_server_up(serve: Serve) -> None:
    url = await serve()
    await ask(f"{url}/fail")
    assert (await ask(f"{url}/v1.0/healthz"))[0] == 204


async def test_headers(serve: Serve) -> None:
    url = await serve()
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        assert answer.headers["Server"] == "tenure"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_port_in_use(serve: Serve) -> None:
    port = int((await serve()).rpartition(":")[2])
    second = HttpServer(FakeEngine(), host="127.0.0.1", port=port)
    with pytest.raises(PortInUseError, match=rf"{port}.*--http-port"):
        await second.start()
    await second.stop()


async def test_address_of_another_machine() -> None:
    server = HttpServer(FakeEngine(), host="192.0.2.1", port=0)
    with pytest.raises(BadSettingError, match=r"192\.0\.2\.1"):
        await server.start()


async def test_stop_frees_the_port(serve: Serve) -> None:
    del serve
    server = HttpServer(FakeEngine(), host="127.0.0.1", port=0)
    port = await server.start()
    await server.stop()
    await server.stop()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


async def test_stop_before_start() -> None:
    await HttpServer(FakeEngine(), host="127.0.0.1", port=0).stop()
