"""A real ``tenure gateway`` process for tests, and what seeds its store."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.engine import EngineProcess
from support.ports import free_ports

WITHIN = 60.0  # seconds; a bound for a broken gateway, not a target


class GatewayProcess:
    """``tenure gateway`` on an etcd store; on loopback without callers unless ``args`` say more."""

    def __init__(
        self, folder: Path, store: str, *, args: Sequence[str] = (), scheme: str = "http"
    ) -> None:
        self.folder = folder
        self.port, self.health_port = free_ports(2)
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.log = folder / "gateway.log"
        self._arguments = [
            f"--store={store}",
            f"--gateway-port={self.port}",
            "--health-host=127.0.0.1",
            f"--health-port={self.health_port}",
            *args,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it is ready."""
        self.launch()
        self.until(lambda: self.health("/readyz") == (200, "ok"))

    def launch(self) -> None:
        """Start and do not wait."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tenure_sidecar", "gateway", *self._arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + WITHIN
        while not true():
            assert self.process is not None
            assert self.process.poll() is None, self.tail()
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.05)

    def health(self, path: str) -> tuple[int, str]:
        """Status and text of the health port; 0 when nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}") as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode().strip()
        except (urllib.error.URLError, ConnectionError):
            return 0, ""

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        lines = self.health("/metrics")[1].splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body of a request without TLS or caller."""
        request = urllib.request.Request(  # noqa: S310
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            method=method,
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def tail(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=WITHIN)

    def close(self) -> None:
        """Make sure that nothing is left."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()


def seed(folder: Path, store: str, namespace: str, app: str, instances: Sequence[str]) -> None:
    """Make an app that has instances: its sidecar runs, takes them, and stops."""
    folder.mkdir(parents=True, exist_ok=True)
    sidecar = EngineProcess(
        folder, role="sidecar", app_id=app, store=store, args=[f"--namespace={namespace}"]
    )
    sidecar.start()
    try:
        for one in instances:
            request = urllib.request.Request(  # noqa: S310
                f"{sidecar.http_url}/v1alpha1/apps/{app}/instances/{quote(one, safe='')}",
                json.dumps({"workflow": "Order"}).encode(),
                method="PUT",
            )
            urllib.request.urlopen(request).close()  # noqa: S310
        assert sidecar.stop() == 0
    finally:
        sidecar.close()
