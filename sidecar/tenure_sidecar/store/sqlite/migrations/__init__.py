"""The schema's history: one module per version, applied in order, never edited once released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.store.sqlite.migrations import m0001, m0002, m0003

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m0001.migrate,
    m0002.migrate,
    m0003.migrate,
)
