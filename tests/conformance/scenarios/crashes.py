"""The engine's end in the middle of work, as an app sees it."""

from __future__ import annotations

from conformance.program import (
    activity,
    call,
    child,
    do,
    event,
    give,
    loop,
    status,
    task,
    timer,
    var,
    wait_all,
)
from conformance.stage import Stage
from conformance.suite import scenario


@scenario(lone=True)
async def killed_engine_keeps_waiting_workflow(stage: Stage) -> None:
    """After SIGKILL a workflow that waits is still there, receives its event and completes."""
    app = await stage.open("app", worker={})
    key = stage.id()
    steps = [*call("count", key), status("waiting"), *do(event("go"), "v"), give(var("v"))]
    instance = await app.start(steps, key)
    # The turn after the activity is committed: from now on it must not run again.
    await app.until(instance, lambda state: state.custom_status == "waiting")
    await stage.restart_engine()
    await stage.patiently(lambda: app.event(instance, "go", "after"))
    state = await stage.patiently(lambda: app.done(instance))
    assert state.output == "after"
    assert await stage.counted(key) == 1


@scenario(lone=True)
async def killed_engine_fires_timers(stage: Stage) -> None:
    """Timers that came due while the engine was gone fire after its return."""
    app = await stage.open("app", worker={})
    instance = await app.start([*do(timer(300)), give("fired")], stage.id())
    await app.started(instance)
    await stage.restart_engine()
    assert (await stage.patiently(lambda: app.done(instance))).output == "fired"


@scenario(lone=True)
async def killed_engine_in_fan_out(stage: Stage) -> None:
    """SIGKILL in a fan-out: all results come, each task is resolved once."""
    app = await stage.open("app", worker={"threads": 8})
    key = stage.id()
    fan = loop(20, [task(activity("echo", [var("i")]), push="all")])
    gate = [task(activity("count", key), "c")]
    children = [task(child([*call("echo", 1, "r"), give(var("r"))]), push="all")] * 3
    # One wait for all: an SDK may not see the end of one that begins when a part is complete.
    steps = [*gate, fan, *children, wait_all("all", "r"), give(var("r"))]
    instance = await app.start(steps, key)
    await stage.eventually(lambda: stage.counted(key), 1)
    await stage.restart_engine()
    state = await stage.patiently(lambda: app.done(instance))
    assert state.output == [[n] for n in range(20)] + [1] * 3


@scenario("reconnects", lone=True)
async def killed_engine_is_found_again(stage: Stage) -> None:
    """After SIGKILL worker and client find the engine again, with no help."""
    app = await stage.open("app", worker={})
    await app.output([*call("echo", 1, "v"), give(var("v"))], stage.id("before"))
    await stage.restart_engine()
    steps = [*call("echo", "again", "v"), give(var("v"))]
    instance = await stage.patiently(lambda: app.start(steps, stage.id("after")))
    assert (await stage.patiently(lambda: app.done(instance))).output == "again"


@scenario(lone=True)
async def stopped_engine_keeps_everything(stage: Stage) -> None:
    """An orderly stop loses nothing: states, outputs, ids in use."""
    app = await stage.open("app", worker={})
    await app.output([give("before")], stage.id("done"))
    waiting = await app.start([*do(event("go"), "v"), give(var("v"))], stage.id("waiting"))
    await app.started(waiting)
    await stage.restart_engine(kill=False)
    state = await stage.patiently(lambda: app.get(stage.id("done")))
    assert state is not None
    assert state.output == "before"
    await stage.patiently(lambda: app.event(waiting, "go", "after"))
    assert (await stage.patiently(lambda: app.done(waiting))).output == "after"
