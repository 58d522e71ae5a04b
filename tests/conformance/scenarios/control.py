"""Suspend, resume, terminate, and the custom status."""

from __future__ import annotations

import pytest

from conformance.driver import SdkError
from conformance.program import (
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
    wait,
)
from conformance.stage import Stage, State
from conformance.suite import scenario

WAIT = [*do(event("go"), "v"), give(var("v"))]
NOTHING = State({"status": "no such instance"})


@scenario()
async def suspend_shows_at_once(stage: Stage) -> None:
    """The look after a suspend says SUSPENDED, the look after a resume RUNNING, without waiting."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    await app.ask("suspend", instance=instance)
    state = await app.get(instance)
    assert state is not None
    assert state.status == "SUSPENDED"
    await app.ask("resume", instance=instance)
    state = await app.get(instance)
    assert state is not None
    assert state.status == "RUNNING"
    await app.event(instance, "go", 1)
    assert (await app.done(instance)).output == 1


@scenario()
async def events_while_suspended(stage: Stage) -> None:
    """Events that come while suspended are received, in order, after the resume."""
    app = await stage.app()
    steps = [*do(event("n"), "a"), *do(event("n"), "b"), give([var("a"), var("b")])]
    instance = await app.start(steps, stage.id())
    await app.started(instance)
    await app.ask("suspend", instance=instance)
    await app.event(instance, "n", 1)
    await app.event(instance, "n", 2)
    state = await app.get(instance)
    assert state is not None
    assert state.status == "SUSPENDED"
    await app.ask("resume", instance=instance)
    assert (await app.done(instance)).output == [1, 2]


@scenario()
async def timer_while_suspended(stage: Stage) -> None:
    """A timer that comes due while suspended fires after the resume."""
    app = await stage.app()

    async def attempt(ms: int) -> bool:
        instance = await app.start([*do(timer(ms)), give("fired")], stage.id(str(ms)))
        await app.started(instance)
        await app.ask("suspend", instance=instance)
        if (await app.get(instance) or NOTHING).status == "COMPLETED":
            return False
        await app.output(do(timer(ms + 50)), stage.id(f"meanwhile-{ms}"))
        assert (await app.get(instance) or NOTHING).status == "SUSPENDED"
        await app.ask("resume", instance=instance)
        assert (await app.done(instance)).output == "fired"
        return True

    await stage.in_time(attempt)


@scenario("parallel")
async def activity_ends_while_suspended(stage: Stage) -> None:
    """An activity's result that comes while suspended is used after the resume."""
    app = await stage.app()
    key = stage.id()
    instance = await app.start([*call("gate", key), *call("count", f"{key}-after"), give(1)], key)
    await stage.eventually(lambda: stage.counted(key), 1)
    await app.ask("suspend", instance=instance)
    await stage.release(key)
    await app.output(do(timer(50)), stage.id("meanwhile"))
    assert await stage.counted(f"{key}-after") == 0
    await app.ask("resume", instance=instance)
    assert (await app.done(instance)).output == 1


@scenario()
async def suspend_twice(stage: Stage) -> None:
    """A second suspend and a second resume change nothing; the workflow is not harmed."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    for op, expected in (("suspend", "SUSPENDED"), ("resume", "RUNNING")):
        for _ in range(2):
            await app.ask(op, instance=instance)
            state = await app.get(instance)
            assert state is not None
            assert state.status == expected
    await app.event(instance, "go", "fine")
    assert (await app.done(instance)).output == "fine"


@scenario()
async def resume_of_a_running_workflow(stage: Stage) -> None:
    """A resume without a suspend does no harm."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    await app.ask("resume", instance=instance)
    await app.event(instance, "go", "fine")
    assert (await app.done(instance)).output == "fine"


@scenario()
async def terminate_running(stage: Stage) -> None:
    """A running workflow ends TERMINATED."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    await app.ask("terminate", instance=instance)
    assert (await app.done(instance)).status == "TERMINATED"


@scenario()
async def terminate_output(stage: Stage) -> None:
    """The output of a termination is the workflow's output, verbatim."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    await app.ask("terminate", instance=instance, output={"why": ["too late", 1]})
    state = await app.done(instance)
    assert (state.status, state.output) == ("TERMINATED", {"why": ["too late", 1]})


