"""Reading: states, waits, queries, lists, histories."""

from __future__ import annotations

import asyncio

import pytest

from conformance.driver import SdkError
from conformance.program import call, child, do, event, give, now, timer, var
from conformance.stage import Stage
from conformance.suite import scenario

WAIT = [*do(event("go"), "v"), give(var("v"))]
TIMEOUTS = {"TIMEOUT", "DEADLINE_EXCEEDED", "TimeoutError", "TimeoutException"}


@scenario()
async def state_without_payloads(stage: Stage) -> None:
    """A look without payloads has the status but no input or output."""
    app = await stage.app()
    await app.output([give("big")], stage.id())
    state = await app.get(stage.id(), payloads=False)
    assert state is not None
    assert state.status == "COMPLETED"
    assert not state.raw.get("input")
    assert not state.raw.get("output")


@scenario()
async def state_of_unknown(stage: Stage) -> None:
    """An unknown instance has no state; that is not an error."""
    app = await stage.app()
    assert await app.get(stage.id("nobody")) is None


@scenario()
async def name_and_times(stage: Stage) -> None:
    """A state has the workflow's name, and the last update lies after the creation."""
    app = await stage.app()
    state = await app.run([*do(timer(30)), now("t"), give(var("t"))], stage.id())
    assert state.raw["name"] == "run"
    assert state.raw["updated"] >= state.output
    assert state.raw["updated"] >= state.raw["created"] + 30


@scenario()
async def wait_for_the_start(stage: Stage) -> None:
    """The wait for the start ends when the first turn was done."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    assert (await app.started(instance)).status == "RUNNING"
    await app.event(instance, "go", 1)
    await app.done(instance)
    assert (await app.started(instance)).status == "COMPLETED"


@scenario("wait-timeout")
async def wait_times_out(stage: Stage) -> None:
    """A wait with a deadline ends when it has passed; the workflow goes on."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    with pytest.raises(SdkError) as caught:
        await app.done(instance, timeout_ms=1000)
    assert caught.value.code in TIMEOUTS, caught.value
    await app.event(instance, "go", 1)
    assert (await app.done(instance)).output == 1


@scenario()
async def wait_after_the_end(stage: Stage) -> None:
    """A wait for an instance that has ended returns at once, with the payloads."""
    app = await stage.app()
    await app.output([give("end")], stage.id())
    assert (await app.done(stage.id())).output == "end"


