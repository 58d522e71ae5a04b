"""Versions: Microsoft's worker versions, Dapr's named versions and patches."""

from __future__ import annotations

from typing import Any

from conformance.program import child, do, event, give, info, patched, var
from conformance.stage import App, Stage
from conformance.suite import scenario

GO = do(event("go"))


@scenario("versions", "version-info")
async def version_is_seen(stage: Stage) -> None:
    """A workflow sees the version that it was started with."""
    app = await stage.app()
    steps = [info("me"), give(var("me", "version"))]
    assert await app.output(steps, stage.id(), version="1.2.3") == "1.2.3"


@scenario("versions", "version-info")
async def version_of_a_child(stage: Stage) -> None:
    """A child sees the version that its parent gave it."""
    app = await stage.app()
    inner = [info("me"), give(var("me", "version"))]
    steps = [*do(child(inner, version="2.0"), "r"), give(var("r"))]
    assert await app.output(steps, stage.id(), version="1.0") == "2.0"


@scenario("versions", lone=True)
async def strict_worker_fails_others(stage: Stage) -> None:
    """A strict worker that fails other versions ends them FAILED and says why."""
    app = await stage.app("app", version="1.0", match="STRICT", on_mismatch="FAIL")
    assert await app.output([give("mine")], stage.id("same"), version="1.0") == "mine"
    state = await app.run([give("wrong")], stage.id("other"), version="2.0")
    assert state.status == "FAILED"
    assert "2.0" in state.failure["message"]
    assert "ersion" in state.failure["type"]


@scenario("versions", lone=True)
async def strict_worker_rejects_others(stage: Stage) -> None:
    """What a strict worker hands back waits for a worker of the right version."""
    old = await stage.app("old", version="1.0", match="STRICT", on_mismatch="REJECT")
    instance = await old.start([give("found")], stage.id(), version="2.0")
    assert await old.output([give("mine")], stage.id("same"), version="1.0") == "mine"
    state = await old.get(instance)
    assert state is not None
    assert state.status in {"PENDING", "RUNNING"}
    await old.ask("stop_worker")
    await stage.workers(0)
    await stage.app("new", version="2.0", match="STRICT", on_mismatch="REJECT")
    assert (await old.done(instance)).output == "found"


@scenario("versions", lone=True)
async def worker_takes_older_versions(stage: Stage) -> None:
    """A worker that takes its own version and older ones takes those, and no newer ones."""
    app = await stage.app("app", version="2.0", match="CURRENT_OR_OLDER", on_mismatch="FAIL")
    assert await app.output([give("ok")], stage.id("older"), version="1.9") == "ok"
    assert await app.output([give("ok")], stage.id("same"), version="2.0") == "ok"
    assert (await app.run([give("no")], stage.id("newer"), version="2.1")).status == "FAILED"


def _version(name: str, *, latest: bool) -> dict[str, Any]:
    return {"name": "named", "version": name, "latest": latest, "program": [*GO, give(name)]}


async def _change(stage: Stage, app: App, *workflows: dict[str, Any]) -> None:
    """A new worker in place of the old one, which must be given nothing more."""
    await app.ask("stop_worker")
    await stage.workers(0)
    await app.ask("start_worker", options={"workflows": list(workflows)})


@scenario("named-versions", lone=True)
async def named_version_is_kept(stage: Stage) -> None:
    """An instance stays with the version it began with; new ones take the latest."""
    app = await stage.app("app", workflows=[_version("v1", latest=True)])
    old = await app.start("named", stage.id("old"))
    await app.started(old)
    await _change(stage, app, _version("v1", latest=False), _version("v2", latest=True))
    new = await app.start("named", stage.id("new"))
    for instance, version in ((old, "v1"), (new, "v2")):
        await app.event(instance, "go")
        assert (await app.done(instance)).output == version


@scenario("named-versions", lone=True)
async def missing_version_stalls(stage: Stage) -> None:
    """Without a worker for its version an instance is STALLED; with one it goes on."""
    app = await stage.app("app", workflows=[_version("v1", latest=True)])
    instance = await app.start("named", stage.id())
    await app.started(instance)
    await _change(stage, app, _version("v2", latest=True))
    await app.event(instance, "go")
    await app.until(instance, "STALLED")
    await _change(stage, app, _version("v1", latest=False), _version("v2", latest=True))
    assert (await app.done(instance)).output == "v1"


def _patchable(*, with_patch: bool) -> dict[str, Any]:
    ask = [patched("p1", "p")] if with_patch else []
    program = [*ask, *GO, *do(event("end")), give(var("p"))]
    return {"name": "patchable", "program": program}


@scenario("patches", lone=True)
async def patch_is_taken_by_new_instances(stage: Stage) -> None:
    """New instances take the patched path, those in flight do not."""
    app = await stage.app("app", workflows=[_patchable(with_patch=False)])
    old = await app.start("patchable", stage.id("old"))
    await app.started(old)
    await _change(stage, app, _patchable(with_patch=True))
    new = await app.start("patchable", stage.id("new"))
    for instance, expected in ((old, False), (new, True)):
        await app.event(instance, "go")
        await app.event(instance, "end")
        assert (await app.done(instance)).output is expected


@scenario("patches", lone=True)
async def patch_mismatch_stalls(stage: Stage) -> None:
    """Code that no longer has the patch stalls the instance; with the patch it goes on."""
    app = await stage.app("app", workflows=[_patchable(with_patch=True)])
    instance = await app.start("patchable", stage.id())
    await app.started(instance)
    await _change(stage, app, _patchable(with_patch=False))
    await app.event(instance, "go")
    await app.until(instance, "STALLED")
    await _change(stage, app, _patchable(with_patch=True))
    await app.until(instance, "RUNNING")
    await app.event(instance, "end")
    assert (await app.done(instance)).output is True
