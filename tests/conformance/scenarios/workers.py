"""Workers: that come and go, share the load, have limits, and remember histories."""

from __future__ import annotations

import asyncio

from conformance.program import (
    activity,
    call,
    do,
    event,
    give,
    loop,
    status,
    task,
    var,
    wait_all,
)
from conformance.stage import Stage
from conformance.suite import scenario


@scenario(lone=True)
async def work_waits_for_a_worker(stage: Stage) -> None:
    """What is started while no worker is connected runs when one comes."""
    client = await stage.open("client", worker=None)
    instance = await client.start([*call("echo", "late", "v"), give(var("v"))], stage.id())
    state = await client.get(instance)
    assert state is not None
    assert state.status == "PENDING"
    await client.ask("start_worker", options={})
    assert (await client.done(instance)).output == "late"


@scenario(lone=True)
async def worker_reconnects(stage: Stage) -> None:
    """A workflow goes on where it was when the worker stops and comes back."""
    app = await stage.open("app", worker={})
    key = stage.id()
    steps = [*call("count", key), status("waiting"), *do(event("go"), "v")]
    instance = await app.start([*steps, *call("count", key, "n"), give(var("n"))], key)
    # The turn after the first activity is committed: it must not run again.
    await app.until(instance, lambda state: state.custom_status == "waiting")
    await app.ask("stop_worker")
    await stage.workers(0)
    await app.event(instance, "go", 1)
    await app.ask("start_worker", options={})
    assert (await app.done(instance)).output == 2
    assert await stage.counted(key) == 2


@scenario(lone=True)
async def other_worker_takes_over(stage: Stage) -> None:
    """A workflow that one worker began is finished by another."""
    first = await stage.open("first", worker={})
    steps = [*call("who", 1, "a"), *do(event("go")), *call("who", 2, "b")]
    instance = await first.start([*steps, give([var("a"), var("b")])], stage.id())
    await first.started(instance)
    second = await stage.open("second", worker={})
    await stage.workers(2)
    await first.ask("stop_worker")
    await stage.workers(1)
    await first.event(instance, "go")
    output = (await first.done(instance)).output
    assert output[1] == second.name


@scenario("parallel", lone=True)
async def two_workers_share(stage: Stage) -> None:
    """Two workers share a fan-out: with two slots each, four activities run at once."""
    options = {"max_activities": 2, "threads": 6}
    first = await stage.open("first", worker=options)
    second = await stage.open("second", worker=options)
    # A worker without a limit of its own is given all four when it is the only one.
    await stage.workers(2)
    key = stage.id()
    fan = loop(4, [task(activity("gate", key), push="all")])
    instance = await first.start([fan, wait_all("all", "who"), give(var("who"))], key)
    await stage.eventually(lambda: stage.counted(key), 4)
    await stage.release(key)
    assert set((await first.done(instance)).output) == {first.name, second.name}


@scenario("caps", "parallel", lone=True)
async def worker_limit_is_kept(stage: Stage) -> None:
    """A worker with two slots never runs more than two activities, and runs all of them."""
    app = await stage.open("app", worker={"max_activities": 2, "threads": 8})
    key = stage.id()
    fan = loop(6, [task(activity("gate", key), push="all")])
    instance = await app.start([fan, wait_all("all"), give("all")], key)
    await stage.eventually(lambda: stage.counted(key), 2)
    await stage.release(key)
    assert (await app.done(instance)).output == "all"
    assert await stage.counted(key) == 6
    assert await stage.peak(key) <= 2


@scenario("filters", lone=True)
async def filtered_workers(stage: Stage) -> None:
    """With filters each worker gets only the activities that it has."""
    left = await stage.open("left", worker={"filters": True, "without": ["count"]})
    await stage.open("right", worker={"filters": True, "without": ["echo"]})
    key = stage.id()
    steps = [loop(4, [*call("echo", 1), *call("count", key)]), give("both")]
    assert await left.output(steps, stage.id()) == "both"
    assert await stage.counted(key) == 4


@scenario(lone=True)
async def long_history(stage: Stage) -> None:
    """Eighty turns of one workflow: each sees all results before it."""
    app = await stage.open("app", worker={})
    key = stage.id()
    steps = [loop(80, call("count", key, "n")), give(var("n"))]
    assert await app.output(steps, key) == 80


@scenario(lone=True)
async def worker_comes_back_to_a_long_history(stage: Stage) -> None:
    """A worker that comes back without memory gets the whole history again."""
    app = await stage.open("app", worker={})
    key = stage.id()
    before, after = loop(20, call("count", key)), loop(20, call("count", key, "n"))
    steps = [before, status("waiting"), *do(event("go")), after, give(var("n"))]
    instance = await app.start(steps, key)
    # The turn after the last activity is committed: it must not run again.
    await app.until(instance, lambda state: state.custom_status == "waiting")
    await app.ask("stop_worker")
    await stage.workers(0)
    await app.ask("start_worker", options={})
    await app.event(instance, "go")
    assert (await app.done(instance)).output == 40
    assert await stage.counted(key) == 40


@scenario(lone=True)
async def clients_without_worker(stage: Stage) -> None:
    """Without a worker clients can start, look, raise, suspend and resume; nothing hangs."""
    client = await stage.open("client", worker=None)
    instance = await client.start([*do(event("go"), "v"), give(var("v"))], stage.id())
    await client.event(instance, "go", "kept")
    for op, expected in ((None, "PENDING"), ("suspend", "SUSPENDED"), ("resume", "PENDING")):
        if op is not None:
            await client.ask(op, instance=instance)
        state = await client.get(instance)
        assert state is not None
        assert state.status == expected, op
    await client.ask("start_worker", options={})
    assert (await client.done(instance)).output == "kept"


@scenario(lone=True)
async def two_clients(stage: Stage) -> None:
    """What one client starts another one sees, waits for and steers."""
    one = await stage.open("one", worker={})
    other = await stage.open("other", worker=None)
    instance = await one.start([*do(event("go"), "v"), give(var("v"))], stage.id())
    waiting = asyncio.create_task(one.done(instance))
    assert (await other.started(instance)).status == "RUNNING"
    await other.event(instance, "go", "from the other")
    assert (await waiting).output == "from the other"
