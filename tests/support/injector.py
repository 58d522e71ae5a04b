"""The injector that the chart installs, run on this machine: no node is needed for it.

The process gets the arguments and variables of the chart's Deployment.  What a pod would have from
its node (its address, its token, how it finds the API server) is given by flags.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.kube.controlplane import ControlPlane
from support.ports import free_ports

Json = dict[str, Any]

READY_WITHIN = 60.0  # seconds; a bound for a broken injector, not a target


class Injector:
    """One process for a Deployment; ``url`` is where the API server reaches it."""

    def __init__(
        self,
        control_plane: ControlPlane,
        deployment: Json,
        folder: Path,
        *,
        replica: int = 0,
        api_server: str = "",
        flags: Sequence[str] = (),
    ) -> None:
        """Nothing runs yet.

        Args:
            control_plane: the cluster.
            deployment: of the chart.
            folder: for its log and its token.
            replica: which one of the Deployment's pods it is.
            api_server: URL by which it calls the cluster; the cluster's own unless given.
            flags: more than the Deployment's.
        """
        self.name: str = deployment["metadata"]["name"]
        self.namespace: str = deployment["metadata"]["namespace"]
        self.port, self.health = free_ports(2)
        self.url = f"https://127.0.0.1:{self.port}/mutate"
        self._kube = control_plane
        (self._container,) = deployment["spec"]["template"]["spec"]["containers"]
        self._pod = f"{self.name}-{replica}"
        self._api_server = api_server or control_plane.server
        self._flags = flags
        self._log = folder / f"{self.namespace}-{replica}.log"
        self._token = folder / f"{self.namespace}-{replica}.token"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with its account's rights, and wait until it is ready."""
        token = self._kube.kubectl("create", "token", self.name, "-n", self.namespace)
        self._token.write_text(token)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(Path(sys.executable).parent / "tenure"),
                    *self._container["args"],
                    "--certificate-names=127.0.0.1",
                    "--host=127.0.0.1",
                    f"--port={self.port}",
                    f"--health-port={self.health}",
                    f"--api-server={self._api_server}",
                    f"--api-token-file={self._token}",
                    f"--api-ca-file={self._kube.certificates.authority}",
                    "--drain=0",
                    *self._flags,
                ],
                env={**os.environ, **self._variables()},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + READY_WITHIN
        while not self._ready():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def terminate(self) -> None:
        """Ask it to stop, as the kubelet does; it may go on for as long as it drains."""
        assert self._process is not None
        self._process.terminate()

    def stop(self) -> None:
        """End it, without its draining."""
        deadline = time.monotonic() + READY_WITHIN
        while self._process is not None and self._process.poll() is None:
            assert time.monotonic() < deadline, self._log.read_text()
            self._process.terminate()
            time.sleep(0.05)

    def _variables(self) -> dict[str, str]:
        fields = {"metadata.namespace": self.namespace, "metadata.name": self._pod}
        return {
            one["name"]: one["value"]
            if "value" in one
            else fields[one["valueFrom"]["fieldRef"]["fieldPath"]]
            for one in self._container["env"]
        }

    def _ready(self) -> bool:
        return self.not_ready() == ""

    def not_ready(self) -> str:
        """Why it is not ready, as the kubelet would hear it; empty when it is."""
        try:
            self._asked("/readyz")
        except urllib.error.HTTPError as error:
            return error.read().decode().strip() or str(error)
        except OSError as error:
            return str(error)
        return ""

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; labels may be part of ``name``."""
        plain = re.escape(name) if "{" in name else re.escape(name) + r"(?:\{[^}]*\})?"
        found = re.findall(rf"^{plain} (\S+)$", self._asked("/metrics"), re.MULTILINE)
        return sum(map(float, found))

    def tail(self) -> str:
        """What it logged."""
        return self._log.read_text()

    def _asked(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.health}{path}"
        with urllib.request.urlopen(url, timeout=READY_WITHIN) as answer:
            return str(answer.read().decode())


def reached_by_url(objects: Sequence[Json], url: str) -> None:
    """Let the API server call ``url`` in place of the Service, which nothing routes to."""
    for one in objects:
        if one["kind"] == "MutatingWebhookConfiguration":
            for webhook in one["webhooks"]:
                webhook["clientConfig"] = {"url": url}
