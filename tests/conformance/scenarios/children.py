"""Child workflows."""

from __future__ import annotations

import asyncio

from conformance.program import (
    append,
    attempt,
    call,
    child,
    do,
    event,
    fail,
    give,
    info,
    loop,
    put,
    retry,
    task,
    timer,
    var,
    wait,
    wait_all,
    wait_any,
)
from conformance.stage import Stage
from conformance.suite import scenario


@scenario()
async def child_result(stage: Stage) -> None:
    """A child gets its input and its output comes back."""
    app = await stage.app()
    inner = [*call("echo", var("x"), "r"), give([var("r")])]
    output = await app.output([*do(child(inner, vars={"x": 7}), "r"), give(var("r"))], stage.id())
    assert output == [7]


@scenario()
async def child_default_id(stage: Stage) -> None:
    """Children without a given id get different ids, under which clients find them."""
    app = await stage.app()
    inner = [info("me"), give(var("me", "id"))]
    steps = [*do(child(inner), "a"), *do(child(inner), "b"), give([var("a"), var("b")])]
    first, second = await app.output(steps, stage.id())
    assert len({first, second, stage.id()}) == 3
    for name in (first, second):
        state = await app.get(name)
        assert state is not None
        assert (state.status, state.output) == ("COMPLETED", name)


@scenario()
async def child_given_id(stage: Stage) -> None:
    """A child runs under the id that its parent gives it."""
    app = await stage.app()
    name = stage.id("mine")
    inner = [info("me"), give(var("me", "id"))]
    assert await app.output([*do(child(inner, id=name), "r"), give(var("r"))], stage.id()) == name


@scenario("parent-info")
async def child_sees_parent(stage: Stage) -> None:
    """A child knows its parent's id; a workflow that a client started has no parent."""
    app = await stage.app()
    inner = [info("me"), give(var("me", "parent"))]
    steps = [info("me"), *do(child(inner), "r"), give([var("me", "parent"), var("r")])]
    assert await app.output(steps, stage.id()) == [None, stage.id()]


@scenario()
async def child_failure_is_caught(stage: Stage) -> None:
    """A child's failure can be caught by its parent, with the message; the child is FAILED."""
    app = await stage.app()
    name = stage.id("child")
    steps = [attempt(do(child([fail("child's trouble")], id=name)), [give(var("error"))])]
    error = await app.output(steps, stage.id())
    assert "child's trouble" in error["message"]
    state = await app.get(name)
    assert state is not None
    assert state.status == "FAILED"


@scenario("failure-details")
async def child_failure_fails_parent(stage: Stage) -> None:
    """A child's failure that nobody catches fails the parent."""
    app = await stage.app()
    state = await app.run(do(child(call("boom", "deep down"))), stage.id())
    assert state.status == "FAILED"
    assert "deep down" in state.failure["message"]


@scenario()
async def many_children(stage: Stage) -> None:
    """Twenty children at once; the results stand in the order of the calls."""
    app = await stage.app()
    inner = [*call("echo", [var("n")], "r"), give(var("r"))]
    fan = loop(20, [task(child(inner, vars={"n": var("i")}), push="all")])
    output = await app.output([fan, wait_all("all", "r"), give(var("r"))], stage.id())
    assert output == [[n] for n in range(20)]


@scenario()
async def grandchildren(stage: Stage) -> None:
    """Children of children: results and failures come up through all generations."""
    app = await stage.app()
    key = stage.id()
    inner = call("count", key)
    for _ in range(3):
        inner = do(child([*inner, give("up")]), "r")
    assert await app.output([*inner, give(var("r"))], key) == "up"
    assert await stage.counted(key) == 1


@scenario()
async def child_waits_for_event(stage: Stage) -> None:
    """A client raises an event to a child; the parent goes on when the child does."""
    app = await stage.app()
    name = stage.id("child")
    inner = [*do(event("go"), "v"), give(var("v"))]
    instance = await app.start([*do(child(inner, id=name), "r"), give(var("r"))], stage.id())
    await app.until(name, "RUNNING")
    await app.event(name, "go", "for the child")
    assert (await app.done(instance)).output == "for the child"


@scenario()
async def child_id_is_taken(stage: Stage) -> None:
    """A child under an id that is in use fails in the parent's code; the other is not touched."""
    app = await stage.app()
    name = stage.id("taken")
    other = await app.start([*do(event("go"), "v"), give(var("v"))], name)
    await app.started(other)
    steps = [attempt(do(child([give("wrong")], id=name)), [give(var("error"))]), give("no error")]
    error = await app.output(steps, stage.id())
    assert name in error["message"], error
    await app.event(other, "go", "untouched")
    assert (await app.done(other)).output == "untouched"


