"""One release of the chart in a control plane without nodes: objects are made, pods stay Pending."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from support.helm import CHART, Helm
from support.kube.controlplane import ControlPlane

# They are the whole cluster's, so one release at a time can have them.
WITHOUT_DEFINITIONS = ("--set", "crds.enabled=false")


class Release:
    """One release in a namespace of its own, where *restricted* is enforced."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self.name = f"tenure-{secrets.token_hex(3)}"
        self.injector = f"{self.name}-injector"
        self.kubectl = control_plane.kubectl.using("-n", self.name)
        self._helm = Helm(folder, kubeconfig=control_plane.admin)
        self.kubectl("create", "namespace", self.name)
        self.kubectl(
            "label", "namespace", self.name, "pod-security.kubernetes.io/enforce=restricted"
        )

    def helm(self, verb: str, *words: str | Path) -> str:
        """One command of helm about this release."""
        return self._helm(verb, self.name, *words, "--namespace", self.name)

    def install(self, *words: str | Path) -> None:
        """Install the chart."""
        self.helm("install", CHART, *words)

    def upkeep(self, control_plane: ControlPlane, folder: Path, *words: str) -> None:
        """Run the upkeep here, with its account's rights, for all but etcd, which needs a node."""
        command = self._upkeep(control_plane, folder, account="upkeep")
        subprocess.run([*command, "--gateway=true", *words], check=True)

    @contextmanager
    def following(self, control_plane: ControlPlane, folder: Path) -> Generator[None]:
        """The one that follows namespaces, here, with its account's rights; again without etcd."""
        log = folder / "namespaces.log"
        command = self._upkeep(control_plane, folder, account="namespaces")
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--follow=true", "--health-host=127.0.0.1", "--health-port=0"],
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0, log.read_text()

    def _upkeep(self, control_plane: ControlPlane, folder: Path, *, account: str) -> list[str]:
        token = folder / f"{account}.token"
        token.write_text(self.kubectl("create", "token", f"{self.name}-{account}"))
        return [
            *(str(Path(sys.executable).parent / "tenure"), "upkeep"),
            *(f"--namespace={self.name}", f"--full-name={self.name}"),
            *(f"--api-server={control_plane.server}", f"--api-token-file={token}"),
            f"--api-ca-file={control_plane.certificates.authority}",
        ]

    def left(self, kind: str) -> list[str]:
        """Names of the release's objects of a kind, in the namespace or the whole cluster."""
        label = f"app.kubernetes.io/instance={self.name}"
        return self.kubectl("get", kind, "-l", label, "-o", "name").split()

    def close(self) -> None:
        """Take it away, whatever the test left of it."""
        self._helm("uninstall", self.name, "--namespace", self.name, "--ignore-not-found")
        self.kubectl("delete", "namespace", self.name, "--wait=false")
