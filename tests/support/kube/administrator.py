"""The chart's etcd as its administrator sees it, from this machine."""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from pathlib import Path

from support.kube.kubectl import Kubectl

SYSTEM = "tenure-system"


def etcdctl(kubectl: Kubectl, *words: str) -> str:
    """What etcd's own command line prints, as administrator."""
    address = kubectl.using("-n", SYSTEM).get("service", "tenure-etcd")["spec"]["clusterIP"]
    with tempfile.TemporaryDirectory() as place:
        for key, text in data_of(kubectl, "tenure-etcd-root").items():
            (Path(place) / key).write_bytes(text)
        ran = subprocess.run(
            [
                Path(sys.executable).parent / "etcdctl",
                f"--endpoints=https://{address}:2379",
                # The certificate is for the Service's name, which this machine does not know.
                "--insecure-skip-tls-verify",
                f"--cert={place}/tls.crt",
                f"--key={place}/tls.key",
                *words,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def data_of(kubectl: Kubectl, name: str) -> dict[str, bytes]:
    """What a Secret of the release holds."""
    secret = kubectl.using("-n", SYSTEM).get("secret", name)
    return {key: base64.b64decode(text) for key, text in (secret.get("data") or {}).items()}
