"""The real kubectl, as a test uses it: arguments in, text or objects out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

LIMIT = 120.0  # seconds for one command


class KubectlError(AssertionError):
    """kubectl failed; the message is what it printed."""


class Kubectl:
    """kubectl with one kubeconfig, and with ``flags`` in front of each command."""

    def __init__(
        self, program: Path, kubeconfig: Path, *, cache: Path, flags: tuple[str, ...] = ()
    ) -> None:
        self.program = program
        self.kubeconfig = kubeconfig
        self._cache = cache
        self._flags = flags

    def using(self, *flags: str) -> Kubectl:
        """The same with more flags: ``using("-n", "team-a")``, ``using("--as=…")``."""
        more = (*self._flags, *flags)
        return Kubectl(self.program, self.kubeconfig, cache=self._cache, flags=more)

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        """What it printed.  Raises: KubectlError."""
        ran = self.run(*words, stdin=stdin)
        if ran.returncode:
            message = f"kubectl {' '.join(words)}: {ran.stderr.strip()}"
            raise KubectlError(message)
        return ran.stdout

    def fails(self, *words: str, stdin: str | None = None) -> str:
        """What it printed on standard error; that it failed is asserted."""
        ran = self.run(*words, stdin=stdin)
        assert ran.returncode, f"kubectl {' '.join(words)} worked:\n{ran.stdout}"
        return ran.stderr

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [str(self.program), *self._flags, *words],
            input=stdin,
            env={
                **os.environ,
                "KUBECONFIG": str(self.kubeconfig),
                "KUBECACHEDIR": str(self._cache),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )

    def apply(self, *objects: Mapping[str, Any] | str) -> str:
        """``kubectl apply`` of objects, or of YAML text."""
        return self("apply", "-f", "-", stdin=manifest(objects))

    def refuses(self, *objects: Mapping[str, Any] | str) -> str:
        """As ``apply``, but the API server must refuse; why it did."""
        return self.fails("apply", "-f", "-", stdin=manifest(objects))

    def get(self, kind: str, name: str) -> Any:
        """One object."""
        return json.loads(self("get", kind, name, "-o", "json"))

    def items(self, kind: str, *words: str) -> list[Any]:
        """All objects of a kind."""
        return list(json.loads(self("get", kind, "-o", "json", *words))["items"])


def manifest(objects: Iterable[Mapping[str, Any] | str]) -> str:
    """One YAML text of several objects."""
    return "\n---\n".join(
        one if isinstance(one, str) else yaml.safe_dump(dict(one)) for one in objects
    )
