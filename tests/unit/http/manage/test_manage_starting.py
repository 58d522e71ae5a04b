"""Starting instances: what is kept, and what makes a repeat harmless.

Out of scope: reading them back in full (test_manage_reading.py).
"""

from __future__ import annotations

import asyncio
import json

import pytest

from support.served import Served


async def test_start_without_a_worker(engine: Served) -> None:
    answer = await engine.post("/instances", {"workflow": "ask"})
    assert answer.status == 201
    found = answer.body["instance"]
    assert answer.body["created"] is True
    assert (found["workflow"], found["status"], found["app"]) == ("ask", "PENDING", "orders")
    assert answer.headers["Location"] == f"/v1alpha1/apps/orders/instances/{found['instanceId']}"
    assert (await engine.store.head(found["instanceId"])) is not None


async def test_everything_that_a_start_can_say_is_kept(engine: Served) -> None:
    await engine.start(
        "ask",
        "a",
        input={"n": 1},
        version="2",
        tags={"team": "red"},
        startAt="2999-01-01T00:00:00Z",
        retention="7d",
    )
    head = await engine.store.head("a")
    assert head is not None
    assert (head.name, head.version) == ("ask", "2")
    assert head.tags == {"team": "red", "tenure.dev/retention": "7d"}
    assert head.scheduled_start is not None
    found = (await engine.get("/instances/a")).body
    assert found["input"] == {"n": 1}
    assert found["startAt"] == "2999-01-01T00:00:00.000000000Z"


@pytest.mark.parametrize(
    "text",
    ["null", "1", "1.50", '"x"', '{"b": 1, "a":2 }', "[ ]", "123456789012345678901234567890"],
)
async def test_input_is_kept_as_it_was_written(engine: Served, text: str) -> None:
    body = f'{{"workflow": "ask", "instanceId": "a", "input": {text}}}'
    assert (await engine.ask("POST", "/instances", data=body.encode())).status == 201
    assert await engine.store.input("a") == text


async def test_absent_input_is_none(engine: Served) -> None:
    await engine.start("ask", "a")
    assert await engine.store.input("a") is None


async def test_an_id_in_use_is_a_conflict(engine: Served) -> None:
    await engine.start("ask", "a")
    answer = await engine.post("/instances", {"workflow": "ask", "instanceId": "a"})
    assert (answer.status, answer.code) == (409, "TN0102")
    assert answer.body["details"] == {"instanceId": "a"}


async def test_an_ended_instance_gives_its_id_up_only_when_asked(engine: Served) -> None:
    await engine.start("ask", "a")
    await engine.post("/instances/a/terminate")
    body = {"workflow": "ask", "instanceId": "a"}
    assert (await engine.post("/instances", body)).status == 409
    wrong = await engine.post("/instances", {**body, "replace": ["COMPLETED", "FAILED"]})
    assert wrong.status == 409
    right = await engine.post("/instances", {**body, "replace": ["TERMINATED"]})
    assert right.status == 201
    assert right.body["instance"]["generation"] == 1


async def test_a_live_instance_cannot_be_replaced(engine: Served) -> None:
    answer = await engine.post("/instances", {"workflow": "ask", "replace": ["RUNNING"]})
    assert (answer.status, answer.code) == (400, "TN0004")


# --- request keys ---------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["field", "header"])
async def test_a_repeat_with_the_key_is_answered_with_the_first(engine: Served, where: str) -> None:
    body = {"workflow": "ask", "input": 1}
    headers = {"Idempotency-Key": "k 1"} if where == "header" else None
    if where == "field":
        body["requestKey"] = "k 1"
    first = await engine.post("/instances", body, headers=headers)
    again = await engine.post("/instances", body, headers=headers)
    assert (first.status, again.status) == (201, 200)
    assert again.body["created"] is False
    assert again.body["instance"]["instanceId"] == first.body["instance"]["instanceId"]
    assert (await engine.store.stats())["instances"] == 1


async def test_a_repeat_after_the_end_starts_nothing(engine: Served) -> None:
    body = {"workflow": "ask", "requestKey": "k", "instanceId": "a"}
    await engine.post("/instances", body)
    await engine.post("/instances/a/terminate")
    again = await engine.post("/instances", body)
    assert (again.status, again.body["instance"]["status"]) == (200, "TERMINATED")


