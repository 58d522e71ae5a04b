"""What the injector adds to the creation of a pod on a real API server: ``python bench/admission.py``.

API server, etcd and the injector as a process, with the chart's webhook configuration.  The same pod,
as a ReplicaSet makes it, is created for a dry run in turn in a namespace whose pods are reviewed and
in the injector's own, whose pods are not.  It prints

* *creation*: both medians and the median of the differences, pair by pair, as the client sees them;
* *call of the webhook*: the mean that the API server has counted for it, of these pods alone.

All programs share the machine: on few cores they take from each other.
"""

from __future__ import annotations

import argparse
import json
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.helm import Helm, example, of_kind
from support.injector import Injector, reached_by_url
from support.kube.controlplane import ControlPlane
from support.pods import pod

_HOME = "tenure-system"  # its pods are not reviewed
_SHOP = "shop"
_WARM = 50  # pods that do not count
_PAUSE = 0.01  # seconds between two pods: the injector sleeps, as it mostly does
_SERIES = "apiserver_admission_webhook_admission_duration_seconds_{}"
_WEBHOOK = 'name="label.inject.tenure.dev"'


def started(plane: ControlPlane, folder: Path) -> Injector:
    """The injector, with the chart's configuration and rights."""
    objects = Helm(folder / "helm").template(*example("injector"), namespace=_HOME)
    (deployment,) = of_kind(objects, "Deployment")
    injector = Injector(plane, deployment, folder)
    reached_by_url(objects, injector.url)
    for name in (_HOME, _SHOP):
        plane.kubectl("create", "namespace", name)
    plane.kubectl.apply(*(one for one in objects if one is not deployment))
    injector.start()
    return injector


def creation(plane: ControlPlane) -> Callable[[str], float]:
    """What creates the pod in a namespace, for a dry run, and returns the seconds that it took."""
    context = ssl.create_default_context(cafile=str(plane.certificates.authority))
    admin = plane.certificates.issue("admin-of-bench", group="system:masters")
    context.load_cert_chain(admin.certificate, admin.key)
    host, _, port = plane.server.removeprefix("https://").partition(":")
    connection = HTTPSConnection(host, int(port), context=context)
    made = pod(
        labels={"tenure.dev/inject": "true", "pod-template-hash": "6d4cf56db6"},
        owner=("ReplicaSet", "orders-6d4cf56db6"),
        generate_name="orders-6d4cf56db6-",
    )
    body = json.dumps(made)

    def create(namespace: str) -> float:
        begun = time.perf_counter()
        path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        taken = time.perf_counter() - begun
        if answer.status != HTTPStatus.CREATED:
            sys.exit(f"{answer.status}: {text!r}")
        engine = any(one["name"] == "tenure" for one in _inits(json.loads(text)))
        if engine is not (namespace == _SHOP):
            sys.exit(f"the pod of {namespace} has {'an' if engine else 'no'} engine")
        return taken

    return create


def _inits(made: dict[str, Any]) -> list[dict[str, Any]]:
    return made["spec"].get("initContainers") or []


def counted(plane: ControlPlane) -> tuple[float, float]:
    """Seconds that the API server has spent in calls of the webhook; how many."""
    lines = [one for one in plane.raw("/metrics").decode().splitlines() if _WEBHOOK in one]

    def total(what: str) -> float:
        start = _SERIES.format(what) + "{"
        return sum(float(one.rsplit(" ", 1)[1]) for one in lines if one.startswith(start))

    return total("sum"), total("count")


def measure(pairs: int) -> None:
    """Create them, and print a table."""
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="tenure-bench-")))
        plane = ControlPlane(folder / "cluster")
        plane.start()
        undo.callback(plane.stop)
        undo.callback(started(plane, folder).stop)
        create = creation(plane)
        for _ in range(_WARM):
            create(_HOME)
            create(_SHOP)
        before = counted(plane)
        taken: list[tuple[float, float]] = []
        for _ in range(pairs):
            time.sleep(_PAUSE)
            without = create(_HOME)
            time.sleep(_PAUSE)
            taken.append((without, create(_SHOP)))
        seconds, calls = (b - a for a, b in zip(before, counted(plane), strict=True))
    without, reviewed = (statistics.median(one) * 1e3 for one in zip(*taken, strict=True))
    more = statistics.median(b - a for a, b in taken) * 1e3
    print(f"{pairs} pairs of pods:\n\n| | ms |\n|---|---|")
    print(f"| creation without the webhook, median | {without:.2f} |")
    print(f"| with it | {reviewed:.2f} |")
    print(f"| difference of a pair, median | {more:.2f} |")
    print(f"| call of the webhook, mean of {calls:.0f} | {seconds / calls * 1e3:.2f} |")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=500)
    measure(parser.parse_args().pairs)


if __name__ == "__main__":
    main()
