"""Bulk jobs over HTTP: what they act on, what they say, and that they are safe to ask for twice.

The worker is driven by hand (``sweep``).  Out of scope: crashes in the middle (tests/sim/test_jobs.py).
"""

from __future__ import annotations

from typing import Any

import pytest

from support.served import Reply, Served
from tenure_common.errors import BadRequestError, StoreUnavailableError
from tenure_sidecar.actors import jobs


async def run(engine: Served, body: dict[str, Any]) -> dict[str, Any]:
    """Make a job and work until it has ended."""
    answer = await engine.post("/jobs", body)
    assert answer.status == 202, answer
    while await engine.jobs.sweep():
        pass
    found: dict[str, Any] = (await engine.get(f"/jobs/{answer.body['id']}")).body
    assert found["state"] != "RUNNING"
    return found


async def statuses(engine: Served) -> dict[str, str]:
    """Id to status of all instances."""
    page = (await engine.get("/instances", order="id", limit=1000)).body
    return {one["instanceId"]: one["status"] for one in page["instances"]}


@pytest.fixture
async def mixed(engine: Served) -> Served:
    """Two that run, one suspended, one that failed, one that is done."""
    engine.connect()
    for one in ("run1", "run2", "held"):
        await engine.start("ask", one)
        await engine.started(one)
    await engine.post("/instances/held/suspend")
    await engine.start("fails", "bad", input="x")
    await engine.ended("bad")
    await engine.start("echo", "done", input=1)
    await engine.ended("done")
    return engine


@pytest.mark.parametrize(
    ("body", "done", "after"),
    [
        ({"action": "suspend"}, 2, {"run1": "SUSPENDED", "run2": "SUSPENDED"}),
        ({"action": "resume"}, 1, {"held": "RUNNING"}),
        (
            {"action": "terminate"},
            3,
            {"run1": "TERMINATED", "run2": "TERMINATED", "held": "TERMINATED"},
        ),
        ({"action": "purge"}, 2, {"bad": None, "done": None}),
        (
            {"action": "purge", "force": True},
            5,
            dict.fromkeys(("run1", "run2", "held", "bad", "done")),
        ),
    ],
    ids=["suspend", "resume", "terminate", "purge", "purge-by-force"],
)
async def test_each_verb_acts_where_it_can(
    mixed: Served, body: dict[str, Any], done: int, after: dict[str, str | None]
) -> None:
    before = await statuses(mixed)
    job = await run(mixed, {**body, "all": True})
    assert job["state"] == "COMPLETED"
    assert job["progress"] == {"matched": done, "done": done, "skipped": 0, "failed": 0}
    expected = {k: v for k, v in {**before, **after}.items() if v is not None}
    assert await statuses(mixed) == expected


async def test_raise(mixed: Served) -> None:
    job = await run(mixed, {"action": "raise", "event": "answer", "data": 7, "all": True})
    assert job["progress"]["done"] == 3
    assert (await mixed.ended("run1"))["output"] == 7
    assert (await mixed.get("/instances/held")).body["status"] == "SUSPENDED"


async def test_restart_in_place_and_under_new_ids(mixed: Served) -> None:
    job = await run(mixed, {"action": "restart", "filter": {"status": ["COMPLETED"]}})
    assert job["progress"]["done"] == 1
    assert (await mixed.ended("done"))["generation"] == 1
    job = await run(
        mixed, {"action": "restart", "newId": True, "filter": {"status": ["COMPLETED"]}}
    )
    assert job["progress"]["done"] == 1
    assert len(await statuses(mixed)) == 6


async def test_rewind(engine: Served) -> None:
    worker = engine.connect()
    await engine.start("fails", "bad", input="x")
    await engine.ended("bad")
    worker._activities["fail"] = lambda given: given
    job = await run(engine, {"action": "rewind", "all": True})
    assert job["progress"]["done"] == 1
    assert (await engine.ended("bad"))["status"] == "COMPLETED"


async def test_terminate_keeps_the_output(mixed: Served) -> None:
    body = {"action": "terminate", "output": {"why": 1}, "filter": {"idPrefix": "run1"}}
    await run(mixed, body)
    assert (await mixed.get("/instances/run1")).body["output"] == {"why": 1}
    assert (await statuses(mixed))["run2"] == "RUNNING"


