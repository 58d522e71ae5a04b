"""FLOOR: what the machine can do with no engine at all.

* a bare unary round trip, ``grpc.aio`` to ``grpc.aio``, 240 bytes each way, two processes;
* one 4 KiB append with fdatasync, in the folder where the engine's database will be;
* raw SQLite in WAL mode with synchronous=FULL: rows per second at 1, 10, 100, 1,000 rows a commit.

The first two also serve as the denominators around every repeat: they tell whether the machine is
still the same machine.  ``python bench/floor.py`` prints them all.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from stats import percentile

MESSAGE = bytes(240)
ROW = bytes(300)  # about an encoded event with its keys
BATCHES = (1, 10, 100, 1_000)
_ECHO = "/tenure.bench.Echo/Echo"
_WARM = 50


class Echo:
    """The client's side of a bare round trip."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call: Any = channel.unary_unary(_ECHO, None, None)

    async def round_trips(self, count: int) -> list[float]:
        """Seconds of ``count`` calls, one at a time."""
        call, clock, times = self._call, time.perf_counter, list[float]()
        for _ in range(count):
            begun = clock()
            await call(MESSAGE)
            times.append(clock() - begun)
        return times

    async def probe(self, folder: Path) -> dict[str, float]:
        """The denominators now, in seconds (p50)."""
        return {
            "rtt": percentile(await self.round_trips(300), 50),
            "fdatasync": percentile(fdatasyncs(folder, 300), 50),
        }


def _echo_process() -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--serve-echo"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    """An echo server in a process of its own, and a warm client of it."""
    with _echo_process() as server:
        try:
            if server.stdout is None:
                raise AssertionError
            port = int(server.stdout.readline())
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                client = Echo(channel)
                await client.round_trips(_WARM)
                yield client
        finally:
            server.kill()


async def _serve_echo() -> None:
    async def answer(request: bytes, _: object) -> bytes:
        return request

    server = grpc.aio.server()
    service, method = _ECHO.strip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


def fdatasyncs(folder: Path, count: int) -> list[float]:
    """Seconds of ``count`` times 4 KiB appended and made durable."""
    block, clock, times = bytes(4096), time.perf_counter, list[float]()
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(count):
            begun = clock()
            file.write(block)
            os.fdatasync(file.fileno())
            times.append(clock() - begun)
    return times


def sqlite_rows(folder: Path, *, batch: int, seconds: float) -> float:
    """Rows per second with ``batch`` rows a commit, for about ``seconds``."""
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        database = sqlite3.connect(Path(inner) / "floor.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB)")
        clock, rows = time.perf_counter, 0
        begun = clock()
        while clock() - begun < seconds:
            database.execute("BEGIN")
            database.executemany("INSERT INTO row (body) VALUES (?)", [(ROW,)] * batch)
            database.execute("COMMIT")
            rows += batch
        rate = rows / (clock() - begun)
        database.close()
    return rate


async def measure(folder: Path, *, seconds: float = 0.5) -> dict[str, float]:
    """Everything: ``rtt_*`` and ``fdatasync_*`` in seconds, ``sqlite_rows_<batch>`` per second."""
    figures: dict[str, float] = {}
    async with echo() as client:
        trips = await client.round_trips(2_000)
    syncs = fdatasyncs(folder, 1_000)
    for percent in (50, 90, 99):
        figures[f"rtt_p{percent}"] = percentile(trips, percent)
        figures[f"fdatasync_p{percent}"] = percentile(syncs, percent)
    for batch in BATCHES:
        figures[f"sqlite_rows_{batch}"] = sqlite_rows(folder, batch=batch, seconds=seconds)
    return figures


def main(arguments: Sequence[str]) -> None:
    """Print the floor, or serve the echo."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path(), help="where the disk is measured")
    parser.add_argument("--serve-echo", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve_echo:
        asyncio.run(_serve_echo())
        return
    for name, value in asyncio.run(measure(options.folder)).items():
        text = f"{value:,.0f} rows/s" if name.startswith("sqlite") else f"{value * 1e6:,.0f} us"
        print(f"{name:<18}{text:>20}")


if __name__ == "__main__":
    main(sys.argv[1:])
