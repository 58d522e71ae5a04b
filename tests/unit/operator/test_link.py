"""The way to the API server: proxies of the environment, what an answer means."""

from __future__ import annotations

import asyncio

import pytest

from support.api_server import Said, api_server, link_to
from tenure_common.errors import BadSettingError, ClusterRefusedError, ClusterUnavailableError
from tenure_operator.link import ConflictError, GoneError, PauseError, proxy_of

IN_CLUSTER = "https://10.96.0.1:443"
PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("server", "no_proxy"),
    [
        pytest.param(IN_CLUSTER, "10.96.0.1", id="address"),
        pytest.param(IN_CLUSTER, "10.96.0.0/12", id="network"),
        pytest.param(IN_CLUSTER, "example.com, 10.0.0.0/8", id="network in a list"),
        pytest.param(IN_CLUSTER, "10.96.0.1:443", id="with its port"),
        pytest.param(IN_CLUSTER, "*", id="all"),
        pytest.param("https://[fd00::1]:6443", "fd00::/8", id="network of IPv6"),
        pytest.param("https://api.cluster.example:6443", ".cluster.example", id="domain"),
        pytest.param("https://api.cluster.example:6443", "cluster.example", id="domain, no dot"),
        pytest.param("https://127.0.0.1:6443", "", id="loopback"),
        pytest.param("https://localhost:6443", "", id="localhost"),
        pytest.param("https://[::1]:6443", "", id="loopback of IPv6"),
    ],
)
def test_the_api_server_is_reached_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, server: str, no_proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_of(server) is None


@pytest.mark.parametrize(
    ("server", "no_proxy"),
    [
        pytest.param(IN_CLUSTER, "", id="nothing said"),
        pytest.param(IN_CLUSTER, "10.97.0.0/16,10.96.0.2,not a network/", id="others"),
        pytest.param("https://api.example:6443", "10.0.0.0/8,pi.example", id="a name"),
    ],
)
def test_the_api_server_is_reached_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, server: str, no_proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_of(server) == PROXY


def test_a_proxy_without_a_scheme_is_an_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    assert proxy_of(IN_CLUSTER) == PROXY


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:secret@proxy.example:1080")
    with pytest.raises(BadSettingError) as error:
        proxy_of(IN_CLUSTER)
    assert "NO_PROXY" in error.value.message
    assert "secret" not in error.value.message
    monkeypatch.setenv("NO_PROXY", "10.96.0.0/12")
    assert proxy_of(IN_CLUSTER) is None


def test_no_proxy_is_the_rule() -> None:
    assert proxy_of(IN_CLUSTER) is None


async def test_requests_and_watches_take_the_same_proxy() -> None:
    lines: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append((await reader.readline()).decode().strip())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    link = link_to("http://api.example", proxy=url)
    try:
        assert await link.call("GET", "/version") == b"{}"
        assert link.login().proxy_url == url
    finally:
        await link.close()
        server.close()
        await server.wait_closed()
    assert lines == ["GET http://api.example/version HTTP/1.1"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, GoneError),
        (409, ConflictError),
        (429, PauseError),
        (500, PauseError),
        (503, PauseError),
        (400, ClusterRefusedError),
        (401, ClusterRefusedError),
        (403, ClusterRefusedError),
        (422, ClusterRefusedError),
    ],
)
async def test_what_a_status_means(status: int, kind: type[Exception]) -> None:
    async with api_server() as (server, link):
        server.says = lambda _: Said(status)
        with pytest.raises(kind):
            await link.call("POST", "/anything", {})


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("0", 0.0), ("86400", 60.0), ("", 0.0), ("soon", 0.0)]
)
async def test_the_pause_that_the_server_asks_for(header: str, seconds: float) -> None:
    async with api_server() as (server, link):
        server.says = lambda _: Said(429, {"Retry-After": header})
        with pytest.raises(PauseError) as error:
            await link.call("GET", "/anything")
        assert error.value.seconds == seconds


async def test_nobody_answers() -> None:
    async with api_server() as (server, _):
        url = server.url
    link = link_to(url)
    with pytest.raises(ClusterUnavailableError, match="no answer"):
        await link.call("GET", "/anything")
    await link.close()