async def test_filters_narrow(mixed: Served) -> None:
    body = {"action": "terminate", "filter": {"status": ["SUSPENDED", "FAILED"]}}
    job = await run(mixed, body)
    assert job["progress"]["matched"] == 1
    job = await run(mixed, {"action": "rewind", "filter": {"status": ["COMPLETED"]}})
    assert (job["state"], job["progress"]["matched"]) == ("COMPLETED", 0)


async def test_what_is_started_later_is_left_alone(engine: Served) -> None:
    await engine.start("ask", "before")
    answer = await engine.post("/jobs", {"action": "terminate", "filter": {"workflow": "ask"}})
    await engine.start("ask", "after")
    while await engine.jobs.sweep():
        pass
    assert await statuses(engine) == {"after": "PENDING", "before": "TERMINATED"}
    assert answer.body["progress"]["matched"] == 1


async def test_many_pages(engine: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PAGE", 3)
    for n in range(8):
        await engine.start("ask", f"i{n}")
    answer = await engine.post("/jobs", {"action": "terminate", "all": True})
    seen: list[int] = []
    more = True
    while more:
        more = await engine.jobs.sweep()
        seen.append((await engine.get(f"/jobs/{answer.body['id']}")).body["progress"]["done"])
    assert seen == [3, 6, 8]
    assert set((await statuses(engine)).values()) == {"TERMINATED"}


async def test_what_changed_meanwhile_is_skipped(
    engine: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in ("a", "b", "c"):
        await engine.start("ask", one)
        await engine.post(f"/instances/{one}/terminate")
    monkeypatch.setattr(jobs, "AT_ONCE", 1)
    restart = engine.operations.restart

    async def and_purge_b(instance_id: str, **more: Any) -> str:
        await engine.operations.purge("b", recursive=False)
        return await restart(instance_id, **more)

    monkeypatch.setattr(engine.operations, "restart", and_purge_b)
    job = await run(engine, {"action": "restart", "all": True})
    assert job["progress"] == {"matched": 3, "done": 2, "skipped": 1, "failed": 0}


async def test_what_fails_is_told(engine: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        await engine.start("ask", f"i{n}")
    terminate = engine.operations.terminate

    async def sometimes(instance_id: str, *args: Any, **more: Any) -> None:
        if instance_id == "i1":
            raise BadRequestError("not this one")
        await terminate(instance_id, *args, **more)

    monkeypatch.setattr(engine.operations, "terminate", sometimes)
    job = await run(engine, {"action": "terminate", "all": True})
    assert job["progress"] == {"matched": 3, "done": 2, "skipped": 0, "failed": 1}
    assert job["errors"] == [{"instanceId": "i1", "code": "TN0004", "message": "not this one"}]


async def test_a_store_that_is_away_is_waited_for(
    engine: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.start("ask", "a")
    await engine.post("/jobs", {"action": "terminate", "all": True})
    with monkeypatch.context() as patch:

        async def fail(*_args: object, **_more: object) -> None:
            raise StoreUnavailableError("away")

        patch.setattr(engine.operations, "terminate", fail)
        with pytest.raises(StoreUnavailableError):
            await engine.jobs.sweep()
    assert not await engine.jobs.sweep()
    assert await statuses(engine) == {"a": "TERMINATED"}


# --- dry run --------------------------------------------------------------------------------------


async def test_a_dry_run_says_and_does_nothing(mixed: Served) -> None:
    before = await statuses(mixed)
    answer = await mixed.post("/dry-run", {"action": "terminate", "all": True})
    assert answer.status == 200
    assert answer.body == {
        "matched": 3,
        "byStatus": {"RUNNING": 2, "SUSPENDED": 1},
        "sample": ["held", "run1", "run2"],
    }
    assert not await mixed.jobs.sweep()
    assert await statuses(mixed) == before
    assert (await mixed.get("/jobs")).body == {"jobs": []}


async def test_a_dry_run_of_nothing(mixed: Served) -> None:
    body = {"action": "rewind", "filter": {"status": ["RUNNING"]}}
    answer = await mixed.post("/dry-run", body)
    assert answer.body == {"matched": 0, "byStatus": {}, "sample": []}


# --- asking ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/jobs", "/dry-run"])
@pytest.mark.parametrize(
    "body",
    [
        {"action": "terminate"},
        {"action": "terminate", "filter": {}},
        {"action": "explode", "all": True},
        {"all": True},
        {"action": "raise", "all": True},
        {"action": "suspend", "force": True, "all": True},
        {"action": "purge", "filter": {"staus": ["FAILED"]}},
        {"action": "purge", "filter": {"createdTo": "soon"}},
        {"action": "purge", "filter": {"idPrefix": ""}},
        {"action": "purge", "filter": {"tag": ["x"]}},
    ],
    ids=str,
)
async def test_bad_jobs(engine: Served, path: str, body: dict[str, Any]) -> None:
    answer = await engine.post(path, body)
    assert (answer.status, answer.code) == (400, "TN0004")
    assert (await engine.get("/jobs")).body == {"jobs": []}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            {"action": "explode", "all": True},
            "one of purge, raise, restart, resume, rewind, suspend",
        ),
        ({"action": "purge", "filter": {"status": ["DONE"]}}, "CANCELED, COMPLETED, FAILED"),
    ],
)
async def test_what_it_could_have_been_is_told(
    engine: Served, body: dict[str, Any], says: str
) -> None:
    assert says in (await engine.post("/jobs", body)).body["message"]


async def with_key(engine: Served, key: str, body: dict[str, Any]) -> Reply:
    return await engine.post("/jobs", body, headers={"Idempotency-Key": key})


async def test_a_repeat_with_the_key_makes_one_job(engine: Served) -> None:
    await engine.start("ask", "a")
    body = {"action": "terminate", "filter": {"createdTo": "0s", "idPrefix": "a"}}
    first = await with_key(engine, "k", body)
    while await engine.jobs.sweep():
        pass
    again = await with_key(engine, "k", body)
    assert (first.status, again.status) == (202, 200)
    assert again.body["id"] == first.body["id"]
    assert again.body["state"] == "COMPLETED"
    other = await with_key(engine, "k", {**body, "recursive": False})
    assert (other.status, other.code) == (409, "TN0111")
    assert (await with_key(engine, "k2", body)).body["id"] != first.body["id"]


async def test_a_key_of_a_start_is_none_of_a_job(engine: Served) -> None:
    headers = {"Idempotency-Key": "k"}
    await engine.post("/instances", {"workflow": "ask"}, headers=headers)
    assert (await with_key(engine, "k", {"action": "suspend", "all": True})).status == 202


async def test_jobs_are_listed_newest_first(engine: Served) -> None:
    await engine.start("ask", "a")
    made = [
        (await engine.post("/jobs", {"action": verb, "all": True})).body["id"]
        for verb in ("suspend", "resume", "terminate")
    ]
    listed = (await engine.get("/jobs")).body["jobs"]
    assert [job["id"] for job in listed] == made[::-1]
    assert [job["action"] for job in listed] == ["terminate", "resume", "suspend"]
    assert len((await engine.get("/jobs", limit=1)).body["jobs"]) == 1


async def test_cancel(engine: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PAGE", 1)
    for n in range(3):
        await engine.start("ask", f"i{n}")
    made = (await engine.post("/jobs", {"action": "terminate", "all": True})).body["id"]
    await engine.jobs.sweep()
    assert (await engine.ask("POST", f"/jobs/{made}/cancel")).body["state"] == "RUNNING"
    assert not await engine.jobs.sweep()
    found = (await engine.get(f"/jobs/{made}")).body
    assert (found["state"], found["progress"]["done"]) == ("CANCELED", 1)
    assert found["finishedAt"] == found["updatedAt"]
    assert not await engine.jobs.sweep()
    assert (await engine.ask("POST", f"/jobs/{made}/cancel")).body["state"] == "CANCELED"


@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("POST", "/cancel")])
async def test_no_such_job(engine: Served, method: str, tail: str) -> None:
    answer = await engine.ask(method, f"/jobs/nobody{tail}")
    assert (answer.status, answer.code) == (404, "TN0110")


async def test_jobs_are_bounded(engine: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_RUNNING", 1)
    await engine.start("ask", "a")
    assert (await engine.post("/jobs", {"action": "suspend", "all": True})).status == 202
    answer = await engine.post("/jobs", {"action": "suspend", "all": True})
    assert (answer.status, answer.code) == (429, "TN0202")
