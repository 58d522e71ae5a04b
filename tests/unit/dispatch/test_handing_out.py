"""Which work goes to which worker, and when: caps, fairness, filters, stickiness, slow readers.

In scope: the dispatcher with real instances and workers that are played by hand.  Out of scope: what
is sent again (test_redelivery), what does not fit (test_oversize), answers (test_answers).
"""

from __future__ import annotations

import pytest

from support.by_hand import HandWorker, call, done, takes
from support.one_engine import OneEngine
from support.virtual import in_virtual_time, passes
from tenure_sidecar.dispatch.stream import Caps
from tenure_sidecar.engine.settings import Concurrency


async def engine() -> OneEngine:
    one = OneEngine(workflows={}, activities={})
    await one.start(workers=0)
    return one


async def begin(one: OneEngine, count: int, name: str = "flow") -> list[str]:
    return [await one.begin(name, instance_id=f"{name}-{i:03}") for i in range(count)]


async def scheduled(one: OneEngine, worker: HandWorker, instance_id: str, *names: str) -> None:
    """Let the instance schedule activities of these names; their inputs say which they are."""
    await one.begin("flow", instance_id=instance_id)
    turn = next(t for t in worker.turns if t.instance_id == instance_id)
    worker.turns.remove(turn)
    worker.answer(turn, *[call(i, name, f"{instance_id}/{i}") for i, name in enumerate(names)])
    await passes(1)


# --- caps -----------------------------------------------------------------------------------------


@in_virtual_time
async def test_turns_are_capped_and_each_answer_makes_room_for_one() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=Caps(turns=3, activities=3, total=6))
    ids = await begin(one, 5)
    assert worker.took == ids[:3]
    assert one.dispatcher.queued == (2, 0)
    worker.answer(worker.turns.popleft(), done())
    assert worker.took == ids[1:4]
    worker.answer(worker.turns.popleft(), done())
    assert worker.took == ids[2:5]


@in_virtual_time
async def test_activities_are_capped_apart_from_turns() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=Caps(turns=2, activities=3, total=5))
    await scheduled(one, worker, "a", *["work"] * 5)
    assert worker.inputs == ["a/0", "a/1", "a/2"]
    assert one.dispatcher.queued == (0, 2)
    await begin(one, 2)
    assert len(worker.turns) == 2
    worker.complete(worker.tasks.popleft(), "1")
    assert worker.inputs == ["a/1", "a/2", "a/3"]


@in_virtual_time
async def test_turns_and_activities_together_are_capped_too() -> None:
    """As the JavaScript SDK needs it: it drops what is over ten items."""
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=Caps(turns=100, activities=100, total=10))
    await scheduled(one, worker, "a", *["work"] * 30)
    await begin(one, 30)
    assert len(worker.turns) + len(worker.tasks) == 10
    while worker.turns or worker.tasks:
        if worker.tasks:
            worker.complete(worker.tasks.popleft(), "1")
        else:
            worker.answer(worker.turns.popleft(), done())
        assert worker.stream.load == len(worker.turns) + len(worker.tasks) <= 10
        await passes(0.1)
    assert one.dispatcher.queued == (0, 0)


@in_virtual_time
async def test_the_workers_together_have_no_more_than_the_apps_limits() -> None:
    one = await engine()
    one.dispatcher.limit(Concurrency(workflows=3, activities=2))
    two = [HandWorker(one.dispatcher) for _ in range(2)]
    ids = await begin(one, 5)
    assert sum(len(worker.turns) for worker in two) == 3
    first = next(worker for worker in two if worker.turns)
    turn = first.turns.popleft()
    first.answer(turn, *[call(number, "work", str(number)) for number in range(4)])
    await passes(1)
    assert sum(len(worker.turns) for worker in two) == 3, "an answer makes room for one"
    assert sum(len(worker.tasks) for worker in two) == 2
    assert one.dispatcher.queued == (len(ids) - 4, 2)
    busy = next(worker for worker in two if worker.tasks)
    busy.complete(busy.tasks.popleft(), "1")
    assert sum(len(worker.tasks) for worker in two) == 2


