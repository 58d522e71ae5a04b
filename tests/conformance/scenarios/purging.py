"""Purging: what is deleted, and what is not."""

from __future__ import annotations

import pytest

from conformance.driver import SdkError
from conformance.program import call, child, do, event, give, now, var
from conformance.stage import Stage
from conformance.suite import scenario

WAIT = [*do(event("go"), "v"), give(var("v"))]


@scenario()
async def purge_completed(stage: Stage) -> None:
    """A purged instance is gone."""
    app = await stage.app()
    await app.output([give(1)], stage.id())
    await app.ask("purge", instance=stage.id())
    assert await app.get(stage.id()) is None


@scenario("purge-count")
async def purge_says_how_many(stage: Stage) -> None:
    """A purge says how many instances went: one, and none for an unknown id."""
    app = await stage.app()
    await app.output([give(1)], stage.id())
    assert await app.ask("purge", instance=stage.id()) == 1
    assert await app.ask("purge", instance=stage.id("nobody")) == 0


@scenario()
async def purge_failed_and_terminated(stage: Stage) -> None:
    """Failed and terminated instances can be purged too."""
    app = await stage.app()
    failed, ended = stage.id("failed"), stage.id("terminated")
    await app.run(call("boom", "x"), failed)
    await app.start(WAIT, ended)
    await app.ask("terminate", instance=ended)
    await app.done(ended)
    for name in (failed, ended):
        await app.ask("purge", instance=name)
        assert await app.get(name) is None


@scenario()
async def purge_running_is_refused(stage: Stage) -> None:
    """A running instance is not purged: an error or a count of none, and it goes on."""
    app = await stage.app()
    instance = await app.start(WAIT, stage.id())
    await app.started(instance)
    try:
        assert not await app.ask("purge", instance=instance)
    except SdkError as error:
        assert "not yet completed" in error.message, error
    await app.event(instance, "go", "still here")
    assert (await app.done(instance)).output == "still here"


@scenario()
async def purged_id_is_free(stage: Stage) -> None:
    """The id of a purged instance can be used again."""
    app = await stage.app()
    assert await app.output([give("first")], stage.id()) == "first"
    await app.ask("purge", instance=stage.id())
    assert await app.output([give("second")], stage.id()) == "second"


@scenario("purge-recursive")
async def purge_takes_children(stage: Stage) -> None:
    """A recursive purge takes the children."""
    app = await stage.app()
    name = stage.id("child")
    await app.output([*do(child([give(1)], id=name)), give(1)], stage.id())
    await app.ask("purge", instance=stage.id(), recursive=True)
    assert await app.get(name) is None
    assert await app.get(stage.id()) is None


@scenario("purge-recursive")
async def purge_leaves_children(stage: Stage) -> None:
    """A purge that is not recursive leaves the children."""
    app = await stage.app()
    name = stage.id("child")
    await app.output([*do(child([give("kept")], id=name)), give(1)], stage.id())
    await app.ask("purge", instance=stage.id(), recursive=False)
    assert await app.get(stage.id()) is None
    state = await app.get(name)
    assert state is not None
    assert state.output == "kept"


@scenario("purge-filter", lone=True)
async def purge_by_filter(stage: Stage) -> None:
    """A purge by status and time deletes what matches and nothing else."""
    app = await stage.app("app", threads=8)
    clock = await app.output([now("t"), give(var("t"))], stage.id("clock"))
    await app.output([give(1)], stage.id("good"))
    await app.run(call("boom", "x"), stage.id("bad"))
    waiting = await app.start(WAIT, stage.id("waiting"))
    await app.started(waiting)
    deleted = await app.ask("purge_where", statuses=["FAILED"], from_ms=clock)
    assert deleted == 1
    assert await app.get(stage.id("bad")) is None
    assert await app.get(stage.id("good")) is not None
    assert await app.ask("purge_where", to_ms=clock - 3_600_000) == 0
    assert await app.get(stage.id("good")) is not None
    await app.event(waiting, "go", 1)
    assert (await app.done(waiting)).output == 1


@scenario("history", "history-not-found")
async def purged_history_is_gone(stage: Stage) -> None:
    """The history of a purged instance is NOT_FOUND."""
    app = await stage.app()
    await app.output([*call("echo", 1), give(1)], stage.id())
    await app.ask("purge", instance=stage.id())
    with pytest.raises(SdkError) as caught:
        await app.ask("history", instance=stage.id())
    assert caught.value.code == "NOT_FOUND" or "not found" in caught.value.message.lower()
