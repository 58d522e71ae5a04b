"""Acting on one instance, with and without a worker.

Out of scope: what the engine makes of each verb (tests/unit/engine).
"""

from __future__ import annotations

import pytest

from support.served import Served


async def test_an_event_reaches_the_workflow(engine: Served) -> None:
    engine.connect()
    await engine.start("ask", "a")
    answer = await engine.post("/instances/a/events/ANSWER", {"data": {"ok": True}})
    assert (answer.status, answer.body["created"]) == (202, False)
    assert (await engine.ended("a"))["output"] == {"ok": True}


async def test_an_event_is_kept_until_a_worker_comes(engine: Served) -> None:
    await engine.start("ask", "a")
    await engine.post("/instances/a/events/answer", {"data": 1})
    assert (await engine.get("/instances/a")).body["status"] == "PENDING"
    engine.connect()
    assert (await engine.ended("a"))["output"] == 1


async def test_an_odd_event_name(engine: Served) -> None:
    engine.connect()
    await engine.start("ask", "a", input="50% done/ä")
    answer = await engine.post("/instances/a/events/50%25%20done%2F%C3%A4", {"data": 1})
    assert answer.status == 202
    assert (await engine.ended("a"))["output"] == 1


async def test_an_event_can_start_the_instance(engine: Served) -> None:
    engine.connect()
    body = {"data": 1, "start": {"workflow": "ask", "tags": {"a": "b"}}}
    answer = await engine.post("/instances/a/events/answer", body)
    assert (answer.status, answer.body["created"]) == (202, True)
    found = await engine.ended("a")
    assert (found["output"], found["tags"]) == (1, {"a": "b"})


async def test_an_event_for_one_that_is_there_starts_nothing(engine: Served) -> None:
    await engine.start("ask", "a")
    body = {"data": 1, "start": {"workflow": "ask"}}
    answer = await engine.post("/instances/a/events/answer", body)
    assert answer.body["created"] is False
    assert (await engine.store.stats())["instances"] == 1


async def test_a_wrong_start_is_refused_though_it_is_not_needed(engine: Served) -> None:
    await engine.start("ask", "a")
    body = {"data": 1, "start": {"workflow": "ask", "retention": "soon"}}
    answer = await engine.post("/instances/a/events/answer", body)
    assert (answer.status, answer.code) == (400, "TN0004")
    assert answer.body["details"] == {"field": "retention"}
    assert (await engine.get("/instances/a/history")).body["length"] == 0


async def test_an_event_for_an_ended_one(engine: Served) -> None:
    await engine.start("ask", "a")
    await engine.post("/instances/a/terminate")
    path = "/instances/a/events/answer"
    for body in ({"data": 1}, {"data": 1, "start": {"workflow": "ask"}}):
        answer = await engine.post(path, body)
        assert (answer.status, answer.code) == (409, "TN0701")
        assert answer.body["details"]["status"] == "TERMINATED"
    again = {"data": 1, "start": {"workflow": "ask", "replace": ["TERMINATED"]}}
    answer = await engine.post(path, again)
    assert (answer.status, answer.body["created"]) == (202, True)


async def test_an_event_that_would_start_another_workflow(engine: Served) -> None:
    await engine.start("echo", "a")
    await engine.post("/instances/a/terminate")
    body = {"start": {"workflow": "ask", "replace": ["FAILED"]}}
    answer = await engine.post("/instances/a/events/x", body)
    assert (answer.status, answer.code) == (409, "TN0701")


async def test_an_event_raised_again_under_its_key_is_one_event(engine: Served) -> None:
    engine.connect()
    await engine.start("ask", "a", input="go")
    path, again = "/instances/a/events/go", {"Idempotency-Key": "once"}
    for data in (1, 2):  # before it is taken up, and after: the run has ended with the first
        answer = await engine.post(path, {"data": data}, headers=again)
        assert (answer.status, answer.body["created"]) == (202, False)
        assert (await engine.ended("a"))["output"] == 1
    answer = await engine.post(path, {"data": 3}, headers={"Idempotency-Key": "twice"})
    assert (answer.status, answer.code) == (409, "TN0701")
    history = (await engine.get("/instances/a/history")).body["events"]
    assert [one["type"] for one in history].count("EventRaised") == 1


async def test_a_repeat_does_not_start_the_instance_anew(engine: Served) -> None:
    engine.connect()
    body = {"data": 1, "start": {"workflow": "ask", "replace": ["COMPLETED"]}}
    for created in (True, False):
        answer = await engine.post(
            "/instances/a/events/answer", body, headers={"Idempotency-Key": "once"}
        )
        assert (answer.status, answer.body["created"]) == (202, created)
        await engine.ended("a")


async def test_suspend_and_resume(engine: Served) -> None:
    engine.connect()
    await engine.start("ask", "a")
    await engine.started("a")
    answer = await engine.post("/instances/a/suspend", {"reason": "lunch"})
    assert (answer.status, answer.body["status"]) == (200, "SUSPENDED")
    assert (await engine.post("/instances/a/suspend")).body["status"] == "SUSPENDED"
    assert (await engine.post("/instances/a/resume")).body["status"] == "RUNNING"
    events = (await engine.get("/instances/a/history")).body["events"]
    reasons = [e.get("reason") for e in events if e["type"] == "ExecutionSuspended"]
    assert reasons == ["lunch"]


@pytest.mark.parametrize("verb", ["suspend", "resume"])
async def test_what_has_ended_takes_nothing(engine: Served, verb: str) -> None:
    await engine.start("ask", "a")
    await engine.post("/instances/a/terminate")
    answer = await engine.post(f"/instances/a/{verb}")
    assert (answer.status, answer.code) == (409, "TN0701")