@in_virtual_time
async def test_a_limit_that_is_raised_is_filled_at_once_and_one_that_is_lowered_waits() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    one.dispatcher.limit(Concurrency(workflows=1, activities=1))
    await begin(one, 6)
    assert len(worker.turns) == 1
    one.dispatcher.limit(Concurrency(workflows=4, activities=1))
    assert len(worker.turns) == 4
    one.dispatcher.limit(Concurrency(workflows=2, activities=1))
    for left in (3, 2, 2, 2, 1, 0):
        worker.answer(worker.turns.popleft(), done())
        assert len(worker.turns) == left
    one.dispatcher.limit(Concurrency())
    await scheduled(one, worker, "a", *["work"] * 3)
    assert len(worker.tasks) == 3


@in_virtual_time
async def test_what_a_lost_worker_had_makes_room() -> None:
    one = await engine()
    one.dispatcher.limit(Concurrency(workflows=1))
    lost = HandWorker(one.dispatcher)
    ids = await begin(one, 2)
    assert lost.took == ids[:1]
    other = HandWorker(one.dispatcher)
    assert not other.turns
    lost.die()
    took: list[str] = []
    while len(took) < len(ids):
        await passes(5)
        assert len(other.turns) == 1
        took += other.took
        other.answer(other.turns.popleft(), done())
    assert sorted(took) == ids


@in_virtual_time
async def test_turns_come_before_activities() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=Caps(turns=1, activities=1, total=1))
    await scheduled(one, worker, "a", "work", "work")
    await one.begin("flow", instance_id="b")
    assert worker.inputs == ["a/0"]
    worker.complete(worker.tasks.popleft(), "1")
    # The result makes a turn of 'a', the start one of 'b', and an activity waits.
    assert (worker.took, worker.inputs) == (["b"], [])


@in_virtual_time
async def test_the_least_loaded_worker_is_taken() -> None:
    one = await engine()
    workers = [HandWorker(one.dispatcher) for _ in range(3)]
    await begin(one, 9)
    assert [len(worker.turns) for worker in workers] == [3, 3, 3]
    first = workers[0]
    while first.turns:
        first.answer(first.turns.popleft(), done())
    await begin(one, 3, "more")
    assert len(first.turns) == 3


@in_virtual_time
async def test_a_worker_that_has_answered_nothing_gets_a_first_turn_and_no_more() -> None:
    """Code that dies as it starts must not draw in all the work again and again."""
    one = await engine()
    proven = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="first")
    proven.answer(proven.turns.popleft())
    new = HandWorker(one.dispatcher)
    await begin(one, 10)
    assert (len(new.turns), len(proven.turns)) == (1, 9)
    new.answer(new.turns.popleft(), done())
    await begin(one, 8, "more")
    assert (len(new.turns), len(proven.turns)) == (8, 9)


# --- fairness -------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_hot_workflow_does_not_starve_others() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, caps=Caps(turns=10, activities=1, total=11))
    await scheduled(one, worker, "hot", *["work"] * 1000)
    await scheduled(one, worker, "cold", "work")
    order: list[str | None] = []
    for _ in range(4):
        order += worker.inputs
        worker.complete(worker.tasks.popleft(), "1")
    assert order[:3] == ["hot/0", "hot/1", "cold/0"]


# --- filters --------------------------------------------------------------------------------------


@in_virtual_time
async def test_work_goes_where_it_is_taken() -> None:
    one = await engine()
    orders = HandWorker(one.dispatcher, hello=takes(workflows=["order"], activities=["pay"]))
    mails = HandWorker(one.dispatcher, hello=takes(workflows=["mail"], activities=["send"]))
    await one.begin("Order", instance_id="o")
    await one.begin("mail", instance_id="m")
    assert (orders.took, mails.took) == (["o"], ["m"])
    orders.answer(orders.turns.popleft(), call(0, "Send"), call(1, "pay"))
    await passes(1)
    assert [t.task.name for t in mails.tasks] == ["Send"]
    assert [t.task.name for t in orders.tasks] == ["pay"]


@in_virtual_time
async def test_what_nobody_takes_waits_for_a_worker_that_does() -> None:
    one = await engine()
    picky = HandWorker(one.dispatcher, hello=takes(workflows=["flow"], activities=["pay"]))
    await one.begin("unknown", instance_id="u")
    await scheduled(one, picky, "f", "ship", "pay")
    assert [t.task.name for t in picky.tasks] == ["pay"]
    assert one.dispatcher.queued == (1, 1)
    other = HandWorker(one.dispatcher)
    assert other.took == ["u"]
    assert [t.task.name for t in other.tasks] == ["ship"]
    assert one.dispatcher.queued == (0, 0)


