"""Failures: of activities, of workflows, of what is not there."""

from __future__ import annotations

from conformance.program import (
    activity,
    attempt,
    call,
    fail,
    give,
    task,
    var,
    wait,
    wait_all,
    when,
)
from conformance.stage import Stage
from conformance.suite import scenario


@scenario()
async def activity_failure_is_caught(stage: Stage) -> None:
    """The workflow's code sees an activity's failure and goes on."""
    app = await stage.app()
    steps = [attempt(call("boom", "no luck"), [give(var("error"))]), give("not caught")]
    error = await app.output(steps, stage.id())
    assert "no luck" in error["message"]


@scenario("failure-type")
async def activity_failure_type(stage: Stage) -> None:
    """The failure's type names the exception that the activity raised."""
    app = await stage.app()
    steps = [attempt(call("boom", "no luck"), [give(var("error"))])]
    error = await app.output(steps, stage.id())
    assert error["type"].endswith("ScenarioError"), error


@scenario("failure-details", "failure-stack")
async def activity_failure_stack(stage: Stage) -> None:
    """The failure that reaches the client has the stack of the activity or of the workflow."""
    app = await stage.app()
    state = await app.run(call("boom", "no luck"), stage.id())
    assert state.failure["stack"]


@scenario("inner-failure")
async def activity_failure_cause(stage: Stage) -> None:
    """The cause of a failure comes with it."""
    app = await stage.app()
    steps = [attempt(call("boom_chained", "outer"), [give(var("error"))])]
    error = await app.output(steps, stage.id())
    assert "outer" in error["message"]
    assert "the cause" in error["inner"]["message"]


@scenario("failure-details")
async def uncaught_activity_failure(stage: Stage) -> None:
    """An activity's failure that nobody catches ends the workflow FAILED, with the message."""
    app = await stage.app()
    state = await app.run(call("boom", "no luck"), stage.id())
    assert state.status == "FAILED"
    assert "no luck" in state.failure["message"]
    assert state.output is None


@scenario("failure-details")
async def workflow_raises(stage: Stage) -> None:
    """An exception of the workflow's own ends it FAILED, with type and message."""
    app = await stage.app()
    state = await app.run([*call("echo", 1), fail("enough")], stage.id())
    assert state.status == "FAILED"
    assert "enough" in state.failure["message"]
    assert state.failure["type"].endswith("ScenarioError"), state.failure


@scenario("failure-details")
async def workflow_raises_at_once(stage: Stage) -> None:
    """A workflow that fails in its first turn is FAILED too."""
    app = await stage.app()
    state = await app.run([fail("at once")], stage.id())
    assert state.status == "FAILED"
    assert "at once" in state.failure["message"]


@scenario()
async def failure_then_compensation(stage: Stage) -> None:
    """After a failure the workflow undoes what it did and completes."""
    app = await stage.app()
    done, undone = stage.id("done"), stage.id("undone")
    steps = [
        *call("count", done),
        attempt(call("boom", "no stock"), [*call("count", undone), give("undone")]),
        give("not reached"),
    ]
    assert await app.output(steps, stage.id()) == "undone"
    assert (await stage.counted(done), await stage.counted(undone)) == (1, 1)


@scenario("fan-in-after-failure")
async def failure_in_fan_in(stage: Stage) -> None:
    """One failure in a fan-in is raised where it is waited for; the others' results are kept."""
    app = await stage.app()
    steps = [
        task(activity("echo", 1), "a"),
        task(activity("boom", "one of three"), "b"),
        task(activity("echo", 3), "c"),
        attempt([wait_all(["a", "b", "c"])], [wait("a", "x"), wait("c", "y")]),
        give([var("x"), var("y"), var("error", "message")]),
    ]
    first, third, message = await app.output(steps, stage.id())
    assert (first, third) == (1, 3)
    assert "one of three" in message


@scenario("failure-details")
async def second_failure_after_a_caught_one(stage: Stage) -> None:
    """A failure after a caught failure ends the workflow with the second message."""
    app = await stage.app()
    steps = [attempt(call("boom", "first"), []), *call("boom", "second")]
    state = await app.run(steps, stage.id())
    assert state.status == "FAILED"
    assert "second" in state.failure["message"]


@scenario("failure-details")
async def unregistered_activity(stage: Stage) -> None:
    """An activity that no worker knows fails the workflow with its name; nothing hangs."""
    app = await stage.app()
    state = await app.run(call("no_such_activity", 1), stage.id())
    assert state.status == "FAILED"
    assert "no_such_activity" in state.failure["message"]


@scenario("failure-details", "unknown-name")
async def unregistered_workflow(stage: Stage) -> None:
    """A workflow that no worker knows ends FAILED with its name; nothing hangs."""
    app = await stage.app()
    state = await app.run("no_such_workflow", stage.id())
    assert state.status == "FAILED"
    assert "no_such_workflow" in state.failure["message"]


@scenario("failure-details")
async def long_failure_message(stage: Stage) -> None:
    """A failure's message of 20,000 characters comes through whole."""
    app = await stage.app()
    message = "long " * 4000
    state = await app.run([*call("boom", message)], stage.id())
    assert state.status == "FAILED"
    assert message.strip() in state.failure["message"]


@scenario("determinism-check", "failure-details", lone=True)
async def changed_code_is_found_out(stage: Stage) -> None:
    """Code that no longer fits the history ends FAILED and says that it is not deterministic."""
    app = await stage.open("app", worker={"workflows": [_changing("count")]})
    key = stage.id()
    instance = await app.start("changing", key, input=key)
    await stage.eventually(lambda: stage.counted(key), 1)
    await app.ask("stop_worker")
    await app.ask("start_worker", options={"workflows": [_changing("echo")]})
    await app.event(instance, "go")
    state = await app.done(instance)
    assert state.status == "FAILED"
    assert "eterminis" in f"{state.failure['type']} {state.failure['message']}", state.failure


def _changing(name: str) -> dict[str, object]:
    program = [
        *call(name, var("input"), "n"),
        task({"kind": "event", "name": "go"}, "go"),
        wait("go"),
        when(1, "==", 1, [give(var("n"))]),
    ]
    return {"name": "changing", "program": program}
