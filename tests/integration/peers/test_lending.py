"""Activities that the owner's app has no room for run at other members; what ends that, and how.

In scope: dispatch, loans and connections of several engines, on real gRPC connections.  Whole
processes on etcd, with stock SDKs, are in tests/cluster/test_wide.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.by_hand import Answer, HandWorker, done, takes
from support.lenders import Member, Members, fan_out, until
from support.proxy import TO, FaultProxy
from support.toy import decode_event
from tenure_sidecar.actors.instance import Ack
from tenure_sidecar.dispatch.loans import Borrowed
from tenure_sidecar.dispatch.stream import Caps
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.settings import Concurrency
from tenure_sidecar.wire.codec import ActivityResult

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def members() -> AsyncIterator[Members]:
    made = Members()
    yield made
    await made.stop()


class Pair:
    """An owner and a peer, each with a worker."""

    def __init__(self, members: Members, owner: Member, peer: Member) -> None:
        self.members = members
        self.owner, self.peer = owner, peer
        self.near: HandWorker
        self.away: HandWorker


@pytest.fixture
async def pair(members: Members) -> Pair:
    return Pair(members, await members.start("owner"), await members.start("peer"))


async def with_slots(pair: Pair, near: int, away: int) -> None:
    """So many slots at the owner and at the peer."""
    pair.near, pair.away = pair.owner.worker(near), pair.peer.worker(away)
    await pair.members.settled()


async def finish(pair: Pair, instance_id: str, count: int) -> list[str | None]:
    """Answer turns until all results are there, end the workflow; the results, sorted."""
    found: list[str | None] = []
    while len(found) < count:
        await until(lambda: pair.near.turns, "a turn with results")
        turn = pair.near.turns.popleft()
        found += [e.result for e in map(_event, turn.new) if isinstance(e, ev.TaskCompleted)]
        pair.near.answer(turn, *([done()] if len(found) == count else []))
    await pair.owner.finish(instance_id, within=90)
    return sorted(found, key=str)


def _event(encoded: bytes) -> ev.Event:
    return decode_event(encoded)


# --- who runs what --------------------------------------------------------------------------------


async def test_what_the_owners_app_has_no_room_for_runs_at_the_peer(pair: Pair) -> None:
    await with_slots(pair, 2, 5)
    instance_id = await fan_out(pair.owner, pair.near, 4)
    await until(lambda: len(pair.away.tasks) == 2, "the peer has the rest")
    assert pair.near.inputs == ["0", "1"]
    assert pair.away.inputs == ["2", "3"]
    assert {task.instance_id for task in pair.away.tasks} == {instance_id}
    answers = [pair.away.complete(task, f"away {task.task.input}") for task in pair.away.tasks]
    answers += [pair.near.complete(task, f"near {task.task.input}") for task in pair.near.tasks]
    assert await finish(pair, instance_id, 4) == ["away 2", "away 3", "near 0", "near 1"]
    await until(lambda: all(a.errors for a in answers), "every result is acknowledged")
    assert all(answer.acknowledged for answer in answers)
    assert pair.owner.dispatcher.redelivered == 0


async def test_nothing_is_lent_while_the_owners_app_has_room(pair: Pair) -> None:
    await with_slots(pair, 8, 8)
    for _ in range(3):
        await fan_out(pair.owner, pair.near, 2)
        while pair.near.tasks:
            pair.near.complete(pair.near.tasks.popleft())
        await until(lambda: pair.near.turns, "the results' turn")
        pair.near.answer(pair.near.turns.popleft(), done())
        await until(lambda: not pair.owner.dispatcher.in_flight, "all is done")
    assert not pair.away.tasks
    assert pair.peer.dispatcher.loans.taken == 0


async def test_a_peer_never_has_more_than_it_can_run(pair: Pair) -> None:
    await with_slots(pair, 1, 2)
    instance_id = await fan_out(pair.owner, pair.near, 12)
    answered = 0
    while answered < 11:
        await until(lambda: pair.away.tasks, "the peer has some")
        assert len(pair.away.tasks) <= 2
        pair.away.complete(pair.away.tasks.popleft(), "x")
        answered += 1
    pair.near.complete(pair.near.tasks.popleft(), "x")
    assert len(await finish(pair, instance_id, 12)) == 12
    assert pair.peer.dispatcher.loans.taken == 11


async def test_a_limit_counts_what_runs_at_a_sidecars_own_workers_whosever_it_is(
    pair: Pair,
) -> None:
    pair.owner.dispatcher.limit(Concurrency(activities=1))
    pair.peer.dispatcher.limit(Concurrency(activities=2))
    await with_slots(pair, 8, 8)
    assert pair.peer.dispatcher.loans.free == 2, "no more is promised"
    instance_id = await fan_out(pair.owner, pair.near, 9)
    await until(lambda: len(pair.away.tasks) == 2, "the peer has what it may")
    pair.near.complete(pair.near.tasks.popleft(), "x")
    assert len(pair.near.tasks) == 1, "what is lent is not counted where it comes from"
    for _ in range(7):
        await until(lambda: pair.away.tasks, "the peer has some")
        assert len(pair.away.tasks) <= 2, "it is counted where it runs"
        pair.away.complete(pair.away.tasks.popleft(), "x")
    pair.near.complete(pair.near.tasks.popleft(), "x")
    assert len(await finish(pair, instance_id, 9)) == 9
    assert pair.peer.dispatcher.loans.taken == 7


async def test_a_loan_that_comes_when_the_limit_is_reached_is_refused(pair: Pair) -> None:
    """As when a limit was lowered after the room was told."""
    await with_slots(pair, 1, 8)
    instance_id = await fan_out(pair.owner, pair.near, 3)
    await until(lambda: len(pair.away.tasks) == 2, "the peer has two")
    pair.peer.dispatcher.limit(Concurrency(activities=2))
    refused: list[str] = []

    class Other:
        def finished(self, token: str, result: ActivityResult, ack: Ack) -> None:
            raise AssertionError(token)

        def refuse(self, token: str, *, size: int = 0) -> None:
            refused.append(f"{token} {size}")

        def lose(self, token: str) -> None:
            raise AssertionError(token)

    scheduled = ev.TaskScheduled(at=0, task_id=1, name="work")
    borrowed = Borrowed("late", "other", "e", scheduled)
    pair.peer.dispatcher.loans.take(Other(), borrowed, now=pair.peer.dispatcher.now())
    assert refused == ["late 0"]
    for worker in (pair.near, pair.away):
        while worker.tasks:
            worker.complete(worker.tasks.popleft(), "x")
    assert len(await finish(pair, instance_id, 3)) == 3


async def test_an_owner_without_a_worker_for_it_lends_everything(pair: Pair) -> None:
    pair.near = pair.owner.worker(5, hello=takes(activities=[]))
    pair.away = pair.peer.worker(5, hello=takes(workflows=[], activities=["work"]))
    await pair.members.settled()
    await fan_out(pair.owner, pair.near, 3)
    await until(lambda: len(pair.away.tasks) == 3, "the peer has all")
    assert not pair.near.tasks


async def test_a_peer_gets_what_its_workers_take_and_nothing_else(pair: Pair) -> None:
    pair.near = pair.owner.worker(1)
    pair.away = pair.peer.worker(5, hello=takes(activities=["other"]))
    await pair.members.settled()
    await fan_out(pair.owner, pair.near, 3)
    await fan_out(pair.owner, pair.near, 2, name="other")
    await until(lambda: len(pair.away.tasks) == 2, "the peer has the others")
    assert {task.task.name for task in pair.away.tasks} == {"other"}
    pair.near.complete(pair.near.tasks.popleft())
    assert [task.task.name for task in pair.near.tasks] == ["work"]


async def test_every_member_with_room_gets_some(members: Members) -> None:
    owner, *peers = [await members.start(name) for name in ("owner", "left", "right")]
    near = owner.worker(4)
    away = [peer.worker(4) for peer in peers]
    await members.settled()
    await fan_out(owner, near, 10)
    await until(lambda: sum(len(one.tasks) for one in away) == 6, "the rest is lent")
    assert len(near.tasks) == 4
    assert all(len(one.tasks) >= 2 for one in away)


async def test_two_lenders_share_what_a_peer_has(members: Members) -> None:
    first, second, peer = [await members.start(name) for name in ("first", "second", "peer")]
    workers = [first.worker(1), second.worker(1)]
    away = peer.worker(0)
    await members.settled()
    for owner, worker in zip((first, second), workers, strict=True):
        await fan_out(owner, worker, 9)
    await until(lambda: [one.wanting for one in peer.borrowers] == [True] * 2, "both have more")
    peer.dispatcher.change(away.stream, hello=away.stream.hello, caps=Caps(activities=6))
    await until(lambda: len(away.tasks) == 6, "the peer is full")
    # Whose connection is faster may have more than half (test_lend has the shares), and never all.
    assert len({task.instance_id for task in away.tasks}) == 2


async def test_what_the_apps_own_activities_need_is_not_lent(pair: Pair) -> None:
    await with_slots(pair, 1, 2)
    theirs = await fan_out(pair.peer, pair.away, 2)  # its own first
    await fan_out(pair.owner, pair.near, 3)
    await until(lambda: pair.owner.dispatcher.queued[1], "the owner has too many")
    assert {task.instance_id for task in pair.away.tasks} == {theirs}
    pair.away.complete(pair.away.tasks.popleft())
    await until(lambda: len(pair.away.tasks) == 2, "a slot is free, and lent")


# --- what is lost ---------------------------------------------------------------------------------


async def test_a_late_completion_of_an_earlier_loan_is_ignored(pair: Pair) -> None:
    await with_slots(pair, 1, 1)
    instance_id = await fan_out(pair.owner, pair.near, 2)
    await until(lambda: pair.away.tasks, "the peer has one")
    (late,) = pair.away.tasks
    (link,) = pair.owner.links
    link.abort()
    pair.near.complete(pair.near.tasks.popleft(), "first")
    await until(lambda: pair.near.tasks, "what was lent is back")
    await until(lambda: not pair.peer.dispatcher.loans.owed, "the peer has seen that it ended")
    again = pair.near.tasks.popleft()
    assert again.task.task_execution_id == late.task.task_execution_id
    assert again.execution_id == late.execution_id
    answer = pair.away.complete(late, "late")
    await until(lambda: answer.errors, "it is answered")
    assert answer.acknowledged
    pair.near.complete(again, "second")
    assert await finish(pair, instance_id, 2) == ["first", "second"]
    assert pair.owner.dispatcher.redelivered == 1


async def test_an_answer_after_the_activitys_time_is_ignored(pair: Pair) -> None:
    await with_slots(pair, 1, 1)
    instance_id = await fan_out(pair.owner, pair.near, 2)
    await until(lambda: pair.away.tasks, "the peer has one")
    dispatcher = pair.owner.dispatcher
    (lent,) = [sent for sent in dispatcher._sent.values() if sent.stream.far]
    lent.deadline = dispatcher.now()
    dispatcher.sweep(dispatcher.now())
    pair.near.complete(pair.near.tasks.popleft(), "first")
    await until(lambda: pair.near.tasks, "what was lent is back")
    answer = pair.away.complete(pair.away.tasks.popleft(), "late")
    await until(lambda: answer.errors, "it is answered")
    assert answer.acknowledged
    assert dispatcher.ignored == 1
    pair.near.complete(pair.near.tasks.popleft(), "second")
    assert await finish(pair, instance_id, 2) == ["first", "second"]


async def test_a_loan_that_is_not_answered_in_time_goes_back_with_its_slot(pair: Pair) -> None:
    """The peer's app hangs, and its connection lives; nobody else's lease is to end it."""
    dispatcher = pair.peer.dispatcher
    dispatcher._leases.activity = 60.0
    await with_slots(pair, 1, 1)
    instance_id = await fan_out(pair.owner, pair.near, 2)
    await until(lambda: pair.away.tasks, "the peer has one")
    dispatcher.sweep(dispatcher.now() + 59)
    assert dispatcher.loans.owed == 1
    dispatcher.sweep(dispatcher.now() + 61)
    assert dispatcher.loans.free == 1
    await until(lambda: len(pair.away.tasks) == 2, "it is lent again")
    late, again = pair.away.tasks
    assert again.task.task_execution_id == late.task.task_execution_id
    assert again.token != late.token
    assert pair.away.complete(late, "late").acknowledged
    assert dispatcher.ignored == 1
    pair.away.complete(again, "second")
    pair.near.complete(pair.near.tasks.popleft(), "first")
    assert await finish(pair, instance_id, 2) == ["first", "second"]
    assert pair.owner.dispatcher.redelivered == 1


async def test_a_slot_that_is_taken_for_nobody_is_free_when_its_time_is_over(pair: Pair) -> None:
    dispatcher = pair.peer.dispatcher
    dispatcher._leases.activity = 60.0
    await with_slots(pair, 1, 1)
    await fan_out(pair.owner, pair.near, 2)
    await until(lambda: pair.away.tasks, "the peer has one")
    (link,) = pair.owner.links
    link.abort()
    await until(lambda: not dispatcher.loans.owed, "the peer has seen that it ended")
    dispatcher.sweep(dispatcher.now() + 59)
    assert len(dispatcher.loans) == 1
    dispatcher.sweep(dispatcher.now() + 61)
    await until(lambda: len(pair.away.tasks) == 2, "the slot is free, and lent again")
    for task in pair.away.tasks:
        pair.away.complete(task, "x")
    assert dispatcher.ignored == 1


async def test_a_slot_stays_taken_while_its_worker_is_busy_for_nobody(pair: Pair) -> None:
    await with_slots(pair, 1, 1)
    await fan_out(pair.owner, pair.near, 3)
    await until(lambda: pair.away.tasks, "the peer has one")
    (link,) = pair.owner.links
    link.abort()
    await until(lambda: pair.owner.lending == 1, "they are connected again")
    await asyncio.sleep(0.1)  # it would come at once
    (busy,) = pair.away.tasks
    pair.away.complete(busy)
    await until(lambda: len(pair.away.tasks) == 2, "the slot is free, and lent again")


async def test_what_is_on_its_way_when_a_connection_is_replaced_arrives(pair: Pair) -> None:
    """Acknowledgements and the end of their connection come at once, after a pause of the network."""
    await with_slots(pair, 1, 10)
    mesh = pair.peer.mesh
    assert mesh is not None
    async with FaultProxy(int(mesh.neighbours.address.rpartition(":")[2])) as proxy:
        mesh.neighbours.address = f"127.0.0.1:{proxy.port}"
        mesh.neighbours.changed()
        await until(lambda: proxy.accepted and len(pair.owner.links) == 1, "connected through it")
        for _ in range(5):  # what goes with a connection that is cut off is a matter of luck
            await _replaced_while_cut(pair, proxy)
        await pair.members.stop()
    assert pair.owner.dispatcher.redelivered == 0


async def _replaced_while_cut(pair: Pair, proxy: FaultProxy) -> None:
    instance_id = await fan_out(pair.owner, pair.near, 11)
    await until(lambda: len(pair.away.tasks) == 10, "the peer is full")
    (old,) = pair.owner.links
    old.replace()
    await until(lambda: len(pair.owner.links) == 2, "a new connection")
    proxy.cut([TO])
    answers: list[Answer] = []
    for task in pair.away.tasks:
        answers.append(pair.away.complete(task, "away"))
        await until(lambda: old.owing == 10 - len(answers), "it is durable, and that was sent")
    pair.away.tasks.clear()
    await asyncio.sleep(0.1)  # it ends at once
    proxy.resume()
    await until(lambda: old not in pair.owner.links, "the old connection is closed")
    await until(lambda: all(one.errors for one in answers), "all results are answered")
    assert [one.errors for one in answers] == [[None]] * 10
    pair.near.complete(pair.near.tasks.popleft(), "near")
    await finish(pair, instance_id, 11)


async def test_an_answer_that_is_on_its_way_when_the_owner_goes_is_not_acknowledged(
    pair: Pair,
) -> None:
    await with_slots(pair, 1, 1)
    await fan_out(pair.owner, pair.near, 2)
    await until(lambda: pair.away.tasks, "the peer has one")
    pair.owner.store._delay = lambda: 3600.0  # it does not become durable
    answer = pair.away.complete(pair.away.tasks.popleft(), "x")
    await until(lambda: _unsettled(pair.peer), "it waits for the owner")
    assert not answer.errors
    await pair.owner.crash()
    await until(lambda: answer.errors, "it is answered")
    assert not answer.acknowledged


def _unsettled(member: Member) -> int:
    return sum(one.unsettled for one in member.borrowers)


async def test_what_the_peers_worker_loses_goes_elsewhere(pair: Pair) -> None:
    await with_slots(pair, 1, 2)
    instance_id = await fan_out(pair.owner, pair.near, 3)
    await until(lambda: len(pair.away.tasks) == 2, "the peer has two")
    pair.away.die()
    for _ in range(3):
        await until(lambda: pair.near.tasks, "one is here")
        pair.near.complete(pair.near.tasks.popleft(), "x")
    assert await finish(pair, instance_id, 3) == ["x", "x", "x"]
    assert pair.owner.dispatcher.redelivered == 2


async def test_a_peer_that_is_killed_loses_what_it_had_and_no_more(pair: Pair) -> None:
    await with_slots(pair, 1, 2)
    instance_id = await fan_out(pair.owner, pair.near, 5)
    await until(lambda: len(pair.away.tasks) == 2, "the peer has two")
    await pair.peer.crash()
    for _ in range(5):
        await until(lambda: pair.near.tasks, "one is here")
        pair.near.complete(pair.near.tasks.popleft(), "x")
    assert len(await finish(pair, instance_id, 5)) == 5
    assert pair.owner.dispatcher.redelivered == 2


async def test_a_peer_that_is_stopped_ends_what_it_has_and_takes_no_more(pair: Pair) -> None:
    await with_slots(pair, 1, 2)
    instance_id = await fan_out(pair.owner, pair.near, 5)
    await until(lambda: len(pair.away.tasks) == 2, "the peer has two")
    stopping = asyncio.ensure_future(pair.peer.stop())
    await until(lambda: pair.peer.dispatcher.loans.closed, "it drains")
    first, second = pair.away.tasks
    pair.away.tasks.clear()
    answers = [pair.away.complete(first, "x")]
    for _ in range(3):
        await until(lambda: pair.near.tasks, "one is here")
        pair.near.complete(pair.near.tasks.popleft(), "x")
    assert not stopping.done()
    answers.append(pair.away.complete(second, "x"))
    await stopping
    assert [answer.acknowledged for answer in answers] == [True, True]
    assert not pair.away.tasks
    assert len(await finish(pair, instance_id, 5)) == 5
    assert pair.owner.dispatcher.redelivered == 0


# --- limits ---------------------------------------------------------------------------------------


async def test_an_activity_too_large_for_the_peers_workers_stays(pair: Pair) -> None:
    pair.near = pair.owner.worker(1)
    pair.away = pair.peer.worker(5, message_bytes=1000)
    await pair.members.settled()
    instance_id = await fan_out(pair.owner, pair.near, 3, given="x" * 2000)
    for _ in range(3):
        await until(lambda: pair.near.tasks, "one is here")
        pair.near.complete(pair.near.tasks.popleft(), "x")
    assert len(await finish(pair, instance_id, 3)) == 3
    assert pair.peer.dispatcher.loans.taken == 0


async def test_a_failure_comes_back_whole(pair: Pair) -> None:
    await with_slots(pair, 1, 1)
    await fan_out(pair.owner, pair.near, 2)
    await until(lambda: pair.away.tasks, "the peer has one")
    failure = ev.Failure(
        "E", "m", stack_trace="s", inner=ev.Failure("I", "n"), properties={"p": b"\x01"}
    )
    pair.away.complete(pair.away.tasks.popleft(), failure=failure)
    await until(lambda: pair.near.turns, "a turn with it")
    found = [e for e in map(_event, pair.near.turns[0].new) if isinstance(e, ev.TaskFailed)]
    assert [one.failure for one in found] == [failure]