@in_virtual_time
async def test_what_is_withdrawn_while_nobody_takes_it_is_forgotten() -> None:
    one = await engine()
    HandWorker(one.dispatcher, hello=takes(workflows=["other"], activities=["other"]))
    for index in range(20):
        instance_id = await one.begin("unknown", instance_id=f"u{index}")
        await one.operations.terminate(instance_id, None, recurse=False)
    assert one.dispatcher.queued == (0, 0)


@in_virtual_time
async def test_turns_of_a_full_worker_do_not_hold_up_those_of_others() -> None:
    one = await engine()
    caps = Caps(turns=1, activities=1, total=2)
    narrow = HandWorker(one.dispatcher, hello=takes(workflows=["slow"]), caps=caps)
    await begin(one, 50, "slow")
    assert len(narrow.turns) == 1
    wide = HandWorker(one.dispatcher, hello=takes(workflows=["fast"]))
    ids = await begin(one, 3, "fast")
    assert wide.took == ids


@in_virtual_time
async def test_activities_of_a_full_worker_do_not_hold_up_those_of_others() -> None:
    """Head-of-line blocking: the first in line is for a worker that is full."""
    one = await engine()
    caps = Caps(turns=10, activities=1, total=11)
    narrow = HandWorker(one.dispatcher, hello=takes(activities=["slow"]), caps=caps)
    wide = HandWorker(one.dispatcher, hello=takes(activities=["fast"]))
    await one.begin("flow", instance_id="a")
    at = narrow if narrow.turns else wide
    at.answer(
        at.turns.popleft(),
        *[call(i, "slow", f"slow/{i}") for i in range(50)],
        *[call(50 + i, "fast", f"fast/{i}") for i in range(3)],
    )
    await passes(1)
    assert narrow.inputs == ["slow/0"]
    assert wide.inputs == ["fast/0", "fast/1", "fast/2"]
    narrow.complete(narrow.tasks.popleft(), "1")
    assert narrow.inputs == ["slow/1"]


@in_virtual_time
async def test_a_worker_that_takes_everything_serves_every_line_in_turn() -> None:
    """Two lines compete for one worker; neither waits for the other to be empty."""
    one = await engine()
    caps = Caps(turns=10, activities=1, total=11)
    HandWorker(one.dispatcher, hello=takes(workflows=[], activities=["a"]), caps=caps)
    both = HandWorker(one.dispatcher, caps=caps)
    await one.begin("flow", instance_id="w")
    both.answer(both.turns.popleft(), *[call(i, "ab"[i % 2], "ab"[i % 2]) for i in range(40)])
    await passes(1)
    seen: list[str | None] = []
    for _ in range(10):
        seen += both.inputs
        both.complete(both.tasks.popleft(), "1")
    assert {"a", "b"} == set(seen[:3])


