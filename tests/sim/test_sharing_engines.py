"""Several engines on one memory database in virtual time: who runs what, and what others hear.

Everything but the network, the clock and the app's code is the real thing.  In scope: spread,
take-over, hand-over, client calls at whoever does not own, messages between owners, watches with
holes.  The decisions alone are in test_sharing_model.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest

from support.sharers import PARTITIONS, TTL, Seen, Sharers, of, owned, settled
from support.virtual import in_virtual_time, passes
from tenure_common.errors import NoSuchInstanceError, NotOwnerError, StoreUnavailableError
from tenure_sidecar.actors.sharing.decide import GATEWAY
from tenure_sidecar.actors.sharing.inboxes import PATIENCE, SURE, SWEEP
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.store.coordination import Roster
from tenure_sidecar.store.port import Change
from tenure_sidecar.store.roster import MemorySession

# --- who has what ---------------------------------------------------------------------------------


@in_virtual_time
async def test_partitions_are_spread() -> None:
    sharers = Sharers()
    engines = await sharers.three()
    counts = [len(owned(engine)) for engine in engines]
    assert sum(counts) == PARTITIONS
    assert max(counts) <= 7  # its share and a little
    await sharers.stop()


@in_virtual_time
async def test_whoever_joins_gets_a_share_and_nothing_else_moves() -> None:
    sharers = Sharers()
    one, two = [await sharers.start(name) for name in ("alpha", "beta")]
    await settled(one, two)
    before = {**dict.fromkeys(owned(one), "alpha"), **dict.fromkeys(owned(two), "beta")}
    three = await sharers.start("gamma")
    await settled(one, two, three)
    moved = [
        p
        for name, engine in sharers.engines.items()
        for p in owned(engine)
        if name != "gamma" and before[p] != name
    ]
    assert owned(three)
    assert len(moved) <= 2
    await sharers.stop()


@in_virtual_time
async def test_who_dies_is_replaced_when_its_lease_ends() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    mine = of(one)
    await two.begin("listen", "1", mine)
    await passes(0.5)
    await one.crash()
    began = one.loop.time()
    await two.operations.raise_event(mine, "word", "hello")
    assert await three.finish(mine) == "hello"
    assert one.loop.time() - began <= TTL + 0.5
    await sharers.stop()


@in_virtual_time
async def test_who_leaves_hands_over_at_once() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    began = one.loop.time()
    await one.host.hand_over()
    assert one.loop.time() - began <= 0.25
    assert owned(one) == set()
    await settled(two, three, within=0.5)
    await sharers.stop()


@in_virtual_time
async def test_the_same_pod_takes_its_partitions_back_at_once() -> None:
    sharers = Sharers()
    one, two = [await sharers.start(name) for name in ("alpha", "beta")]
    await settled(one, two)
    before = owned(one)
    await one.crash()
    again = await sharers.start("alpha")
    await settled(again, two, within=1.0)
    assert owned(again) == before
    await sharers.stop()


@in_virtual_time
async def test_without_a_worker_nothing_is_owned_while_another_has_one() -> None:
    sharers = Sharers()
    one = await sharers.start("alpha")
    two = await sharers.start("beta", workers=0)
    await settled(one, two)
    assert len(owned(one)) == PARTITIONS
    two.connect()
    await settled(one, two)
    await passes(1)
    assert len(owned(two)) >= 6
    one.workers[0].die()
    await passes(5)
    assert len(owned(two)) == PARTITIONS
    await sharers.stop()


@in_virtual_time
async def test_the_gateway_owns_while_nobody_has_a_worker() -> None:
    sharers = Sharers()
    gateway = await sharers.start("gate", workers=0, role=GATEWAY)
    sidecar = await sharers.start("alpha", workers=0)
    await settled(gateway, sidecar)
    assert len(owned(gateway)) == PARTITIONS
    instance_id = await sidecar.begin("chain")
    await sidecar.operations.terminate(instance_id, "enough", recurse=False)
    head = await gateway.operations.head(instance_id)
    assert head is not None
    assert head.status is Status.TERMINATED
    sidecar.connect()
    await passes(5)
    assert len(owned(sidecar)) == PARTITIONS
    await sharers.stop()


# --- work -----------------------------------------------------------------------------------------


@in_virtual_time
async def test_work_started_anywhere_runs_where_it_belongs() -> None:
    sharers = Sharers()
    engines = await sharers.three()
    ids = [await engines[n % 3].begin("chain", "5") for n in range(60)]
    for n, instance_id in enumerate(ids):
        assert await engines[(n + 1) % 3].finish(instance_id) == "15"
    ran = [len(engine.effects) for engine in engines]
    assert sum(ran) == 300
    assert min(ran) > 0
    await sharers.stop()


@in_virtual_time
async def test_children_live_elsewhere_and_tell_their_parent() -> None:
    sharers = Sharers()
    engines = await sharers.three()
    ids = [await engines[0].begin("family", "12") for _ in range(5)]
    expected = ",".join(str(n * (n + 1) // 2) for n in range(12))
    for instance_id in ids:
        assert await engines[1].finish(instance_id) == expected
    assert [engine.host.sharing.inboxes.missed for engine in engines if engine.host.sharing] == [
        0,
        0,
        0,
    ]
    await sharers.stop()


@in_virtual_time
async def test_a_wait_elsewhere_ends_soon_after_the_end() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await two.begin("nap", "30", of(one))
    await two.operations.wait(instance_id, end=False)
    assert await two.finish(instance_id) == "awake"
    head = await one.operations.head(instance_id)
    assert head is not None
    now = one.clock()
    assert now - head.completed_at < 50_000_000
    await sharers.stop()


@in_virtual_time
async def test_verbs_elsewhere_are_done_when_they_return() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    instance_id = await two.begin("listen", "2", of(one))
    await two.operations.suspend(instance_id, "wait")
    for engine in (one, two, three):
        head = await engine.operations.head(instance_id)
        assert head is not None
        assert head.suspended
    await two.operations.raise_event(instance_id, "word", "a")
    await three.operations.raise_event(instance_id, "word", "b")
    await three.operations.resume(instance_id, None)
    assert await two.finish(instance_id) == "a b"
    assert await two.operations.purge(instance_id, recursive=False) == 1
    for engine in (one, two, three):
        with pytest.raises(NoSuchInstanceError):
            await engine.operations.raise_event(instance_id, "word", "c")
    await sharers.stop()


@in_virtual_time
async def test_a_wait_goes_on_when_the_instance_moves() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    instance_id = await one.begin("nap", "60", of(one))
    waiting = asyncio.create_task(one.finish(instance_id))
    await passes(1)
    await one.host.hand_over()
    await settled(two, three)
    assert await waiting == "awake"
    await sharers.stop()


@in_virtual_time
async def test_a_stale_owner_commits_nothing() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.wait(instance_id, end=False)
    # Its lease ends, and it does not know.
    assert one.host.sharing is not None
    session = one.host.sharing._session
    assert session is not None
    before = one.host.resident(instance_id)
    assert before is not None
    sharers.database.roster.end(session.id)
    await settled(two, three, within=1.0)
    await one.operations.raise_event(instance_id, "word", "late")
    assert await two.finish(instance_id) == "late"
    assert before.closed
    await sharers.stop()


@in_virtual_time
async def test_all_take_over_from_whom_one_suspects() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    await one.crash()
    before = len(owned(three))
    assert two.host.sharing is not None
    two.host.sharing._peers = Seen("alpha")  # type: ignore[assignment]
    two.host.sharing._changed.set()
    await settled(two, three, within=1.0)  # long before its lease ends
    assert len(owned(three)) > before
    await sharers.stop()


@in_virtual_time
async def test_whoever_is_suspected_and_alive_is_shut_out_and_comes_back() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.wait(instance_id, end=False)
    assert two.host.sharing is not None
    seen = Seen("alpha")
    two.host.sharing._peers = seen  # type: ignore[assignment]
    two.host.sharing._changed.set()
    await settled(two, three, within=1.0)
    assert owned(one) == set()
    await one.operations.raise_event(instance_id, "word", "heard")
    assert await one.finish(instance_id) == "heard"
    seen.suspects.clear()
    two.host.sharing._changed.set()
    await settled(one, two, three)
    assert owned(one)
    await sharers.stop()


@in_virtual_time
async def test_a_roster_that_news_overtook_is_read_again() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    coordination = one.store.coordination
    roster = coordination.roster

    async def slow() -> Roster:
        found = await roster()
        await passes(0.5)
        return found

    coordination.roster = slow  # type: ignore[method-assign]
    assert one.host.sharing is not None
    one.host.sharing.doubt()
    await passes(0.1)
    await three.host.hand_over()
    await settled(one, two, within=5.0)
    await sharers.stop()


@in_virtual_time
async def test_what_a_watch_missed_is_found_by_the_sweep() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.wait(instance_id, end=False)
    watchers, sharers.database.watchers = sharers.database.watchers, []
    await two.operations.raise_event(instance_id, "word", "late")
    sharers.database.watchers = watchers
    assert await two.finish(instance_id, within=15) == "late"
    assert one.host.sharing is not None
    assert one.host.sharing.inboxes.missed == 1
    await sharers.stop()


class Late:
    """A watch that tells everything so many seconds later."""

    def __init__(self, queue: asyncio.Queue[Change | None], seconds: float) -> None:
        self._queue = queue
        self._seconds = seconds

    def put_nowait(self, change: Change | None) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._queue.put_nowait, change)


@in_virtual_time
async def test_what_a_watch_is_behind_with_was_not_missed() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.wait(instance_id, end=False)
    behind = SWEEP + SURE + 1
    watchers = sharers.database.watchers
    sharers.database.watchers = [(s, p, Late(queue, behind)) for s, p, queue in watchers]  # type: ignore[misc]
    one.store.coordination.heard = partial(passes, behind)  # type: ignore[method-assign]
    await two.operations.raise_event(instance_id, "word", "late")
    sharers.database.watchers = watchers
    assert await two.finish(instance_id, within=15) == "late"
    await passes(behind + SURE)
    assert one.host.sharing is not None
    assert one.host.sharing.inboxes.missed == 0
    await sharers.stop()


@in_virtual_time
async def test_a_watch_that_never_comes_to_its_end_keeps_no_message_back() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.wait(instance_id, end=False)
    one.store.coordination.heard = asyncio.Event().wait  # type: ignore[method-assign, assignment]
    watchers, sharers.database.watchers = sharers.database.watchers, []
    await two.operations.raise_event(instance_id, "word", "late")
    sharers.database.watchers = watchers
    assert await two.finish(instance_id, within=SWEEP + PATIENCE + SURE + 1) == "late"
    await sharers.stop()


@in_virtual_time
async def test_what_a_new_owner_still_looks_for_was_not_missed() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.wait(instance_id, end=False)
    active = two.store.active

    async def slow(partitions: Sequence[int], *, after: str | None, limit: int) -> list[str]:
        await passes(10)
        return await active(partitions, after=after, limit=limit)

    two.store.active = three.store.active = slow  # type: ignore[method-assign]
    await one.crash()
    await two.operations.raise_event(instance_id, "word", "hello")
    await passes(TTL + 1)
    heir = two if two.host.holds(instance_id) else three
    assert heir.host.sharing is not None
    assert await heir.host.sharing.inboxes.sweep() == 0
    assert await heir.finish(instance_id, within=20) == "hello"
    assert heir.host.sharing.inboxes.missed == 0
    await sharers.stop()


@in_virtual_time
async def test_a_delayed_start_that_a_watch_missed_is_found_when_it_is_due() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    at = Instant.of(one.clock() + 5 * 10**9)
    watchers, sharers.database.watchers = sharers.database.watchers, []
    instance_id = await two.operations.start_new(
        "chain", input="3", instance_id=of(one), start_at=at
    )
    sharers.database.watchers = watchers
    await passes(4)
    assert one.host.sharing is not None
    assert await one.host.sharing.inboxes.sweep() == 0  # its time is still to come
    assert await two.finish(instance_id, within=20) == "6"
    assert one.host.sharing.inboxes.missed == 1
    await sharers.stop()


@in_virtual_time
async def test_a_message_that_the_watch_tells_late_is_not_taken_twice() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    for word in ("drop", "refresh"):
        instance_id = await one.begin("listen", "2", of(one, word))
        await one.operations.wait(instance_id, end=False)
        watchers, sharers.database.watchers = sharers.database.watchers, []
        await two.operations.raise_event(instance_id, "word", "a")
        at = sharers.database.changes
        sharers.database.watchers = watchers
        loaded = await one.store.load(instance_id)
        copy = one.host.resident(instance_id)
        assert loaded is not None
        assert copy is not None
        (item,) = loaded.inbox
        if word == "drop":
            one.host.drop(copy, NotOwnerError("it is read again"))
        else:
            one.host.inflow.refresh(instance_id)
        await passes(1)
        one.host.inflow.arrived(Change(instance_id, item, at))
        await passes(1)
        await two.operations.raise_event(instance_id, "word", "b")
        assert await two.finish(instance_id) == "a b"
    await sharers.stop()


@in_virtual_time
async def test_an_id_that_is_used_again_elsewhere_runs_anew() -> None:
    sharers = Sharers()
    one, two, three = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.wait(instance_id, end=False)
    assert await two.operations.purge(instance_id, recursive=False, force=True) == 1
    await three.begin("chain", "5", instance_id)
    assert await two.finish(instance_id) == "15"
    await sharers.stop()


@in_virtual_time
async def test_a_lost_lease_ends_everything_though_the_store_is_away() -> None:
    sharers = Sharers()
    one, two, _ = await sharers.three()
    instance_id = await one.begin("listen", "1", of(one))
    await one.operations.wait(instance_id, end=False)
    copy, sharing = one.host.resident(instance_id), one.host.sharing
    assert copy is not None
    assert sharing is not None

    async def away() -> MemorySession:
        raise StoreUnavailableError("the store is away")

    one.store.coordination.session = away  # type: ignore[method-assign]
    session = sharing._session
    assert isinstance(session, MemorySession)
    session.renewing = False
    while session.alive():
        await passes(0.01)
    await passes(0.01)
    assert sharers.database.roster.lives(session.id)
    assert owned(one) == set()
    assert copy.closed
    await two.operations.raise_event(instance_id, "word", "late")
    assert await two.finish(instance_id) == "late"
    del one.store.coordination.session  # type: ignore[attr-defined]
    await passes(1)
    assert owned(one)
    await sharers.stop()


@in_virtual_time
async def test_nothing_is_lost_or_doubled_while_engines_come_and_go() -> None:
    sharers = Sharers()
    engines = list(await sharers.three())
    ids: list[str] = []
    kills = 0
    for turn in range(6):
        ids += [await engines[-1].begin("chain", "8") for _ in range(20)]
        ids += [await engines[-1].begin("family", "3") for _ in range(5)]
        await passes(0.05)
        victim = engines.pop(0)
        if turn % 2:
            await victim.host.hand_over()
            await passes(0.05)
            await victim.host.stop()
        else:
            kills += 1
            await victim.crash()
        engines.append(await sharers.start(f"later-{turn}"))
    await settled(*engines)
    for instance_id in ids:
        assert await engines[0].finish(instance_id) in {"36", "0,1,3"}
    for engine in engines:
        assert engine.host.sharing is not None
        assert engine.host.sharing.inboxes.missed == 0
        assert Counter(engine.host.loops.failures.values()) == {0: 3}
    await sharers.stop()


@in_virtual_time
@pytest.mark.parametrize("gap", [False, True])
async def test_a_record_that_goes_under_another_lease_is_written_again(gap: bool) -> None:
    """An earlier process of the pod's name was paused, wakes up, announces itself and ends: its lease
    takes the record with it, and others would not know of the one that lives."""
    sharers = Sharers()
    one, two = await sharers.start("alpha"), await sharers.start("beta")
    await settled(one, two)
    roster = sharers.database.roster
    key, held = next((k, h) for k, h in roster.held.items() if "alpha" in k and k[0] != "owner")
    zombie = roster.grant()
    roster.put_member("alpha", held.value, lease=zombie)
    await passes(1)
    roster.end(zombie)
    if gap:
        roster.compact()
    await passes(1)
    assert roster.held[key].value == held.value
    assert roster.lives(roster.held[key].lease)
    writes = roster.revision
    await passes(30)
    assert roster.revision == writes  # once is enough
    assert owned(one) | owned(two) == set(range(PARTITIONS))
    assert owned(one)
    assert owned(two)
    await sharers.stop()