@scenario()
async def terminate_suspended(stage: Stage) -> None:
    """A suspended workflow can be terminated."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    await app.ask("suspend", instance=instance)
    await app.ask("terminate", instance=instance, output="stopped")
    state = await app.done(instance)
    assert (state.status, state.output) == ("TERMINATED", "stopped")


@scenario()
async def terminate_completed(stage: Stage) -> None:
    """Terminating a completed workflow succeeds and changes nothing."""
    app = await stage.app()
    await app.output([give("done")], stage.id())
    await app.ask("terminate", instance=stage.id(), output="late")
    state = await app.get(stage.id())
    assert state is not None
    assert (state.status, state.output) == ("COMPLETED", "done")


@scenario()
async def terminate_unknown(stage: Stage) -> None:
    """Terminating, suspending or resuming an unknown instance is an error that says so."""
    app = await stage.app()
    for op in ("terminate", "suspend", "resume"):
        with pytest.raises(SdkError) as caught:
            await app.ask(op, instance=stage.id("nobody"))
        assert "no such instance exists" in caught.value.message, op


@scenario("terminate-recursive")
async def terminate_takes_children(stage: Stage) -> None:
    """A termination takes the children, and their children."""
    app = await stage.app()
    names = [stage.id("child"), stage.id("grandchild")]
    inner = do(child(WAIT, id=names[1]))
    instance = await app.start(do(child(inner, id=names[0])), stage.id())
    await app.until(names[1], "RUNNING")
    await app.ask("terminate", instance=instance, recursive=True)
    for name in (instance, *names):
        assert (await app.done(name)).status == "TERMINATED", name


@scenario("terminate-recursive")
async def terminate_leaves_children(stage: Stage) -> None:
    """A termination that is not recursive leaves the children running."""
    app = await stage.app()
    name = stage.id("child")
    instance = await app.start(do(child(WAIT, id=name)), stage.id())
    await app.until(name, "RUNNING")
    await app.ask("terminate", instance=instance, recursive=False)
    assert (await app.done(instance)).status == "TERMINATED"
    await app.event(name, "go", "left alone")
    state = await app.done(name)
    assert (state.status, state.output) == ("COMPLETED", "left alone")


@scenario("parallel")
async def terminate_with_activity_in_flight(stage: Stage) -> None:
    """A termination does not wait for a running activity, whose late result is ignored."""
    app = await stage.app()
    key = stage.id()
    instance = await app.start([*call("gate", key), give("too late")], key)
    await stage.eventually(lambda: stage.counted(key), 1)
    await app.ask("terminate", instance=instance, output="now")
    assert (await app.done(instance)).status == "TERMINATED"
    await stage.release(key)
    await app.output(call("echo", 1), stage.id("meanwhile"))
    state = await app.get(instance)
    assert state is not None
    assert (state.status, state.output) == ("TERMINATED", "now")


@scenario()
async def terminated_child_fails_parent_task(stage: Stage) -> None:
    """A child that is terminated by itself ends its parent's wait: the parent does not hang."""
    app = await stage.app()
    name = stage.id("child")
    steps = [
        {"op": "try", "body": do(child(WAIT, id=name), "r"), "catch": [give("child ended badly")]},
        give("child ended"),
    ]
    instance = await app.start(steps, stage.id())
    await app.until(name, "RUNNING")
    await app.ask("terminate", instance=name)
    state = await app.done(instance)
    assert state.status == "COMPLETED"
    assert str(state.output).startswith("child ended")


@scenario()
async def custom_status_is_seen(stage: Stage) -> None:
    """A custom status can be read between turns and after the end."""
    app = await stage.app()
    steps = [status("one"), *do(event("go")), status("two"), give(1)]
    instance = await app.start(steps, stage.id())
    await app.until(instance, lambda state: state.custom_status == "one")
    await app.event(instance, "go")
    assert (await app.done(instance)).custom_status == "two"


@scenario("object-status")
async def custom_status_object(stage: Stage) -> None:
    """A custom status may be an object."""
    app = await stage.app()
    state = await app.run([status({"done": 1, "of": [2]}), give(1)], stage.id())
    assert state.custom_status == {"done": 1, "of": [2]}


@scenario()
async def custom_status_changes(stage: Stage) -> None:
    """The last custom status of a turn counts; it stays over turns that set none."""
    app = await stage.app()
    steps = [loop(3, [status({"$add": ["step ", "x"]})]), status("last"), *call("echo", 1), give(1)]
    assert (await app.run(steps, stage.id())).custom_status == "last"


@scenario()
async def no_custom_status(stage: Stage) -> None:
    """A workflow that sets no custom status has none."""
    app = await stage.app()
    assert (await app.run([*call("echo", 1), give(1)], stage.id())).custom_status is None


@scenario()
async def terminate_beats_waiting_timer(stage: Stage) -> None:
    """A terminated workflow's timers do not wake it."""
    app = await stage.app()

    async def attempt(ms: int) -> bool:
        key = stage.id(str(ms))
        steps = [task(timer(ms), "t"), wait("t"), *call("count", key), give("woke up")]
        instance = await app.start(steps, key)
        await app.started(instance)
        await app.ask("terminate", instance=instance)
        if (await app.done(instance)).status == "COMPLETED" or await stage.counted(key):
            return False
        await app.output(do(timer(ms + 50)), stage.id(f"meanwhile-{ms}"))
        assert (await app.done(instance)).status == "TERMINATED"
        assert await stage.counted(key) == 0
        return True

    await stage.in_time(attempt)
