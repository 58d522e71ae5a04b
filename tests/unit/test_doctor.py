"""``tenure doctor``: which store it looks at, what it prints, its exit codes.

Out of scope: what the check finds (tests of the store).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tenure_common.errors import StoreError
from tenure_sidecar import doctor
from tenure_sidecar.config import StoreConfig
from tenure_sidecar.store.sqlite import SqliteStore


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A sound, empty store."""
    path = tmp_path / "tenure.db"

    async def make() -> None:
        store = SqliteStore(path, partitions=4)
        await store.open()
        await store.close()

    asyncio.run(make())
    return path


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENURE_STORE", "TENURE_CONFIG", "TENURE_HTTP_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_sound(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--store", f"sqlite:{database}"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"sqlite:{database}: sound\n"


def test_problems_are_one_a_line(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(config: StoreConfig) -> list[str]:
        assert config.store == f"sqlite:{database}"
        return ["page 3 is torn", "'i1' has no head"]

    monkeypatch.setattr(doctor, "check_store", found)
    assert doctor.main([f"--store=sqlite:{database}"]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["page 3 is torn", "'i1' has no head"]
    assert captured.err.endswith("2 problems\n")


def test_damage_is_found(database: Path) -> None:
    blob = bytearray(database.read_bytes())
    blob[4096 + 8 : 4096 + 64] = b"\xff" * 56
    database.write_bytes(blob)
    assert doctor.main(["--store", f"sqlite:{database}"]) != 0


def test_variable_and_file_name_the_store(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENURE_STORE", f"sqlite:{database}")
    monkeypatch.setenv("TENURE_HTTP_PORT", "3501")  # of another command
    assert doctor.main([]) == 0
    monkeypatch.delenv("TENURE_STORE")
    file = tmp_path / "tenure.toml"
    file.write_text(f"store = 'sqlite:{database}'\nhttp-port = 3501\n", encoding="utf-8")
    assert doctor.main(["--config", str(file)]) == 0


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        pytest.param(
            ["--store", "sqlite:/no/such.db"], StoreError.exit, "/no/such.db", id="no-file"
        ),
        pytest.param(["--store", "etcd:https://x"], 2, "etcd://HOST", id="no-etcd-address"),
        pytest.param(["--store", "postgres://x"], 2, "sqlite:PATH", id="other-store"),
        pytest.param(["--store", "sqlite:"], 2, "sqlite:PATH", id="no-path"),
        pytest.param(["--stroe", "x"], 2, "did you mean --store", id="misspelt"),
        pytest.param(["--config", "/no/such.toml"], 2, "/no/such.toml", id="no-settings-file"),
    ],
)
def test_refusals(
    argv: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main(argv) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--help"]) == 0
    assert "--store" in capsys.readouterr().out
