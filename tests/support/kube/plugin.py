"""``kubectl tenure`` as a user runs it, and a gateway on this machine that the API server calls."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trustme

from support.gateway import GatewayProcess
from support.helm import Helm, example
from support.kube.controlplane import ControlPlane
from support.ports import free_ports

LIMIT = 180.0  # seconds; a bound for what hangs, not a target
KINDS = {"APIService", "ClusterRole", "ClusterRoleBinding", "RoleBinding", "ServiceAccount"}


class Plugin:
    """kubectl with the plugin on its path."""

    def __init__(self, folder: Path, control_plane: ControlPlane, kubeconfig: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._kubectl = control_plane.bin / "kubectl"
        self._folder = folder
        self._kubeconfig = kubeconfig
        program = folder / "kubectl-tenure"
        paths = [path for path in sys.path if path]
        program.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path[:0] = {paths!r}\n"
            "from tenure_cli.kubectl import main\nsys.exit(main())\n"
        )
        program.chmod(0o755)

    @property
    def env(self) -> dict[str, str]:
        path = os.pathsep.join((str(self._folder), str(self._kubectl.parent), os.environ["PATH"]))
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("TENURE_")},
            "PATH": path,
            "KUBECONFIG": str(self._kubeconfig),
            "KUBECACHEDIR": str(self._folder / "cache"),
            "TMPDIR": str(self._folder),
            "NO_COLOR": "1",
        }

    def command(self, *words: str) -> list[str]:
        return [str(self._kubectl), "tenure", *words]

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )

    def __call__(self, *words: str) -> str:
        """What it printed; that it worked is asserted."""
        ran = self.run(*words)
        assert ran.returncode == 0, ran.stderr + ran.stdout
        return ran.stdout

    def fails(self, *words: str, code: int) -> str:
        """What it printed on standard error; the exit code is asserted."""
        ran = self.run(*words)
        assert ran.returncode == code, f"{ran.returncode}: {ran.stderr}{ran.stdout}"
        assert "Traceback" not in ran.stderr
        return ran.stderr

    def left(self) -> list[str]:
        """Sockets of kubectl that were not taken away."""
        return [path.name for path in self._folder.glob("tenure-*")]


class AggregatedGateway:
    """A gateway process and the chart's objects, with a Service that leads to this machine."""

    def __init__(
        self, folder: Path, control_plane: ControlPlane, helm: Helm, *, home: str, store: str
    ) -> None:
        self._plane = control_plane
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = f"{home}-gateway"
        self.service = f"{self.name}-kubernetes-api"
        (self.port,) = free_ports(1)
        rendered = helm.template(*example("default"), release=home, namespace=home)
        self.objects = [one for one in rendered if self._is_ours(one)]
        self.cert, self.key, self.ca = (folder / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self.certify()
        self._token = folder / "token"
        control_plane.kubectl("create", "namespace", home)
        control_plane.kubectl.apply(*self.objects, self._leads_here(home))
        self.objects.append(self._leads_here(home))
        self._token.write_text(
            control_plane.kubectl("create", "token", self.name, "-n", home).strip()
        )
        access = folder / "access.toml"
        access.write_text('[callers.operator]\ntokens = ["operator-0123456789"]\n')
        self.process = GatewayProcess(
            folder,
            store,
            scheme="https",
            args=(
                f"--tls-cert={self.cert}",
                f"--tls-key={self.key}",
                f"--access-file={access}",
                "--kubernetes-api",
                f"--kubernetes-port={self.port}",
                f"--kubernetes-ca={self.ca}",
                f"--api-server={control_plane.server}",
                f"--api-ca-file={control_plane.certificates.authority}",
                f"--api-token-file={self._token}",
            ),
        )

    def _is_ours(self, one: dict[str, Any]) -> bool:
        name = one["metadata"]["name"]
        ours = name.startswith(self.name) or "-manage-" in name or one["kind"] == "APIService"
        return one["kind"] in KINDS and ours

    def certify(self) -> None:
        """A certificate of a new authority."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        home = self.name.removesuffix("-gateway")
        leaf = authority.issue_cert(f"{self.service}.{home}.svc", "127.0.0.1")
        leaf.cert_chain_pems[0].write_to_path(self.cert)
        leaf.private_key_pem.write_to_path(self.key)

    def _leads_here(self, home: str) -> dict[str, Any]:
        for one in self.objects:
            if one["kind"] == "APIService":
                one["spec"]["service"]["port"] = self.port
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self.service, "namespace": home},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }

    def available(self) -> bool:
        """Whether the API server passes requests on."""
        found = self._plane.kubectl.get("apiservice", "v1alpha1.manage.tenure.dev")
        conditions = found.get("status", {}).get("conditions", ())
        return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)

    def close(self, kinds: Sequence[str] = ("ServiceAccount",)) -> None:
        """End it, and take its objects away."""
        self.process.close()
        home = self.name.removesuffix("-gateway")
        for one in self.objects:
            if one["kind"] not in kinds:
                words = ("delete", one["kind"], one["metadata"]["name"], "--ignore-not-found")
                where = one["metadata"].get("namespace", home)
                self._plane.kubectl(*words, "-n", where)
        self._plane.kubectl("delete", "namespace", home, "--wait=false")