async def test_terminate_with_an_output_and_children(engine: Served) -> None:
    engine.connect()
    await engine.start("family", "a")
    await engine.started("a:0000")
    answer = await engine.post("/instances/a/terminate", {"output": {"why": 1}})
    assert (answer.status, answer.body["status"]) == (200, "TERMINATED")
    assert answer.body["output"] == {"why": 1}
    assert (await engine.ended("a%3A0000"))["status"] == "TERMINATED"
    assert (await engine.post("/instances/a/terminate")).status == 200


async def test_terminate_without_children(engine: Served) -> None:
    engine.connect()
    await engine.start("family", "a")
    await engine.started("a:0000")
    await engine.post("/instances/a/terminate", {"recursive": False})
    assert (await engine.get("/instances/a%3A0000")).body["status"] == "RUNNING"


async def test_purge(engine: Served) -> None:
    engine.connect()
    await engine.start("family", "a", input="go")
    await engine.started("a:0000")
    running = await engine.post("/instances/a/purge")
    assert (running.status, running.code) == (409, "TN0103")
    await engine.post("/instances/a%3A0000/events/go", {"data": 1})
    await engine.ended("a")
    assert (await engine.post("/instances/a/purge")).body == {"deleted": 2}
    assert (await engine.store.stats())["instances"] == 0
    gone = await engine.post("/instances/a/purge")
    assert (gone.status, gone.code) == (404, "TN0101")


async def test_purge_by_force(engine: Served) -> None:
    await engine.start("ask", "a")
    assert (await engine.post("/instances/a/purge", {"force": True})).body == {"deleted": 1}
    assert (await engine.get("/instances/a")).status == 404


async def test_rerun_from_an_event(engine: Served) -> None:
    engine.connect()
    await engine.start("echo", "a", input=1)
    await engine.ended("a")
    body = {"eventId": 0, "instanceId": "b", "input": {"n": 2}}
    answer = await engine.post("/instances/a/rerun", body)
    assert (answer.status, answer.body["instance"]["instanceId"]) == (201, "b")
    assert answer.headers["Location"].endswith("/instances/b")
    found = await engine.ended("b")
    assert (found["output"], found["rerunOf"]) == ({"n": 2}, "a")


async def test_rerun_with_null_as_the_input_is_not_without(engine: Served) -> None:
    engine.connect()
    await engine.start("echo", "a", input=1)
    await engine.ended("a")
    await engine.post("/instances/a/rerun", {"eventId": 0, "instanceId": "b", "input": None})
    assert (await engine.ended("b"))["output"] is None
    await engine.post("/instances/a/rerun", {"eventId": 0, "instanceId": "c"})
    assert (await engine.ended("c"))["output"] == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"eventId": 7}, 404, "TN0105"),
        ({"eventId": 0, "instanceId": "a"}, 400, "TN0008"),
        ({"eventId": 0, "instanceId": "there"}, 409, "TN0102"),
        ({"eventId": -1}, 400, "TN0004"),
        ({}, 400, "TN0004"),
    ],
)
async def test_reruns_that_cannot_be(
    engine: Served, body: dict[str, object], status: int, code: str
) -> None:
    engine.connect()
    await engine.start("echo", "a")
    await engine.start("ask", "there")
    await engine.ended("a")
    answer = await engine.post("/instances/a/rerun", body)
    assert (answer.status, answer.code) == (status, code)


async def test_restart(engine: Served) -> None:
    engine.connect()
    await engine.start("echo", "a", input=5)
    await engine.ended("a")
    answer = await engine.post("/instances/a/restart")
    assert (answer.status, answer.body["instance"]["instanceId"]) == (201, "a")
    assert (await engine.ended("a"))["output"] == 5
    other = await engine.post("/instances/a/restart", {"newId": True})
    assert other.body["instance"]["instanceId"] != "a"


async def test_restart_of_a_live_one(engine: Served) -> None:
    await engine.start("ask", "a")
    answer = await engine.post("/instances/a/restart")
    assert (answer.status, answer.code) == (409, "TN0103")


async def test_rewind(engine: Served) -> None:
    worker = engine.connect()
    await engine.start("fails", "a", input="once")
    await engine.ended("a")
    worker._activities["fail"] = lambda given: given
    answer = await engine.post("/instances/a/rewind", {"reason": "mended"})
    assert answer.status == 202
    assert (await engine.ended("a"))["status"] == "COMPLETED"
    answer = await engine.post("/instances/a/rewind")
    assert (answer.status, answer.code) == (409, "TN0108")


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("suspend", {}),
        ("resume", {}),
        ("terminate", {}),
        ("purge", {}),
        ("restart", {}),
        ("rewind", {}),
        ("rerun", {"eventId": 0}),
        ("events/x", {}),
    ],
)
async def test_nobody_can_be_acted_on(engine: Served, verb: str, body: dict[str, object]) -> None:
    answer = await engine.post(f"/instances/nobody/{verb}", body)
    assert (answer.status, answer.code) == (404, "TN0101")
    assert (await engine.store.stats())["instances"] == 0


@pytest.mark.parametrize("verb", ["suspend", "terminate", "purge", "restart", "rewind"])
async def test_a_body_may_be_absent(engine: Served, verb: str) -> None:
    await engine.start("ask", "a")
    answer = await engine.ask("POST", f"/instances/a/{verb}", data=b"")
    assert answer.status != 400