@scenario()
async def several_waits(stage: Stage) -> None:
    """Several clients that wait for one instance all get its end."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    waits = [asyncio.create_task(app.done(instance)) for _ in range(5)]
    await app.started(instance)
    await app.event(instance, "go", "all")
    assert [(await one).output for one in waits] == ["all"] * 5


@scenario("wait-timeout")
async def wait_for_unknown(stage: Stage) -> None:
    """A wait for an unknown instance neither hangs beyond its deadline nor gives a state."""
    app = await stage.app()
    try:
        raw = await app.ask("wait_done", instance=stage.id("nobody"), timeout_ms=1000)
    except SdkError as error:
        found = error.code in TIMEOUTS or "no such instance exists" in error.message
        assert found, error
    else:
        assert raw is None


@scenario("query")
async def query_by_prefix(stage: Stage) -> None:
    """A query by id prefix finds exactly the instances that have it."""
    app = await stage.app()
    names = [stage.id(f"q{n}") for n in range(3)]
    for name in names:
        await app.output([give(1)], name)
    found = await app.ask("query", prefix=stage.id("q"))
    assert sorted(one["id"] for one in found) == names


@scenario("query")
async def query_by_status(stage: Stage) -> None:
    """A query by status leaves out the others."""
    app = await stage.app()
    await app.output([give(1)], stage.id("s-completed"))
    await app.run(call("boom", "x"), stage.id("s-failed"))
    running = await app.start(WAIT, stage.id("s-running"))
    await app.started(running)
    found = await app.ask("query", prefix=stage.id("s-"), statuses=["FAILED", "RUNNING"])
    assert {one["id"]: one["status"] for one in found} == {
        stage.id("s-failed"): "FAILED",
        stage.id("s-running"): "RUNNING",
    }
    await app.event(running, "go", 1)
    await app.done(running)


@scenario("query")
async def query_in_pages(stage: Stage) -> None:
    """Pages of two give all seven instances, each once."""
    app = await stage.app()
    names = [stage.id(f"p{n}") for n in range(7)]
    for name in names:
        await app.output([give(1)], name)
    found = await app.ask("query", prefix=stage.id("p"), page_size=2)
    assert sorted(one["id"] for one in found) == names


@scenario("query")
async def query_by_time(stage: Stage) -> None:
    """A query by creation time gives the instances of that span."""
    app = await stage.app()
    await app.output([give(1)], stage.id("t-before"))
    middle = await app.run([*do(timer(5)), give(1)], stage.id("t-middle"))
    await app.output([give(1)], stage.id("t-after"))
    found = await app.ask("query", prefix=stage.id("t-"), from_ms=middle.raw["created"])
    assert stage.id("t-after") in {one["id"] for one in found}
    found = await app.ask("query", prefix=stage.id("t-"), to_ms=middle.raw["created"] - 1)
    assert {one["id"] for one in found} <= {stage.id("t-before")}


@scenario("query")
async def query_with_payloads(stage: Stage) -> None:
    """Payloads come with a query when they are asked for, else not."""
    app = await stage.app()
    await app.output([give("payload")], stage.id("one"))
    (state,) = await app.ask("query", prefix=stage.id("one"), payloads=True)
    assert state["output"] == '"payload"'
    (state,) = await app.ask("query", prefix=stage.id("one"), payloads=False)
    assert not state["output"]


@scenario("query")
async def query_without_hits(stage: Stage) -> None:
    """A query that matches nothing gives an empty list."""
    app = await stage.app()
    assert await app.ask("query", prefix=stage.id("nothing-like-that")) == []


@scenario("list-ids")
async def list_instance_ids(stage: Stage) -> None:
    """The listing of ids, in pages of two, has every instance once."""
    app = await stage.app()
    names = {stage.id(f"l{n}") for n in range(5)}
    for name in names:
        await app.output([give(1)], name)
    pages = await app.ask("list_ids", page_size=2)
    ids = [name for page in pages for name in page]
    assert len(ids) == len(set(ids))
    assert names <= set(ids)
    assert all(len(page) <= 2 for page in pages)


@scenario("list-ids", "list-ids-by-status")
async def list_ids_by_status(stage: Stage) -> None:
    """The listing of ids can be limited to statuses."""
    app = await stage.app()
    await app.output([give(1)], stage.id("good"))
    await app.run(call("boom", "x"), stage.id("bad"))
    pages = await app.ask("list_ids", page_size=1000, statuses=["FAILED"])
    ids = {name for page in pages for name in page}
    assert stage.id("bad") in ids
    assert stage.id("good") not in ids


@scenario("history")
async def history_of_an_empty_workflow(stage: Stage) -> None:
    """The history of a workflow without steps has three events."""
    app = await stage.app()
    await app.run([], stage.id())
    types = [one["type"] for one in await app.ask("history", instance=stage.id())]
    assert types == ["OrchestratorStarted", "ExecutionStarted", "ExecutionCompleted"]


@scenario("history")
async def history_of_twelve_events(stage: Stage) -> None:
    """Activity, timer and child give exactly the documented twelve events, in order."""
    app = await stage.app()
    await app.run([*call("echo", 1), *do(timer(5)), *do(child([give(1)])), give(1)], stage.id())
    history = await app.ask("history", instance=stage.id())
    assert [one["type"] for one in history] == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "TaskScheduled",
        "OrchestratorStarted",
        "TaskCompleted",
        "TimerCreated",
        "OrchestratorStarted",
        "TimerFired",
        "SubOrchestrationInstanceCreated",
        "OrchestratorStarted",
        "SubOrchestrationInstanceCompleted",
        "ExecutionCompleted",
    ]


@scenario("history")
async def history_ids_and_times(stage: Stage) -> None:
    """Created events have the ids of their actions, all others -1; times never go back."""
    app = await stage.app()
    await app.run([*call("echo", 1), *call("echo", 2), give(1)], stage.id())
    history = await app.ask("history", instance=stage.id())
    created = [one["id"] for one in history if one["type"] == "TaskScheduled"]
    assert len(set(created)) == 2
    assert all(number >= 0 for number in created)
    started = [one["id"] for one in history if one["type"] == "OrchestratorStarted"]
    assert set(started) == {-1}
    times = [one["at"] for one in history]
    assert times == sorted(times)
    assert times[0] > 1_700_000_000_000


@scenario("history", "history-not-found")
async def history_of_unknown(stage: Stage) -> None:
    """The history of an unknown instance is NOT_FOUND."""
    app = await stage.app()
    with pytest.raises(SdkError) as caught:
        await app.ask("history", instance=stage.id("nobody"))
    assert caught.value.code == "NOT_FOUND" or "not found" in caught.value.message.lower()


@scenario("history")
async def history_of_a_large_workflow(stage: Stage) -> None:
    """A history with megabytes of payloads is read whole."""
    app = await stage.app()
    steps = [{"op": "loop", "count": 6, "body": call("blob", 400_000, "b")}, give(1)]
    await app.run(steps, stage.id())
    history = await app.ask("history", instance=stage.id())
    assert [one["type"] for one in history].count("TaskCompleted") == 6
