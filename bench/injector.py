"""What a review costs: ``python bench/injector.py``.

Starts the injector as a process of its own, with a certificate from files, and plays the API
server: HTTPS on connections that stay open, one review for each new pod.  It prints

* *ready*: from the start of the process to its first "ready";
* *latency*: of pods that get the engine, ten of each Deployment unless told otherwise, sent at a fixed
  rate whatever the answers do, and counted from the moment when each was due, so that a stall is seen
  by all that wait behind it; the part of it that the injector itself has measured is beside it, the
  rest is TLS, HTTP, two wake-ups and the client;
* *CPU of a review*: what the kernel counted for the process, at that rate (each review wakes it up)
  and at full speed (as many as the connections can carry);
* the same of servers that decide nothing and answer with as many bytes (``webhook_floor.py``), in turn
  with the injector, so that all had the same machine: what no decision can be below.

The client is a thread with a blocking socket for each connection, the cheapest that Python has, and
its share is in all figures: the server *threads* does as little as the client.

No API server is there, so no Events are sent; they leave from a queue and no review waits for them.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import procfs
import trustme
from stats import percentile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.pods import body, pod

_CONNECTIONS = 8
_ROUNDS = 5  # of each server, in turn
_FLOORS = ("aiohttp", "asyncio", "threads")
_REPLICAS = 10  # of a Deployment: so many pods in a row differ as replicas do
_COARSE = 0.0005  # seconds by which a sleep may be late
_READY_WITHIN = 30.0  # seconds; a bound for a broken injector


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


@dataclass
class Measured:
    """What one server came to."""

    connections: list[Connection]
    pid: int
    taken: list[list[float]] = field(default_factory=list[list[float]])  # by round, seconds
    at_rate: list[float] = field(default_factory=list[float])  # CPU seconds of a review, by round
    at_full_speed: list[float] = field(default_factory=list[float])

    def p(self, percent: float) -> float:
        """The median of the rounds' percentiles, in seconds."""
        return statistics.median(percentile(one, percent) for one in self.taken)


def files(folder: Path, authority: trustme.CA) -> None:
    """Write what the servers read."""
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.crt").write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
    (folder / "token").write_text("none")
    authority.cert_pem.write_to_path(folder / "ca.crt")


@contextmanager
def injector(folder: Path) -> Iterator[Server]:
    """The injector, ready."""
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


@contextmanager
def floor(kind: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A server that decides nothing, listening: its process and its port."""
    (port,) = _free_ports(1)
    program = Path(__file__).with_name("webhook_floor.py")
    process = subprocess.Popen(
        [
            *(sys.executable, str(program), kind, f"--port={port}"),
            *(f"--certificate={folder / 'tls.crt'}", f"--key={folder / 'tls.key'}"),
            f"--answer={folder / 'answer'}",
        ]
    )
    try:
        started = time.perf_counter()
        while not _listens(port):
            if process.poll() is not None or time.perf_counter() - started > _READY_WITHIN:
                sys.exit(f"the server '{kind}' did not listen")
            time.sleep(0.01)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


class Connection:
    """One connection that stays open; HTTP by hand, so that the client costs little."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        plain = socket.create_connection(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")

    def review(self, request: bytes) -> tuple[bytes, float]:
        """Send one; returns its answer and when that was there.

        Raises: RuntimeError when it holds no patch.
        """
        self._socket.sendall(request)
        answer = self._socket.recv(65536)
        while (missing := _missing(answer)) and (more := self._socket.recv(missing)):
            answer += more
        now = time.perf_counter()
        head, _, text = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200") or b'"patch"' not in text:
            message = f"not injected: {answer!r}"
            raise RuntimeError(message)
        return text, now

    def close(self) -> None:
        """Let it go."""
        self._socket.close()


def _missing(answer: bytes) -> int:
    """How many bytes are still to come, at least."""
    head, end, text = answer.partition(b"\r\n\r\n")
    if not end:
        return 1
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) - len(text)


