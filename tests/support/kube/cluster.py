"""A cluster with real pods: a control plane, one node, and the images of the tests on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support.kube.controlplane import ControlPlane
from support.kube.images import of_the_tests
from support.kube.node import HERE, Node


class Cluster(NamedTuple):
    """What runs."""

    plane: ControlPlane
    node: Node


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster that is ready; at the end nothing is left of it but files below ``folder``.

    Raises: UnavailableError when this machine cannot run one.
    """
    plane = ControlPlane(folder / "plane", address=HERE)
    node = Node(plane, folder / "node")
    try:
        plane.start()
        node.start(*of_the_tests(folder))
        yield Cluster(plane, node)
    finally:
        node.stop()
        plane.stop()
