"""Databases of every released schema: each workflow in them goes on to the end that it had coming.

In scope: migration of real files, and histories that are replayed.  Out of scope: single records
(unit/engine/test_golden).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.golden import STORES, engine, goes_on
from tenure_sidecar.store.sqlite.schema import VERSION

GOLDEN = sorted(STORES.glob("schema-*.db"))


def test_the_present_schema_has_its_database() -> None:
    assert STORES / f"schema-{VERSION}.db" in GOLDEN


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
async def test_every_workflow_goes_on_to_its_end(golden: Path, tmp_path: Path) -> None:
    path = tmp_path / "tenure.db"
    shutil.copy(golden, path)
    one, store = await engine(path)
    await goes_on(one)
    await one.host.stop()
    await store.close()
