"""The real kubectl, as a test uses it: arguments in, text or objects out.

What a test looks at again and again until something has happened (``get``, ``items``) is read from the
API server without a process, where that says the same: each kubectl costs a tenth of a second of a
processor.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml

LIMIT = 300.0  # seconds for one command


_OURS, _CORE, _APPS = "apis/tenure.dev/v1alpha1", "api/v1", "apis/apps/v1"
_PLACES: Final[Mapping[str, str]] = {
    "workflow": _OURS,
    "workflowschedule": _OURS,
    "workflowevent": _OURS,
    "workflowapp": _OURS,
    "pod": _CORE,
    "event": _CORE,
    "secret": _CORE,
    "configmap": _CORE,
    "deployment": _APPS,
    "statefulset": _APPS,
    "job": "apis/batch/v1",
}  # all of them are in namespaces
_CHOICES: Final[Mapping[str, str]] = {
    "--selector": "labelSelector",
    "--field-selector": "fieldSelector",
}


class KubectlError(AssertionError):
    """kubectl failed; the message is what it printed."""


class Kubectl:
    """kubectl with one kubeconfig, and with ``flags`` in front of each command."""

    def __init__(
        self,
        program: Path,
        kubeconfig: Path,
        *,
        cache: Path,
        read: Callable[[str], Any] | None = None,
        flags: tuple[str, ...] = (),
    ) -> None:
        """``read`` returns what the API server has at a path, as ``kubeconfig``'s user sees it; it
        raises AssertionError, OSError or HTTPException.  Without it kubectl reads everything."""
        self.program = program
        self._read = read
        self.kubeconfig = kubeconfig
        self._cache = cache
        self._flags = flags

    def using(self, *flags: str) -> Kubectl:
        """The same with more flags: ``using("-n", "team-a")``, ``using("--as=…")``."""
        more = (*self._flags, *flags)
        return Kubectl(
            self.program, self.kubeconfig, cache=self._cache, read=self._read, flags=more
        )

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
        """One object.  Raises: KubectlError."""
        place = self._place(kind)
        if place is None:
            return json.loads(self("get", kind, name, "-o", "json"))
        return self._at(f"{place}/{name}")

    def items(self, kind: str, *words: str) -> list[Any]:
        """All objects of a kind.  Raises: KubectlError."""
        place = self._place(kind)
        choices = [one.partition("=") for one in words]
        if place is None or any(key not in _CHOICES for key, _, _ in choices):
            return list(json.loads(self("get", kind, "-o", "json", *words))["items"])
        query = "&".join(f"{_CHOICES[key]}={quote(value)}" for key, _, value in choices)
        found = self._at(f"{place}?{query}")
        told = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
        return [{**told, **one} for one in found["items"]]

    def _place(self, kind: str) -> str | None:
        """The path of a kind's objects; None when only kubectl itself knows what is meant."""
        if self._read is None:
            return None
        match self._flags:
            case ():
                namespace = "default"
            case ("-n", namespace):
                pass
            case _:
                return None
        singular = kind.removesuffix("s")
        if singular not in _PLACES:
            return None
        return f"/{_PLACES[singular]}/namespaces/{namespace}/{singular}s"

    def _at(self, path: str) -> Any:
        assert self._read is not None
        try:
            return self._read(path)
        except (AssertionError, OSError, HTTPException) as error:
            raise KubectlError(str(error)) from error


def manifest(objects: Iterable[Mapping[str, Any] | str]) -> str:
    """One YAML text of several objects."""
    return "\n---\n".join(
        one if isinstance(one, str) else yaml.safe_dump(dict(one)) for one in objects
    )
