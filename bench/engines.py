"""The processes of a benchmark: an engine (NULL or Tenure) and the app under it.

Each is started, waited for until it says that it is ready, and ended by its own process id.  What
they print goes to log files in the benchmark's folder, whose tail is shown when one dies.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from support.etcd import Cluster

ROOT: Final = Path(__file__).resolve().parents[1]
BENCH: Final = ROOT / "bench"
_READY_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Sdk:
    """A released SDK: the key of its locked environment, and its family in ``app.py``."""

    key: str
    title: str
    family: str
    flavour: str


SDKS: Final = {
    sdk.key: sdk
    for sdk in (
        Sdk("dapr-py-1.19", "dapr 1.19.0", "dapr", "dapr"),
        Sdk("dapr-py-1.18", "dapr-ext-workflow 1.18.3", "dapr", "dapr"),
        Sdk("ms-py", "durabletask 1.12.0", "durabletask", "microsoft"),
    )
}


class ProcessDiedError(Exception):
    """A process of the benchmark ended when it should not."""


def python_of(sdk: Sdk) -> str:
    """The interpreter of the SDK's own environment, which is built when it is missing."""
    for folder in (ROOT / "tests",):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    from conformance.sdks import SDKS as LOCKED
    from support.sdks import environment

    locked = next(one for one in LOCKED if one.key == sdk.key)
    return environment(locked).command[0]


class Process:
    """A child that reports on standard output and logs to a file."""

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path, stdin: int | None = None
    ) -> None:
        self.name = name
        self._log = folder / f"{name}-{time.monotonic_ns()}.log"
        with self._log.open("w") as log:
            self.popen = subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=stdin if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self.popen.pid

    def line(self, *, patience: float = _READY_SECONDS) -> str:
        """The next line of its output.  Raises ProcessDiedError when none comes."""
        out = self.popen.stdout
        if out is None:
            raise AssertionError
        ready, _, _ = select.select([out], [], [], patience)
        text = out.readline().decode() if ready else ""
        if not text:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])
            message = f"{self.name} said nothing (exit {self.popen.poll()}):\n{tail}"
            raise ProcessDiedError(message)
        return text

    def end(self, *, how: int = signal.SIGTERM) -> None:
        """Stop it and wait; SIGKILL after ten seconds."""
        if self.popen.poll() is None:
            self.popen.send_signal(how)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pipe in (self.popen.stdout, self.popen.stdin):
            if pipe is not None:
                pipe.close()


class Engine:
    """A running engine; ``ports`` by flavour, ``etcd`` when its store is there."""

    def __init__(
        self,
        name: str,
        process: Process,
        ports: dict[str, int],
        http: int | None,
        etcd: Cluster | None = None,
    ) -> None:
        self.name = name
        self.process = process
        self.ports = ports
        self.http = http
        self.etcd = etcd

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def end(self) -> None:
        """Stop it, and its store."""
        self.process.end()
        if self.etcd is not None:
            self.etcd.__exit__()

    def commits(self) -> float | None:
        """Commits of the store since the start, by its own counter; None without a store."""
        if self.http is None:
            return None
        if self.etcd is not None:
            (member,) = self.etcd.members
            return member.metric(
                'grpc_server_started_total{grpc_method="Txn",'
                'grpc_service="etcdserverpb.KV",grpc_type="unary"}'
            )
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=10) as page:
            return metric(page.read().decode(), "tenure_store_commits_total")


def metric(page: str, name: str) -> float:
    """The sum of a metric's samples on a Prometheus page.  Raises KeyError when it has none."""
    values = [
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith((f"{name} ", f"{name}{{"))
    ]
    if not values:
        raise KeyError(name)
    return sum(values)


def start_null(folder: Path) -> Engine:
    """The null sidecar, both flavours."""
    ports = {"dapr": free_port(), "microsoft": free_port()}
    command = [sys.executable, str(BENCH / "null_sidecar.py"), *map(str, ports.values())]
    process = Process("null", command, folder=folder)
    process.line()
    return Engine("null", process, ports, None)


def start_tenure(
    folder: Path,
    *,
    database: str = "tenure.db",
    extra: Sequence[str] = (),
    python: Sequence[str] = (),
    etcd: Cluster | None = None,
) -> Engine:
    """``tenure dev`` with its store in ``folder``, or in ``etcd``; ``python``: interpreter and its
    options."""
    ports = {"dapr": free_port(), "microsoft": free_port()}
    http = free_port()
    store = f"sqlite:{folder / database}"
    if etcd is not None:
        store = f"etcd://127.0.0.1:{etcd.members[0].client_port}"
    command = [
        *(python or (sys.executable,)),
        *("-m", "tenure_sidecar", "dev", "--app-id", "bench"),
        *("--store", store),
        *("--grpc-port", str(ports["dapr"])),
        *("--taskhub-port", str(ports["microsoft"])),
        *("--http-port", str(http)),
        *extra,
    ]
    process = Process("tenure", command, folder=folder)
    process.line()
    return Engine("tenure", process, ports, http, etcd)


def start_on_etcd(folder: Path, *, extra: Sequence[str] = ()) -> Engine:
    """``tenure dev`` on an etcd of its own, one member on the disk of ``folder``."""
    from support.etcd import BUILT, Cluster

    cluster = Cluster(folder / "etcd", version=BUILT)
    cluster.__enter__()
    try:
        return start_tenure(folder, extra=extra, etcd=cluster)
    except BaseException:
        cluster.__exit__()
        raise


def start(name: str, folder: Path, *, extra: Sequence[str] = ()) -> Engine:
    """``null``, ``tenure`` (on SQLite) or ``etcd``; ``extra`` are Tenure's own options."""
    if name == "null":
        return start_null(folder)
    return (start_tenure if name == "tenure" else start_on_etcd)(folder, extra=extra)


class App:
    """A running app under an engine."""

    def __init__(self, sdk: Sdk, engine: Engine, *, folder: Path) -> None:
        port = engine.ports[sdk.flavour]
        command = [python_of(sdk), str(BENCH / "app.py"), sdk.family, str(port)]
        self._process = Process("app", command, folder=folder, stdin=subprocess.PIPE)
        self._process.line()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def reset(self) -> None:
        """Forget what was recorded."""
        self._ask("reset")

    def report(self) -> dict[str, Any]:
        """What was recorded since the last reset (see ``app.py``)."""
        return self._ask("report")

    def _ask(self, command: str) -> dict[str, Any]:
        pipe = self._process.popen.stdin
        if pipe is None:
            raise AssertionError
        pipe.write(json.dumps({"do": command}).encode() + b"\n")
        pipe.flush()
        answer: dict[str, Any] = json.loads(self._process.line())
        return answer

    def end(self) -> None:
        """Kill it: an app may die at any time."""
        self._process.end(how=signal.SIGKILL)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
