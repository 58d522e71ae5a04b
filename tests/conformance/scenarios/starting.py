"""Starting instances: ids, times, tags, and ids that are used again."""

from __future__ import annotations

import asyncio

import pytest

from conformance.driver import SdkError
from conformance.program import call, child, do, event, give, now, timer, var
from conformance.stage import Stage
from conformance.suite import scenario

WAIT = [*do(event("go"), "v"), give(var("v"))]
EXISTS = {
    "ALREADY_EXISTS",
    "OrchestrationAlreadyExistsError",
    "OrchestrationInstanceAlreadyExistsException",
}


@scenario()
async def start_gives_the_id(stage: Stage) -> None:
    """Starting gives back the id that was asked for."""
    app = await stage.app()
    assert await app.start([], stage.id()) == stage.id()


@scenario()
async def start_without_id(stage: Stage) -> None:
    """Without an id every start makes a new instance."""
    app = await stage.app()
    program = {"program": [give(1)], "vars": {}}
    first = await app.ask("start", input=program)
    second = await app.ask("start", input=program)
    assert first != second
    assert (await app.done(first)).output == 1
    assert (await app.done(second)).output == 1


@scenario()
async def start_on_a_live_id(stage: Stage) -> None:
    """A start under the id of a running instance is refused; the instance goes on."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    with pytest.raises(SdkError) as caught:
        await app.start([give("wrong")], instance)
    assert caught.value.code in EXISTS, caught.value
    await app.event(instance, "go", "first")
    assert (await app.done(instance)).output == "first"


@scenario()
async def one_of_two_starts_wins(stage: Stage) -> None:
    """Of starts at the same time under one id exactly one succeeds."""
    app = await stage.app()
    starts = [app.start(WAIT, stage.id()) for _ in range(5)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    errors = [one for one in results if isinstance(one, SdkError)]
    assert len(errors) == 4, results
    assert {error.code for error in errors} <= EXISTS
    await app.event(stage.id(), "go", 1)
    assert (await app.done(stage.id())).output == 1


@scenario("reuse-by-default")
async def finished_id_is_used_again(stage: Stage) -> None:
    """The id of an instance that has ended can be used again; the state is the new one's."""
    app = await stage.app()
    assert await app.output([give("first")], stage.id()) == "first"
    assert await app.output([*call("echo", 1), give("second")], stage.id()) == "second"


@scenario("reuse-by-default")
async def failed_id_is_used_again(stage: Stage) -> None:
    """So can the id of an instance that failed; no failure is left."""
    app = await stage.app()
    assert (await app.run(call("boom", "bad"), stage.id())).status == "FAILED"
    state = await app.run([give("good")], stage.id())
    assert (state.status, state.output) == ("COMPLETED", "good")
    assert state.raw.get("failure") is None


@scenario("reuse-by-default")
async def id_with_a_live_child(stage: Stage) -> None:
    """An id cannot be used again while a child of its last run still lives."""
    app = await stage.app()
    name = stage.id("child")
    steps = [
        {"op": "task", "what": child(WAIT, id=name), "as": "c", "push": None},
        *call("echo", 1),
        give("gone"),
    ]
    assert await app.output(steps, stage.id()) == "gone"
    await app.until(name, "RUNNING")
    with pytest.raises(SdkError) as caught:
        await app.start([give(1)], stage.id())
    assert caught.value.code in EXISTS
    assert name in caught.value.message
    await app.event(name, "go", 1)
    await app.done(name)
    assert await app.output([give("again")], stage.id()) == "again"


@scenario("schedule")
async def start_later(stage: Stage) -> None:
    """An instance that is to start later is PENDING until then and starts not before."""
    app = await stage.app()
    clock = await app.output([now("t"), give(var("t"))], stage.id("clock"))
    steps = [now("t"), give(var("t"))]
    instance = await app.start(steps, stage.id(), at_ms=clock + 400)
    far = await app.start(steps, stage.id("far"), at_ms=clock + 3_600_000)
    state = await app.get(far)
    assert state is not None
    assert state.status == "PENDING"
    assert (await app.done(instance)).output >= clock + 400


@scenario("schedule")
async def start_in_the_past(stage: Stage) -> None:
    """A start time in the past means now."""
    app = await stage.app()
    assert await app.output([give(1)], stage.id(), at_ms=1_000_000_000_000) == 1


@scenario("schedule")
async def terminate_pending(stage: Stage) -> None:
    """An instance that has not started yet can be terminated, and never starts."""
    app = await stage.app()
    key = stage.id()
    clock = await app.output([now("t"), give(var("t"))], stage.id("clock"))
    instance = await app.start(call("count", key), key, at_ms=clock + 3_600_000)
    await app.ask("terminate", instance=instance, output="never")
    state = await app.done(instance)
    assert (state.status, state.output) == ("TERMINATED", "never")
    assert await stage.counted(key) == 0


@scenario("schedule")
async def event_for_a_pending_instance(stage: Stage) -> None:
    """An event for an instance that has not started yet is kept for it."""
    app = await stage.app()
    clock = await app.output([now("t"), give(var("t"))], stage.id("clock"))
    instance = await app.start(WAIT, stage.id(), at_ms=clock + 300)
    await app.event(instance, "go", "early")
    assert (await app.done(instance)).output == "early"


@scenario("tags")
async def tags_are_kept(stage: Stage) -> None:
    """Tags given at the start are shown with the state."""
    app = await stage.app()
    state = await app.run([give(1)], stage.id(), tags={"team": "red", "n": "1"})
    assert state.raw["tags"] == {"team": "red", "n": "1"}


@scenario("reuse-policy")
async def reuse_policy_allows(stage: Stage) -> None:
    """A policy that names the ended status lets the id be used again."""
    app = await stage.app()
    assert await app.output([give("first")], stage.id()) == "first"
    second = await app.output([give("second")], stage.id(), reuse=["COMPLETED"])
    assert second == "second"


@scenario("reuse-policy")
async def reuse_policy_refuses(stage: Stage) -> None:
    """A policy that does not name the ended status refuses the start."""
    app = await stage.app()
    assert await app.output([give("first")], stage.id()) == "first"
    with pytest.raises(SdkError) as caught:
        await app.start([give("second")], stage.id(), reuse=["FAILED"])
    assert caught.value.code in EXISTS
    state = await app.get(stage.id())
    assert state is not None
    assert state.output == "first"


@scenario("reuse-policy")
async def reuse_policy_replaces_a_running_one(stage: Stage) -> None:
    """A policy that names RUNNING and TERMINATED terminates the instance and starts anew."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    steps = [*do(timer(1)), give("second")]
    output = await app.output(steps, stage.id(), reuse=["RUNNING", "TERMINATED"])
    assert output == "second"


@scenario("reuse-policy", "reuse-rules")
async def reuse_policy_must_make_sense(stage: Stage) -> None:
    """RUNNING without TERMINATED is refused, with the reason."""
    app = await stage.app()
    with pytest.raises(SdkError) as caught:
        await app.start([give(1)], stage.id(), reuse=["RUNNING"])
    assert caught.value.code in {"INVALID_ARGUMENT", "Error"}, caught.value
    assert "Terminated" in caught.value.message
