"""Activities, their results, and the workflow's own context."""

from __future__ import annotations

import asyncio

from conformance.program import (
    activity,
    add,
    append,
    call,
    give,
    info,
    log,
    loop,
    now,
    put,
    task,
    timer,
    trace,
    uuid,
    var,
    wait,
    wait_all,
    wait_any,
)
from conformance.stage import Stage
from conformance.suite import scenario

FAN = 50
MEGABYTE = 1_000_000


@scenario()
async def empty_workflow(stage: Stage) -> None:
    """A workflow without steps completes, with null or no output."""
    app = await stage.app()
    state = await app.run([], stage.id())
    assert state.status == "COMPLETED"
    assert state.output is None


@scenario()
async def echo_input(stage: Stage) -> None:
    """The input reaches the workflow and its return value is the output; both are read back."""
    app = await stage.app()
    state = await app.run([give(var("x"))], stage.id(), vars={"x": {"a": [1, "b"]}})
    assert state.output == {"a": [1, "b"]}
    assert state.input["vars"] == {"x": {"a": [1, "b"]}}


@scenario()
async def activity_chain(stage: Stage) -> None:
    """Activities run one after another, each once."""
    app = await stage.app()
    key = stage.id()
    steps = [put("out", []), loop(5, [*call("count", key, "n"), append("out", var("n"))])]
    assert await app.output([*steps, give(var("out"))], key) == [1, 2, 3, 4, 5]
    assert await stage.counted(key) == 5


@scenario()
async def fan_out_fan_in(stage: Stage) -> None:
    """Fifty activities at once; each runs once and all results come together."""
    app = await stage.app()
    key = stage.id()
    fan = loop(FAN, [task(activity("count", key), push="all")])
    output = await app.output([fan, wait_all("all", "results"), give(var("results"))], key)
    assert sorted(output) == list(range(1, FAN + 1))
    assert await stage.counted(key) == FAN


@scenario()
async def fan_in_keeps_order(stage: Stage) -> None:
    """Results of a fan-in stand in the order of the calls, whatever finished first."""
    app = await stage.app()
    fan = loop(FAN, [task(activity("echo", [var("i")]), push="all")])
    output = await app.output([fan, wait_all("all", "r"), give(var("r"))], stage.id())
    assert output == [[n] for n in range(FAN)]


@scenario("first-of", "parallel")
async def when_any_gives_the_first(stage: Stage) -> None:
    """The first task wins; the other goes on and can be waited for."""
    app = await stage.app()
    key = stage.id()
    steps = [
        task(activity("gate", key), "slow"),
        task(activity("echo", "fast"), "fast"),
        wait_any(["slow", "fast"], "winner"),
        *call("echo", var("winner")),
        {"op": "status", "value": "raced"},
        wait("slow"),
        give(var("winner")),
    ]
    instance = await app.start(steps, key)
    await app.until(instance, lambda state: state.custom_status == "raced", why="the race's end")
    await stage.release(key)
    assert (await app.done(instance)).output == 1


@scenario()
async def result_types(stage: Stage) -> None:
    """Numbers, texts, booleans, lists and objects come through an activity unchanged."""
    app = await stage.app()
    values = [7, -1.5, "text", True, False, [1, [2]], {"k": {"n": None}}, "", 0, [], {}]
    results = [put("out", [])]
    for value in values:
        results += [*call("echo", {"v": value}, "r"), append("out", var("r", "v"))]
    assert await app.output([*results, give(var("out"))], stage.id()) == values


@scenario()
async def null_result(stage: Stage) -> None:
    """An activity without result gives null."""
    app = await stage.app()
    output = await app.output(
        [put("r", "before"), *call("nothing", 1, "r"), give([var("r")])], stage.id()
    )
    assert output == [None]


@scenario()
async def unicode_payloads(stage: Stage) -> None:
    """Text outside ASCII survives in inputs, results and outputs."""
    app = await stage.app()
    text = 'zß水🍌 "quoted" \\ \n\t \u2028'
    state = await app.run(
        [*call("echo", var("x"), "r"), give(add(var("r"), "!"))], stage.id(), vars={"x": text}
    )
    assert state.output == text + "!"
    assert state.input["vars"]["x"] == text


