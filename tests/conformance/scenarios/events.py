"""External events: raised by clients, kept until the workflow waits for them."""

from __future__ import annotations

import asyncio

import pytest

from conformance.driver import SdkError
from conformance.program import (
    append,
    attempt,
    call,
    do,
    event,
    give,
    loop,
    put,
    send,
    task,
    timer,
    var,
    wait,
    wait_any,
    when,
)
from conformance.stage import Stage
from conformance.suite import scenario


@scenario()
async def event_is_received(stage: Stage) -> None:
    """A waiting workflow gets the event and its payload."""
    app = await stage.app()
    instance = await app.start([*do(event("go"), "v"), give(var("v"))], stage.id())
    await app.started(instance)
    await app.event(instance, "go", {"n": 1})
    assert (await app.done(instance)).output == {"n": 1}


@scenario("parallel")
async def event_before_the_wait(stage: Stage) -> None:
    """An event that comes before the workflow waits for it is kept."""
    app = await stage.app()
    key = stage.id()
    instance = await app.start([*call("gate", key), *do(event("go"), "v"), give(var("v"))], key)
    await stage.eventually(lambda: stage.counted(key), 1)
    await app.event(instance, "go", "early")
    await stage.release(key)
    assert (await app.done(instance)).output == "early"


@scenario()
async def events_in_order(stage: Stage) -> None:
    """Events of one name are received in the order in which they were raised, each once."""
    app = await stage.app()
    steps = [put("got", []), loop(10, [*do(event("n"), "v"), append("got", var("v"))])]
    instance = await app.start([*steps, give(var("got"))], stage.id())
    for n in range(1, 11):
        await app.event(instance, "n", n)
    assert (await app.done(instance)).output == list(range(1, 11))


@scenario()
async def events_at_once(stage: Stage) -> None:
    """Events that clients raise at the same time are all received."""
    app = await stage.app()
    steps = [put("got", []), loop(20, [*do(event("n"), "v"), append("got", var("v"))])]
    instance = await app.start([*steps, give(var("got"))], stage.id())
    await asyncio.gather(*(app.event(instance, "n", n) for n in range(1, 21)))
    assert sorted((await app.done(instance)).output) == list(range(1, 21))


@scenario("event-case")
async def event_names_ignore_case(stage: Stage) -> None:
    """The name that is raised and the name that is waited for may differ in case."""
    app = await stage.app()
    instance = await app.start([*do(event("Approval"), "v"), give(var("v"))], stage.id())
    await app.event(instance, "APPROVAL", "yes")
    assert (await app.done(instance)).output == "yes"


@scenario()
async def two_event_names(stage: Stage) -> None:
    """Events of two names are told apart, in whatever order they come."""
    app = await stage.app()
    steps = [*do(event("a"), "a"), *do(event("b"), "b"), give([var("a"), var("b")])]
    instance = await app.start(steps, stage.id())
    await app.event(instance, "b", "B")
    await app.event(instance, "a", "A")
    assert (await app.done(instance)).output == ["A", "B"]


@scenario("first-of")
async def event_wins_against_event(stage: Stage) -> None:
    """Of two awaited events the one that comes wins."""
    app = await stage.app()
    steps = [task(event("yes"), "yes"), task(event("no"), "no"), wait_any(["yes", "no"], "w")]
    instance = await app.start([*steps, give(var("w"))], stage.id())
    await app.event(instance, "no", "sorry")
    assert (await app.done(instance)).output == 1


@scenario("event-timeout")
async def event_timeout_passes(stage: Stage) -> None:
    """A wait with a time-out ends in an error when nothing comes."""
    app = await stage.app()
    steps = [attempt(do(event("never", 20)), [give("timed out")]), give("got it")]
    assert await app.output(steps, stage.id()) == "timed out"


@scenario("event-timeout")
async def event_timeout_in_time(stage: Stage) -> None:
    """A wait with a time-out gives the event that comes in time."""
    app = await stage.app()
    steps = [attempt([*do(event("go", 3_600_000), "v"), give(var("v"))], [give("timed out")])]
    instance = await app.start(steps, stage.id())
    await app.event(instance, "go", "in time")
    assert (await app.done(instance)).output == "in time"


