"""The settings of an app on every store: kept, followed by others, there before anything else.

Out of scope: what they mean (unit/engine/test_app_settings.py) and HTTP (unit/http/manage).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tenure_common.errors import SettingsChangedError, StoreCorruptError
from tenure_common.times import NANOS
from tenure_sidecar.actors.settings import AppSettings
from tenure_sidecar.appengine import AppEngine
from tenure_sidecar.config import EngineConfig
from tenure_sidecar.engine.retention import Retention
from tenure_sidecar.engine.settings import KEY, Concurrency, KeptFor, Settings
from tenure_sidecar.store.port import Store
from tenure_sidecar.store.sqlite import SqliteStore

HOUR = 3600 * NANOS
FLAG = Retention(any=HOUR)
FEW = Concurrency(workflows=2, activities=1)
TWO_HOURS = Settings(retention=KeptFor(any="2h"), concurrency=FEW)


class Process:
    """One that follows the settings; ``kept`` is what it does."""

    def __init__(self, store: Store) -> None:
        self.kept = FLAG
        self.most = Concurrency()
        self.changed = asyncio.Event()
        self.settings = AppSettings(store, default=FLAG, apply=self._apply, every=0.001)

    def _apply(self, retention: Retention, most: Concurrency) -> None:
        self.most = most
        if retention != self.kept:
            self.kept = retention
            self.changed.set()

    async def following(self) -> None:
        """Until it does something else than before."""
        await asyncio.wait_for(self.changed.wait(), 60)
        self.changed.clear()


async def test_another_process_follows(store: Store) -> None:
    one, other = Process(store), Process(store)
    loop = asyncio.create_task(other.settings.run())
    try:
        set_ = await one.settings.put(TWO_HOURS, version=0)
        assert one.kept.any == 2 * HOUR
        await other.following()
        assert (other.kept.any, other.most) == (2 * HOUR, FEW)
        assert await one.settings.put(Settings(), version=set_.version) == (Settings(), 0)
        await other.following()
        assert (other.kept, other.most) == (FLAG, Concurrency())
    finally:
        loop.cancel()


async def test_of_two_that_replace_one_version_one_is_told(store: Store) -> None:
    found = await asyncio.gather(
        *(
            Process(store).settings.put(Settings(retention=KeptFor(any=f"{hours}h")), version=0)
            for hours in (2, 3, 4)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, SettingsChangedError) for one in found) == 2
    (won,) = [one for one in found if not isinstance(one, BaseException)]
    assert await Process(store).settings.look() == won


async def test_without_a_version_all_come_through(store: Store) -> None:
    await asyncio.gather(
        *(
            Process(store).settings.put(Settings(retention=KeptFor(any=f"{hours}h")), version=None)
            for hours in (2, 3, 4)
        )
    )
    assert (await Process(store).settings.look()).settings.retention.any in {"2h", "3h", "4h"}


async def test_what_cannot_be_read_is_told_and_the_last_settings_hold(store: Store) -> None:
    process = Process(store)
    first = await process.settings.put(TWO_HOURS, version=0)
    await store.put(KEY, b"[]", version=first.version)
    with pytest.raises(StoreCorruptError):
        await process.settings.look()
    assert process.kept.any == 2 * HOUR


async def test_an_engine_knows_them_when_it_takes_its_first_partition(tmp_path: Path) -> None:
    path = tmp_path / "tenure.db"
    before = SqliteStore(path)
    await before.open()
    await Process(before).settings.put(TWO_HOURS, version=0)
    await before.close()
    engine = AppEngine(EngineConfig(app_id="orders", store=f"sqlite:{path}", retention="0s"))
    await engine.open()
    try:
        known: list[Retention] = []
        start = engine.host.start

        async def started() -> None:
            known.append(engine.host.retention)
            await start()

        engine.host.start = started  # type: ignore[method-assign]
        await engine.begin()
        assert [one.any for one in known] == [2 * HOUR]
    finally:
        await engine.halt()
        await engine.close()
