"""``make chaos``: the faults of ``test_faults.py`` in random order, for as long as it is told to.

Rounds of a few faults each, every round on a new etcd, judged at its end; one line a fault.  With
``--seed`` the same faults strike in the same order (the moments are the processes' own).  With
``--plant`` the sidecars have a bug (``planted.py``), to see that it is found.  The exit status is 1
when a promise was broken; then logs and data are kept.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from planted import BUGS

from support.etcd import BUILT, Cluster
from support.fleet import Fleet, Sidecar
from support.proxy import FaultProxy

WIDTH = 16
FAULTS = 8  # half as many come a second time in a round


def killed(fleet: Fleet, one: Sidecar, _chance: random.Random) -> None:
    """SIGKILL, and the container is started again."""
    fleet.kill(one)
    fleet.again(one)


def replaced(fleet: Fleet, one: Sidecar, _chance: random.Random) -> None:
    """SIGKILL, and another pod takes its place when the lease is over."""
    fleet.kill(one)
    fleet.settled()
    fleet.retire(one)
    fleet.add()


def stopped(fleet: Fleet, one: Sidecar, _chance: random.Random) -> None:
    """SIGTERM, and started again."""
    fleet.stop(one)
    fleet.again(one)


def paused(fleet: Fleet, one: Sidecar, _chance: random.Random) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT."""
    fleet.pause(one)
    fleet.go_on(one)


def cut_off(fleet: Fleet, one: Sidecar, _chance: random.Random) -> None:
    """No way to etcd for longer than the lease."""
    fleet.cut(one)
    fleet.mend(one)


def etcd_killed(fleet: Fleet, _one: Sidecar, chance: random.Random) -> None:
    """SIGKILL of etcd; half the time it stays away until nobody owns anything."""
    (member,) = fleet.cluster.members
    member.kill()
    if chance.random() < 1 / 2:
        fleet.until(fleet.idle, "nobody owns anything")
    member.start()
    member.wait_ready()


def app_killed(fleet: Fleet, one: Sidecar, _chance: random.Random) -> None:
    """SIGKILL of the app, and started again when the others own everything."""
    fleet.app_gone(one)
    fleet.app_back(one)


def app_paused(fleet: Fleet, one: Sidecar, chance: random.Random) -> None:
    """SIGSTOP of the app for a while."""
    assert one.app is not None
    one.app.pause()
    fleet.progress(chance.randrange(1, 50))
    one.app.go_on()


def slow(fleet: Fleet, one: Sidecar, chance: random.Random) -> None:
    """The way to etcd takes 0.1 seconds for a while, and then breaks."""
    fleet.on_wires(one, lambda wire: wire.delay(0.1))
    fleet.progress(chance.randrange(1, 50))
    fleet.on_wires(one, FaultProxy.resume)
    fleet.on_wires(one, FaultProxy.reset)


def all_killed(fleet: Fleet, _one: Sidecar, _chance: random.Random) -> None:
    """SIGKILL of all sidecars at once."""
    here = [each for each in fleet.sidecars if each.here]
    for each in here:
        fleet.kill(each)
    for each in here:
        fleet.again(each)


KINDS: Sequence[Callable[[Fleet, Sidecar, random.Random], None]] = (
    killed,
    replaced,
    stopped,
    paused,
    cut_off,
    app_killed,
    app_paused,
    slow,
    etcd_killed,
    all_killed,
)


async def one_round(folder: Path, chance: random.Random, program: Sequence[str]) -> list[str]:
    """A new etcd, a new fleet, some faults; everything that is wrong."""
    with Cluster(folder / "etcd", version=BUILT) as cluster:
        fleet = Fleet(folder, cluster, program=program)
        try:
            fleet.start()
            fleet.begin(width=WIDTH)
            fleet.progress(100)
            for kind in chance.sample(KINDS, len(KINDS)) + chance.choices(KINDS, k=FAULTS // 2):
                one = chance.choice([each for each in fleet.sidecars if each.here])
                fleet.progress(chance.randrange(1, 100))
                began = time.monotonic()
                with fleet.fault():
                    kind(fleet, one, chance)
                print(f"  {one.name}: {kind.__doc__} {time.monotonic() - began:.1f} s", flush=True)
            found, wrong = await fleet.verdict()
        except AssertionError as error:
            return [str(error)]
        finally:
            fleet.close()
    print(
        f"  {found.instances} instances, {found.commits} commits, {found.takeovers} take-overs of a "
        f"partition, {found.stale} commits of an old owner",
        flush=True,
    )
    return wrong


def main() -> int:
    """Rounds until the time is over or a promise is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="how long (default 10)")
    parser.add_argument("--seed", type=int, help="of the order of faults (default: a new one)")
    parser.add_argument("--plant", choices=sorted(BUGS), help="a bug, to see that it is found")
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed
    program = ("-m", "tenure_sidecar")
    if options.plant:
        program = (str(Path(__file__).with_name("planted.py")), options.plant)
    chance = random.Random(seed)
    end = time.monotonic() + 60 * options.minutes
    number = 0
    while number == 0 or time.monotonic() < end:
        number += 1
        folder = Path(tempfile.mkdtemp(prefix="tenure-chaos-"))
        print(f"round {number} of seed {seed}", flush=True)
        wrong = asyncio.run(one_round(folder, chance, program))
        if wrong:
            print(f"BROKEN: {len(wrong)} findings; logs and data are in {folder}")
            print("\n".join(wrong[:20]))
            return 1
        shutil.rmtree(folder)
    print(f"nothing lost, stuck or done twice in {number} rounds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
