"""Restart, rewind, and rerun from an event."""

from __future__ import annotations

import pytest

from conformance.driver import SdkError
from conformance.program import call, child, do, event, give, timer, var
from conformance.stage import Stage
from conformance.suite import scenario

WAIT = [*do(event("go"), "v"), give(var("v"))]


@scenario("restart")
async def restart_in_place(stage: Stage) -> None:
    """A restart runs the same workflow with the same input again, under the same id."""
    app = await stage.app()
    key = stage.id()
    assert await app.output([*call("count", key, "n"), give(var("n"))], key) == 1
    assert await app.ask("restart", instance=key, new_id=False) == key
    await app.until(key, lambda state: state.output == 2, why="the second run's output")


@scenario("restart")
async def restart_under_a_new_id(stage: Stage) -> None:
    """A restart under a new id leaves the old instance as it is."""
    app = await stage.app()
    key = stage.id()
    assert await app.output([*call("count", key, "n"), give(var("n"))], key) == 1
    other = await app.ask("restart", instance=key, new_id=True)
    assert other != key
    assert (await app.done(other)).output == 2
    state = await app.get(key)
    assert state is not None
    assert state.output == 1


@scenario("restart")
async def restart_of_a_running_one(stage: Stage) -> None:
    """A running instance cannot be restarted in place, but under a new id."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    with pytest.raises(SdkError) as caught:
        await app.ask("restart", instance=instance, new_id=False)
    assert caught.value.code != "UNIMPLEMENTED"
    other = await app.ask("restart", instance=instance, new_id=True)
    for name in (instance, other):
        await app.event(name, "go", name)
        assert (await app.done(name)).output == name


@scenario("restart")
async def restart_of_unknown(stage: Stage) -> None:
    """An unknown instance cannot be restarted."""
    app = await stage.app()
    with pytest.raises(SdkError) as caught:
        await app.ask("restart", instance=stage.id("nobody"), new_id=False)
    assert caught.value.code != "UNIMPLEMENTED"


@scenario("rewind")
async def rewind_failed(stage: Stage) -> None:
    """A rewound workflow does only the failed activity again and completes."""
    app = await stage.app()
    good, bad = stage.id("good"), stage.id("bad")
    steps = [*call("count", good), *call("flaky", {"key": bad, "failures": 1}, "n"), give(var("n"))]
    state = await app.run(steps, stage.id())
    assert state.status == "FAILED"
    await app.ask("rewind", instance=stage.id())
    state = await app.until(stage.id(), "COMPLETED")
    assert state.output == 2
    assert (await stage.counted(good), await stage.counted(bad)) == (1, 2)


@scenario("rewind")
async def rewind_failed_child(stage: Stage) -> None:
    """A rewind of a parent that failed by its child rewinds the child."""
    app = await stage.app()
    key = stage.id()
    inner = [*call("flaky", {"key": key, "failures": 1}, "n"), give(var("n"))]
    state = await app.run([*do(child(inner), "r"), give(var("r"))], key)
    assert state.status == "FAILED"
    await app.ask("rewind", instance=key)
    state = await app.until(key, "COMPLETED")
    assert state.output == 2


@scenario("rewind")
async def rewind_of_a_completed_one(stage: Stage) -> None:
    """Only a failed instance can be rewound."""
    app = await stage.app()
    await app.output([give("done")], stage.id())
    with pytest.raises(SdkError) as caught:
        await app.ask("rewind", instance=stage.id())
    assert caught.value.code != "UNIMPLEMENTED"
    state = await app.get(stage.id())
    assert state is not None
    assert state.output == "done"


async def _scheduled(stage: Stage, instance: str, kind: str) -> list[int]:
    app = await stage.app()
    history = await app.ask("history", instance=instance)
    return [int(one["id"]) for one in history if one["type"] == kind]


@scenario("rerun")
async def rerun_from_activity(stage: Stage) -> None:
    """A rerun keeps what was before the event and does the rest again, under a new id."""
    app = await stage.app()
    first, second = stage.id("first"), stage.id("second")
    steps = [*call("count", first, "a"), *call("count", second, "b"), give([var("a"), var("b")])]
    assert await app.output(steps, stage.id()) == [1, 1]
    _, event_id = await _scheduled(stage, stage.id(), "TaskScheduled")
    other = await app.ask("rerun", instance=stage.id(), event=event_id, new_id=stage.id("new"))
    assert other == stage.id("new")
    assert (await app.done(other)).output == [1, 2]
    assert (await stage.counted(first), await stage.counted(second)) == (1, 2)
    state = await app.get(stage.id())
    assert state is not None
    assert state.output == [1, 1]


@scenario("rerun")
async def rerun_with_new_input(stage: Stage) -> None:
    """A rerun can give the activity another input."""
    app = await stage.app()
    steps = [*call("echo", "old", "a"), give(var("a"))]
    assert await app.output(steps, stage.id()) == "old"
    (event_id,) = await _scheduled(stage, stage.id(), "TaskScheduled")
    other = await app.ask("rerun", instance=stage.id(), event=event_id, input="new")
    assert (await app.done(other)).output == "new"


@scenario("rerun")
async def rerun_from_timer(stage: Stage) -> None:
    """A rerun from a timer waits for it again."""
    app = await stage.app()
    key = stage.id()
    steps = [*do(timer(10)), *call("count", key, "n"), give(var("n"))]
    assert await app.output(steps, key) == 1
    (event_id,) = await _scheduled(stage, key, "TimerCreated")
    other = await app.ask("rerun", instance=key, event=event_id)
    assert (await app.done(other)).output == 2


@scenario("rerun")
async def rerun_is_refused(stage: Stage) -> None:
    """Rerunning a running or unknown instance, or from no such event, is an error of its own."""
    app = await stage.app()
    waiting = await app.start(WAIT, stage.id())
    await app.started(waiting)
    with pytest.raises(SdkError) as caught:
        await app.ask("rerun", instance=waiting, event=0)
    assert caught.value.code == "INVALID_ARGUMENT", caught.value
    await app.event(waiting, "go", 1)
    await app.done(waiting)
    with pytest.raises(SdkError) as caught:
        await app.ask("rerun", instance=waiting, event=4711)
    assert caught.value.code == "NOT_FOUND", caught.value
    with pytest.raises(SdkError) as caught:
        await app.ask("rerun", instance=stage.id("nobody"), event=0)
    assert caught.value.code == "NOT_FOUND", caught.value


@scenario("rerun")
async def rerun_onto_a_taken_id(stage: Stage) -> None:
    """A rerun under an id that is in use is ALREADY_EXISTS."""
    app = await stage.app()
    await app.output([*call("echo", 1), give(1)], stage.id())
    await app.output([give("mine")], stage.id("taken"))
    (event_id,) = await _scheduled(stage, stage.id(), "TaskScheduled")
    with pytest.raises(SdkError) as caught:
        await app.ask("rerun", instance=stage.id(), event=event_id, new_id=stage.id("taken"))
    assert caught.value.code == "ALREADY_EXISTS", caught.value
