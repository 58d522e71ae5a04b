"""How a replica stops while the API server still calls it: readiness, connections, open reviews.

The whole injector in this process, with certificate files, and connections by hand.  Out of scope:
two replicas and who finds which (tests/kubernetes/test_webhook_rollout.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import trustme
from aiohttp import web

from support.pods import CONFIG, body, pod
from tenure_common.health import Listener
from tenure_injector.runtime import IDLE, Injector

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

API_SERVER_IDLE = 90.0  # seconds after which Go's HTTP client lets go of an idle connection
REVIEW = body(pod(), dryRun=True)
HEAD = b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(REVIEW)


class Replica:
    """One injector in this loop, and connections to it."""

    def __init__(self, folder: Path, *, drain: float = 3600.0) -> None:
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1")
        leaf.private_key_pem.write_to_path(folder / "tls.key")
        (folder / "tls.crt").write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
        authority.cert_pem.write_to_path(folder / "ca.crt")
        (folder / "token").write_text("none")
        config = msgspec.structs.replace(
            CONFIG,
            host="127.0.0.1",
            port=0,
            health_port=0,
            certificate=str(folder / "tls.crt"),
            key=str(folder / "tls.key"),
            api_server="https://127.0.0.1:1",  # nobody: dry runs write no Events
            api_ca_file=str(folder / "ca.crt"),
            api_token_file=str(folder / "token"),
            drain=drain,
            grace=60.0,
        )
        self.injector = Injector(config, env={})
        self.running = asyncio.get_running_loop().create_task(self.injector.run())
        self._authority = str(folder / "ca.crt")
        self._streams: list[Stream] = []

    async def connect(self) -> Stream:
        """A connection to the port of the reviews."""
        context = ssl.create_default_context(cafile=self._authority)
        stream = await asyncio.open_connection("127.0.0.1", self.injector.ports[0], ssl=context)
        self._streams.append(stream)
        return stream

    async def close(self) -> None:
        """End whatever is still there."""
        self.running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.running
        for _, writer in self._streams:
            writer.close()

    async def ready(self) -> tuple[int, str]:
        """What the kubelet hears."""

        def ask() -> tuple[int, str]:
            url = f"http://127.0.0.1:{self.injector.ports[1]}/readyz"
            try:
                with urllib.request.urlopen(url) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        return await asyncio.to_thread(ask)


async def answer(stream: Stream) -> bytes:
    """The head of the next answer; its body is read too and holds a patch."""
    head = await stream[0].readuntil(b"\r\n\r\n")
    (length,) = [
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if b"Content-Length" in line
    ]
    assert b'"patch"' in await stream[0].readexactly(length)
    assert head.startswith(b"HTTP/1.1 200 OK")
    return head


async def review(stream: Stream) -> bytes:
    """One review; the head of its answer."""
    stream[1].write(HEAD + REVIEW)
    return await answer(stream)


async def ended(stream: Stream) -> bool:
    """Whether the server lets go of the connection; waits until something comes."""
    return await stream[0].read(1) == b""


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[Replica]:
    replica = Replica(tmp_path)
    await replica.injector.listening.wait()
    yield replica
    await replica.close()


async def test_it_serves_on_and_lets_go_of_each_connection_with_the_answer(
    replica: Replica,
) -> None:
    open_one = await replica.connect()
    for _ in range(2):
        assert b"Connection: close" not in await review(open_one)
    assert (await replica.ready())[0] == 200
    replica.injector.stop()
    assert await replica.ready() == (503, "it is being stopped\n")
    for stream in (open_one, await replica.connect()):  # somebody may not have heard of it yet
        assert b"Connection: close" in await review(stream)
        assert await ended(stream)
    assert not replica.running.done()


async def test_idle_connections_are_left_until_the_end(replica: Replica) -> None:
    """To close one from here just as a review is sent on it is to fail that review."""
    idle = await replica.connect()
    await review(idle)
    replica.injector.stop()
    other = await replica.connect()
    await review(other)
    assert await ended(other)
    assert b"Connection: close" in await review(idle)


async def test_open_reviews_are_answered_when_it_ends(replica: Replica) -> None:
    idle, half = await replica.connect(), await replica.connect()
    half[1].write(HEAD + REVIEW[:100])
    await review(idle)  # so the head of the other one has been read
    replica.injector.stop()
    replica.injector.stop()
    with contextlib.suppress(OSError):
        while True:  # until nobody is taken any more
            await replica.connect()
    half[1].write(REVIEW[100:])
    assert b"Connection: close" in await answer(half)
    assert await ended(idle)
    await replica.running


async def test_it_ends_by_itself(tmp_path: Path) -> None:
    replica = Replica(tmp_path, drain=0.01)
    await replica.injector.listening.wait()
    replica.injector.stop()
    await replica.running


async def test_idle_connections_outlast_the_api_servers() -> None:
    assert IDLE > API_SERVER_IDLE

    async def ok(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/", ok)
    listener = Listener(app, host="127.0.0.1", port=0, flag="--port", idle=0.01)
    stream = await asyncio.open_connection("127.0.0.1", await listener.start())
    stream[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in await stream[0].readuntil(b"ok")
    assert await ended(stream)
    stream[1].close()
    await listener.stop()
