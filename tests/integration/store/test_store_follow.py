"""Following the heads: what each write tells, where a cursor goes on, and when it is too old.

Laws: a change after ``position`` is never missed, unless ``CursorExpiredError`` says so; of one
instance the newest change is told last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from integration.store.samples import ENDED, Hub, a_creation, a_turn, events
from tenure_common.errors import CursorExpiredError
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.feed import Feed
from tenure_sidecar.store.port import Commit, Create, Created, HeadChange, Op, Result, Store

Told = tuple[str, str | None]


async def read(changes: AsyncIterator[HeadChange], count: int) -> list[HeadChange]:
    """The next ``count`` changes."""
    async with asyncio.timeout(60):
        return [await anext(changes) for _ in range(count)]


def brief(changes: list[HeadChange]) -> list[Told]:
    return [(one.instance_id, one.head.status.name if one.head else None) for one in changes]


async def test_every_kind_of_change_is_told_in_order(hub: Hub) -> None:
    changes = hub.store.follow(await hub.store.position())
    await hub.create("a")
    assert brief(await read(changes, 1)) == [("a", "PENDING")]
    child = a_creation("a:1")
    await hub.commit("a", consumed=("start",), append=events("x"), creations=(child,))
    assert brief(await read(changes, 2)) == [("a", "RUNNING"), ("a:1", "PENDING")]
    await hub.finish("a", Status.FAILED)
    assert brief(await read(changes, 1)) == [("a", "FAILED")]
    await hub.create("a", replace=ENDED)
    (again,) = await read(changes, 1)
    assert again.head is not None
    assert (again.head.status, again.head.generation) == (Status.PENDING, 1)
    await hub.purge("a")
    assert brief(await read(changes, 1)) == [("a", None)]
    await changes.aclose()  # type: ignore[attr-defined]


async def test_what_changed_nothing_is_not_told(hub: Hub) -> None:
    await hub.running("a")
    changes = hub.store.follow(await hub.store.position())
    await hub.create("a")  # Exists
    await hub.commit("a", version=12_345)  # Conflict
    await hub.purge("a", ENDED)  # REFUSED
    await hub.purge("nobody")
    await hub.deliver("a", "event")
    await hub.create("last")
    assert brief(await read(changes, 1)) == [("last", "PENDING")]


async def test_a_cursor_goes_on_after_its_change(hub: Hub) -> None:
    start = await hub.store.position()
    await hub.create("a")
    await hub.create("b")
    await hub.create("c")
    seen = await read(hub.store.follow(start), 3)
    assert [one.instance_id for one in seen] == ["a", "b", "c"]
    again = await read(hub.store.follow(seen[0].cursor), 2)
    assert again == seen[1:]


async def test_what_was_overtaken_is_not_told(hub: Hub) -> None:
    start = await hub.store.position()
    await hub.running("a")
    await hub.create("b")
    await hub.finish("a")
    assert brief(await read(hub.store.follow(start), 2)) == [("b", "PENDING"), ("a", "COMPLETED")]


async def test_the_head_is_the_one_that_is_stored(hub: Hub) -> None:
    changes = hub.store.follow(await hub.store.position())
    await hub.running("a", custom_status='"half"')
    await hub.finish("a", output="42")
    told = {one.instance_id: one.head for one in await read(changes, 1)}
    assert told["a"] == await hub.store.head("a")


async def test_several_readers_and_one_that_gave_up(hub: Hub) -> None:
    start = await hub.store.position()
    one, two = hub.store.follow(start), hub.store.follow(start)
    await hub.create("a")
    assert brief(await read(one, 1)) == brief(await read(two, 1))
    await one.aclose()  # type: ignore[attr-defined]
    await hub.create("b")
    assert brief(await read(two, 1)) == [("b", "PENDING")]


@pytest.mark.parametrize("cursor", ["", "x", "x.1", ".", "9" * 30, "memory.99", "memory.-1", "☃.1"])
async def test_a_cursor_of_nobody_has_expired(store: Store, cursor: str) -> None:
    with pytest.raises(CursorExpiredError):
        await read(store.follow(cursor), 1)


# --- the feed's own bounds ------------------------------------------------------------------------


def creates(*ids: str, output: str = "") -> tuple[list[Op], list[Result]]:
    """A write that creates instances."""
    made = [a_creation(one, output=output) for one in ids]
    return [Create(one) for one in made], [Created(one.head, 0) for one in made]


def test_nothing_is_kept_before_somebody_asks() -> None:
    feed = Feed("n", max_changes=3)
    assert not feed.wanted
    feed.position()
    assert feed.wanted


async def test_who_falls_too_far_behind_is_told() -> None:
    feed = Feed("n", max_changes=3)
    changes = feed.follow(feed.position())
    feed.record(*creates("a"))
    assert (await anext(changes)).instance_id == "a"
    feed.record(*creates("b", "c", "d"))
    assert (await anext(changes)).instance_id == "b"  # read before the rest came
    feed.record(*creates("e", "f", "g", "h"))
    assert [(await anext(changes)).instance_id for _ in range(2)] == ["c", "d"]
    with pytest.raises(CursorExpiredError):
        await anext(changes)


async def test_large_payloads_are_bounded_too() -> None:
    feed = Feed("n", max_bytes=100)
    start = feed.position()
    feed.record(*creates("a", output="x" * 60))
    feed.record(*creates("b", output="x" * 60))
    with pytest.raises(CursorExpiredError):
        await anext(feed.follow(start))


async def test_recording_ends_when_nobody_comes_back() -> None:
    feed = Feed("n", max_changes=3)
    start = feed.position()
    feed.record(*creates("a", "b", "c", "d"))
    assert not feed.wanted
    for cursor in (start, "n.4", "n.5"):
        if cursor != feed.position():
            with pytest.raises(CursorExpiredError):
                await anext(feed.follow(cursor))
    feed.record(*creates("e"))
    assert (await anext(feed.follow("n.5"))).instance_id == "e"


async def test_recording_goes_on_while_somebody_reads() -> None:
    feed = Feed("n", max_changes=3)
    changes = feed.follow(feed.position())
    for n in range(50):
        feed.record(*creates(f"i{n}"))
        assert (await anext(changes)).instance_id == f"i{n}"
    assert feed.wanted


def test_a_refused_commit_tells_nothing() -> None:
    from tenure_sidecar.store.feed import touched
    from tenure_sidecar.store.port import Conflict, Fence

    op = Commit(Fence(0, 1), 0, a_turn("a"))
    assert list(touched([op], [Conflict(fenced=True)])) == []
