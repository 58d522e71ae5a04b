"""The real helm, and the chart rendered by it without a cluster."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from support.kube.programs import programs

CHART = Path(__file__).resolve().parents[2] / "charts" / "tenure"
NAMESPACE = "tenure-system"

Json = dict[str, Any]
EXAMPLES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*.yaml"))


class HelmError(AssertionError):
    """helm refused; the message is what it said."""


class Helm:
    """helm with folders of its own, so that nothing of the user's counts."""

    def __init__(self, folder: Path, *, kubeconfig: Path | None = None) -> None:
        """Raises: UnavailableError when this machine cannot build it."""
        self._program = programs() / "helm"
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HELM_", "KUBE"))},
            "HELM_CACHE_HOME": str(folder / "cache"),
            "HELM_CONFIG_HOME": str(folder / "config"),
            "HELM_DATA_HOME": str(folder / "data"),
            "KUBECONFIG": str(kubeconfig or folder / "none"),
            "KUBECACHEDIR": str(folder / "kube"),
        }

    def __call__(self, *words: str | Path, within: float = 240.0) -> str:
        """What it prints.  Raises: HelmError."""
        ran = subprocess.run(
            [self._program, *words],
            capture_output=True,
            text=True,
            check=False,
            env=self.env,
            timeout=within,
        )
        if ran.returncode:
            raise HelmError(ran.stderr)
        return ran.stdout

    def template(
        self, *words: str | Path, release: str = "tenure", namespace: str = NAMESPACE
    ) -> list[Json]:
        """The objects that an installation would make."""
        text = self("template", release, CHART, "--namespace", namespace, *words)
        return [one for one in yaml.safe_load_all(text) if one]


def values(*files: Path) -> list[str | Path]:
    """Arguments that name values files."""
    return [word for file in files for word in ("--values", file)]


def example(name: str) -> list[str | Path]:
    """Arguments for one of the examples in ci/."""
    files = [CHART / "ci" / f"{name}-values.yaml"]
    return values(CHART / "values-ha.yaml", *files) if name == "ha" else values(*files)


def pods(objects: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """Kind and name of each workload, and its pod."""
    for one in objects:
        name = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] == "Pod":
            yield name, one
        elif one["kind"] in {"Deployment", "StatefulSet", "Job", "CronJob"}:
            spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one["spec"]
            yield name, {"apiVersion": "v1", "kind": "Pod", **spec["template"]}


def containers(pod: Json) -> list[Json]:
    """All containers of a pod."""
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


def of_kind(objects: Sequence[Json], kind: str) -> list[Json]:
    """All objects of a kind."""
    return [one for one in objects if one["kind"] == kind]


def named(objects: Sequence[Json], kind: str, name: str) -> Json:
    """One object."""
    (found,) = [one for one in of_kind(objects, kind) if one["metadata"]["name"] == name]
    return found