@in_virtual_time
async def test_handing_out_looks_at_little_however_much_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Work per answer does not grow with the line."""
    from tenure_sidecar.dispatch.stream import WorkerStream

    looks = [0]

    def counted(check: str) -> None:
        original = getattr(WorkerStream, check)

        def look(self: WorkerStream, *args: object) -> bool:
            looks[0] += 1
            return bool(original(self, *args))

        monkeypatch.setattr(WorkerStream, check, look)

    for check in ("room_for_turn", "room_for_activity", "takes_workflow", "takes_activity"):
        counted(check)
    costs: list[int] = []
    for waiting in (20, 400):
        one = await engine()
        caps = Caps(turns=1, activities=1, total=2)
        worker = HandWorker(one.dispatcher, hello=takes(workflows=["flow"]), caps=caps)
        HandWorker(one.dispatcher, hello=takes(workflows=["other"]), caps=caps)
        await begin(one, waiting)
        looks[0] = 0
        worker.answer(worker.turns.popleft(), done())
        costs.append(looks[0])
    assert costs[0] == costs[1]


# --- stickiness -----------------------------------------------------------------------------------


@in_virtual_time
async def test_turns_of_an_instance_stay_at_its_worker() -> None:
    one = await engine()
    first, second = HandWorker(one.dispatcher), HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    await begin(one, 10, "load")
    assert "w" in first.took
    for step in range(5):
        turn = next(t for t in first.turns if t.instance_id == "w")
        first.turns.remove(turn)
        first.answer(turn)
        await one.operations.raise_event("w", "go", str(step))
        await passes(1)
        while second.turns:
            second.answer(second.turns.popleft(), done())
    assert "w" in first.took


@in_virtual_time
async def test_a_full_worker_does_not_keep_its_instances() -> None:
    one = await engine()
    caps = Caps(turns=1, activities=1, total=2)
    first = HandWorker(one.dispatcher, caps=caps)
    await one.begin("flow", instance_id="w")
    first.answer(first.turns.popleft())
    await one.begin("flow", instance_id="x")
    assert first.took == ["x"]
    second = HandWorker(one.dispatcher, caps=caps)
    await one.operations.raise_event("w", "go", None)
    await passes(1)
    assert second.took == ["w"]


# --- slow readers ---------------------------------------------------------------------------------


@in_virtual_time
async def test_a_worker_that_does_not_read_holds_up_nobody() -> None:
    one = await engine()
    slow, fast = HandWorker(one.dispatcher), HandWorker(one.dispatcher)
    slow.full = True
    ids = await begin(one, 6)
    assert fast.took == ids
    await scheduled(one, fast, "w", *["work"] * 6)
    assert len(fast.tasks) == 6
    assert slow.stream.load == 0


@in_virtual_time
async def test_it_is_served_again_when_it_reads() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    worker.full = True
    ids = await begin(one, 3)
    await passes(10)
    assert worker.took == []
    worker.read_on()
    assert worker.took == ids


@in_virtual_time
async def test_a_stream_left_unread_is_closed_and_its_work_goes_elsewhere() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="sent")
    worker.full = True
    await one.begin("flow", instance_id="unsent")
    await passes(28)
    assert worker.ended is None
    other = HandWorker(one.dispatcher)
    assert other.took == ["unsent"]
    await passes(5)
    assert worker.ended is not None
    assert "TN0500" in worker.ended
    assert sorted(other.took) == ["sent", "unsent"]


@in_virtual_time
async def test_a_stream_that_is_found_closed_is_dropped() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="sent")
    worker.broken = True
    await one.begin("flow", instance_id="unsent")
    await passes(0.1)
    assert one.dispatcher.workers == 0
    other = HandWorker(one.dispatcher)
    assert sorted(other.took) == ["sent", "unsent"]


# --- health pings ---------------------------------------------------------------------------------


@in_virtual_time
async def test_only_idle_streams_that_know_pings_get_them() -> None:
    one = await engine()
    knows = HandWorker(one.dispatcher, health_ping=True)
    does_not = HandWorker(one.dispatcher)
    await passes(29)
    assert knows.pings == 0
    await passes(93)
    assert (knows.pings, does_not.pings) == (4, 0)


@in_virtual_time
async def test_a_busy_stream_needs_no_ping() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher, health_ping=True)
    for index in range(8):
        await one.begin("flow", instance_id=f"w{index}")
        worker.answer(worker.turns.popleft(), done())
        await passes(20)
    assert worker.pings == 0


# --- the end --------------------------------------------------------------------------------------


@in_virtual_time
async def test_closing_ends_streams_and_takes_no_new_ones() -> None:
    one = await engine()
    worker = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="w")
    one.dispatcher.close()
    assert worker.ended == "OK"
    answer = worker.answer(worker.turns.popleft(), done())  # what is at a worker may be answered
    late = HandWorker(one.dispatcher)
    await one.begin("flow", instance_id="x")
    await passes(1)
    assert answer.acknowledged
    assert late.took == []
    assert late.ended == "OK"
    assert one.dispatcher.workers == 0


@in_virtual_time
async def test_the_count_of_workers_is_told() -> None:
    counts: list[int] = []
    one = await engine()
    one.dispatcher.on_workers = counts.append
    first, second = HandWorker(one.dispatcher), HandWorker(one.dispatcher)
    first.die()
    first.die()
    second.die()
    assert counts == [1, 2, 1, 0]
