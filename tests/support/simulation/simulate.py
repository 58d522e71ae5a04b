"""A whole cluster in one process: sidecars, etcd, apps and clients, in virtual time, from one seed.

Only what lies outside of Tenure is replaced: the machine (``machine``, ``network``: processes that
can be killed and paused, wires that can be cut), etcd's servers (``etcd_model``, ``etcd_server``:
the real client speaks to them through the seam where it makes its channels) and the apps (``app``).
The engine, dispatch, actors, sharing of ownership, and the etcd store with its client are the real
ones, put together by ``AppEngine`` as in a sidecar.

``simulate(seed)`` boots a cluster, gives it work, does at least twenty things to it (``faults``),
mends everything, waits until all is done, and asks of what happened (``story``) what must be true
(``invariants``).  The same seed plays the same way, event for event.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import msgspec
import structlog

from support.simulation.app import LARGE, SMALL
from support.simulation.clients import UNKNOWN, Clients
from support.simulation.etcd_model import EtcdModel
from support.simulation.faults import HUSH, Faults
from support.simulation.invariants import GRACE, Evidence, check
from support.simulation.machine import Machine, who
from support.simulation.peer_streams import peer_streams
from support.simulation.story import read
from support.simulation.world import Trace, World
from support.virtual import StuckError
from tenure_sidecar.store.etcd import judge, outbox, plan, writing

TROUBLE = 40.0  # seconds in which faults happen
_UNHEARD = ("start", UNKNOWN)
STAGED = 8  # seconds that pieces of large values wait for what names them
CALM = 120.0  # seconds after which everything must have ended


class Outcome(msgspec.Struct):
    """What came of a seed.

    Attributes:
        seed: which.
        digest: of everything that happened.
        faults: what was done to the cluster, in order.
        wrong: what was found, one sentence each.
        seconds: virtual.
        steps: callbacks that ran.
        last: the last lines of the trace.
        numbers: how much happened.
    """

    seed: int
    digest: str
    faults: list[str]
    wrong: list[str]
    seconds: float
    steps: int
    last: list[str]
    numbers: dict[str, int]


def simulate(seed: int) -> Outcome:
    """Play it."""
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()  # what is there now is not looked at again, simulation after simulation
    gc.disable()  # it ends generators at a time of its own
    loop = Machine()
    try:
        return loop.run_until_complete(_play(loop, seed))
    except StuckError as error:
        return Outcome(seed, "", [], [f"I5: {error}"], loop.time(), loop.steps, [], {})
    finally:
        loop.close()
        if collecting:
            gc.enable()


async def _play(loop: Machine, seed: int) -> Outcome:
    rng = random.Random(seed)
    world = World(
        loop,
        seed,
        pods=rng.choice((2, 3, 3, 4)),
        members=rng.choice((1, 3)),
        gateways=rng.choice((0, 1, 2)),
    )
    unexpected: list[str] = []
    limits = _small_limits(rng)
    with _logs_in(world.trace, unexpected), limits, peer_streams():
        return await _run(world, rng, seed, unexpected)


async def _run(world: World, rng: random.Random, seed: int, unexpected: list[str]) -> Outcome:
    loop = world.loop
    clients = Clients(world)
    faults = Faults(world)
    loop.set_exception_handler(lambda _, context: unexpected.append(_unexpected(context)))
    world.caps = rng.choice((LARGE, SMALL))
    await world.start()
    load(clients, rng)
    await faults.run(TROUBLE)
    faults.heal()
    healed = loop.time()
    stuck = await clients.finish(CALM)
    if not stuck:
        await _end_late_comers(world, clients, healed)
    changes = list(world.servers.model.changes)
    numbers = {
        "calm": round(loop.time() - healed),
        "revisions": world.servers.model.revision,
        "effects": len(world.effects),
        "calls": len(clients.calls),
        **world.servers.calls,
    }
    calls = list(clients.calls)
    left = [] if stuck else await _purge(world, clients)
    story = read(changes, world.keys)
    numbers["missed"] = world.missed
    numbers["lent"] = world.lent
    numbers["takeovers"] = story.takeovers
    numbers["commits"] = len(story.commits)
    wrong = check(
        Evidence(
            story=story,
            times=world.times,
            calls=calls,
            outputs=clients.outputs,
            effects=world.effects,
            acks=world.acks,
            processes=world.commits_by,
            healed=healed,
            faults=len(faults.done),
            skew=faults.skew,
            missed=world.missed,
            deaf=bool(faults.kinds & HUSH),
            stuck=stuck,
            left=left,
            kept=[] if stuck else [one for one in (pod.kept() for pod in world.pods) if one],
            unexpected=unexpected,
            keys=world.keys,
        )
    )
    outcome = Outcome(
        seed,
        world.trace.digest,
        faults.done,
        wrong,
        loop.time(),
        loop.steps,
        list(world.trace.last),
        numbers,
    )
    world.trace.open = False
    world.network.close()
    await loop.finish()
    return outcome


async def _end_late_comers(world: World, clients: Clients, healed: float) -> None:
    """A start of which nobody heard may have been carried out when all others were done: such a one
    gets its id anew, as any start does when the instance before it has ended."""
    unheard = {one.instance_id for one in clients.calls if (one.verb, one.outcome) == _UNHEARD}
    await asyncio.sleep(max(0.0, healed + GRACE - world.loop.time()))
    for name in _instances(world):
        if name in unheard:
            await clients.insist(partial(clients.terminate, name))


def _instances(world: World) -> list[str]:
    heads = world.keys.heads
    names = world.servers.model.names()
    return [world.keys.last(key, heads) for key in names if heads.first <= key < heads.end]


async def _purge(world: World, clients: Clients) -> list[bytes]:
    """Delete all that is there; the keys that are left."""
    for name in _instances(world):
        await clients.insist(partial(clients.purge, name))
    await asyncio.sleep(2.0)
    for pod in world.pods:
        pod.count_missed()
    model = world.servers.model
    left = [key for key in model.names() if key.startswith(world.keys.root)]
    # Pieces that nothing came to name go with their lease.
    pieces = b"%sblob/" % world.keys.root
    return [one for one in left if not (one.startswith(pieces) and _leased(model, one))]


def _leased(model: EtcdModel, key: bytes) -> bool:
    kv = model.value(key)
    return kv is not None and bool(kv.lease)


@contextmanager
def _small_limits(rng: random.Random) -> Iterator[None]:
    """Make what few turns and values need in life, because they are very large, what most need: an
    outbox, and pieces that are staged."""
    with ExitStack() as patches:
        if rng.random() < 0.5:
            patches.enter_context(patch.object(judge, "GUARDS_MAX", 1))
            patches.enter_context(patch.object(outbox, "STEP_ENTRIES", 1))
        if rng.random() < 0.4:
            defaults = plan.Draft.__init__.__kwdefaults__
            patches.enter_context(patch.dict(defaults, large=rng.choice((120, 300))))
            patches.enter_context(patch.object(plan, "PIECE", 100))
            patches.enter_context(patch.object(writing, "_STAGE_TTL", STAGED))
        yield


@contextmanager
def _logs_in(trace: Trace, unexpected: list[str]) -> Iterator[None]:
    """Put what the sidecars log into the trace; an exception in the log is a finding."""
    before = structlog.get_config()

    def take(_logger: Any, level: str, event: dict[str, Any]) -> Any:
        if event.pop("exc_info", None):
            unexpected.append(f"logged: {event['event']}: {sys.exc_info()[1]!r}")
        what = event.pop("event")
        trace.add("log", who(), level, what, *[f"{k}={v}" for k, v in sorted(event.items())])
        raise structlog.DropEvent

    structlog.configure(
        processors=[take], wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _unexpected(context: dict[str, Any]) -> str:
    """What asyncio was not told to expect."""
    return f"unexpected: {context['message']}: {context.get('exception')!r}"


def load(clients: Clients, rng: random.Random) -> None:
    """Clients that come one after the other."""

    async def wide() -> None:  # more than a small app has room for
        await clients.plain("fan", str(rng.randrange(8, 17)))

    kinds: list[Any] = [
        lambda: clients.plain("chain", str(rng.randrange(2, 6))),
        lambda: clients.plain("fan", str(rng.randrange(2, 9))),
        lambda: clients.plain("family", str(rng.randrange(1, 4))),
        lambda: clients.plain("nap", str(rng.randrange(1, 30))),
        lambda: clients.plain("stumble", "x"),
        clients.gossip,
        clients.crowd,
        clients.later,
        clients.churn,
        clients.fleeting,
    ]

    async def at_some_time(make: Any) -> None:
        await asyncio.sleep(rng.uniform(0.0, TROUBLE))
        await make()

    for _ in range(6):
        clients.run(at_some_time(rng.choice(kinds)))
    for _ in range(2):
        clients.run(at_some_time(clients.crowd))
        clients.run(at_some_time(wide))
    clients.run(at_some_time(clients.churn))
    for _ in range(2):
        clients.run(clients.talk())
    for _ in range(rng.choice((0, 2, 4))):
        clients.run(at_some_time(clients.fleeting))
    clients.run(clients.meddle())
    for instance_id in ("register-1", "register-2"):
        for _ in range(2):
            clients.run(clients.register(instance_id))
