"""Databases of every released schema: each workflow in them goes on to the end that it had coming.

In scope: migration of real files, and histories that are replayed.  Out of scope: single records
(unit/engine/test_golden).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.golden import ENDED, OUTPUTS, STORES, engine
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.sqlite.schema import VERSION

GOLDEN = sorted(STORES.glob("schema-*.db"))


def test_the_present_schema_has_its_database() -> None:
    assert STORES / f"schema-{VERSION}.db" in GOLDEN


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
async def test_every_workflow_goes_on_to_its_end(golden: Path, tmp_path: Path) -> None:
    path = tmp_path / "tenure.db"
    shutil.copy(golden, path)
    one, store = await engine(path)
    for instance_id, status in ENDED.items():
        head = await one.operations.head(instance_id)
        assert head is not None
        assert head.status is status
    for instance_id, status in (("suspended", Status.SUSPENDED), ("stalled", Status.STALLED)):
        head = await one.operations.head(instance_id)
        assert head is not None
        assert head.status is status
    worker = one.connect()
    await one.operations.resume("suspended", None)
    for instance_id, output in OUTPUTS.items():
        assert await one.finish(instance_id, within=60) == output
    assert [name for _, name in worker.effects].count("add") == 0, "a finished activity ran again"
    await one.host.stop()
    await store.close()
