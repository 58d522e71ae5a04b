"""Continue-as-new: a fresh history, new input, and what becomes of open events."""

from __future__ import annotations

from conformance.program import (
    Program,
    activity,
    add,
    again,
    append,
    call,
    do,
    event,
    give,
    put,
    status,
    task,
    timer,
    var,
    wait,
    wait_any,
    when,
)
from conformance.stage import Stage
from conformance.suite import scenario


def _count_to(limit: int, step: Program) -> Program:
    onward = [again({"n": add(var("n"), 1)})]
    return [*step, when(var("n"), "<", limit, onward), give(var("n"))]


@scenario()
async def continue_as_new(stage: Stage) -> None:
    """Ten generations; the input of each is what the one before gave it."""
    app = await stage.app()
    assert await app.output(_count_to(10, []), stage.id(), vars={"n": 0}) == 10


@scenario()
async def hundred_generations(stage: Stage) -> None:
    """A hundred generations in a tight loop neither pause nor pile up."""
    app = await stage.app()
    assert await app.output(_count_to(100, []), stage.id(), vars={"n": 0}) == 100


@scenario()
async def generations_with_activities(stage: Stage) -> None:
    """Each generation runs its activity once, though the task ids are the same in each."""
    app = await stage.app()
    key = stage.id()
    output = await app.output(_count_to(6, call("count", key)), key, vars={"n": 1})
    assert output == 6
    assert await stage.counted(key) == 6


@scenario()
async def generations_with_timers(stage: Stage) -> None:
    """A timer in each generation."""
    app = await stage.app()
    assert await app.output(_count_to(4, do(timer(5))), stage.id(), vars={"n": 0}) == 4


@scenario("first-of")
async def open_timer_of_a_generation(stage: Stage) -> None:
    """A timer that a generation left open does not fire into the next one."""
    app = await stage.app()
    first = [task(timer(30), "left"), again({"n": 1})]
    second = [task(timer(3_600_000), "long"), task(timer(90), "short")]
    second += [wait_any(["long", "short"], "w"), give(var("w"))]
    output = await app.output([when(var("n"), "==", 0, first), *second], stage.id(), vars={"n": 0})
    assert output == 1


@scenario()
async def open_activity_of_a_generation(stage: Stage) -> None:
    """The result of an activity that a generation left open does not reach the next one."""
    app = await stage.app()
    key = stage.id()
    first = [task(activity("count", f"{key}-old"), "left"), again({"n": 1})]
    second = [*call("echo", "new", "v"), give(var("v"))]
    output = await app.output([when(var("n"), "==", 0, first), *second], key, vars={"n": 0})
    assert output == "new"


@scenario("ordered-carryover")
async def events_are_carried_over(stage: Stage) -> None:
    """Events that a generation did not receive come to the next ones, in order."""
    app = await stage.app()
    onward = [again({"got": var("got")}, keep_events=True)]
    steps = [*do(event("n"), "v"), append("got", var("v"))]
    steps += [when({"$len": var("got")}, "<", 8, onward), give(var("got"))]
    instance = await app.start(steps, stage.id(), vars={"got": []})
    for n in range(1, 9):
        await app.event(instance, "n", n)
    assert (await app.done(instance)).output == list(range(1, 9))


@scenario("first-of", "parallel")
async def events_are_dropped(stage: Stage) -> None:
    """Without carrying over, events that a generation did not receive are gone."""
    app = await stage.app()
    key = stage.id()
    first = [*call("gate", key), again({"n": 1})]
    second = [task(event("lost"), "e"), task(timer(40), "t"), wait_any(["e", "t"], "w")]
    steps = [when(var("n"), "==", 0, first), *second, give(var("w"))]
    instance = await app.start(steps, key, vars={"n": 0})
    await stage.eventually(lambda: stage.counted(key), 1)
    await app.event(instance, "lost", 1)
    await stage.release(key)
    assert (await app.done(instance)).output == 1


@scenario()
async def event_between_generations(stage: Stage) -> None:
    """An event raised while the workflow runs through generations is received once."""
    app = await stage.app()
    onward = [again({"n": add(var("n"), 1)}, keep_events=True)]
    ahead = [*call("echo", 1), when(var("n"), "<", 10, onward)]
    instance = await app.start(
        [*ahead, *do(event("go"), "v"), give(var("v"))], stage.id(), vars={"n": 0}
    )
    await app.event(instance, "go", "found")
    assert (await app.done(instance)).output == "found"


@scenario()
async def status_of_a_generation(stage: Stage) -> None:
    """The state between generations is RUNNING, under the same id, with the new input."""
    app = await stage.app()
    first = [again({"n": 1})]
    steps = [when(var("n"), "==", 0, first), status("second"), *do(event("go"), "v"), give("end")]
    instance = await app.start(steps, stage.id(), vars={"n": 0})
    state = await app.until(instance, lambda one: one.custom_status == "second")
    assert state.status == "RUNNING"
    assert state.input["vars"] == {"n": 1}
    await app.event(instance, "go")
    assert (await app.done(instance)).output == "end"


@scenario("failure-details")
async def generation_then_failure(stage: Stage) -> None:
    """A failure in a later generation fails the instance."""
    app = await stage.app()
    steps = [when(var("n"), "==", 0, [again({"n": 1})]), put("x", 1), *call("boom", "later")]
    state = await app.run(steps, stage.id(), vars={"n": 0})
    assert state.status == "FAILED"
    assert "later" in state.failure["message"]


@scenario()
async def waiting_generation_is_terminated(stage: Stage) -> None:
    """A later generation can be terminated."""
    app = await stage.app()
    steps = [when(var("n"), "==", 0, [again({"n": 1})]), status("waits"), task(event("x"), "e")]
    instance = await app.start([*steps, wait("e")], stage.id(), vars={"n": 0})
    await app.until(instance, lambda one: one.custom_status == "waits")
    await app.ask("terminate", instance=instance)
    assert (await app.done(instance)).status == "TERMINATED"
