"""Several sidecars of one app over a real etcd, each with an app process of its own, under load.

::

    load ──► any sidecar ──► proxy ──► etcd
              ▲  each with
              app ──► effects.log

Everything is a process that can be killed, paused and started again; a proxy stands between each
sidecar and etcd and can be cut.  What faults do is awaited by progress: by the metrics of the
sidecars and by lines in the effect log, never by time.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from support.audit import Audit, Story, audit
from support.balancer import Balancer
from support.engine import EngineProcess
from support.etcd import Cluster
from support.orders import BRIEF, LONG, App, Effects, Load, Window, early, judge
from support.ports import free_ports
from support.proxy import FaultProxy
from tenure_sidecar.etcd import EtcdClient, Tls

LEASE = 2  # seconds: etcd's shortest
DEFAULT = 10  # seconds: a sidecar's own choice, which a busy machine does not let end
TIMEOUT = 2.0  # seconds of a call to etcd
PARTITIONS = 64
PRESENT = ("-m", "tenure_sidecar")  # the program of a sidecar
NEXT = (str(Path(__file__).parents[1] / "cluster" / "next_version.py"),)  # of the next version
WITHIN = 120.0  # seconds: a bound for a broken fleet, not a target
_AFTER = 50  # effects from when all is as it should be until a fault counts as over


class Wires:
    """Proxies in a thread with an event loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._proxies: list[FaultProxy] = []

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do that in the thread."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN)

    def make(self, target: int) -> FaultProxy:
        """A proxy that listens."""
        proxy = FaultProxy(target)
        self._listen(proxy)
        return proxy

    def share(self, *targets: int) -> Balancer:
        """One address for several."""
        balancer = Balancer(targets)
        self._listen(balancer)
        return balancer

    def _listen(self, proxy: FaultProxy) -> None:
        self.run(proxy.listen())
        self._proxies.append(proxy)

    def call(self, function: Callable[[], None]) -> None:
        """Call a method of a proxy."""

        async def there() -> None:
            function()

        self.run(there())

    def close(self) -> None:
        """End all proxies and the thread."""
        for proxy in self._proxies:
            self.run(proxy.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Sidecar:
    """A sidecar, its app, its wires to the members of etcd (none = they are everybody's), and the
    port at which its peers reach it."""

    def __init__(
        self, name: str, engine: EngineProcess, wires: Sequence[FaultProxy], peers_port: int
    ) -> None:
        self.name = name
        self.engine = engine
        self.wires = wires
        self.peers_port = peers_port
        self.app: App | None = None
        self.here = False  # it runs, and can be asked

    def metric(self, name: str) -> float:
        """One of its metrics; -1 when it does not answer."""
        return self.engine.metric(name)


class Fleet:
    """See the module docstring.

    Args:
        folder: for logs and the effect log.
        cluster: etcd, running.
        size: how many sidecars.
        lease: seconds.
        wired: put a proxy before etcd.
        program: of the sidecars, before the command; the real one unless given.
        app: file of the apps' program, and what it is told after address, effects and name.
        tls: files, when etcd wants them.
        peers: the folder with a sidecar's certificate for the others, by its name; plain without.
    """

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        *,
        size: int = 3,
        lease: int = LEASE,
        wired: bool = True,
        program: Sequence[str] = PRESENT,
        app: Sequence[str] = ("worker.py",),
        tls: Tls | None = None,
        peers: Callable[[str], Path] | None = None,
    ) -> None:
        self.cluster = cluster
        self.app_id = "orders"
        self.effects = Effects(folder / "effects.log")
        self.sidecars: list[Sidecar] = []
        self.windows: list[Window] = []
        self.faults = 0
        self.guests = 0  # members that are no sidecars
        self.load: Load | None = None
        self.story = Story(app=self.app_id, partitions=PARTITIONS)
        self._folder = folder
        self._lease = lease
        self._program = program
        self._app = app
        self._tls = tls
        self._peers = peers
        self._wires = Wires() if wired else None
        for _ in range(size):
            self._make()

    def _make(self) -> Sidecar:
        name = f"pod-{len(self.sidecars)}"
        folder = self._folder / name
        folder.mkdir()
        ports = [member.client_port for member in self.cluster.members]
        wires = [] if self._wires is None else [self._wires.make(port) for port in ports]
        if wires:
            ports = [wire.port for wire in wires]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        mutual: list[str] = []
        (peers_port,) = free_ports(1)
        if self._peers is not None:
            place = self._peers(name)
            files = {"ca": "ca.crt", "cert": "tls.crt", "key": "tls.key"}
            mutual = [f"--peers-{key}={place / file}" for key, file in files.items()]
        engine = EngineProcess(
            folder,
            app_id=self.app_id,
            role="sidecar",
            store=f"etcd://{hosts}?lease={self._lease}&timeout={TIMEOUT}",
            args=[
                f"--pod-name={name}",
                f"--pod-uid=uid-of-{name}",
                "--pod-ip=127.0.0.1",
                f"--peers-port={peers_port}",
                *(() if self._tls is None else arguments(self._tls)),
                *mutual,
            ],
            program=self._program,
        )
        self.sidecars.append(Sidecar(name, engine, wires, peers_port))
        return self.sidecars[-1]

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """All sidecars and apps, and wait until the partitions are shared."""
        for one in self.sidecars:
            one.engine.launch()
        for one in self.sidecars:
            one.engine.ready()
            self._join(one)
        self.settled()

    def add(self) -> Sidecar:
        """Another sidecar with another app."""
        one = self._make()
        one.engine.start()
        self._join(one)
        return one

    def again(self, one: Sidecar) -> None:
        """The container of a sidecar that ended is started again; its app stayed."""
        one.engine.start()
        one.here = True

    def join(self, one: Sidecar) -> None:
        """The whole pod of a sidecar that ended is started again."""
        one.engine.start()
        self._join(one)

    def retire(self, one: Sidecar) -> None:
        """A sidecar that was killed never comes back, and its app goes too."""
        if one.app is not None:
            one.app.kill()
            one.app = None

    def _join(self, one: Sidecar) -> None:
        one.here = True
        log = self._folder / one.name / "app.log"
        one.app = App(
            one.engine.taskhub_address, self.effects, name=one.name, log=log, program=self._app
        )

    def begin(self, *, width: int, count: int = 0, pause: int = BRIEF) -> Load:
        """Start the load (see ``Load``), at the sidecars that there are."""
        addresses = [one.engine.taskhub_address for one in self.sidecars]
        log = self._folder / "load.log"
        self.load = Load(addresses, width=width, count=count, pause=pause, log=log)
        return self.load

    @contextlib.contextmanager
    def under_load(self, width: int, *, pause: int = LONG) -> Iterator[Fleet]:
        """All of it, with ``width`` orders in flight and work under way; closed in the end.

        Unless told otherwise most of these orders wait for their timers, so that leases can be
        waited for without a machine that is busy all the while.
        """
        try:
            self.start()
            self.begin(width=width, pause=pause)
            self.progress(100)
            yield self
        finally:
            self.close()

    def close(self) -> None:
        """End everything."""
        if self.load is not None:
            self.load.kill()
        for one in self.sidecars:
            if one.app is not None:
                one.app.kill()
            one.engine.close()
        if self._wires is not None:
            self._wires.close()

    # --- what is awaited ----------------------------------------------------------------------

    def tail(self) -> str:
        """The ends of the sidecars' logs."""
        return "\n".join(f"--- {one.name}\n{one.engine.tail(15)}" for one in self.sidecars)

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait.  Raises: AssertionError with the logs when it never comes."""
        deadline = time.monotonic() + WITHIN
        while not true():
            assert time.monotonic() < deadline, f"never came: {what}\n{self.tail()}"
            time.sleep(0.1)  # a poll of other processes' metrics, which cost them something too

    def owned(self) -> bool:
        """Whether those that are here own all partitions; the dead may still count as members."""
        here = [one for one in self.sidecars if one.here]
        return sum(one.metric("tenure_partitions_owned") for one in here) == PARTITIONS

    def shared(self) -> bool:
        """Whether those that are here know each other, and each has its part of all partitions."""
        here = [one for one in self.sidecars if one.here]
        names = ("tenure_partitions_owned", "tenure_members")
        owned, members = zip(*(one.engine.metrics(*names) for one in here), strict=True)
        return (
            sum(owned) == PARTITIONS
            and min(owned) > 0
            and set(members) == {len(here) + self.guests}
        )

    def idle(self) -> bool:
        """Whether nobody owns anything."""
        return all(not one.metric("tenure_partitions_owned") for one in self.sidecars if one.here)

    def settled(self) -> None:
        """Wait until all partitions are owned by those that are here, and each has some."""
        self.until(self.shared, "every partition has an owner, and every sidecar some")

    def progress(self, effects: int) -> None:
        """Wait until so many activities more were executed, or the load has ended by itself."""
        load = self.load
        self.effects.wait(effects, tail=self.tail, over=lambda: load is not None and load.over)

    # --- faults -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def fault(self) -> Iterator[None]:
        """What is done within strikes; afterwards all shall be well again."""
        self.faults += 1
        begin = time.time_ns()
        yield
        self.settled()
        self.progress(_AFTER)
        self.windows.append(Window(begin, time.time_ns()))

    @contextlib.contextmanager
    def move(self) -> Iterator[None]:
        """Like ``fault``, and nothing may run again for it."""
        yield
        self.settled()
        self.progress(_AFTER)

    def kill(self, one: Sidecar) -> None:
        """SIGKILL of the sidecar."""
        one.here = False
        one.engine.kill()

    def leave(self, one: Sidecar) -> None:
        """SIGTERM, and do not wait for its end."""
        one.here = False
        one.engine.ask_to_stop()

    def stop(self, one: Sidecar) -> None:
        """SIGTERM, and wait for its end."""
        one.here = False
        assert one.engine.stop() == 0, one.engine.tail()

    def pause(self, one: Sidecar) -> None:
        """SIGSTOP, until its lease is over and the others have its partitions."""
        one.here = False
        one.engine.pause()
        self.settled()

    def go_on(self, one: Sidecar) -> None:
        """SIGCONT."""
        one.engine.go_on()
        one.here = True

    def cut(self, one: Sidecar) -> None:
        """Nothing passes between the sidecar and etcd, until the others have its partitions."""
        one.here = False
        self.on_wires(one, FaultProxy.cut)
        self.settled()

    def mend(self, one: Sidecar) -> None:
        """Everything passes again."""
        self.on_wires(one, FaultProxy.resume)
        one.here = True

    async def end_lease(self, one: Sidecar) -> None:
        """End the lease of a sidecar that is well, until its partitions are owned anew."""
        taken = self.taken()
        async with self.client() as client:
            member = await client.get(self.story.keys.member(one.name))
            assert member is not None
            await client.revoke(member.lease)
        self.until(lambda: self.taken() > taken, "somebody takes what it owned")

    async def compact(self) -> None:
        """Let etcd forget what was; it is read before."""
        async with self.client() as client:
            await self.story.read(client)
            await client.compact(self.story.next - 1)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[EtcdClient]:
        """One that is no sidecar's."""
        client = EtcdClient(tuple(self.cluster.urls), clock=time.monotonic, tls=self._tls)
        try:
            yield client
        finally:
            await client.close()

    def taken(self) -> float:
        """How often those that are here took a partition."""
        return sum(one.metric("tenure_partitions_taken_total") for one in self.sidecars if one.here)

    def app_gone(self, one: Sidecar) -> None:
        """SIGKILL of the app; the sidecar stays, and the others own what it owned."""
        assert one.app is not None
        one.app.kill()
        one.app = None
        self.until(lambda: not one.metric("tenure_partitions_owned"), "it owns nothing")
        self.until(self.owned, "the others own everything")

    def app_back(self, one: Sidecar) -> None:
        """The app is started again."""
        self._join(one)

    def on_wires(
        self, one: Sidecar, do: Callable[[FaultProxy], None], members: Sequence[int] | None = None
    ) -> None:
        """Do something with the sidecar's wires: to all members of etcd, or to these."""
        assert self._wires is not None
        for at in range(len(one.wires)) if members is None else members:
            self._wires.call(partial(do, one.wires[at]))

    # --- the end ------------------------------------------------------------------------------

    async def verdict(self, *, ahead: float = 0) -> tuple[Audit, list[str]]:
        """End the load and judge; the audit of etcd, and everything that is wrong.

        ``ahead``: by how many seconds the clock of a sidecar was before that of an app at most.
        """
        assert self.load is not None
        report = await asyncio.to_thread(self.load.end)
        found = await audit(self.cluster.urls, app=self.app_id, story=self.story, tls=self._tls)
        effects = self.effects.read()
        due = {order: at - round(ahead * 1e9) for order, at in found.due.items()}
        wrong = early(effects, due)
        wrong += judge(
            report,
            effects,
            width=self.load.width,
            faults=self.faults,
            windows=self.windows,
        )
        missed = [one.name for one in self.sidecars if one.here and one.metric(_MISSED)]
        wrong += [f"{name} missed messages" for name in missed]
        return found, [*found.wrong, *wrong]


def arguments(tls: Tls) -> list[str]:
    """Settings of a process that uses these files for etcd."""
    return [f"--etcd-ca={tls.ca}", f"--etcd-cert={tls.cert}", f"--etcd-key={tls.key}"]


_MISSED = "tenure_messages_missed_total"