def connect(port: int, authority: trustme.CA) -> list[Connection]:
    """The API server's connections."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return [Connection(port, context) for _ in range(_CONNECTIONS)]


def requests(replicas: int = _REPLICAS) -> Iterator[bytes]:
    """Reviews without end, as the API server sends them: a pod that is made for a ReplicaSet has the
    start of a name only."""
    for number in itertools.count():
        uid = f"00000000-0000-4000-8000-{number:012}"
        app = f"orders-{number // replicas}"
        made = pod(
            labels={"app": app, "pod-template-hash": "6d4cf56db6"},
            owner=("ReplicaSet", f"{app}-6d4cf56db6"),
            generate_name=f"{app}-6d4cf56db6-",
            **_spec(f"kube-api-access-{number % 10**5:05}"),
        )
        data = body(made, uid=uid)
        yield (
            b"POST /mutate?timeout=5s HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: " + str(len(data)).encode() + b"\r\n\r\n" + data
        )


def _spec(token: str) -> dict[str, Any]:
    """Of a pod, with the volume that the API server gives each before its review."""
    volumes = [f"volume-{number}" for number in range(4)]
    return {
        "serviceAccountName": "orders",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [
            *({"name": name, "emptyDir": {}} for name in volumes),
            {"name": token, "projected": {"defaultMode": 420, "sources": []}},
        ],
        "containers": [
            {
                "name": name,
                "image": f"registry.example.org/{name}:1.2.3",
                "env": [{"name": f"SETTING_{n}", "value": "x" * 40} for n in range(20)],
                "ports": [{"containerPort": 8080}],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                "volumeMounts": [
                    {"name": volume, "mountPath": f"/{volume}"} for volume in (*volumes, token)
                ],
            }
            for name in ("orders", "proxy")
        ],
    }


def latencies(
    connections: list[Connection], rate: float, seconds: float, replicas: int = _REPLICAS
) -> list[float]:
    """Seconds from when each review was due to its answer.

    Connection n sends review n and every eighth after it, each when it is due or, when the one before
    it has no answer yet, as soon as that has come.
    """
    wanted = list(itertools.islice(requests(replicas), int(rate * seconds)))
    taken: list[float] = []
    begin = time.perf_counter() + 0.01

    def send(first: int) -> None:
        for number in range(first, len(wanted), len(connections)):
            due = begin + number / rate
            time.sleep(max(0.0, due - time.perf_counter() - _COARSE))
            while time.perf_counter() < due:
                pass
            _, answered = connections[first].review(wanted[number])
            taken.append(answered - due)

    _in_threads(send)
    return taken


def full_speed(connections: list[Connection], count: int, replicas: int) -> None:
    """So many reviews, each as soon as a connection is free."""
    wanted = list(itertools.islice(requests(replicas), count))

    def send(first: int) -> None:
        for request in wanted[first :: len(connections)]:
            connections[first].review(request)

    _in_threads(send)


def _in_threads(send: Callable[[int], None]) -> None:
    """Call it once for each connection, at the same time."""
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        list(pool.map(send, range(_CONNECTIONS)))  # raises what one of them has raised


def measure(rate: float, seconds: float, count: int, replicas: int) -> None:
    """Measure all of it, and print two tables."""
    authority = trustme.CA()
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        files(folder, authority)
        server = undo.enter_context(injector(folder))
        ours = Measured(connect(server.port, authority), server.pid)
        answer, _ = ours.connections[0].review(next(requests()))
        (folder / "answer").write_bytes(answer)
        all_of_them = {"injector": ours}
        for kind in _FLOORS:
            pid, port = undo.enter_context(floor(kind, folder))
            all_of_them[kind] = Measured(connect(port, authority), pid)
        for one in all_of_them.values():
            latencies(one.connections, rate, 1.0)  # warm
        inside = [0.0, 0]
        for turn in range(_ROUNDS):
            for one in list(all_of_them.values())[:: 1 if turn % 2 else -1]:
                before, begin = server.inside(), procfs.read(one.pid).cpu
                taken = latencies(one.connections, rate, seconds / _ROUNDS, replicas)
                one.at_rate.append((procfs.read(one.pid).cpu - begin) / len(taken))
                one.taken.append(taken)
                inside = [
                    a + b - c for a, b, c in zip(inside, server.inside(), before, strict=True)
                ]
                begin = procfs.read(one.pid).cpu
                full_speed(one.connections, count // _ROUNDS, replicas)
                one.at_full_speed.append((procfs.read(one.pid).cpu - begin) / (count // _ROUNDS))
        memory = procfs.read(server.pid).peak
        for one in all_of_them.values():
            for connection in one.connections:
                connection.close()
    size = len(next(requests()))
    print(
        f"Reviews of {size:,} bytes, {replicas} of each Deployment, {_CONNECTIONS} connections:\n"
    )
    print("| | |\n|---|---|")
    print(f"| ready after the start | {server.ready:.2f} s |")
    print(
        f"| between a review's last byte and its answer, mean | {inside[0] / inside[1] * 1e3:.2f} ms |"
    )
    print(
        f"| reviews a second of CPU, at full speed | {1 / statistics.median(ours.at_full_speed):,.0f} |"
    )
    print(f"| memory at most | {memory / 1e6:.0f} MB |\n")
    compare(all_of_them, rate)


def compare(servers: Mapping[str, Measured], rate: float) -> None:
    """Print the servers beside each other, and the first against the last."""
    print(f"| median of {_ROUNDS} rounds | {' | '.join(servers)} | ratio |")
    print(f"|---|{'---|' * len(servers)}---|")
    rows = {
        f"p50 at {rate:.0f} a second, µs": [one.p(50) for one in servers.values()],
        f"p99 at {rate:.0f} a second, µs": [one.p(99) for one in servers.values()],
        f"CPU at {rate:.0f} a second, µs": [
            statistics.median(one.at_rate) for one in servers.values()
        ],
        "CPU at full speed, µs": [statistics.median(one.at_full_speed) for one in servers.values()],
    }
    for name, values in rows.items():
        shown = " | ".join(f"{value * 1e6:,.0f}" for value in values)
        print(f"| {name} | {shown} | {values[0] / values[-1]:.2f} |")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


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
    parser.add_argument("--replicas", type=int, default=_REPLICAS, help="pods of each Deployment")
    given = parser.parse_args()
    measure(given.rate, given.seconds, given.count, given.replicas)


if __name__ == "__main__":
    main()
