"""One engine under faults, in virtual time, from seeds.

In scope: what actors, dispatch and group commit promise together when workers vanish, the process
dies, and the store fails before or after it did what it was asked.  Out of scope: several owners
(that is the cluster's simulation), SDKs, sockets.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest

from support.one_engine import OneEngine
from support.toy import ActivityError, Again, All, Call, Child, Event, Sleep
from support.virtual import run
from tenure_common.errors import (
    OutcomeUnknownError,
    StoreFullError,
    StoreUnavailableError,
    TenureError,
)
from tenure_sidecar.engine import events as ev
from tenure_sidecar.store.memory import MemoryDatabase
from tenure_sidecar.store.port import Commit, Create, Op

Steps = Generator[Any, Any, Any]


def chain(given: str | None) -> Steps:
    total = 0
    for step in range(int(given or "5")):
        total += int((yield Call("add", str(step))))
    return str(total)


def fan(given: str | None) -> Steps:
    results = yield All([Call("add", str(i)) for i in range(int(given or "20"))])
    return str(sum(map(int, results)))


def nap(given: str | None) -> Steps:
    yield Sleep(float(given or "60"))
    return "awake"


def ask(given: str | None) -> Steps:
    answers = []
    for _ in range(int(given or "3")):
        answers.append((yield Event("answer")))
    return ",".join(answers)


def family(given: str | None) -> Steps:
    results = yield All([Child("chain", str(i)) for i in range(int(given or "4"))])
    return ",".join(results)


def loop(given: str | None) -> Steps:
    left = int(given or "30")
    if left == 0:
        return "done"
    yield Call("add", "1")
    return Again(str(left - 1))


def spin(given: str | None) -> Steps:
    left = int(given or "500")
    return Again(str(left - 1)) if left else "spun"
    yield


WORKFLOWS = {
    "chain": chain,
    "fan": fan,
    "nap": nap,
    "ask": ask,
    "family": family,
    "loop": loop,
    "spin": spin,
}
ACTIVITIES = {"add": lambda given: given}
PROGRAMS = [
    pytest.param("chain", "6", "15", id="chain"),
    pytest.param("fan", "30", "435", id="fan-out"),
    pytest.param("nap", "90", "awake", id="timer"),
    pytest.param("family", "4", "0,0,1,3", id="children"),
    pytest.param("loop", "12", "done", id="continue-as-new"),
    pytest.param("spin", "60", "spun", id="tight continue-as-new"),
]


def engine(seed: int = 0, database: MemoryDatabase | None = None) -> OneEngine:
    return OneEngine(workflows=WORKFLOWS, activities=ACTIVITIES, seed=seed, database=database)


def check_history(database: MemoryDatabase) -> None:
    """I2: one schedule and at most one resolution per task; the end comes last, once."""
    for record in database.records.values():
        created: Counter[int] = Counter()
        resolved: Counter[tuple[str, int]] = Counter()
        for event in record.history:
            if isinstance(event, ev.TaskScheduled | ev.ChildCreated | ev.TimerCreated):
                created[event.task_id] += 1
            elif isinstance(event, ev.TaskCompleted | ev.TaskFailed):
                resolved["task", event.task_id] += 1
            elif isinstance(event, ev.ChildCompleted | ev.ChildFailed):
                resolved["child", event.task_id] += 1
            elif isinstance(event, ev.TimerFired):
                resolved["timer", event.timer_id] += 1
        assert all(count == 1 for count in created.values())
        assert all(count == 1 for count in resolved.values())
        ends = [i for i, e in enumerate(record.history) if isinstance(e, ev.ExecutionCompleted)]
        assert ends in ([], [len(record.history) - 1])
        ats = [event.at for event in record.history]
        assert ats == sorted(ats)


@pytest.mark.parametrize(("name", "given", "expected"), PROGRAMS)
def test_runs_to_its_end(name: str, given: str, expected: str) -> None:
    async def main() -> None:
        one = engine()
        await one.start()
        assert await one.finish(await one.begin(name, given)) == expected
        check_history(one.database)
        assert max(Counter(one.effects).values(), default=1) == 1
        assert await one.store.due(range(8), until=2**62, limit=10) == []
        await one.host.stop()

    run(main())


def test_events_come_in_order_before_and_after_the_wait() -> None:
    async def main() -> None:
        one = engine()
        await one.start(workers=0)
        instance_id = await one.begin("ask", "4")
        for data in "ab":
            await one.operations.raise_event(instance_id, "Answer", data)
        one.connect()
        for data in "cd":
            await one.operations.raise_event(instance_id, "ANSWER", data)
        assert await one.finish(instance_id) == "a,b,c,d"
        await one.host.stop()

    run(main())


def test_a_timer_is_never_early() -> None:
    async def main() -> None:
        one = engine()
        await one.start()
        before = one.loop.wall_ns()
        instance_id = await one.begin("nap", "3600")
        await one.finish(instance_id, within=7200)
        record = one.database.records[instance_id]
        fired = next(e for e in record.history if isinstance(e, ev.TimerFired))
        assert fired.at >= fired.fire_at.nanoseconds >= before + 3600 * ev.NANOS
        await one.host.stop()

    run(main())


def test_control_needs_no_worker() -> None:
    async def main() -> None:
        one = engine()
        await one.start(workers=0)
        instance_id = await one.begin("chain")
        await one.operations.suspend(instance_id, "hold")
        head = await one.operations.head(instance_id)
        assert head is not None
        assert head.status is ev.Status.SUSPENDED
        await one.operations.resume(instance_id, None)
        await one.operations.terminate(instance_id, '"enough"', recurse=True)
        head = await one.operations.head(instance_id)
        assert head is not None
        assert (head.status, head.output) == (ev.Status.TERMINATED, '"enough"')
        await one.host.stop()

    run(main())


def test_a_worker_that_dies_all_the_time_delays_but_loses_nothing() -> None:
    async def main() -> None:
        one = engine(seed=3)
        await one.start(workers=2)
        ids = [await one.begin("chain", "8") for _ in range(10)]
        for _ in range(40):
            worker = one.random.choice(one.workers)
            one.loop.call_later(one.random.random() * 0.5, worker.die)
            one.loop.call_later(0.6, worker.connect)
            await asyncio_sleep(0.7)
        assert [await one.finish(i) for i in ids] == ["28"] * 10
        check_history(one.database)
        assert len(set(one.effects)) == 80
        await one.host.stop()

    run(main())


async def asyncio_sleep(seconds: float) -> None:
    """Virtual seconds."""
    import asyncio

    await asyncio.sleep(seconds)


def faults(one: OneEngine, *, share: float) -> None:
    """Let a share of the writes fail: half of them refused, half of them done all the same."""

    def before(_ops: Sequence[Op]) -> TenureError | None:
        draw = one.random.random()
        if draw < share / 4:
            return StoreFullError("no space")
        if draw < share / 2:
            return StoreUnavailableError("no route")
        return None

    def after(_ops: Sequence[Op]) -> TenureError | None:
        return OutcomeUnknownError("timed out") if one.random.random() < share / 2 else None

    one.store.before = before
    one.store.after = after


async def begin_anyway(one: OneEngine, name: str, given: str, instance_id: str) -> str:
    """A client that retries what it was not told the outcome of; its id makes that safe."""
    while True:
        try:
            return await one.begin(name, given, instance_id)
        except TenureError as error:
            if error.code == "TN0102":
                return instance_id
            await asyncio_sleep(0.05)


@pytest.mark.parametrize("seed", range(40))
def test_store_faults_and_crashes(seed: int) -> None:
    """Everything at once: writes fail, workers die, the process dies five times."""

    async def main() -> None:
        one = engine(seed=seed)
        await one.start(workers=2)
        faults(one, share=0.2)
        expected: dict[str, str] = {}
        for round_ in range(5):
            for index, program in enumerate(PROGRAMS):
                name, given, result = program.values
                instance_id = await begin_anyway(one, name, given, f"{name}-{round_}-{index}")
                expected[instance_id] = result
            if one.random.random() < 0.5:
                one.random.choice(one.workers[-2:]).die()
            await asyncio_sleep(one.random.random() * 2)
            await one.crash()
            await one.start(workers=2)
            faults(one, share=0.2)
        one.store.before = lambda _ops: None
        one.store.after = lambda _ops: None
        for instance_id, result in expected.items():
            assert await one.finish(instance_id) == result
        check_history(one.database)
        done = {key for key, _ in one.effects}
        for record in one.database.records.values():
            for event in record.history:
                if isinstance(event, ev.TaskScheduled):
                    assert event.task_execution_id in done
        assert await one.store.due(range(8), until=2**62, limit=10) == []
        assert await one.store.active(range(8), after=None, limit=10) == []
        await one.host.stop()

    run(main())


def test_a_start_that_was_due_before_the_clock_was_set_back_comes_when_it_is_due_again() -> None:
    async def main() -> None:
        one = engine()
        due, back = one.clock() + 10 * ev.NANOS, 50_000_000
        asked: list[int] = []

        def clock(real: Callable[[], int] = one.clock) -> int:
            asked.extend([real()] if real() >= due else [])  # twice by the reminders
            return real() - (back if len(asked) > 2 else 0)

        one.clock = clock
        await one.start()
        instance_id = await one.operations.start_new(
            "chain", input="1", start_at=ev.Instant.of(due)
        )
        await one.operations.raise_event(instance_id, "any", None)  # so that it is in memory
        assert await one.finish(instance_id, within=11) == "0"
        head = await one.operations.head(instance_id)
        assert head is not None
        assert head.started_at >= due
        await one.host.stop()

    run(main())


def test_a_full_store_refuses_starts_and_goes_on_when_there_is_room() -> None:
    async def main() -> None:
        one = engine()
        await one.start()
        running = await one.begin("chain", "5")
        one.store.before = lambda _ops: StoreFullError("no space")
        with pytest.raises(StoreFullError):
            await one.begin("chain", "5")
        await asyncio_sleep(30)
        one.store.before = lambda _ops: None
        assert await one.finish(running, within=5) == "10"
        assert max(Counter(one.effects).values()) == 1
        await one.host.stop()

    run(main())


def test_a_failed_start_leaves_nothing() -> None:
    async def main() -> None:
        one = engine()
        await one.start()

        def full_for_starts(ops: Sequence[Op]) -> TenureError | None:
            return StoreFullError("no space") if any(isinstance(o, Create) for o in ops) else None

        one.store.before = full_for_starts
        with pytest.raises(StoreFullError):
            await one.begin("chain", instance_id="x")
        assert await one.operations.head("x") is None
        await one.host.stop()

    run(main())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_replays_to_the_letter(seed: int) -> None:
    async def story() -> list[Any]:
        one = engine(seed=seed)
        await one.start(workers=2)
        faults(one, share=0.1)
        ids = [await begin_anyway(one, "family", "3", f"f{i}") for i in range(3)]
        for instance_id in ids:
            await one.finish(instance_id)
        records = sorted(one.database.records.items())
        await one.host.stop()
        return [(key, record.head, tuple(record.history)) for key, record in records]

    assert run(story()) == run(story())


def test_a_wait_ends_though_nobody_heard_of_the_commit_that_ended_it() -> None:
    async def story() -> None:
        one = engine()
        await one.start()
        instance_id = await one.begin("nap", "5")

        def after(ops: Sequence[Op]) -> TenureError | None:
            ended = any(isinstance(op, Commit) and op.turn.head.status.terminal for op in ops)
            return OutcomeUnknownError("timed out") if ended else None

        one.store.after = after
        assert await one.finish(instance_id, within=10) == "awake"
        await one.host.stop()

    run(story())


def test_what_comes_after_an_end_that_is_not_durable_is_not_acknowledged_before_it_is() -> None:
    async def story() -> None:
        one = engine()
        await one.start()
        instance_id = await one.begin("nap", "60")
        await one.operations.wait(instance_id, end=False)
        one.store.before = lambda _ops: StoreUnavailableError("no route")
        ends = [
            asyncio.create_task(one.operations.terminate(instance_id, None, recurse=False)),
            asyncio.create_task(one.operations.terminate(instance_id, None, recurse=False)),
            asyncio.create_task(one.operations.raise_event(instance_id, "late", None)),
        ]
        await asyncio.sleep(5)
        head = await one.store.head(instance_id)
        assert head is not None
        assert not head.status.terminal
        assert not any(end.done() for end in ends)
        one.store.before = lambda _ops: None
        await asyncio.gather(*ends)
        head = await one.store.head(instance_id)
        assert head is not None
        assert head.status.terminal
        await one.host.stop()

    run(story())


def test_a_rewound_parent_takes_its_failed_child_along() -> None:
    broken = [True]

    def flaky(given: str | None) -> str | None:
        if broken[0]:
            raise ActivityError("not yet")
        return given

    def child(given: str | None) -> Steps:
        return (yield Call("flaky", given))

    def parent(given: str | None) -> Steps:
        return (yield Child("child", given))

    async def main() -> None:
        one = OneEngine(workflows={"parent": parent, "child": child}, activities={"flaky": flaky})
        await one.start()
        instance_id = await one.begin("parent", '"in"')
        head = await one.operations.wait(instance_id, end=True)
        assert head.status is ev.Status.FAILED
        broken[0] = False
        await one.operations.rewind(instance_id, "mended")
        assert await one.finish(instance_id, within=60) == '"in"'
        await one.host.stop()

    run(main())


@pytest.mark.parametrize("echoes", [True, False], ids=["tokens", "no tokens"])
def test_an_old_generations_result_does_not_reach_the_next(echoes: bool) -> None:
    """The old activity is answered while the next generation's of the same number is out."""
    delays = iter([0.01, 0.1, 0.01, 1.0])  # turn, old activity, turn, new activity

    class Ordered(OneEngine):
        def _later(self, callback: Callable[[], None]) -> None:
            self.loop.call_later(next(delays, 0.01), callback)

    def again(given: str | None) -> Steps:
        if given == "first":
            return Again("second", leave=(Call("add", "old"),))
        return (yield Call("add", "new"))

    async def main() -> None:
        one = Ordered(workflows={"again": again}, activities={"add": lambda given: given})
        await one.start(workers=0)
        one.connect(echoes=echoes)
        assert await one.finish(await one.begin("again", "first")) == "new"
        assert len(one.effects) == 2
        await one.host.stop()

    run(main())
