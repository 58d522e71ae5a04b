"""The engine with a bug in it: ``planted.py BUG sidecar …`` runs as ``python -m tenure_sidecar`` does.

A suite that finds nothing may be blind.  Each bug here is one that an engine of this kind can really
have, and ``chaos.py --plant BUG`` should fail.  ``late`` is no bug: an owner that does not know that
its lease is over does no harm, and the run must pass.

``no-fence`` and ``no-reload`` alone are not found here: the instance's own version, and what is
dropped when a partition goes, stand behind them.  ``no-fence`` with a late owner is, and the simulation
(``support/simulation/planted.py``) finds both alone.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from tenure_common.clock import wall_ns
from tenure_sidecar import appengine
from tenure_sidecar.__main__ import main
from tenure_sidecar.actors.host import Host
from tenure_sidecar.actors.inflow import Inflow
from tenure_sidecar.actors.sharing.sharing import Sharing
from tenure_sidecar.actors.writes import Writes
from tenure_sidecar.etcd import absent, unchanged
from tenure_sidecar.etcd.lease import Lease
from tenure_sidecar.store.coordination import News
from tenure_sidecar.store.etcd import judge
from tenure_sidecar.store.etcd.sharing import EtcdCoordination
from tenure_sidecar.store.port import Create, Created, Fence

LATE = 1.0  # seconds


def late() -> None:
    """An owner notices by a second too late that its lease is over and its keys are another's."""

    class Late(asyncio.Event):
        """What is set happens later."""

        def set(self) -> None:
            asyncio.get_running_loop().call_later(LATE, super().set)

    before, apply = Lease.__init__, Sharing._apply

    def init(self: Lease, *args: Any, **more: Any) -> None:
        before(self, *args, **more)
        self.lost = Late()

    def hear(self: Sharing, news: News) -> None:
        def later() -> None:
            apply(self, news)
            self._changed.set()

        asyncio.get_running_loop().call_later(LATE, later)

    Lease.__init__ = init  # type: ignore[method-assign]
    Lease.alive = lambda self, **_: not self.lost.is_set()  # type: ignore[method-assign]
    Sharing._apply = hear  # type: ignore[method-assign]


def no_fence() -> None:
    """Commits do not compare the owner key."""

    def compare(key: bytes, revision: int) -> Any:
        return absent(b"/nothing") if b"/owners/" in key else unchanged(key, revision)

    judge.unchanged = compare  # type: ignore[assignment]
    known = judge.Known

    def unowned(cells: Any = {}, owners: Any = {}) -> Any:  # noqa: B006 - never changed
        return known(cells, {})

    judge.Known = unowned  # type: ignore[assignment, misc]


def no_reload() -> None:
    """A copy whose commit was refused goes on as if nothing had happened."""
    Host.drop = lambda *_: None  # type: ignore[method-assign]


def early_ack() -> None:
    """A start is acknowledged before it is durable."""
    before = Writes.create

    def create(self: Writes, op: Create, done: Any) -> None:
        done(Created(op.creation.head, 0), None)
        before(self, op, lambda *_: None)

    Writes.create = create  # type: ignore[method-assign]


def lost_hand_off() -> None:
    """Partitions that are given back stay locked in the store."""

    async def give(_self: EtcdCoordination, fences: Sequence[Fence]) -> dict[int, int]:
        return {fence.partition: fence.token for fence in fences}

    EtcdCoordination.give = give  # type: ignore[method-assign]


def no_resume() -> None:
    """Whoever takes a partition over does not look at what is active in it."""
    before = Sharing._gain

    def gain(self: Sharing, partitions: Sequence[int]) -> None:
        before(self, partitions)
        self.inboxes._list = lambda _partition: None  # type: ignore[method-assign]

    Sharing._gain = gain  # type: ignore[method-assign]


def deaf() -> None:
    """What the watch tells is lost now and then."""
    before = Inflow.arrived
    heard = SimpleNamespace(count=0)

    def arrived(self: Inflow, change: Any) -> None:
        heard.count += 1
        if heard.count % 20:
            before(self, change)

    Inflow.arrived = arrived  # type: ignore[method-assign]


def early_timers() -> None:
    """Timers fire 95 ms before their time."""
    reminders = Host.__init__

    def init(self: Host, *args: Any, **more: Any) -> None:
        reminders(self, *args, **more)
        self.reminders._clock = lambda: wall_ns() + 95_000_000

    Host.__init__ = init  # type: ignore[method-assign]
    assert appengine.Host is Host


def no_fence_late() -> None:
    """Both."""
    late()
    no_fence()


BUGS = {
    "late": late,
    "no-fence": no_fence,
    "no-fence-late": no_fence_late,
    "no-reload": no_reload,
    "early-ack": early_ack,
    "lost-hand-off": lost_hand_off,
    "no-resume": no_resume,
    "deaf": deaf,
    "early-timers": early_timers,
}

if __name__ == "__main__":
    BUGS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