@scenario("retry")
async def taken_child_id_is_retried(stage: Stage) -> None:
    """Under a retry policy the create is tried again, and succeeds once the id is free."""
    app = await stage.app()
    name = stage.id("taken")
    other = await app.start(do(event("go")), name)
    await app.started(other)
    policy = retry(400, first_ms=50)
    parent = await app.start(
        [*do(child([give("mine")], id=name, retry=policy), "r"), give(var("r"))], stage.id()
    )
    await app.started(parent)
    await app.event(other, "go")
    await app.done(other)
    assert (await app.done(parent)).output == "mine"


@scenario("first-of")
async def child_races_timer(stage: Stage) -> None:
    """A time-out wins against a child that waits; the child goes on by itself."""
    app = await stage.app()
    name = stage.id("child")
    inner = [*do(event("go"), "v"), give(var("v"))]
    steps = [task(child(inner, id=name), "c"), task(timer(10), "t"), wait_any(["c", "t"], "w")]
    assert await app.output([*steps, give(var("w"))], stage.id()) == 1
    await app.event(name, "go", "alone")
    assert (await app.done(name)).output == "alone"


@scenario()
async def child_continues_as_new(stage: Stage) -> None:
    """A child that continues as new gives its parent the last generation's output."""
    app = await stage.app()
    inner = [
        {
            "op": "if",
            "left": var("n"),
            "cmp": "<",
            "right": 3,
            "then": [
                {"op": "again", "vars": {"n": {"$add": [var("n"), 1]}}, "keep_events": False},
            ],
            "else": [],
        },
        give(var("n")),
    ]
    steps = [*do(child(inner, vars={"n": 0}), "r"), give(var("r"))]
    assert await app.output(steps, stage.id()) == 3


@scenario("unknown-name")
async def unregistered_child(stage: Stage) -> None:
    """A child whose workflow no worker knows fails its parent with the name."""
    app = await stage.app()
    steps = [attempt(do({"kind": "child", "name": "no_such_child"}), [give(var("error"))])]
    error = await app.output(steps, stage.id())
    assert "no_such_child" in error["message"]


@scenario()
async def child_with_large_output(stage: Stage) -> None:
    """A child's output of 300 KB reaches the parent."""
    app = await stage.app()
    inner = [*call("blob", 300_000, "b"), give(var("b"))]
    output = await app.output([*do(child(inner), "r"), give({"$len": var("r")})], stage.id())
    assert output == 300_000


@scenario()
async def same_child_id_in_a_row(stage: Stage) -> None:
    """A parent may use a child's id again after the child has ended."""
    app = await stage.app()
    name, key = stage.id("again"), stage.id()
    run = do(child([*call("count", key, "n"), give(var("n"))], id=name), "r")
    steps = [put("out", []), loop(3, [*run, append("out", var("r"))]), give(var("out"))]
    assert await app.output(steps, key) == [1, 2, 3]


@scenario()
async def parents_side_by_side(stage: Stage) -> None:
    """Five parents with five children each do not mix up their results."""
    app = await stage.app()
    inner = [*call("echo", var("n"), "r"), give(var("r"))]
    fan = loop(5, [task(child(inner, vars={"n": var("x")}), push="all")])
    steps = [fan, wait_all("all", "r"), give(var("r"))]
    runs = [app.output(steps, stage.id(str(n)), vars={"x": n}) for n in range(1, 6)]
    assert await asyncio.gather(*runs) == [[n] * 5 for n in range(1, 6)]


@scenario()
async def parent_completes_before_child(stage: Stage) -> None:
    """A parent may end while its child still runs; the child ends by itself."""
    app = await stage.app()
    name = stage.id("child")
    inner = [*do(event("go"), "v"), give(var("v"))]
    steps = [task(child(inner, id=name), "c"), *call("echo", 1), give("gone")]
    assert await app.output(steps, stage.id()) == "gone"
    await app.until(name, "RUNNING")
    await app.event(name, "go", "still here")
    assert (await app.done(name)).output == "still here"


@scenario()
async def wait_for_children_one_by_one(stage: Stage) -> None:
    """Children are started together and waited for in another order."""
    app = await stage.app()
    start = [
        task(child([*call("echo", name, "r"), give(var("r"))]), name) for name in ("a", "b", "c")
    ]
    ends = [wait("c", "x"), wait("a", "y"), wait("b", "z")]
    steps = [*start, *ends, give([var("x"), var("y"), var("z")])]
    assert await app.output(steps, stage.id()) == ["c", "a", "b"]
