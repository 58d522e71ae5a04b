"""Every interleaving of three sidecars that share an app's partitions, walked through.

The sidecars decide with the real ``decide``; the store is a page of plain code: keys, revisions,
leases.  What may go wrong is what the network and etcd allow: a lease ends while its sidecar still
believes in it, an answer is lost while the request is carried out at once, much later, or never, a
view is older than anything, a suspicion is false, a container is restarted.

Partitions do not touch each other (``test_sharing.py`` holds that), so one is enough where two would
be too many states; with more faults than can be walked through, states are visited by chance.

In every state that can be reached:

* at most one sidecar holds the token that commits are compared with;
* if nothing more goes wrong, every partition comes to the sidecar that should have it, and stays.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import pytest

from tenure_sidecar.actors.sharing import decide as rules
from tenure_sidecar.actors.sharing.decide import Me, Member, Owner, Phase, Slot, View
from tenure_sidecar.actors.sharing.placement import place

NAMES = ("alpha", "beta", "gamma")
PODS = ("pod-a", "pod-b", "pod-c")
ROUNDS = 40  # until it must be quiet


class Key(NamedTuple):
    """An owner key in the store."""

    sidecar: int
    lease: int
    revision: int


class Request(NamedTuple):
    """A claim or release on its way."""

    sidecar: int
    partition: int
    lease: int  # 0 = a release
    at: int  # revision that the key must have
    awaited: bool = True  # somebody waits for the answer


class Sidecar(NamedTuple):
    lease: int
    view: tuple[frozenset[int], tuple[tuple[int, int] | None, ...], int]  # members, keys, revision
    slots: tuple[Slot, ...]
    suspects: frozenset[int] = frozenset()


class World(NamedTuple):
    """Everything; revisions are renumbered so that equal situations are equal."""

    keys: tuple[Key | None, ...]
    leases: frozenset[tuple[int, int]]  # sidecar and number
    revision: int
    sidecars: tuple[Sidecar, ...]
    requests: frozenset[Request]
    faults: tuple[int, int, int]  # left: leases that end, answers lost, suspicions

    def members(self) -> frozenset[int]:
        return frozenset([sidecar for sidecar, _ in self.leases])


def begin(partitions: int, faults: tuple[int, int, int]) -> World:
    """Nobody owns anything; everybody is there and has seen nothing yet."""
    nobody: tuple[Key | None, ...] = (None,) * partitions
    empty = (frozenset[int](), (None,) * partitions, 0)
    return World(
        nobody,
        frozenset((n, 1) for n in range(len(NAMES))),
        1,
        tuple(Sidecar(1, empty, (Slot(),) * partitions) for _ in NAMES),
        frozenset(),
        faults,
    )


# --- one sidecar ----------------------------------------------------------------------------------


@cache
def view_of(members: frozenset[int], keys: tuple[tuple[int, int] | None, ...], at: int) -> View:
    return View(
        {NAMES[n]: Member(PODS[n]) for n in members},
        {p: Owner(NAMES[key[0]], PODS[key[0]], key[1]) for p, key in enumerate(keys) if key},
        at,
    )


@cache
def decided(n: int, sidecar: Sidecar, quiet: frozenset[int]) -> rules.Decision:
    return rules.decide(
        view_of(*sidecar.view),
        Me(NAMES[n], Member(PODS[n])),
        sidecar.slots,
        suspects={NAMES[other] for other in sidecar.suspects},
        quiet=quiet,
    )


def act(world: World, n: int, sidecar: Sidecar, *, quiet: frozenset[int] = frozenset()) -> World:
    """``sidecar`` takes the place of the n-th, decides, and sends what it decided."""
    decision = decided(n, sidecar, quiet)
    lease, seen, _, suspects = sidecar
    after = Sidecar(lease, seen, decision.slots, suspects)
    if decision.claims or decision.releases:
        asked = [Request(n, p, lease, at) for p, at in decision.claims.items()]
        asked += [Request(n, p, 0, token) for p, token in decision.releases.items()]
        world = world._replace(requests=world.requests.union(asked))
    return put(world, n, after)


def put(world: World, n: int, sidecar: Sidecar) -> World:
    keys, leases, revision, before, requests, faults = world
    sidecars = (*before[:n], sidecar, *before[n + 1 :])
    return World(keys, leases, revision, sidecars, requests, faults)


def look(world: World, n: int) -> World:
    """The sidecar sees the newest state, and decides."""
    keys = tuple([None if key is None else (key.sidecar, key.revision) for key in world.keys])
    lease, _, slots, suspects = world.sidecars[n]
    seen = (world.members(), keys, world.revision)
    return act(world, n, Sidecar(lease, seen, slots, suspects))


def quiet(world: World, n: int, partition: int) -> World:
    """The last turn of a draining partition has ended."""
    return act(world, n, world.sidecars[n], quiet=frozenset({partition}))


def notice(world: World, n: int) -> World:
    """The sidecar notices that its lease is over, forgets, and comes back with another one."""
    sidecar = world.sidecars[n]
    lease = sidecar.lease + 1
    slots, _ = rules.lease_lost(sidecar.slots)
    kept = frozenset(
        one._replace(awaited=one.awaited and one.sidecar != n) for one in world.requests
    )
    back = world._replace(
        leases=world.leases | {(n, lease)}, revision=world.revision + 1, requests=kept
    )
    return put(back, n, sidecar._replace(lease=lease, slots=slots))


# --- the store ------------------------------------------------------------------------------------


def carry_out(world: World, request: Request) -> World:
    """The store judges a request, and answers if somebody waits."""
    n, partition = request.sidecar, request.partition
    key = world.keys[partition]
    good = (0 if key is None else key.revision) == request.at
    if request.lease:
        good = good and (n, request.lease) in world.leases
    revision = world.revision + good
    if good:
        fresh = Key(n, request.lease, revision) if request.lease else None
        keys = (*world.keys[:partition], fresh, *world.keys[partition + 1 :])
        world = world._replace(keys=keys, revision=revision)
    world = world._replace(requests=world.requests - {request})
    if not request.awaited:
        return world
    sidecar = world.sidecars[n]
    slot = sidecar.slots[partition]
    if request.lease:
        slot = rules.claimed(slot, token=revision if good else None, revision=revision)
    else:
        slot = rules.released(slot, revision=revision)
    slots = (*sidecar.slots[:partition], slot, *sidecar.slots[partition + 1 :])
    return act(world, n, sidecar._replace(slots=slots))


def lose(world: World, request: Request) -> World:
    """Nobody waits for the answer any more; the request may still be carried out, or not."""
    n, partition = request.sidecar, request.partition
    sidecar = world.sidecars[n]
    slot = rules.unanswered(sidecar.slots[partition])
    slots = (*sidecar.slots[:partition], slot, *sidecar.slots[partition + 1 :])
    late = world.requests - {request} | {request._replace(awaited=False)}
    return put(world._replace(requests=late), n, sidecar._replace(slots=slots))


def expire(world: World, n: int) -> World:
    """etcd ends the sidecar's lease; the sidecar does not know."""
    lease = (n, world.sidecars[n].lease)
    keys = tuple(None if key and (key.sidecar, key.lease) == lease else key for key in world.keys)
    return world._replace(keys=keys, leases=world.leases - {lease}, revision=world.revision + 1)


