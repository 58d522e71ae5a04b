"""Servers to talk to: in this process, where a test needs its handlers, and in one of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from tenure_sidecar.rpc.servers import KINDS, make
from tenure_sidecar.rpc.transport import StreamHandler, Transport, TransportLimits, UnaryHandler

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each transport in turn."""
    return str(request.param)


class Lab:
    """Servers in this process, stopped at the end of the test."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.servers: list[Transport] = []
        self.channels: list[grpc.aio.Channel] = []

    async def serve(
        self,
        unary: Mapping[str, UnaryHandler] | None = None,
        streams: Mapping[str, StreamHandler] | None = None,
        **limits: Any,
    ) -> tuple[Transport, int]:
        """A listening server and its port."""
        server = make(
            self.kind,
            port=0,
            unary=unary or {},
            streams=streams or {},
            limits=TransportLimits(**limits),
        )
        self.servers.append(server)
        return server, await server.start()

    def channel(self, port: int, **options: int) -> grpc.aio.Channel:
        """A client with its own connection."""
        channel = grpc.aio.insecure_channel(
            f"127.0.0.1:{port}",
            options=[
                ("grpc.use_local_subchannel_pool", 1),
                *((f"grpc.{key}", value) for key, value in options.items()),
            ],
        )
        self.channels.append(channel)
        return channel

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()
        for server in self.servers:
            await server.stop(0)


@pytest.fixture
async def lab(kind: str) -> AsyncIterator[Lab]:
    """Servers and clients of one transport."""
    made = Lab(kind)
    yield made
    await made.close()


@dataclass
class Program:
    """``program.py`` at work."""

    process: asyncio.subprocess.Process
    port: int
    channel: grpc.aio.Channel

    async def stats(self) -> dict[str, int]:
        """What it counts."""
        return dict(json.loads(await self.channel.unary_unary("/t.T/Stats")(b"", timeout=60)))

    async def quiet(self) -> None:
        """Wait until it has no call open."""
        await self.channel.unary_unary("/t.T/Quiet")(b"", timeout=60)

    async def descriptors_at_most(self, limit: int) -> int:
        """Wait until it has closed what it should; a connection's end takes a moment to arrive."""
        async with asyncio.timeout(60):
            while (now := (await self.stats())["descriptors"]) > limit:
                pass
        return now

    async def healthy(self) -> None:
        """A new client is served, and nothing is left of those before."""
        assert self.process.returncode is None
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{self.port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            assert await channel.unary_unary("/t.T/Echo")(b"well?", timeout=60) == b"well?"
        await self.quiet()


@contextlib.asynccontextmanager
async def program(kind: str, **limits: Any) -> AsyncIterator[Program]:
    """A server process; killed at the end, and then it must not have ended before."""
    paths = [str(ROOT / part) for part in ("sidecar", "common")]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "program.py"),
        kind,
        json.dumps({**asdict(TransportLimits()), **limits}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        port = int(await process.stdout.readline())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Program(process, port, channel)
        assert process.returncode is None
        process.stdin.close()
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def server(kind: str) -> AsyncIterator[Program]:
    """A server process with the usual limits."""
    async with program(kind) as made:
        yield made