async def test_many_repeats_at_once_start_one(engine: Served) -> None:
    body = {"workflow": "ask", "requestKey": "k"}
    answers = await asyncio.gather(*(engine.post("/instances", body) for _ in range(20)))
    assert sorted(a.status for a in answers) == [200] * 19 + [201]
    assert (await engine.store.stats())["instances"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"workflow": "echo"},
        {"input": 2},
        {"version": "2"},
        {"tags": {"a": "b"}},
        {"startAt": "2999-01-01T00:00:00Z"},
        {"retention": "1d"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_key_for_another_request_is_refused(
    engine: Served, change: dict[str, object]
) -> None:
    body = {"workflow": "ask", "requestKey": "k", "input": 1}
    await engine.post("/instances", body)
    answer = await engine.post("/instances", {**body, **change})
    assert (answer.status, answer.code) == (409, "TN0111")
    assert (await engine.store.stats())["instances"] == 1


async def test_a_key_on_the_id_of_another_request(engine: Served) -> None:
    await engine.start("ask", "a")
    body = {"workflow": "ask", "instanceId": "a", "requestKey": "k"}
    answer = await engine.post("/instances", body)
    assert (answer.status, answer.code) == (409, "TN0102")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"requestKey": "a"}, {"Idempotency-Key": "b"}),
        ({}, {"Idempotency-Key": "x" * 257}),
        ({"requestKey": ""}, {}),
        ({"requestKey": "a", "replace": ["FAILED"]}, {}),
    ],
    ids=["two-keys", "too-long", "empty", "with-replace"],
)
async def test_keys_that_cannot_be(
    engine: Served, body: dict[str, object], headers: dict[str, str]
) -> None:
    answer = await engine.post("/instances", {"workflow": "ask", **body}, headers=headers)
    assert (answer.status, answer.code) == (400, "TN0004")


# --- PUT ------------------------------------------------------------------------------------------


async def test_put_makes_sure_that_there_is_one(engine: Served) -> None:
    first = await engine.ask("PUT", "/instances/a", {"workflow": "ask"})
    again = await engine.ask("PUT", "/instances/a", {"workflow": "ask"})
    assert (first.status, again.status) == (201, 200)
    assert (first.body["created"], again.body["created"]) == (True, False)


async def test_put_takes_an_ended_one_for_one_unless_told(engine: Served) -> None:
    await engine.start("ask", "a")
    await engine.post("/instances/a/terminate")
    assert (await engine.ask("PUT", "/instances/a", {"workflow": "ask"})).status == 200
    body = {"workflow": "ask", "replace": ["TERMINATED"]}
    assert (await engine.ask("PUT", "/instances/a", body)).status == 201


async def test_put_on_the_id_of_another_workflow(engine: Served) -> None:
    await engine.start("echo", "a")
    answer = await engine.ask("PUT", "/instances/a", {"workflow": "ask"})
    assert (answer.status, answer.code) == (409, "TN0102")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "says", "field"),
    [
        ({}, "workflow", ""),
        ({"workflow": ""}, "length >= 1", "workflow"),
        ({"workflow": "w" * 513}, "length <= 512", "workflow"),
        ({"workflow": "w", "instanceId": "i" * 513}, "length <= 512", "instanceId"),
        ({"workflow": "w", "instanceID": "x"}, "instanceID", "instanceID"),
        ({"workflow": "w", "startAt": "tomorrow"}, "tomorrow", "startAt"),
        ({"workflow": "w", "retention": "a while"}, "a while", "retention"),
        ({"workflow": "w", "tags": {"tenure.dev/x": "1"}}, "tenure.dev/", "tags"),
        ({"workflow": "w", "tags": {"": "1"}}, "length >= 1", ""),
        ({"workflow": "w", "replace": ["DONE"]}, "CANCELED, COMPLETED, FAILED, TERM", "replace[0]"),
        ({"workflow": 1}, "Expected `str`", "workflow"),
        ([], "Expected `object`", ""),
    ],
)
async def test_bad_starts(engine: Served, body: object, says: str, field: str) -> None:
    answer = await engine.post("/instances", body)
    assert (answer.status, answer.code) == (400, "TN0004")
    assert says in answer.body["message"]
    assert field in answer.body.get("details", {}).get("field", "")
    assert (await engine.store.stats())["instances"] == 0


@pytest.mark.parametrize(
    "data", [b"{", b'{"workflow": "w", "input": "\xff"}', b"\xff", b'{"workflow": "w",}', b"null"]
)
async def test_what_is_no_json_is_refused(engine: Served, data: bytes) -> None:
    answer = await engine.ask("POST", "/instances", data=data)
    assert (answer.status, answer.code) == (400, "TN0004")


async def test_odd_ids_come_back(engine: Served) -> None:
    for wanted in ("a/b", "a|b@c", "ä ö", "50%", "a?b#c", "..x", '"', "☃"):
        body = {"workflow": "ask", "instanceId": wanted}
        answer = await engine.post("/instances", body)
        assert answer.status == 201
        path = answer.headers["Location"].removeprefix("/v1alpha1/apps/orders")
        found = await engine.get(path)
        assert found.body["instanceId"] == wanted, json.dumps(answer.headers)