def has_lease(world: World, n: int) -> bool:
    return (n, world.sidecars[n].lease) in world.leases


# --- all that can happen --------------------------------------------------------------------------


def steps(world: World) -> Iterator[World]:
    leases, answers, suspicions = world.faults
    for n, sidecar in enumerate(world.sidecars):
        yield look(world, n)
        if not has_lease(world, n):
            yield notice(world, n)
        elif leases:
            yield expire(world._replace(faults=(leases - 1, answers, suspicions)), n)
        for partition, slot in enumerate(sidecar.slots):
            if slot.phase is Phase.DRAINING:
                yield quiet(world, n, partition)
        if suspicions:
            for other in range(len(NAMES)):
                if other != n and other not in sidecar.suspects:
                    rest = world._replace(faults=(leases, answers, suspicions - 1))
                    more = sidecar.suspects | {other}
                    yield act(rest, n, sidecar._replace(suspects=more))
    for request in world.requests:
        yield carry_out(world, request)
        if request.awaited and answers:
            yield lose(world._replace(faults=(leases, answers - 1, suspicions)), request)
        if not request.awaited:
            yield world._replace(requests=world.requests - {request})  # it is never carried out


def canonical(world: World) -> World:
    """The same world, told in the fewest words: what can make no difference any more is left out,
    and only the order of revisions is kept."""
    requests = [one for one in world.requests if one.awaited or may_succeed(world, one)]
    used = {0, world.revision}
    used.update([key.revision for key in world.keys if key])
    used.update([request.at for request in requests])
    views: list[tuple[tuple[int, int] | None, ...]] = []
    for _, (_, seen, at), slots, _ in world.sidecars:
        used.add(at)
        view = tuple(
            [None if at < slot.known else key for key, slot in zip(seen, slots, strict=True)]
        )
        used.update([key[1] for key in view if key])
        for slot in slots:
            used.add(slot.token)
            used.add(slot.known)
        views.append(view)
    rank = {revision: place for place, revision in enumerate(sorted(used))}
    # Whoever has a lease now has its first one: nothing of an earlier one is left.
    sidecars = [
        Sidecar(
            1 if (n, lease) in world.leases else 2,
            (members, tuple([key and (key[0], rank[key[1]]) for key in view]), rank[at]),
            tuple([Slot(slot.phase, rank[slot.token], rank[slot.known]) for slot in slots]),
            suspects,
        )
        for n, ((lease, (members, _, at), slots, suspects), view) in enumerate(
            zip(world.sidecars, views, strict=True)
        )
    ]
    return World(
        tuple([key and Key(key.sidecar, 1, rank[key.revision]) for key in world.keys]),
        frozenset([(n, 1) for n, _ in world.leases]),
        rank[world.revision],
        tuple(sidecars),
        frozenset(
            [
                Request(
                    n,
                    p,
                    0 if not lease else 1 if (n, lease) in world.leases else 2,
                    rank[at],
                    awaited,
                )
                for n, p, lease, at, awaited in requests
            ]
        ),
        world.faults,
    )


