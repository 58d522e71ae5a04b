"""All scenarios: importing this module registers them."""

from __future__ import annotations

import importlib

from conformance.suite import SCENARIOS

GROUPS = (
    "basics",
    "failures",
    "retries",
    "timers",
    "events",
    "children",
    "generations",
    "control",
    "starting",
    "reading",
    "purging",
    "redoing",
    "versions",
    "workers",
    "crashes",
    "entities",
)
for _group in GROUPS:
    importlib.import_module(f"conformance.scenarios.{_group}")

__all__ = ["GROUPS", "SCENARIOS"]