@scenario()
async def event_without_payload(stage: Stage) -> None:
    """An event without payload gives null (or an empty value) and wakes the workflow."""
    app = await stage.app()
    instance = await app.start([*do(event("go"), "v"), give(["woken", var("v")])], stage.id())
    await app.event(instance, "go")
    assert (await app.done(instance)).output[0] == "woken"


@scenario("falsy-payloads")
async def event_with_falsy_payload(stage: Stage) -> None:
    """Payloads such as 0, false and the empty list arrive as they are."""
    app = await stage.app()
    steps = [put("got", []), loop(3, [*do(event("n"), "v"), append("got", var("v"))])]
    instance = await app.start([*steps, give(var("got"))], stage.id())
    for value in (0, False, []):
        await app.ask("raise_event", instance=instance, name="n", value=value)
    assert (await app.done(instance)).output == [0, False, []]


@scenario()
async def event_with_large_payload(stage: Stage) -> None:
    """An event of 300 KB arrives whole."""
    app = await stage.app()
    payload = "e" * 300_000
    instance = await app.start([*do(event("go"), "v"), give(var("v"))], stage.id())
    await app.event(instance, "go", payload)
    assert (await app.done(instance)).output == payload


@scenario()
async def event_after_completion(stage: Stage) -> None:
    """An event for a completed workflow changes nothing."""
    app = await stage.app()
    await app.output([give("done")], stage.id())
    await app.event(stage.id(), "go", 1)
    state = await app.get(stage.id())
    assert state is not None
    assert (state.status, state.output) == ("COMPLETED", "done")


@scenario()
async def event_for_nobody(stage: Stage) -> None:
    """An event for an unknown instance is an error that says so."""
    app = await stage.app()
    with pytest.raises(SdkError) as caught:
        await app.event(stage.id("nobody"), "go", 1)
    assert "no such instance exists" in caught.value.message


@scenario()
async def events_nobody_waits_for(stage: Stage) -> None:
    """Events that the workflow never waits for do not keep it from completing."""
    app = await stage.app()
    instance = await app.start([*do(event("go")), give("done")], stage.id())
    await app.event(instance, "other", 1)
    await app.event(instance, "another", 2)
    await app.event(instance, "go", 3)
    assert (await app.done(instance)).output == "done"


@scenario()
async def event_before_the_start(stage: Stage) -> None:
    """An event raised right after the start, before the first turn, is not lost."""
    app = await stage.app()
    program = [*do(event("go"), "v"), *do(timer(1)), give(var("v"))]
    instance = await app.start(program, stage.id())
    await app.event(instance, "go", "at once")
    assert (await app.done(instance)).output == "at once"


@scenario("send-event")
async def event_between_workflows(stage: Stage) -> None:
    """A workflow's event reaches another workflow."""
    app = await stage.app()
    target = await app.start([*do(event("hello"), "v"), give(var("v"))], stage.id("target"))
    await app.output([send(target, "hello", "from a friend"), give(1)], stage.id("source"))
    assert (await app.done(target)).output == "from a friend"


@scenario("send-event")
async def event_to_unknown_workflow(stage: Stage) -> None:
    """A workflow's event to an unknown instance is dropped; the sender goes on."""
    app = await stage.app()
    steps = [send(stage.id("nobody"), "hello", 1), *call("echo", "on", "v"), give(var("v"))]
    assert await app.output(steps, stage.id()) == "on"


@scenario("send-event")
async def events_back_and_forth(stage: Stage) -> None:
    """Two workflows play three rounds of events."""
    app = await stage.app()
    ping, pong = stage.id("ping"), stage.id("pong")
    server = [loop(3, [*do(event("ping"), "v"), send(ping, "pong", var("v"))]), give("served")]
    play = [send(pong, "ping", var("i")), *do(event("pong"), "v"), append("got", var("v"))]
    await app.start(server, pong)
    assert await app.output([put("got", []), loop(3, play), give(var("got"))], ping) == [0, 1, 2]
    assert (await app.done(pong)).output == "served"


@scenario()
async def event_decides_a_branch(stage: Stage) -> None:
    """An approval decides which activities run."""
    app = await stage.app()
    yes, no = stage.id("yes"), stage.id("no")
    branch = when(var("v"), "==", "approved", call("count", yes), call("count", no))
    instance = await app.start([task(event("go"), "e"), wait("e", "v"), branch], stage.id())
    await app.event(instance, "go", "approved")
    await app.done(instance)
    assert (await stage.counted(yes), await stage.counted(no)) == (1, 0)