@cache
def _slot(phase: Phase, token: int, known: int) -> Slot:
    return Slot(phase, token, known)


def may_succeed(world: World, request: Request) -> bool:
    """Whether the store may ever do what is asked."""
    if request.lease and (request.sidecar, request.lease) not in world.leases:
        return False
    key = world.keys[request.partition]
    return request.at == 0 or (key is not None and key.revision == request.at)


# --- what must be true ----------------------------------------------------------------------------


def check_one_owner(world: World) -> None:
    for partition, key in enumerate(world.keys):
        holders = [
            n
            for n, sidecar in enumerate(world.sidecars)
            if key
            and sidecar.slots[partition].phase.holds
            and sidecar.slots[partition].token == key.revision
        ]
        assert len(holders) <= 1, (partition, world)
        assert not holders or (key and holders[0] == key.sidecar), (partition, world)


_settled: dict[World, World] = {}  # those that came to rest, for those that come to them


def settled(world: World) -> World:
    """The world, a canonical one, when nothing more goes wrong: what is under way is done, and
    everybody looks."""
    quieter = tuple(one._replace(suspects=frozenset()) for one in world.sidecars)
    world = world._replace(sidecars=quieter, faults=(0, 0, 0))
    passed: list[World] = []
    while world not in _settled:
        assert len(passed) < ROUNDS, f"it never comes to rest: {world}"
        passed.append(world)
        after = canonical(one_round(world))
        if after == world:
            _settled[world] = world
        world = after
    for one in passed:
        _settled[one] = _settled[world]
    return _settled[world]


def one_round(world: World) -> World:
    """Everything that is under way is carried out; then everybody looks and comes to rest."""
    for request in sorted(world.requests):
        world = carry_out(world, request)
    for n in range(len(NAMES)):
        if not has_lease(world, n):
            world = notice(world, n)
        world = look(world, n)
        for partition, slot in enumerate(world.sidecars[n].slots):
            if slot.phase is Phase.DRAINING:
                world = quiet(world, n, partition)
    return world


def check_everything_owned(world: World) -> None:
    wanted = place(len(world.keys), NAMES)
    after = settled(world)
    assert not after.requests, (world, after)
    for partition, key in enumerate(after.keys):
        assert key is not None, ("owned by nobody", partition, world, after)
        assert NAMES[key.sidecar] == wanted[partition], (partition, world, after)
        slot = after.sidecars[key.sidecar].slots[partition]
        assert (slot.phase, slot.token) == (Phase.OWNED, key.revision), (partition, world, after)


def check(world: World) -> None:
    check_one_owner(world)
    check_everything_owned(world)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of cycles: there are none here, and it would look for them in millions of
    tuples for as long as the rest takes."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@uncollected()
def walk(first: World) -> int:
    """Visit every state; how many there are."""
    first = canonical(first)
    # Canonical ones, and others as steps left them: most steps lead where another one led.  That a
    # set did not grow is asked of it as it is added to: to hash a world is half of the work.
    told = {first}
    visited, open_states = 0, [first]
    while open_states:
        world = open_states.pop()
        visited += 1
        check(world)
        for step in steps(world):
            known = len(told)
            told.add(step)
            if len(told) == known:
                continue
            after = canonical(step)
            if after != step:
                known = len(told)
                told.add(after)
                if len(told) == known:
                    continue
            open_states.append(after)
    return visited


def wander(first: World, *, seed: int, length: int) -> None:
    """Visit states by chance, one after the other."""
    chance = random.Random(seed)
    world = canonical(first)
    for _ in range(length):
        world = canonical(chance.choice(list(steps(world))))
        check(world)


@pytest.mark.timeout(1200)  # a minute of a processor, of which others may have most
@pytest.mark.parametrize(
    ("partitions", "faults", "least"),
    [
        (1, (2, 0, 0), 100_000),
        (1, (1, 1, 0), 10_000),
        (1, (0, 1, 1), 5_000),
        (2, (0, 2, 0), 5_000),
    ],
    ids=["two leases", "a lease and an answer", "an answer and a suspicion", "two answers"],
)
def test_every_state(partitions: int, faults: tuple[int, int, int], least: int) -> None:
    assert walk(begin(partitions, faults)) > least


@pytest.mark.parametrize("seed", range(40))
def test_many_states_with_more_faults(seed: int) -> None:
    wander(begin(2, (3, 3, 3)), seed=seed, length=300)
