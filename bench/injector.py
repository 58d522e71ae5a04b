"""What a review costs: ``python bench/injector.py``.

Starts the injector as a process of its own, with a certificate from files, and plays the API
server: HTTPS on connections that stay open, one review for each new pod.  It prints

* *ready*: from the start of the process to its first "ready";
* *latency*: of pods that get the engine, sent at a fixed rate whatever the answers do, and counted
  from the moment when each was due, so that a stall is seen by all that wait behind it; the part
  of it that the injector itself has measured is beside it, the rest is TLS, HTTP and two wake-ups;
* *CPU of a review*: what the kernel counted for the process, at that rate (each review wakes it up)
  and at full speed (as many as the connections can carry).

No API server is there, so no Events are sent; they leave from a queue and no review waits for them.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import procfs
import trustme
from stats import percentile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.pods import body, pod

_CONNECTIONS = 8
_COARSE = 0.003  # seconds by which a loop's timer may be late
_READY_WITHIN = 30.0  # seconds; a bound for a broken injector
_SPEC = {
    "serviceAccountName": "orders",
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": f"volume-{n}", "emptyDir": {}} for n in range(4)],
    "containers": [
        {
            "name": name,
            "image": f"registry.example.org/{name}:1.2.3",
            "env": [{"name": f"SETTING_{n}", "value": "x" * 40} for n in range(20)],
            "ports": [{"containerPort": 8080}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "volumeMounts": [{"name": f"volume-{n}", "mountPath": f"/v{n}"} for n in range(4)],
        }
        for name in ("orders", "proxy")
    ],
}


class Server:
    """The injector's process."""

    def __init__(self, pid: int, port: int, *, health: str, ready: float) -> None:
        self.pid = pid
        self.port = port
        self.ready = ready  # seconds
        self._health = health

    @property
    def cpu(self) -> float:
        """Seconds that it has taken so far."""
        return procfs.read(self.pid).cpu

    def inside(self) -> tuple[float, int]:
        """Seconds from the last byte of each review to its answer, all together; how many."""
        lines = dict(line.rsplit(" ", 1) for line in _get(f"{self._health}/metrics").splitlines())
        name = "tenure_injector_review_seconds"
        return float(lines[f"{name}_sum"]), int(float(lines[f"{name}_count"]))


@contextmanager
def injector(folder: Path, authority: trustme.CA) -> Iterator[Server]:
    """The injector, ready."""
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.crt").write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
    (folder / "token").write_text("none")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    port, health, nobody = _free_ports(3)
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tenure_injector", "--host=127.0.0.1", "--drain=0"),
            *(f"--port={port}", f"--health-port={health}"),
            *(f"--certificate={folder / 'tls.crt'}", f"--key={folder / 'tls.key'}"),
            *(f"--api-server=https://127.0.0.1:{nobody}", f"--api-ca-file={folder / 'ca.crt'}"),
            f"--api-token-file={folder / 'token'}",
        ],
        stderr=subprocess.DEVNULL,  # it logs each review, as it does by default
    )
    try:
        url = f"http://127.0.0.1:{health}"
        while not _answers(f"{url}/readyz"):
            if process.poll() is not None or time.perf_counter() - started > _READY_WITHIN:
                sys.exit("the injector did not become ready")
            time.sleep(0.002)
        yield Server(process.pid, port, health=url, ready=time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait()


class Connection:
    """One connection that stays open; HTTP by hand, so that the client costs little."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def review(self, request: bytes) -> None:
        """Send one, read its answer.  Raises: RuntimeError when that holds no patch."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        answer = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200") or b'"patch"' not in answer:
            message = f"not injected: {head!r} {answer!r}"
            raise RuntimeError(message)

    def close(self) -> None:
        """Let it go."""
        self._writer.close()


async def connect(port: int, authority: trustme.CA) -> list[Connection]:
    """The API server's connections."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return [
        Connection(*await asyncio.open_connection("127.0.0.1", port, ssl=context))
        for _ in range(_CONNECTIONS)
    ]


def requests() -> Iterator[bytes]:
    """Reviews without end, each of another pod."""
    for number in itertools.count():
        uid = f"00000000-0000-4000-8000-{number:012}"
        made = pod(
            name=f"orders-6d4cf56db6-{number}",
            labels={"app": "orders", "pod-template-hash": "6d4cf56db6"},
            owner=("ReplicaSet", "orders-6d4cf56db6"),
            **_SPEC,
        )
        data = body(made, uid=uid)
        yield (
            b"POST /mutate?timeout=5s HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: " + str(len(data)).encode() + b"\r\n\r\n" + data
        )


async def latencies(connections: list[Connection], rate: float, seconds: float) -> list[float]:
    """Seconds from when each review was due to its answer."""
    wanted = list(itertools.islice(requests(), int(rate * seconds)))
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)
    taken: list[float] = []
    begin = time.perf_counter()

    async def one(request: bytes, due: float) -> None:
        connection = await free.get()
        await connection.review(request)
        taken.append(time.perf_counter() - due)
        free.put_nowait(connection)

    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(wanted):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter() - _COARSE))
            while time.perf_counter() < due:  # noqa: ASYNC110 - it is the clock that is awaited
                await asyncio.sleep(0)
            group.create_task(one(request, due))
    return taken


async def full_speed(connections: list[Connection], count: int) -> None:
    """So many reviews, each as soon as a connection is free."""
    wanted = iter(list(itertools.islice(requests(), count)))

    async def loop(connection: Connection) -> None:
        for request in wanted:
            await connection.review(request)

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(loop(connection))


async def measure(rate: float, seconds: float, count: int) -> None:
    """Measure all of it, and print a table."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder, injector(Path(folder), authority) as server:
        connections = await connect(server.port, authority)
        await latencies(connections, rate, 1.0)  # warm
        before, count_before = server.inside()
        begin = server.cpu
        taken = await latencies(connections, rate, seconds)
        at_rate = (server.cpu - begin) / len(taken)
        after, count_after = server.inside()
        begin = server.cpu
        await full_speed(connections, count)
        at_full_speed = (server.cpu - begin) / count
        memory = procfs.read(server.pid).peak
        for connection in connections:
            connection.close()
    size = len(next(requests()))
    print(f"A review of {size:,} bytes, {_CONNECTIONS} connections over TLS:\n")
    print("| | |\n|---|---|")
    print(f"| ready after the start | {server.ready:.2f} s |")
    for percent in (50, 99):
        print(f"| p{percent} at {rate:.0f} a second | {percentile(taken, percent) * 1e3:.2f} ms |")
    inside = (after - before) / (count_after - count_before)
    print(f"| of it in the injector, mean | {inside * 1e3:.2f} ms |")
    print(f"| CPU of a review at {rate:.0f} a second | {at_rate * 1e6:,.0f} µs |")
    print(f"| CPU of a review at full speed | {at_full_speed * 1e6:,.0f} µs |")
    print(f"| reviews a second of CPU, at full speed | {1 / at_full_speed:,.0f} |")
    print(f"| memory at most | {memory / 1e6:.0f} MB |")


def _answers(url: str) -> bool:
    try:
        return bool(_get(url))
    except OSError:
        return False


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - a URL of this file
        return str(answer.read().decode())


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=100.0, help="reviews a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long at that rate")
    parser.add_argument("--count", type=int, default=5_000, help="reviews at full speed")
    given = parser.parse_args()
    asyncio.run(measure(given.rate, given.seconds, given.count))


if __name__ == "__main__":
    main()
