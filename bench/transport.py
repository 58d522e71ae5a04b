"""What a gRPC call costs the server, by transport: ``python bench/transport.py [--seconds 3]``.

Servers run in a process of their own and answer 240-byte messages; the client is one stock grpc.aio
process.  CPU is the server's own (user and system, all threads, from ``getrusage``), asked for over
the wire before and after.  Rows: grpc.aio and pygrpc-native's own asyncio server, both with a
coroutine as the handler, and the two transports of ``tenure_sidecar.rpc`` behind their seam.

Columns: one call at a time (round trip, median and 99th percentile; CPU per call), 32 at a time
(calls per second; CPU per call), one stream sent at full speed (messages per second; CPU per message).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "sidecar"), str(ROOT / "common")]

PAYLOAD = b"x" * 240
ECHO, CPU, STREAM = "/bench.Transport/Echo", "/bench.Transport/Cpu", "/bench.Transport/Stream"
KINDS = ("grpc.aio", "pygrpc.aio", "seam grpcio", "seam native")
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def cpu() -> bytes:
    """This process's CPU seconds so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return struct.pack("d", usage.ru_utime + usage.ru_stime)


# --- servers ------------------------------------------------------------------------------------


async def serve(kind: str) -> None:
    """Serve until stdin is closed; prints the port."""
    port = await (_seam if kind.startswith("seam") else _coroutines)(kind)
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def _seam(kind: str) -> int:
    from tenure_sidecar.rpc.servers import make
    from tenure_sidecar.rpc.transport import Sent

    def stream(call: Any) -> None:
        left = int(call.request)

        def push() -> None:
            nonlocal left
            while left:
                sent = call.send(PAYLOAD)
                if sent is Sent.FULL:
                    call.on_ready(push)
                    return
                if sent is Sent.CLOSED:
                    return
                left -= 1
            call.end()

        push()

    server = make(
        kind.removeprefix("seam "),
        host="127.0.0.1",
        port=0,
        unary={ECHO: lambda call: call.reply(call.request), CPU: lambda call: call.reply(cpu())},
        streams={STREAM: stream},
    )
    _KEEP.append(server)
    return await server.start()


async def _coroutines(kind: str) -> int:
    async def echo(request: bytes, _context: Any) -> bytes:
        return request

    async def usage(_request: bytes, _context: Any) -> bytes:
        return cpu()

    async def stream(request: bytes, _context: Any) -> Any:
        for _ in range(int(request)):
            yield PAYLOAD

    if kind == "grpc.aio":
        server: Any = grpc.aio.server()
    else:
        # Not "from pygrpc_native import aio": its module __getattr__ recurses (0.5.0).
        server = importlib.import_module("pygrpc_native.aio").server()
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Cpu": grpc.unary_unary_rpc_method_handler(usage),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    server.add_registered_method_handlers("bench.Transport", handlers)
    port = int(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    _KEEP.append(server)
    return port


_KEEP: list[Any] = []  # servers stop when they are collected

# --- the client ---------------------------------------------------------------------------------


async def measure(port: int, *, seconds: float) -> list[str]:
    """One row of figures."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo, usage = channel.unary_unary(ECHO), channel.unary_unary(CPU)
        stream = channel.unary_stream(STREAM)

        async def used() -> float:
            return float(struct.unpack("d", await usage(b""))[0])

        async def calls(until: float, times: list[float]) -> None:
            while (began := time.perf_counter()) < until:
                await echo(PAYLOAD)
                times.append(time.perf_counter() - began)

        await calls(time.perf_counter() + 0.3, [])
        row: list[str] = []
        for concurrency in (1, 32):
            times: list[float] = []
            before, began = await used(), time.perf_counter()
            await asyncio.gather(*(calls(began + seconds, times) for _ in range(concurrency)))
            spent, took = await used() - before, time.perf_counter() - began
            times.sort()
            if concurrency == 1:
                row.append(f"{times[len(times) // 2] * 1e3:.2f}")
                row.append(f"{times[len(times) * 99 // 100] * 1e3:.2f}")
            else:
                row.append(f"{len(times) / took:.0f}")
            row.append(f"{spent / len(times) * 1e6:.0f}")
        count = int(8000 * seconds)
        before, began = await used(), time.perf_counter()
        seen = 0
        async for _ in stream(str(count).encode()):
            seen += 1
        spent, took = await used() - before, time.perf_counter() - began
        if seen != count:
            message = f"{seen} messages of {count} arrived"
            raise RuntimeError(message)
        return [*row, f"{count / took:.0f}", f"{spent / count * 1e6:.0f}"]


def main() -> None:
    """Run all rows, or one server (``--serve``)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement")
    parser.add_argument("--only", help="one kind of server")
    parser.add_argument("--switch", type=float, default=0.0005, help="switch interval, seconds")
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--loop", choices=sorted(LOOPS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        sys.setswitchinterval(args.switch)
        with asyncio.Runner(loop_factory=LOOPS[args.loop]) as runner:
            runner.run(serve(args.serve))
        return
    heads = (
        "transport",
        "loop",
        "RTT ms",
        "p99",
        "us/call",
        "call/s@32",
        "us/call",
        "msg/s",
        "us/msg",
    )
    print("{:12} {:8} {:>7} {:>7} {:>8} {:>9} {:>8} {:>7} {:>7}".format(*heads))
    for kind in KINDS:
        if args.only and kind != args.only:
            continue
        for loop in LOOPS:
            command = [sys.executable, __file__, "--serve", kind, "--loop", loop]
            server = subprocess.Popen(
                [*command, "--switch", str(args.switch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2])},
            )
            assert server.stdin is not None
            assert server.stdout is not None
            try:
                port = int(server.stdout.readline())
                row = asyncio.run(measure(port, seconds=args.seconds))
            finally:
                server.stdin.close()
                server.terminate()
                server.wait(10)
            print("{:12} {:8} {:>7} {:>7} {:>8} {:>9} {:>8} {:>7} {:>7}".format(kind, loop, *row))


if __name__ == "__main__":
    main()
