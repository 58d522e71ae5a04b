"""The operator as a process, with the rights of its service account and no others."""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path

from support.kube.processes import Program
from support.ports import free_ports

ROOT = Path(__file__).resolve().parents[3]
READY_WITHIN = 120.0  # seconds; a bound for a loaded machine


def operator_process(
    folder: Path,
    *,
    kubeconfig: Path,
    gateway: str,
    lease: str,
    name: str = "operator",
    **settings: str,
) -> OperatorProcess:
    """An operator that is not started yet; ``lease`` is the namespace of its Lease."""
    return OperatorProcess(folder, kubeconfig, gateway, lease, name, settings)


class OperatorProcess(Program):
    """``python -m tenure_operator``."""

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        gateway: str,
        lease: str,
        name: str,
        settings: dict[str, str],
    ) -> None:
        (self.port,) = free_ports(1)
        flags = {
            "gateway": gateway,
            "kubeconfig": str(kubeconfig),
            "lease-namespace": lease,
            "identity": name,
            "health-host": "127.0.0.1",
            "health-port": str(self.port),
            "log-format": "json",
            **{key.replace("_", "-"): value for key, value in settings.items()},
        }
        command = [sys.executable, "-m", "tenure_operator"]
        command += [f"--{key}={value}" for key, value in flags.items()]
        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        super().__init__(name, command, log=folder / f"{name}.log", env=env)

    def ready(self) -> None:
        """Start, and wait until it leads and watches."""
        self.start()
        self.wait_until("leading", self.leading, within=READY_WITHIN)

    def leading(self) -> bool:
        """Whether it holds the lease."""
        return self.metric("tenure_operator_leading") == 1.0

    def metric(self, name: str, label: str = "") -> float:
        """A number of its metrics; those with labels are added up, or only those with ``label``."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        found = [
            line.rpartition(" ")[2]
            for line in lines
            if line.partition("{")[0].split(" ")[0] == name and label in line
        ]
        return sum(float(value) for value in found)
