"""The programs in Go that pages of the documentation have: built against the released SDKs, and run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.sdks import BY_KEY
from support.engine import EngineProcess
from support.pages import files
from support.sdks import LOCKS, environment

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"

pytestmark = pytest.mark.timeout(900)  # an environment may have to be built first


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path, app_id="orders")
    engine.start()
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("key", "page", "shows"),
    [
        ("dapr-go", "from-dapr.md", 'COMPLETED "charged 25"'),
        ("ms-go", "from-durable-task.md", 'ORCHESTRATION_STATUS_COMPLETED "charged 25"'),
    ],
)
def test_program_of_a_page(
    key: str, page: str, shows: str, engine: EngineProcess, tmp_path: Path
) -> None:
    environment(BY_KEY[key])  # what the program is built from is there then
    text = (PAGES / page).read_text()
    source = dict(files(text))["orders.go"]
    (tmp_path / "orders.go").write_text(source.replace("localhost:4001", engine.taskhub_address))
    for name in ("go.mod", "go.sum"):
        shutil.copy(LOCKS / key / name, tmp_path)
    env = {**os.environ, "DAPR_GRPC_PORT": str(engine.grpc_port)}
    ran = subprocess.run(
        ["go", "run", "-mod=readonly", "."],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == shows
    assert f"`{shows}`" in text
