"""The composition root's facts: when it is ready, and what is wrong when it is not.

Out of scope: what the parts do, and the process around it (tests/cluster).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tenure_common.errors import BadSettingError, PortInUseError
from tenure_sidecar.actors.loops import Loops
from tenure_sidecar.config import Config
from tenure_sidecar.runtime import Engine, ready_line
from tenure_sidecar.stores import open_store


def config(path: Path, **more: object) -> Config:
    settings: dict[str, object] = {
        "store": f"sqlite:{path}/tenure.db",
        "grpc_port": 0,
        "taskhub_port": 0,
        "http_port": 0,
        "grace": 0.1,
        **more,
    }
    return Config(**settings)  # type: ignore[arg-type]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    started = Engine(config(tmp_path))
    await started.start()
    try:
        yield started
    finally:
        await started.stop()


async def until(true: Callable[[], bool]) -> None:
    """Give the loop's other tasks their turns until it is so."""
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0)


async def test_it_is_ready_between_start_and_stop(tmp_path: Path) -> None:
    engine = Engine(config(tmp_path))
    assert engine.not_ready() == ["starting or stopping"]
    await engine.start()
    assert engine.not_ready() == []
    for word in ("app 'app'", str(engine.grpc_port), str(engine.taskhub_port)):
        assert word in ready_line(engine)
    await engine.stop()
    assert engine.not_ready() == ["starting or stopping"]


@pytest.mark.parametrize("of", [lambda e: e.loops, lambda e: e.host.loops], ids=["engine", "host"])
async def test_it_is_not_ready_while_a_background_loop_fails(
    engine: Engine, of: Callable[[Engine], Loops]
) -> None:
    async def broken() -> None:
        raise KeyError("a bug")

    of(engine).start("timers", broken)
    await until(lambda: engine.not_ready() != [])
    assert engine.not_ready() == ["timers fails and is restarted (KeyError: 'a bug')"]


async def test_every_background_loop_is_watched(engine: Engine) -> None:
    watched = {*engine.loops.failures, *engine.host.loops.failures}
    assert watched == {"dispatch sweep", "bulk jobs", "retention", "settings", "reminders"}


async def test_a_failed_start_can_be_stopped_and_leaves_the_store_free(
    engine: Engine, tmp_path: Path
) -> None:
    taken = Engine(config(tmp_path / "other", grpc_port=engine.grpc_port))
    with pytest.raises(PortInUseError):
        await taken.start()
    await taken.stop()
    again = Engine(config(tmp_path / "other"))
    await again.start()
    await again.stop()


@pytest.mark.parametrize("url", ["", "sqlite", "sqlite:", "redis:6379"])
def test_an_unknown_store_is_refused(url: str) -> None:
    with pytest.raises(BadSettingError, match="sqlite:PATH"):
        open_store(Config(store=url))


def test_a_store_whose_folder_cannot_be_is_a_setting_that_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSettingError, match="there can be no folder .*/file/a for it: Not a dir"):
        open_store(Config(store=f"sqlite:{tmp_path}/file/a/tenure.db"))
