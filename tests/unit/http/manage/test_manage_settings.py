"""The settings of an app over HTTP: set, read, replaced by version, taken away, refused.

Out of scope: how other processes follow (integration/store/test_store_settings.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from support.by_hand import HandWorker, done
from support.served import Served, served
from tenure_common.times import NANOS
from tenure_sidecar.engine.retention import Retention

HOUR = 3600 * NANOS
NOTHING = {"version": 0, "retention": {}, "concurrency": {}}


async def kept_for(engine: Served, instance_id: str) -> int | None:
    """Nanoseconds between the end of a new instance and its deletion; None = for ever."""
    await engine.start("echo", instance_id)
    await engine.ended(instance_id)
    head = await engine.operations.head(instance_id)
    assert head is not None
    return head.expires_at - head.completed_at if head.expires_at else None


async def test_nothing_is_set_at_first(engine: Served) -> None:
    answer = await engine.get("/settings")
    assert (answer.status, answer.body) == (200, NOTHING)


async def test_an_instance_that_ends_later_is_kept_as_set_and_then_as_the_flags_say() -> None:
    async with served(retention=Retention(any=2 * HOUR)) as engine:
        engine.connect()
        assert await kept_for(engine, "before") == 2 * HOUR
        answer = await engine.ask("PUT", "/settings", {"retention": {"completed": "1h"}})
        assert (answer.status, answer.body["retention"]) == (200, {"completed": "1h"})
        assert await kept_for(engine, "while") == HOUR
        answer = await engine.ask("DELETE", "/settings")
        assert (answer.status, answer.body) == (200, NOTHING)
        assert await kept_for(engine, "after") == 2 * HOUR
        head = await engine.operations.head("while")
        assert head is not None
        assert head.expires_at == head.completed_at + HOUR


async def test_each_change_has_a_version_of_its_own_and_replaces_the_one_it_names(
    engine: Served,
) -> None:
    first = await engine.ask("PUT", "/settings", {"retention": {"any": "1d"}, "version": 0})
    second = await engine.ask(
        "PUT", "/settings", {"retention": {"any": "2d"}, "version": first.body["version"]}
    )
    assert second.body["version"] > first.body["version"] > 0
    for late in (first.body["version"], 0):
        answer = await engine.ask("PUT", "/settings", {"retention": {"any": "3d"}, "version": late})
        assert (answer.status, answer.code) == (409, "TN0112")
        assert answer.body["details"] == {"version": str(second.body["version"])}
    answer = await engine.ask("DELETE", "/settings", version=first.body["version"])
    assert (answer.status, answer.code) == (409, "TN0112")
    assert (await engine.get("/settings")).body == second.body


async def test_a_repeat_changes_nothing(engine: Served) -> None:
    body = {"retention": {"failed": "forever"}, "version": 0}
    first = await engine.ask("PUT", "/settings", body)
    again = await engine.ask("PUT", "/settings", body)
    assert (again.status, again.body) == (200, first.body)
    await engine.ask("DELETE", "/settings", version=first.body["version"])
    gone = await engine.ask("DELETE", "/settings", version=first.body["version"])
    assert (gone.status, gone.body["version"]) == (200, 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"retention": {"completed": "soon"}}, "retention.completed"),
        ({"retention": {"any": ""}}, "retention.any"),
        ({"retention": {"canceled": "1d"}}, "retention.canceled"),
        ({"concurrency": {"workflows": 0}}, "concurrency.workflows"),
        ({"concurrency": {"activities": "3"}}, "concurrency.activities"),
        ({"concurrency": {"turns": 3}}, "concurrency.turns"),
        ({"partitions": 3}, "partitions"),
        ({"version": -1}, "version"),
    ],
)
async def test_what_is_refused_changes_nothing(
    engine: Served, body: dict[str, object], field: str
) -> None:
    before = await engine.ask("PUT", "/settings", {"retention": {"any": "1d"}})
    answer = await engine.ask("PUT", "/settings", body)
    assert (answer.status, answer.code) == (400, "TN0004")
    assert answer.body["details"] == {"field": field}
    assert (await engine.get("/settings")).body == before.body


async def test_limits_hold_as_soon_as_they_are_set_and_until_they_are_taken_away(
    engine: Served,
) -> None:
    worker = HandWorker(engine.dispatcher)
    for number in range(4):
        await engine.start("ask", f"ask-{number}")
    await passed(lambda: len(worker.turns) == 4)
    answer = await engine.ask("PUT", "/settings", {"concurrency": {"workflows": 3}})
    assert (answer.status, answer.body["concurrency"]) == (200, {"workflows": 3})
    await engine.start("ask", "ask-4")
    await passed(lambda: engine.dispatcher.queued == (1, 0))
    worker.answer(worker.turns.popleft(), done())
    assert len(worker.turns) == 3, "what is under way is finished, and nothing new begun"
    worker.answer(worker.turns.popleft(), done())
    assert len(worker.turns) == 3
    await engine.start("ask", "ask-5")
    await passed(lambda: engine.dispatcher.queued == (1, 0))
    await engine.ask("DELETE", "/settings")
    assert len(worker.turns) == 4


async def test_an_app_at_a_glance(engine: Served) -> None:
    """Its only process is alone, and says nothing of itself in the store."""
    answer = await engine.get("/status")
    assert answer.body == {
        "app": "orders",
        "store": "memory",
        "partitions": engine.store.partitions,
        "ownedPartitions": engine.store.partitions,
        "sidecars": 0,
        "workers": 0,
        "settings": NOTHING,
    }


async def passed(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0)
