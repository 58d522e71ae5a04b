"""The demo of several replicas: one app, three sidecars on etcd, and somebody who kills them.

A real etcd, three ``tenure sidecar`` processes and three processes of a stock Durable Task app run
some thousand workflows.  Meanwhile sidecars are killed, stopped and paused, one after the other.  The
picture shows who owns how many partitions, what is done a second, and how long each take-over took.
At the end all that etcd remembers and all that the app really did is compared with what was
promised.

The exit status is 0 when every promise was kept, else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from support.audit import Audit
from support.etcd import Cluster
from support.fleet import LEASE, PARTITIONS, Fleet, Sidecar
from support.orders import STEPS, Effect, python, repeats

WIDTH = 24  # orders in flight
LOOK = 0.5  # seconds between two pictures
SPEAK = 5.0  # seconds between two lines, when there is no terminal
RECENT = 5.0  # seconds that a rate is taken over
CALM = 0.8  # of the work: no more faults after this
EVENTS = 8  # that are shown

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


class Picture:
    """What there is to see, now."""

    def __init__(self, fleet: Fleet, orders: int) -> None:
        self.fleet = fleet
        self.orders = orders
        self.began = time.monotonic()
        self.events: deque[str] = deque(maxlen=EVENTS)
        self.takeovers: list[float] = []
        self.state: dict[str, str] = {one.name: "runs" for one in fleet.sidecars}
        self._counts: deque[tuple[float, int]] = deque()

    @property
    def done(self) -> float:
        """How much of the work is done, 0 to 1."""
        return self.fleet.effects.count() / (self.orders * STEPS)

    def say(self, text: str, style: str = "default") -> None:
        """One event."""
        line = f"[dim]{time.monotonic() - self.began:5.1f} s[/]  [{style}]{escape(text)}[/]"
        self.events.append(line)
        if not console.is_terminal:
            console.print(line)

    def look(self) -> None:
        """Count, now and then, for the rate."""
        now = time.monotonic()
        self._counts.append((now, self.fleet.effects.count()))
        while now - self._counts[0][0] > RECENT:
            self._counts.popleft()

    def rate(self) -> float:
        """Activities a second, lately."""
        (then, before), (now, count) = self._counts[0], self._counts[-1]
        return (count - before) / (now - then) if now > then else 0.0

    def owned(self) -> dict[str, int]:
        """Partitions of each sidecar that can be asked."""
        return {
            one.name: max(0, int(one.metric("tenure_partitions_owned"))) if one.here else 0
            for one in self.fleet.sidecars
        }

    def draw(self) -> RenderableType:
        """The picture for a terminal."""
        owned = self.owned()
        table = Table(title=f"{PARTITIONS} partitions, three sidecars, one etcd", min_width=72)
        table.add_column("sidecar")
        table.add_column("state", min_width=18)
        table.add_column("owns", justify="right")
        table.add_column("", min_width=32)
        for name, count in owned.items():
            state = self.state[name]
            style = "green" if state == "runs" else "bold red"
            bar = "█" * (count // 2)
            table.add_row(name, f"[{style}]{state}[/]", str(count), f"[{style}]{bar}[/]")
        orders = min(self.orders, self.fleet.effects.count() // STEPS)
        line = f"about {orders} of {self.orders} orders, {self.rate():.0f} activities a second"
        return Group(table, line, *self.events)

    def line(self) -> str:
        """The same in a line."""
        owned = ", ".join(f"{name} {count}" for name, count in self.owned().items())
        orders = min(self.orders, self.fleet.effects.count() // STEPS)
        return (
            f"[dim]{time.monotonic() - self.began:5.1f} s[/]  about {orders} of {self.orders} orders, "
            f"{self.rate():.0f} activities a second; partitions: {owned}"
        )


# --- what goes wrong ------------------------------------------------------------------------------


class Trouble(threading.Thread):
    """Strikes one sidecar after the other until most of the work is done."""

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self._picture = picture
        self._fleet = picture.fleet
        self.problem: BaseException | None = None

    def run(self) -> None:
        """See the class."""
        kinds: Sequence[Callable[[Sidecar], None]] = (
            self.kill_and_restart,
            self.kill_for_longer,
            self.stop,
            self.pause,
        )
        try:
            self._fleet.progress(300)
            for kind, one in zip(
                itertools.cycle(kinds), itertools.cycle(self._fleet.sidecars), strict=False
            ):
                if self._picture.done > CALM:
                    return
                with self._fleet.fault():
                    kind(one)
                self._fleet.progress(200)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.problem = error

    @contextmanager
    def _takeover(self, one: Sidecar, state: str, what: str) -> Iterator[None]:
        """From the fault to the moment when every partition has an owner that works."""
        self._picture.state[one.name] = state
        self._picture.say(f"{one.name} {what}", "bold red")
        began = time.monotonic()
        yield
        self._fleet.until(self._fleet.owned, "every partition has an owner")
        took = time.monotonic() - began
        self._picture.takeovers.append(took)
        self._picture.say(f"every partition has an owner again, after {took:.2f} s", "green")

    def _back(self, one: Sidecar, how: str) -> None:
        self._picture.state[one.name] = "runs"
        self._picture.say(f"{one.name} {how}")

    def kill_and_restart(self, one: Sidecar) -> None:
        """SIGKILL, and the kubelet starts the container again."""
        with self._takeover(one, "killed", "is KILLED; its container is started again at once"):
            self._fleet.kill(one)
            self._fleet.again(one)
        self._back(one, "is back, and is given its share")

    def kill_for_longer(self, one: Sidecar) -> None:
        """SIGKILL, and nobody starts it for a while."""
        with self._takeover(one, "killed", "is KILLED, and nobody starts it again for a while"):
            self._fleet.kill(one)
        self._fleet.again(one)
        self._back(one, "is started again, and is given a share")

    def stop(self, one: Sidecar) -> None:
        """SIGTERM, as in a rolling update."""
        with self._takeover(one, "stopped", "is told to stop, as in a rolling update"):
            self._fleet.leave(one)
        self._fleet.stop(one)
        self._fleet.again(one)
        self._back(one, "is started again, and is given a share")

    def pause(self, one: Sidecar) -> None:
        """SIGSTOP until others have its partitions, then it wakes up and knows nothing of that."""
        with self._takeover(one, "paused", f"is PAUSED for longer than its lease of {LEASE} s"):
            self._fleet.pause(one)
        self._fleet.go_on(one)
        self._back(one, "wakes up, tries to go on, is refused, and asks for a share")


# --- the end --------------------------------------------------------------------------------------


def report(picture: Picture, found: Audit, effects: Sequence[Effect], wrong: Sequence[str]) -> int:
    """Say what came of it; the exit status."""
    again = len(repeats(effects))
    faults = picture.fleet.faults
    slowest = max(picture.takeovers, default=0.0)
    title = "what etcd remembers, and what the app really did"
    table = Table(title=title, min_width=72, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = (
        ("orders asked for and ended, each with the right result", f"{picture.orders}"),
        ("workflows (each order has a child)", f"{found.instances}"),
        ("different activities executed", f"{len(effects) - again}"),
        ("executed again around a fault, with the same key", f"{again}"),
        ("turns written", f"{found.commits}"),
        ("faults; take-overs of a partition", f"{faults}; {found.takeovers}"),
        ("slowest until every partition had an owner again", f"{slowest:.2f} s"),
        ("turns written by somebody who was not the owner", f"{found.stale}"),
        ("promises broken", f"{len(wrong)}"),
    )
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(table)
    for line in wrong[:20]:
        console.print(f"[bold red]WRONG[/] {escape(line)}")
    if wrong:
        return 1
    console.print("[bold green]Nothing lost, nothing stuck, nothing done by two owners.[/]")
    return 0


def watch(picture: Picture, trouble: Trouble) -> None:
    """Show the picture until the work is done and the trouble over."""
    load = picture.fleet.load
    live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
    spoken = time.monotonic()
    with live or nullcontext():
        while (load and not load.over) or trouble.is_alive():
            if trouble.problem is not None:
                return
            picture.look()
            if live is not None:
                live.update(picture.draw())
            elif time.monotonic() - spoken > SPEAK:
                spoken = time.monotonic()
                console.print(picture.line())
            time.sleep(LOOK)


def play(folder: Path, orders: int) -> int:
    """The whole demo; the exit status."""
    with Cluster(folder / "etcd") as cluster:
        fleet = Fleet(folder, cluster, wired=False)
        try:
            console.print("starting etcd, three sidecars and three processes of the app …")
            fleet.start()
            picture = Picture(fleet, orders)
            fleet.begin(width=WIDTH, count=orders)
            trouble = Trouble(picture)
            trouble.start()
            watch(picture, trouble)
            trouble.join()
            if trouble.problem is not None:
                console.print(f"[bold red]The demo failed:[/] {escape(str(trouble.problem))}")
                return 1
            console.print("all is done; reading what etcd remembers …")
            found, wrong = asyncio.run(fleet.verdict())
            return report(picture, found, fleet.effects.read(), wrong)
        finally:
            fleet.close()


def main(arguments: Sequence[str]) -> int:
    """Run the demo; its data is kept when it failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--orders", type=int, default=1500, help="how many (default 1500)")
    parser.add_argument("--keep", action="store_true", help="keep the data and the logs")
    options = parser.parse_args(arguments)
    if options.orders < 10 * WIDTH:
        parser.error(f"--orders must be {10 * WIDTH} or more")
    python()  # installs the SDK when it is missing, and says so
    folder = Path(tempfile.mkdtemp(prefix="tenure-demo-"))
    status = 1
    try:
        status = play(folder, options.orders)
    finally:
        if status or options.keep:
            console.print(f"data and logs are in {folder}")
        else:
            shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
