"""Retry policies: the SDKs do them with timers that the engine keeps."""

from __future__ import annotations

from conformance.program import (
    activity,
    attempt,
    call,
    child,
    do,
    fail,
    give,
    loop,
    now,
    retry,
    task,
    var,
    wait_all,
)
from conformance.stage import Stage
from conformance.suite import scenario


@scenario("retry")
async def retry_until_success(stage: Stage) -> None:
    """An activity that fails twice succeeds in the third attempt."""
    app = await stage.app()
    key = stage.id()
    steps = [*call("flaky", {"key": key, "failures": 2}, "n", retry=retry(5)), give(var("n"))]
    assert await app.output(steps, key) == 3
    assert await stage.counted(key) == 3


@scenario("failure-details", "retry")
async def retry_gives_up(stage: Stage) -> None:
    """After the last attempt the failure reaches the workflow; the attempts are counted."""
    app = await stage.app()
    key = stage.id()
    state = await app.run(call("flaky", {"key": key, "failures": 99}, retry=retry(3)), key)
    assert state.status == "FAILED"
    assert "attempt 3" in state.failure["message"]
    assert await stage.counted(key) == 3


@scenario("retry")
async def retry_failure_is_caught(stage: Stage) -> None:
    """The failure of the last attempt can be caught."""
    app = await stage.app()
    key = stage.id()
    body = call("flaky", {"key": key, "failures": 99}, retry=retry(2))
    error = await app.output([attempt(body, [give(var("error"))])], key)
    assert "attempt 2" in error["message"]
    assert await stage.counted(key) == 2


@scenario("retry")
async def retry_backs_off(stage: Stage) -> None:
    """The waits between attempts grow by the coefficient: 40 + 80 ms at least for three."""
    app = await stage.app()
    key = stage.id()
    policy = retry(3, first_ms=40, backoff=2.0)
    steps = [now("a"), *call("flaky", {"key": key, "failures": 2}, retry=policy), now("b")]
    start, end = await app.output([*steps, give([var("a"), var("b")])], key)
    assert end - start >= 120


@scenario("retry")
async def retry_wait_is_bounded(stage: Stage) -> None:
    """No wait is longer than the maximum: five attempts of an hour's growth end soon."""
    app = await stage.app()
    key = stage.id()
    policy = retry(5, first_ms=5, backoff=1000.0, max_ms=10)
    steps = [*call("flaky", {"key": key, "failures": 4}, "n", retry=policy), give(var("n"))]
    assert await app.output(steps, key) == 5


@scenario("retry")
async def retry_timeout(stage: Stage) -> None:
    """The policy's timeout ends the attempts before their number does."""
    app = await stage.app()

    async def attempt(ms: int) -> bool:
        key = stage.id(str(ms))
        policy = retry(1000, first_ms=ms // 5, timeout_ms=ms)
        state = await app.run(call("flaky", {"key": key, "failures": 5000}, retry=policy), key)
        assert state.status == "FAILED"
        attempts = await stage.counted(key)
        assert attempts <= 7
        return attempts > 1

    await stage.in_time(attempt)


@scenario("retry")
async def single_attempt(stage: Stage) -> None:
    """A policy of one attempt tries once."""
    app = await stage.app()
    key = stage.id()
    state = await app.run(call("flaky", {"key": key, "failures": 9}, retry=retry(1)), key)
    assert state.status == "FAILED"
    assert await stage.counted(key) == 1


@scenario("retry", "typed-retry")
async def error_type_without_retry(stage: Stage) -> None:
    """An error of a type that the policy excludes is not tried again."""
    app = await stage.app()
    key = stage.id()
    policy = retry(5, final=["ScenarioError"])
    state = await app.run(call("flaky", {"key": key, "failures": 9}, retry=policy), key)
    assert state.status == "FAILED"
    assert await stage.counted(key) == 1


@scenario("retry")
async def retries_side_by_side(stage: Stage) -> None:
    """Ten activities with retries at once do not disturb each other."""
    app = await stage.app()
    keys = [stage.id(str(n)) for n in range(10)]
    fan = [
        task(activity("flaky", {"key": key, "failures": 2}, retry=retry(4)), push="all")
        for key in keys
    ]
    assert await app.output([*fan, wait_all("all", "r"), give(var("r"))], stage.id()) == [3] * 10


@scenario("retry")
async def child_retry(stage: Stage) -> None:
    """A child that fails twice really runs again, and succeeds in the third attempt."""
    app = await stage.app()
    key = stage.id()
    inner = [*call("flaky", {"key": key, "failures": 2}, "n"), give(var("n"))]
    steps = [*do(child(inner, retry=retry(4)), "n"), give(var("n"))]
    assert await app.output(steps, key) == 3


@scenario("retry")
async def child_retry_with_id(stage: Stage) -> None:
    """The same, for a child whose id is given: each attempt takes the id of the one before."""
    app = await stage.app()
    key = stage.id()
    inner = [*call("flaky", {"key": key, "failures": 2}, "n"), give(var("n"))]
    steps = [*do(child(inner, retry=retry(4), id=f"{key}-child"), "n"), give(var("n"))]
    assert await app.output(steps, key) == 3


@scenario("failure-details", "retry")
async def child_retry_gives_up(stage: Stage) -> None:
    """A child that always fails fails its parent after the last attempt."""
    app = await stage.app()
    key = stage.id()
    inner = [*call("count", key), fail("never")]
    state = await app.run(do(child(inner, retry=retry(2))), key)
    assert state.status == "FAILED"
    assert "never" in state.failure["message"]
    assert await stage.counted(key) == 2


@scenario("retry")
async def retry_in_a_loop(stage: Stage) -> None:
    """Each call starts with a fresh count of attempts."""
    app = await stage.app()
    keys = [stage.id("a"), stage.id("b")]
    steps = [
        *(
            step
            for key in keys
            for step in call("flaky", {"key": key, "failures": 1}, "n", retry=retry(2))
        ),
        loop(2, call("echo", var("i"))),
        give(var("n")),
    ]
    assert await app.output(steps, stage.id()) == 2
