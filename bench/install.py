"""From ``helm install`` to the first workflow: ``python bench/install.py``.  Needs Linux and root.

A cluster is made for it alone (tests/support/kube), with the images on its node.  The time runs from
the start of ``helm install`` over the chart's pods, which are waited for, and the app's, to the first
Workflow resource Completed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "image"))

from support.helm import Helm
from support.kube.cluster import running
from support.kube.debian import tools
from support.kube.programs import programs
from support.kube.whole import deployment, prepared

GOAL = 60.0  # seconds


def main() -> int:
    """Install, and say how long each part took."""
    programs()
    tools()
    with tempfile.TemporaryDirectory(prefix="tenure-bench-") as place:
        folder = Path(place)
        with running(folder) as cluster:
            shop = prepared(cluster, Helm(folder / "helm", kubeconfig=cluster.plane.admin))
            begun = time.monotonic()
            shop.release("install")
            installed = time.monotonic()
            shop.kubectl.apply(deployment())
            shop.ready()
            ready = time.monotonic()
            shop.apply("first", "order", 1)
            shop.completed("first")
            done = time.monotonic()
    print(f"helm install, until the pods of the chart are ready: {installed - begun:.1f} s")
    print(f"the app's pod with its engine, until it is ready: {ready - installed:.1f} s")
    print(f"the first Workflow, until it is Completed: {done - ready:.1f} s")
    verdict = "met" if done - begun <= GOAL else "MISSED"
    print(
        f"helm install to first Workflow Completed: {done - begun:.1f} s ({verdict}: <= {GOAL:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
