"""Watches: what a stream tells, where it goes on, and how it ends.

Law: a reader that keeps the last cursor and starts again with it misses no last state, whatever
happened in between.  Out of scope: the store's feed (tests/integration/store/test_store_follow.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support.served import Served
from tenure_common.errors import StoreUnavailableError
from tenure_sidecar.http.manage import watching
from tenure_sidecar.store import feed

Line = dict[str, Any]


class Watch:
    """An open stream."""

    def __init__(self, content: Any) -> None:
        self._content = content

    async def line(self) -> Line:
        """The next line; {} at the end."""
        async with asyncio.timeout(60):
            text = await self._content.readline()
        return json.loads(text) if text else {}

    async def until(self, kind: str) -> list[Line]:
        """Lines up to and with one of that type."""
        found = [await self.line()]
        while found[-1]["type"] != kind:
            found.append(await self.line())
        return found


@asynccontextmanager
async def watch(engine: Served, query: str = "", *, one: str = "") -> AsyncIterator[Watch]:
    """Follow everything, or one instance."""
    place = f"/instances/{one}/watch" if one else "/watch"
    url = f"{engine.url}/v1alpha1/apps/orders{place}{query}"
    async with engine.session.get(url) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "application/x-ndjson"
        yield Watch(answer.content)


def brief(lines: list[Line]) -> list[tuple[str, ...]]:
    """Type, and id with status where there is an instance."""
    found: list[tuple[str, ...]] = []
    for line in lines:
        if line["type"] == "CHANGED":
            found.append(("CHANGED", line["instance"]["instanceId"], line["instance"]["status"]))
        elif line["type"] == "DELETED":
            found.append(("DELETED", line["instanceId"]))
        else:
            found.append((line["type"],))
    return found


async def test_a_snapshot_and_then_changes(engine: Served) -> None:
    await engine.start("ask", "a")
    await engine.start("ask", "b")
    async with watch(engine) as stream:
        before = await stream.until("SYNCED")
        assert brief(before) == [
            ("CHANGED", "a", "PENDING"),
            ("CHANGED", "b", "PENDING"),
            ("SYNCED",),
        ]
        assert ["cursor" in line for line in before] == [False, False, True]
        await engine.post("/instances/a/terminate")
        assert brief([await stream.line()]) == [("CHANGED", "a", "TERMINATED")]
        await engine.post("/instances/a/purge")
        assert brief([await stream.line()]) == [("DELETED", "a")]
        await engine.start("ask", "c")
        assert brief([await stream.line()]) == [("CHANGED", "c", "PENDING")]


async def test_a_snapshot_of_many_pages(engine: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAGE", 2)
    for n in range(5):
        await engine.start("ask", f"i{n}")
    async with watch(engine) as stream:
        lines = await stream.until("SYNCED")
    assert [line["instance"]["instanceId"] for line in lines[:-1]] == [f"i{n}" for n in range(5)]


async def test_what_happens_during_the_snapshot_is_told_after_it(
    engine: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.start("ask", "a")
    heads = engine.store.heads

    async def slow(*args: Any, **more: Any) -> Any:
        page = await heads(*args, **more)
        await engine.operations.terminate("a", None, recurse=True)  # after the page was read
        return page

    monkeypatch.setattr(engine.store, "heads", slow)
    async with watch(engine) as stream:
        await stream.until("SYNCED")
        assert brief([await stream.line()]) == [("CHANGED", "a", "TERMINATED")]


async def test_a_cursor_goes_on(engine: Served) -> None:
    async with watch(engine) as stream:
        (synced,) = await stream.until("SYNCED")
    await engine.start("ask", "a")
    await engine.start("ask", "b")
    async with watch(engine, f"?cursor={synced['cursor']}") as stream:
        first, second = await stream.line(), await stream.line()
    assert brief([first, second]) == [("CHANGED", "a", "PENDING"), ("CHANGED", "b", "PENDING")]
    async with watch(engine, f"?cursor={first['cursor']}") as stream:
        assert await stream.line() == second


async def test_without_a_snapshot_only_changes(engine: Served) -> None:
    await engine.start("ask", "a")
    async with watch(engine, "?snapshot=false") as stream:
        assert brief([await stream.line()]) == [("SYNCED",)]
        await engine.start("ask", "b")
        assert brief([await stream.line()]) == [("CHANGED", "b", "PENDING")]


async def test_an_old_cursor_leads_to_everything_anew(engine: Served) -> None:
    await engine.start("ask", "a")
    async with watch(engine, "?cursor=another.7&snapshot=false") as stream:
        lines = await stream.until("SYNCED")
        assert brief(lines) == [("RESET",), ("CHANGED", "a", "PENDING"), ("SYNCED",)]
        await engine.start("ask", "b")
        assert brief([await stream.line()]) == [("CHANGED", "b", "PENDING")]


async def test_a_reader_who_was_away_too_long_gets_everything_anew(engine: Served) -> None:
    engine.store.database.feed = feed.Feed("memory", max_changes=3)
    async with watch(engine) as stream:
        (synced,) = await stream.until("SYNCED")
    for n in range(4):
        await engine.start("ask", f"i{n}")
    async with watch(engine, f"?cursor={synced['cursor']}") as stream:
        lines = await stream.until("SYNCED")
    assert brief(lines)[0] == ("RESET",)
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("workflow=ask", ["a1", "b"]),
        ("idPrefix=a", ["a1", "a2"]),
        ("status=TERMINATED", ["b"]),
        ("tag=team%3Dred", ["a2"]),
        ("parent=nobody", []),
    ],
)
async def test_filters(engine: Served, query: str, told: list[str]) -> None:
    async with watch(engine, f"?{query}") as stream:
        await stream.until("SYNCED")
        await engine.start("ask", "a1")
        await engine.start("echo", "a2", tags={"team": "red"})
        await engine.start("ask", "b")
        await engine.operations.terminate("b", None, recurse=True)
        async with watch(engine) as all_of_it:
            cursor = (await all_of_it.until("SYNCED"))[-1]["cursor"]
        found: list[str] = []
        while len(found) < len(told):
            line = await stream.line()
            if line["instance"]["instanceId"] not in found:
                found.append(line["instance"]["instanceId"])
    assert found == told
    async with watch(engine, f"?{query}&cursor={cursor}") as stream:
        await engine.post("/instances/b/purge")
        await engine.post("/instances/a1/purge", {"force": True})
        line = await stream.line()
        assert line["type"] == "DELETED"
        assert line["instanceId"] == ("a1" if query == "idPrefix=a" else "b")


async def test_payloads_when_asked(engine: Served) -> None:
    await engine.start("ask", "a")
    await engine.post("/instances/a/terminate", {"output": {"n": 1}})
    for query, output in (("", None), ("?payloads=true", {"n": 1})):
        async with watch(engine, query) as stream:
            assert (await stream.line())["instance"].get("output") == output
    async with watch(engine, "?payloads=true&raw=true") as stream:
        assert (await stream.line())["instance"]["output"] == '{"n": 1}'


# --- one instance ---------------------------------------------------------------------------------


async def test_one_instance_through_its_life(engine: Served) -> None:
    engine.connect()
    await engine.start("ask", "other")
    async with watch(engine, one="a") as stream:
        assert brief(await stream.until("SYNCED")) == [("SYNCED",)]  # it is not there yet
        await engine.start("ask", "a")
        await engine.post("/instances/a/events/answer", {"data": 5})
        lines = [await stream.line()]
        while lines[-1]["instance"]["status"] != "COMPLETED":
            lines.append(await stream.line())
        assert {line["instance"]["instanceId"] for line in lines} == {"a"}
        assert lines[-1]["instance"]["output"] == 5
        await engine.post("/instances/a/restart")
        again = await stream.line()
        assert again["instance"]["generation"] == 1


async def test_one_instance_by_cursor(engine: Served) -> None:
    await engine.start("ask", "a")
    async with watch(engine, one="a") as stream:
        lines = await stream.until("SYNCED")
    assert brief(lines) == [("CHANGED", "a", "PENDING"), ("SYNCED",)]
    await engine.post("/instances/a/purge", {"force": True})
    async with watch(engine, f"?cursor={lines[-1]['cursor']}", one="a") as stream:
        assert brief([await stream.line()]) == [("DELETED", "a")]


# --- the stream itself ----------------------------------------------------------------------------


async def test_a_quiet_stream_says_that_it_lives(
    engine: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SILENCE", 0.001)
    async with watch(engine) as stream:
        (synced,) = await stream.until("SYNCED")
        alive = await stream.line()
        assert alive == {"type": "ALIVE", "cursor": synced["cursor"]}
        await engine.start("ask", "a")
        assert (await stream.until("CHANGED"))[-1]["instance"]["instanceId"] == "a"


async def test_a_filtered_stream_keeps_its_cursor_up_to_date(
    engine: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SILENCE", 0.001)
    async with watch(engine, "?workflow=never") as stream:
        (synced,) = await stream.until("SYNCED")
        await engine.start("ask", "a")
        line = await stream.line()
        while line["cursor"] == synced["cursor"]:
            line = await stream.line()
        assert line["type"] == "ALIVE"


async def test_streams_are_bounded_and_counted(
    engine: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MAX_WATCHES", 1)
    monkeypatch.setattr(watching, "SILENCE", 0.001)
    async with watch(engine) as stream:
        await stream.until("SYNCED")
        answer = await engine.get("/watch")
        assert (answer.status, answer.code) == (429, "TN0202")
    async with asyncio.timeout(60):
        while engine.api.watches.count:  # until the server notices that the reader is gone
            await asyncio.sleep(0.001)
    async with watch(engine) as stream:
        await stream.until("SYNCED")


async def test_a_store_that_fails_ends_the_stream_with_the_reason(
    engine: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object, **_more: object) -> None:
        raise StoreUnavailableError("the disk is gone")

    monkeypatch.setattr(engine.store, "heads", fail)
    async with watch(engine) as stream:
        line = await stream.line()
        assert (line["type"], line["error"]["code"]) == ("ERROR", "TN0405")
        assert await stream.line() == {}


async def test_a_stop_of_the_server_does_not_wait_for_readers(engine: Served) -> None:
    async with watch(engine) as stream:
        await stream.until("SYNCED")
        runner = engine.server._runner
        assert runner is not None
        runner._shutdown_timeout = 3600  # for a request that would not end
        await engine.server.stop()
    assert engine.api.watches.count == 0


async def test_bad_watches(engine: Served) -> None:
    for query in ({"tag": "x"}, {"status": "x"}, {"snapshot": "x"}):
        answer = await engine.get("/watch", **query)
        assert (answer.status, answer.code) == (400, "TN0004")
