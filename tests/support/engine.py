"""A real engine process (``tenure dev``, ``tenure sidecar``) for tests: started, killed, paused and
restarted at will.

The ports are chosen once, so that apps reconnect to the same address after a restart.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from support.ports import free_ports

READY_WITHIN = 120.0  # seconds; a bound for a broken engine, not a target


class EngineFailedError(AssertionError):
    """The engine did not start or ended by itself; carries what it printed."""


class EngineProcess:
    """An engine on one store (a database in ``folder`` unless given) and one set of ports.

    ``role`` is the command, ``dev`` or ``sidecar``; ``program`` what Python runs, at the next start
    too.
    """

    def __init__(
        self,
        folder: Path,
        *,
        args: Sequence[str] = (),
        app_id: str = "test",
        store: str = "",
        role: str = "dev",
        program: Sequence[str] = ("-m", "tenure_sidecar"),
        health_host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.program = program
        self._store = store
        self.database = folder / "tenure.db"
        self.grpc_port, self.taskhub_port, self.http_port, self.health_port = free_ports(4)
        self.log = folder / "engine.log"
        self.app_id = app_id
        self._role = role
        self._args = list(args)
        if role == "sidecar":
            self._args += [f"--health-port={self.health_port}", f"--health-host={health_host}"]
        self._process: subprocess.Popen[str] | None = None

    @property
    def grpc_address(self) -> str:
        """host:port of the Dapr flavour."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def taskhub_address(self) -> str:
        """host:port of the Microsoft flavour."""
        return f"127.0.0.1:{self.taskhub_port}"

    @property
    def http_url(self) -> str:
        """Base URL of the HTTP API."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int:
        """Process id of the running engine."""
        assert self._process is not None, "the engine is not running"
        return self._process.pid

    @property
    def health_url(self) -> str:
        """Base URL of health and metrics; of a sidecar."""
        return f"http://127.0.0.1:{self.health_port}"

    def start(self) -> str:
        """Start and wait for the ready line, which is returned."""
        self.launch()
        return self.ready()

    def launch(self) -> None:
        """Start and do not wait."""
        assert self._process is None or self._process.poll() is not None, "already running"
        command = [
            sys.executable,
            *self.program,
            self._role,
            f"--app-id={self.app_id}",
            f"--store={self._store or f'sqlite:{self.database}'}",
            f"--grpc-port={self.grpc_port}",
            f"--taskhub-port={self.taskhub_port}",
            f"--http-port={self.http_port}",
            *self._args,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.folder
            )

    def ready(self) -> str:
        """Wait for the ready line, which is returned."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        deadline = time.monotonic() + READY_WITHIN
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                if not selector.select(left):
                    continue
                line = process.stdout.readline()
                if " ready" in line:
                    return line.rstrip()
                if not line:
                    break
        process.kill()
        process.wait()
        message = f"the engine is not ready after {READY_WITHIN} s\n{self.tail()}"
        raise EngineFailedError(message)

    def workers(self) -> int:
        """Work streams that are connected."""
        with urllib.request.urlopen(f"{self.http_url}/v1.0/metadata") as answer:  # noqa: S310
            return int(json.load(answer)["workflows"]["connectedWorkers"])

    def metric(self, name: str) -> float:
        """Sum of one of its metrics over its labels; -1 when it does not answer.  Of a sidecar."""
        (found,) = self.metrics(name)
        return found

    def metrics(self, *names: str) -> list[float]:
        """As ``metric``, several in one answer, which costs the engine some milliseconds."""
        try:
            with urllib.request.urlopen(f"{self.health_url}/metrics", timeout=5) as answer:  # noqa: S310 - our own
                text = answer.read().decode()
        except OSError:
            return [-1.0] * len(names)
        found = [
            re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE) for name in names
        ]
        return [sum(map(float, one)) if one else -1.0 for one in found]

    def tail(self, lines: int = 40) -> str:
        """The last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """SIGKILL: the power goes out."""
        self._signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self._signal(signal.SIGTERM)
        return self._reap()

    def ended(self) -> int:
        """Wait for an end that nobody asked for; the exit code."""
        return self._reap()

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        self._signal(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    def _reap(self) -> int:
        assert self._process is not None
        code = self._process.wait(timeout=READY_WITHIN)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def close(self) -> None:
        """Make sure that nothing is left."""
        if self._process is None:
            return
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._reap()
