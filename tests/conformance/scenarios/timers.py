"""Durable timers, and their races with events and activities."""

from __future__ import annotations

from conformance.program import (
    activity,
    call,
    do,
    event,
    give,
    loop,
    now,
    task,
    timer,
    timer_at,
    var,
    wait,
    wait_all,
    wait_any,
)
from conformance.stage import Stage
from conformance.suite import scenario

HOUR = 3_600_000


@scenario()
async def short_timer(stage: Stage) -> None:
    """A timer fires, and not before its time."""
    app = await stage.app()
    steps = [now("a"), *do(timer(100)), now("b"), give([var("a"), var("b")])]
    before, after = await app.output(steps, stage.id())
    assert after - before >= 100


@scenario()
async def timer_to_a_date(stage: Stage) -> None:
    """A timer for a date fires, and not before it."""
    app = await stage.app()
    steps = [now("a"), *do(timer_at(80)), now("b"), give([var("a"), var("b")])]
    before, after = await app.output(steps, stage.id())
    assert after - before >= 80


@scenario()
async def zero_timer(stage: Stage) -> None:
    """A timer of no time fires at once."""
    app = await stage.app()
    assert await app.output([*do(timer(0)), give("fired")], stage.id()) == "fired"


@scenario()
async def past_timer(stage: Stage) -> None:
    """A timer for a date in the past fires at once."""
    app = await stage.app()
    assert await app.output([*do(timer_at(-60_000)), give("fired")], stage.id()) == "fired"


@scenario()
async def many_timers(stage: Stage) -> None:
    """Forty timers at once all fire."""
    app = await stage.app()
    fan = loop(40, [task(timer(var("i")), push="all")])
    assert await app.output([fan, wait_all("all"), give("all")], stage.id()) == "all"


@scenario()
async def timers_in_a_row(stage: Stage) -> None:
    """Timers one after another each take their time."""
    app = await stage.app()
    steps = [now("a"), loop(4, do(timer(25))), now("b"), give([var("a"), var("b")])]
    before, after = await app.output(steps, stage.id())
    assert after - before >= 100


@scenario("first-of")
async def shorter_timer_wins(stage: Stage) -> None:
    """Of two timers the shorter fires first, though it was set last."""
    app = await stage.app()
    steps = [task(timer(HOUR), "long"), task(timer(10), "short"), wait_any(["long", "short"], "w")]
    assert await app.output([*steps, give(var("w"))], stage.id()) == 1


@scenario("first-of")
async def event_beats_timer(stage: Stage) -> None:
    """An event that comes before the time-out wins; the workflow completes with the timer open."""
    app = await stage.app()
    steps = [task(event("go"), "event"), task(timer(HOUR), "limit")]
    steps += [wait_any(["event", "limit"], "w"), wait("event", "v"), give([var("w"), var("v")])]
    instance = await app.start(steps, stage.id())
    await app.started(instance)
    await app.event(instance, "go", "now")
    assert (await app.done(instance)).output == [0, "now"]


@scenario("first-of")
async def timer_beats_event(stage: Stage) -> None:
    """A time-out that passes before the event wins; the late event still finds its wait."""
    app = await stage.app()
    steps = [task(event("go"), "event"), task(timer(20), "limit")]
    steps += [wait_any(["event", "limit"], "w"), wait("event", "v"), give([var("w"), var("v")])]
    steps.insert(-2, {"op": "status", "value": "late"})
    instance = await app.start(steps, stage.id())
    await app.until(instance, lambda state: state.custom_status == "late", why="the time-out")
    await app.event(instance, "go", "late")
    assert (await app.done(instance)).output == [1, "late"]


@scenario("first-of", "parallel")
async def timer_beside_activity(stage: Stage) -> None:
    """An activity that takes longer than a time-out goes on and its result is used later."""
    app = await stage.app()
    key = stage.id()
    steps = [task(activity("gate", key), "work"), task(timer(10), "limit")]
    steps += [wait_any(["work", "limit"], "w"), {"op": "status", "value": "waiting"}]
    steps += [*call("echo", 1), wait("work"), give(var("w"))]
    instance = await app.start(steps, key)
    await app.until(instance, lambda state: state.custom_status == "waiting", why="the time-out")
    await stage.release(key)
    assert (await app.done(instance)).output == 1


@scenario()
async def completion_with_open_timer(stage: Stage) -> None:
    """A workflow that returns with a timer open is completed for good."""
    app = await stage.app()
    state = await app.run([task(timer(30), "t"), give("early")], stage.id())
    assert (state.status, state.output) == ("COMPLETED", "early")
    other = await app.output([*do(timer(60)), give("later")], stage.id("other"))
    assert other == "later"
    after = await app.get(stage.id())
    assert after is not None
    assert (after.status, after.output) == ("COMPLETED", "early")