@scenario()
async def large_payload(stage: Stage) -> None:
    """A result of a megabyte goes into the history and comes out."""
    app = await stage.app()
    steps = [*call("blob", MEGABYTE, "r"), *call("echo", 1), give(var("r"))]
    assert await app.output(steps, stage.id()) == "x" * MEGABYTE


@scenario("activity-info")
async def activity_context(stage: Stage) -> None:
    """An activity knows its workflow's id and its own number, which differs between calls."""
    app = await stage.app()
    steps = [*call("about", 1, "a"), *call("about", 2, "b"), give([var("a"), var("b")])]
    first, second = await app.output(steps, stage.id())
    assert first["instance"] == second["instance"] == stage.id()
    assert first["task"] != second["task"]


@scenario("task-execution-id")
async def task_execution_id_is_stable(stage: Stage) -> None:
    """The id of an activity's execution stays over its retries and differs between calls."""
    app = await stage.app()
    key = stage.id()
    policy = {"attempts": 3, "first_ms": 1}
    steps = [
        *call("seen", {"key": key, "failures": 2}, retry=policy),
        *call("seen", {"key": key, "failures": 0}),
        give("done"),
    ]
    assert await app.output(steps, key) == "done"
    first, again, more, other = await stage.traced(key)
    assert first
    assert first == again == more
    assert other != first


@scenario()
async def current_time_is_replayed(stage: Stage) -> None:
    """The current time is that of the turn: it never goes back, and replays see the same."""
    app = await stage.app()
    steps = [now("a"), trace(var("a")), *call("echo", 1), now("b"), task(timer(20), "t")]
    steps += [wait("t"), now("c"), give([var("a"), var("b"), var("c")])]
    first, second, third = await app.output(steps, stage.id())
    assert first <= second
    assert second + 20 <= third
    values = {value for value, _ in await stage.traced(stage.id())}
    assert values == {first}


@scenario("uuid")
async def uuid_is_replayed(stage: Stage) -> None:
    """UUIDs are the same in every replay and differ from each other."""
    app = await stage.app()
    steps = [uuid("a"), trace(var("a")), uuid("b"), *call("echo", 1), *call("echo", 2)]
    first, second = await app.output([*steps, give([var("a"), var("b")])], stage.id())
    assert first != second
    values = {value for value, _ in await stage.traced(stage.id())}
    assert values == {first}


@scenario("trace")
async def replaying_flag(stage: Stage) -> None:
    """Code after the last known result is new exactly once; every other pass is a replay."""
    app = await stage.app()
    steps = [trace("a"), *call("echo", 1), trace("b"), *call("echo", 2), trace("c"), give(1)]
    await app.output(steps, stage.id())
    seen = await stage.traced(stage.id())
    for step in ("a", "b", "c"):
        assert [replaying for value, replaying in seen if value == step].count(False) == 1
    assert [value for value, replaying in seen if not replaying] == ["a", "b", "c"]


@scenario("replay-logger")
async def replay_safe_logger(stage: Stage) -> None:
    """Each line of a replay-safe logger comes out once."""
    app = await stage.app()
    steps = [log("one"), *call("echo", 1), log("two"), *call("echo", 2), log("three"), give(1)]
    await app.output(steps, stage.id())
    assert await stage.traced(f"log:{stage.id()}") == ["one", "two", "three"]


@scenario()
async def instance_id_in_context(stage: Stage) -> None:
    """A workflow sees the id that the client chose, whatever characters it has."""
    app = await stage.app()
    name = stage.id("Ab_9-z")
    assert (await app.output([info("me"), give(var("me"))], name))["id"] == name


@scenario()
async def many_instances_at_once(stage: Stage) -> None:
    """Forty workflows at once do not mix up their results."""
    app = await stage.app()
    steps = [*call("echo", var("x"), "r"), *call("echo", var("r"), "r"), give(var("r"))]
    runs = [app.output(steps, stage.id(str(n)), vars={"x": n}) for n in range(1, 41)]
    assert await asyncio.gather(*runs) == list(range(1, 41))
