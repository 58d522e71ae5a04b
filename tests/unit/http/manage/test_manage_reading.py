"""Reading instances: one, lists with every filter, counts, history, waiting.

Out of scope: the order and paging of the stores (tests/integration/store/test_store_listing.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.served import Reply, Served
from tenure_sidecar.http.manage import reading


def ids(answer: Reply) -> list[str]:
    """The ids of a page."""
    assert answer.status == 200, answer
    return [one["instanceId"] for one in answer.body["instances"]]


async def test_one_instance_with_its_payloads(engine: Served) -> None:
    engine.connect()
    await engine.start("echo", "a", input={"n": [1, 2.50]})
    found = await engine.ended("a")
    assert found["status"] == "COMPLETED"
    assert found["output"] == {"n": [1, 2.5]}
    assert found["input"] == found["output"]
    assert found["createdAt"] <= found["startedAt"] <= found["completedAt"] == found["updatedAt"]
    assert "failure" not in found
    assert "parent" not in found


async def test_a_failure_is_told(engine: Served) -> None:
    engine.connect()
    await engine.start("fails", "a", input="why")
    found = await engine.ended("a")
    assert found["status"] == "FAILED"
    assert found["failure"]["errorType"] == "ActivityError"
    assert found["error"].startswith("ActivityError: ")
    assert "output" not in found


async def test_raw_payloads_are_the_texts(engine: Served) -> None:
    engine.connect()
    await engine.start("echo", "a", input={"n": 1})
    await engine.ended("a")
    found = (await engine.get("/instances/a", raw=True)).body
    assert found["input"] == found["output"] == '{"n": 1}'


async def test_a_text_that_is_no_json_is_told_as_a_string(engine: Served) -> None:
    engine.connect()
    await engine.operations.start_new("echo", instance_id="a", input="plain text")
    found = await engine.ended("a")
    assert found["input"] == found["output"] == "plain text"


async def test_nobody_is_not_found(engine: Served) -> None:
    for path in ("", "/history", "/wait"):
        answer = await engine.get(f"/instances/nobody{path}")
        assert (answer.status, answer.code) == (404, "TN0101")
        assert "nobody" in answer.body["message"]
        assert answer.body["docs"].endswith("/errors/TN0101")


async def test_the_revision_changes_with_the_instance(engine: Served) -> None:
    await engine.start("ask", "a")
    first = (await engine.get("/instances/a")).body["revision"]
    assert (await engine.get("/instances/a")).body["revision"] == first
    await engine.post("/instances/a/suspend")
    assert (await engine.get("/instances/a")).body["revision"] != first


# --- lists ----------------------------------------------------------------------------------------


@pytest.fixture
async def five(engine: Served) -> Served:
    """a: ended; b: suspended; c: a parent and its child; d: tagged, with an odd value."""
    engine.connect()
    await engine.start("echo", "a")
    await engine.ended("a")
    await engine.start("ask", "b")
    await engine.post("/instances/b/suspend")
    await engine.start("family", "c")
    await engine.started("c:0000")
    await engine.start("ask", "d", tags={"team": "red", "k": "x=y,z"})
    await engine.started("d")
    return engine


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["a", "b", "c", "c:0000", "d"]),
        ({"status": "COMPLETED"}, ["a"]),
        ({"status": ["COMPLETED", "SUSPENDED"]}, ["a", "b"]),
        ({"workflow": "ask"}, ["b", "c:0000", "d"]),
        ({"workflow": "ask", "status": "RUNNING"}, ["c:0000", "d"]),
        ({"id_prefix": "c"}, ["c", "c:0000"]),
        ({"id_prefix": "%"}, []),
        ({"parent": "c"}, ["c:0000"]),
        ({"tag": "team=red"}, ["d"]),
        ({"tag": ["team=red", "k=x=y,z"]}, ["d"]),
        ({"tag": "team=blue"}, []),
        ({"created_from": "1h"}, ["a", "b", "c", "c:0000", "d"]),
        ({"created_to": "1h"}, []),
        ({"created_from": "2999-01-01T00:00:00Z"}, []),
        ({"created_from": "0001-01-01T00:00:00Z"}, ["a", "b", "c", "c:0000", "d"]),
        ({"created_to": "0001-01-01T00:00:00Z"}, []),
        ({"created_to": "9999-12-31T23:59:59Z"}, ["a", "b", "c", "c:0000", "d"]),
        ({"completed_from": "1h"}, ["a"]),
        ({"completed_to": "1h"}, []),
    ],
    ids=str,
)
async def test_filters(five: Served, query: dict[str, Any], expected: list[str]) -> None:
    assert ids(await five.get("/instances", order="id", **query)) == expected
    counts = (await five.get("/counts", **query)).body
    assert counts["total"] == len(expected) == sum(counts["byStatus"].values())


async def test_counts_by_status(five: Served) -> None:
    counts = (await five.get("/counts")).body
    assert counts == {"total": 5, "byStatus": {"COMPLETED": 1, "SUSPENDED": 1, "RUNNING": 3}}


async def test_a_list_has_no_payloads(five: Served) -> None:
    for one in (await five.get("/instances")).body["instances"]:
        assert not {"input", "output", "customStatus"} & set(one)


async def test_a_child_names_its_parent(five: Served) -> None:
    found = (await five.get("/instances/c%3A0000")).body
    assert found["parent"] == {"instanceId": "c", "taskId": 0, "workflow": "family"}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("id", ["a", "b", "c", "c:0000", "d"]),
        ("created", ["a", "b", "c", "c:0000", "d"]),
        ("newest", ["d", "c:0000", "c", "b", "a"]),
        ("completed", ["a"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_pages(five: Served, order: str, expected: list[str], limit: int) -> None:
    found: list[str] = []
    query: dict[str, Any] = {"order": order, "limit": limit}
    while True:
        answer = await five.get("/instances", **query)
        found += ids(answer)
        assert len(answer.body["instances"]) <= limit
        if "cursor" not in answer.body:
            break
        query["cursor"] = answer.body["cursor"]
    assert found == expected


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ({"limit": 0}, "TN0004", "limit"),
        ({"limit": 1001}, "TN0004", "limit"),
        ({"limit": "many"}, "TN0004", "limit"),
        ({"status": "FINISHED"}, "TN0004", "FINISHED"),
        ({"status": "FINISHED"}, "TN0004", "COMPLETED, FAILED"),
        ({"order": "size"}, "TN0004", "completed, created, id, newest"),
        ({"id_prefix": ""}, "TN0004", "idPrefix"),
        ({"workflow": ""}, "TN0004", "workflow"),
        ({"parent": ""}, "TN0004", "parent"),
        ({"staus": "FAILED"}, "TN0004", "staus"),
        ({"order": "size"}, "TN0004", "size"),
        ({"tag": "team"}, "TN0004", "key=value"),
        ({"tag": ["a=1", "a=2"]}, "TN0004", "two values"),
        ({"workflow": ["a", "b"]}, "TN0004", "2 times"),
        ({"created_from": "yesterday"}, "TN0004", "createdFrom"),
        ({"completed_to": "99999999999999999999w"}, "TN0004", "completedTo"),
        ({"cursor": "x"}, "TN0005", "page token"),
    ],
    ids=str,
)
async def test_bad_lists(engine: Served, query: dict[str, Any], code: str, says: str) -> None:
    answer = await engine.get("/instances", **query)
    assert (answer.status, answer.code) == (400, code)
    assert says in answer.body["message"]


# --- history --------------------------------------------------------------------------------------


async def test_history(engine: Served) -> None:
    engine.connect()
    await engine.start("echo", "a", input={"n": 1})
    await engine.ended("a")
    found = (await engine.get("/instances/a/history")).body
    assert (found["length"], found["generation"]) == (len(found["events"]), 0)
    kinds = [event["type"] for event in found["events"]]
    assert kinds == [
        "WorkflowStarted",
        "ExecutionStarted",
        "TaskScheduled",
        "WorkflowStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    scheduled, completed = found["events"][2], found["events"][4]
    assert (scheduled["name"], scheduled["input"]) == ("echo", {"n": 1})
    assert completed["taskScheduledId"] == scheduled["eventId"]
    assert completed["output"] == {"n": 1}
    raw = (await engine.get("/instances/a/history", raw=True)).body
    assert raw["events"][2]["input"] == '{"n": 1}'


async def test_history_by_pages(engine: Served) -> None:
    engine.connect()
    await engine.start("echo", "a")
    await engine.ended("a")
    whole = (await engine.get("/instances/a/history")).body["events"]
    found: list[Any] = []
    query: dict[str, Any] = {"limit": 4}
    while True:
        page = (await engine.get("/instances/a/history", **query)).body
        found += page["events"]
        if "cursor" not in page:
            break
        query["cursor"] = page["cursor"]
    assert found == whole


async def test_a_history_that_began_anew_is_told(engine: Served) -> None:
    engine.connect()
    await engine.start("echo", "a")
    await engine.ended("a")
    cursor = (await engine.get("/instances/a/history", limit=1)).body["cursor"]
    await engine.post("/instances/a/restart")
    answer = await engine.get("/instances/a/history", cursor=cursor)
    assert (answer.status, answer.code) == (410, "TN0702")


@pytest.mark.parametrize("cursor", ["x", "1", "0.x", "-1.0", "0.0.0", "9" * 40 + ".1", "٣.1"])
async def test_a_cursor_of_no_history(engine: Served, cursor: str) -> None:
    await engine.start("ask", "a")
    answer = await engine.get("/instances/a/history", cursor=cursor)
    assert (answer.status, answer.code) == (400, "TN0005")


# --- waiting --------------------------------------------------------------------------------------


async def test_a_wait_ends_with_the_instance(engine: Served) -> None:
    engine.connect()
    await engine.start("ask", "a")
    await engine.started("a")
    waiting = asyncio.ensure_future(engine.get("/instances/a/wait"))
    while not engine.operations.waiting:
        await asyncio.sleep(0)
    await engine.post("/instances/a/events/answer", {"data": 42})
    answer = await waiting
    assert answer.body["reached"] is True
    assert answer.body["instance"]["output"] == 42
    assert engine.operations.waiting == 0


async def test_a_wait_that_runs_out(engine: Served) -> None:
    await engine.start("ask", "a")
    for until in ("started", "completed"):
        answer = await engine.get("/instances/a/wait", until=until, timeout=0)
        assert answer.status == 200
        assert answer.body["reached"] is False
        assert answer.body["instance"]["status"] == "PENDING"


async def test_a_wait_without_time_sees_what_is_there(engine: Served) -> None:
    engine.connect()
    await engine.start("ask", "a")
    await engine.started("a")
    for until, reached in (("started", True), ("completed", False)):
        answer = await engine.get("/instances/a/wait", until=until, timeout=0)
        assert answer.body["reached"] is reached
    await engine.post("/instances/a/terminate")
    for until in ("started", "completed"):
        answer = await engine.get("/instances/a/wait", until=until, timeout=0)
        assert answer.body["reached"] is True


async def test_a_wait_for_what_is_deleted(engine: Served) -> None:
    await engine.start("ask", "a")
    waiting = asyncio.ensure_future(engine.get("/instances/a/wait"))
    while not engine.operations.waiting:
        await asyncio.sleep(0)
    await engine.post("/instances/a/purge", {"force": True})
    assert ((await waiting).status, (await waiting).code) == (404, "TN0101")


async def test_waits_are_bounded(engine: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_WAITS", 0)
    await engine.start("ask", "a")
    answer = await engine.get("/instances/a/wait")
    assert (answer.status, answer.code) == (429, "TN0202")


@pytest.mark.parametrize("timeout", [-1, 301, "long", "nan", "inf"])
async def test_waits_that_cannot_be(engine: Served, timeout: object) -> None:
    answer = await engine.get("/instances/a/wait", timeout=timeout)
    assert (answer.status, answer.code) == (400, "TN0004")
