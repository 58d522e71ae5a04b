"""Bulk jobs when the process dies in the middle, and when two processes believe they own one.

In virtual time, from seeds.  Laws: a job that was accepted ends; every instance that it was for has
been acted on; no verb that makes something new makes it twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from support.one_engine import OneEngine
from support.toy import Event
from support.virtual import run
from tenure_sidecar.actors import job as records
from tenure_sidecar.actors import jobs as module
from tenure_sidecar.actors.jobs import Jobs
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.port import Query

COUNT = 30


def ask(_given: str | None) -> Generator[Any, Any, Any]:
    return (yield Event("answer"))


def worker(engine: OneEngine) -> Jobs:
    """The jobs of the process that runs now."""
    return Jobs(
        engine.store,
        operations=engine.operations,
        clock=engine.loop.wall_ns,
        owned=lambda _id: True,
    )


def a_job(engine: OneEngine, verb: str, **fields: Any) -> records.Job:
    action = records.Action(verb, **fields)
    query = records.narrowed(Query(created_to=engine.loop.wall_ns() + 1), action)
    assert query is not None
    now = engine.loop.wall_ns()
    return records.Job(
        id="j", action=action, query=query, created_at=now, updated_at=now, matched=COUNT
    )


async def begin(seed: int) -> OneEngine:
    engine = OneEngine(workflows={"ask": ask}, activities={}, seed=seed)
    await engine.start()
    for n in range(COUNT):
        await engine.begin("ask", instance_id=f"i{n:02}")
    return engine


async def until_over(engine: OneEngine, crashes: int) -> records.Job:
    """Let the job run to its end, with the process dying ``crashes`` times on the way."""
    while True:
        task = engine.loop.create_task(worker(engine).run())
        try:
            if crashes:
                await asyncio.sleep(engine.random.random() / 20)
                crashes -= 1
                task.cancel()
                await engine.crash()
                await engine.start()
                continue
            async with asyncio.timeout(600):
                while (job := await worker(engine).get("j")).state == records.RUNNING:
                    await asyncio.sleep(0.1)
                return job
        finally:
            task.cancel()


@pytest.mark.parametrize("seed", range(8))
def test_every_instance_is_acted_on_whatever_dies(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 4)

    async def main() -> None:
        engine = await begin(seed)
        await worker(engine).submit(a_job(engine, "terminate"))
        job = await until_over(engine, crashes=3)
        assert job.state == records.COMPLETED
        heads = (await engine.store.heads(Query(), limit=1000)).heads
        assert [head.status for head in heads] == [Status.TERMINATED] * COUNT
        # What was done by a page that was not saved is not found again: it is no longer live.
        assert job.done + job.skipped == job.matched == COUNT
        await engine.crash()

    run(main())


@pytest.mark.parametrize("seed", range(8))
def test_new_runs_are_made_once_whatever_dies(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 4)

    async def main() -> None:
        engine = await begin(seed)
        await worker(engine).submit(a_job(engine, "restart", new_id=True))
        job = await until_over(engine, crashes=3)
        assert (job.state, job.done, job.failed) == (records.COMPLETED, COUNT, 0)
        assert (await engine.store.stats())["instances"] == 2 * COUNT
        await engine.crash()

    run(main())


@pytest.mark.parametrize("seed", range(4))
def test_two_workers_on_one_job_do_no_harm(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 4)

    async def main() -> None:
        engine = await begin(seed)
        await worker(engine).submit(a_job(engine, "restart", new_id=True))
        both = [engine.loop.create_task(worker(engine).run()) for _ in range(2)]
        job = await until_over(engine, crashes=0)
        for task in both:
            task.cancel()
        assert (job.state, job.done) == (records.COMPLETED, COUNT)
        assert (await engine.store.stats())["instances"] == 2 * COUNT
        await engine.crash()

    run(main())


def test_a_job_of_another_process_is_found() -> None:
    async def main() -> None:
        engine = await begin(0)
        task = engine.loop.create_task(worker(engine).run())
        await asyncio.sleep(1)  # it sleeps: there is nothing to do
        await worker(engine).submit(a_job(engine, "terminate"))  # tells only its own worker
        async with asyncio.timeout(600):
            while (await worker(engine).get("j")).state == records.RUNNING:
                await asyncio.sleep(0.1)
        task.cancel()
        await engine.crash()

    run(main())


def test_jobs_of_others_partitions_are_left_alone() -> None:
    async def main() -> None:
        engine = await begin(0)
        other = Jobs(
            engine.store,
            operations=engine.operations,
            clock=engine.loop.wall_ns,
            owned=lambda _id: False,
        )
        await other.submit(a_job(engine, "terminate"))
        assert not await other.sweep()
        assert (await other.get("j")).done == 0
        await engine.crash()

    run(main())


def test_finished_jobs_are_removed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_NS", 600 * 10**9)

    async def main() -> None:
        engine = await begin(0)
        jobs = worker(engine)
        await jobs.submit(a_job(engine, "terminate"))
        while await jobs.sweep():
            pass
        await asyncio.sleep(540)
        await jobs.sweep()
        assert len(await jobs.all()) == 1
        await asyncio.sleep(120)
        await jobs.sweep()
        assert await jobs.all() == []
        await engine.crash()

    run(main())


def test_the_oldest_finished_jobs_go_when_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)

    async def main() -> None:
        engine = await begin(0)
        jobs = worker(engine)
        for n in range(4):
            await asyncio.sleep(1)
            job = a_job(engine, "suspend" if n % 2 else "resume")
            job = records.msgspec.structs.replace(job, id=f"j{n}")
            await jobs.submit(job)
            while await jobs.sweep():
                pass
        await jobs.sweep()
        assert [job.id for job in await jobs.all()] == ["j3", "j2"]
        await engine.crash()

    run(main())
