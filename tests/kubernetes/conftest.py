"""A real control plane for all tests here, and a namespace of its own for each."""

from __future__ import annotations

from support.kube.fixtures import (
    control_plane,
    helm,
    installed,
    kubectl,
    namespace,
    pytest_collection_finish,
)

__all__ = [
    "control_plane",
    "helm",
    "installed",
    "kubectl",
    "namespace",
    "pytest_collection_finish",
]
