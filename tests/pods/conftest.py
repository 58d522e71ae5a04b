"""One cluster with real pods for all tests here."""

from __future__ import annotations

from support.kube.fixtures import cluster, pytest_collection_finish

__all__ = ["cluster", "pytest_collection_finish"]
