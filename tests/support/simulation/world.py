"""The cluster: pods with a sidecar and an app each, etcd, the network, and the record of it all.

``World.trace`` is what happened, in order, as text.  Its digest is how two runs are compared: every
write to etcd, every execution, every answer to a client and every fault is in it.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextvars import Context
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from support.simulation.app import LARGE, App, Effect, Mood
from support.simulation.etcd_server import EtcdServers
from support.simulation.machine import Machine, Process
from support.simulation.network import Network
from support.toy import TaskItem, ToyCodec
from tenure_common.errors import TenureError
from tenure_sidecar.actors.sharing.decide import GATEWAY, SIDECAR
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.appengine import AppEngine, Peers
from tenure_sidecar.config import EngineConfig
from tenure_sidecar.etcd import EtcdClient
from tenure_sidecar.ids import SystemIds
from tenure_sidecar.peers import frames
from tenure_sidecar.peers.mesh import Mesh
from tenure_sidecar.store.etcd import EtcdStore, parse
from tenure_sidecar.store.etcd.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

PARTITIONS = 6
LEASE = 2  # seconds
TIMEOUT = 2.0  # seconds of a call to etcd
TURN_LEASE, ACTIVITY_LEASE = 5.0, 8.0  # seconds that the app has for an answer
APP_ID = "sim"
_PORT = 20_000  # at which members reach each other, and a higher one after each boot
_RECONNECT = 0.2  # seconds until the app tries to connect again
_LAST = 400  # lines of the trace that are kept


class Trace:
    """What happened: the last lines of it, and the digest of all."""

    def __init__(self, loop: Machine) -> None:
        self._loop = loop
        self._hash = blake2b(digest_size=16)
        self.last: deque[str] = deque(maxlen=_LAST)
        self.lines = 0
        self.open = True

    def add(self, *what: object) -> None:
        """One line."""
        if self.open:
            line = f"{self._loop.time():.6f} {' '.join(map(str, what))}"
            self._hash.update(line.encode() + b"\n")
            self.last.append(line)
            self.lines += 1

    @property
    def digest(self) -> str:
        """Of all lines."""
        return self._hash.hexdigest()


class World:
    """See the module docstring.

    Args:
        loop: the machine.
        seed: of everything that is random.
        pods: how many.
        members: of etcd.
        gateways: processes without an app, which own while no app is connected.
    """

    def __init__(
        self, loop: Machine, seed: int, *, pods: int = 3, members: int = 1, gateways: int = 0
    ) -> None:
        self.loop = loop
        self.random = random.Random(seed)
        self.trace = Trace(loop)
        self.network = Network(loop, self.fork())
        names = tuple([f"etcd-{n}" for n in range(members)])
        self.servers = EtcdServers(loop, self.network, self.fork(), names=names, record=self._wrote)
        self.times: dict[int, float] = {1: 0.0}  # when each revision was written
        self.keys = Keys("default", APP_ID, partitions=PARTITIONS)
        self.effects: list[Effect] = []
        self.acks: dict[str, int] = {}  # execution -> revision when its result was acknowledged
        self.commits_by: dict[str, str] = {}  # prefix of commit ids -> name of the sidecar
        self.away = 0  # sidecars of which etcd forgets what they miss
        self.missed = 0  # messages that sweeps found
        self.lent = 0  # activities that ran at other members' apps
        self.caps = LARGE  # of each app
        self.apps = [Pod(self, name) for name in ("alpha", "beta", "gamma", "delta")[:pods]]
        self.gateways = [Pod(self, name, role=GATEWAY) for name in ("gate-1", "gate-2")[:gateways]]
        self.pods = [*self.apps, *self.gateways]

    def fork(self) -> random.Random:
        """Randomness of its own for a part."""
        return random.Random(self.random.getrandbits(64))

    @property
    def confused(self) -> bool:
        """Whether requests, answers, messages or results are lost, late or doubled."""
        trouble = self.servers.trouble
        if trouble.loses or trouble.breaks or self.away:
            return True
        return any(pod.app.mood.twice for pod in self.pods)

    # --- what is recorded ---------------------------------------------------------------------

    def effect(self, app: App, item: TaskItem) -> str:
        """An activity is executed; the number of the execution."""
        serial = f"e{len(self.effects)}"
        task = item.task
        one = Effect(
            self.loop.time(),
            app.process.name,
            item.instance_id,
            item.execution_id,
            task.task_id,
            task.task_execution_id,
            serial,
            self.servers.model.revision,
        )
        self.effects.append(one)
        self.trace.add("effect", one.app, one.instance_id, one.task_id, serial)
        return serial

    def _wrote(self, what: str, revision: int, *changes: str) -> None:
        """Etcd has a new revision."""
        self.times[revision] = self.loop.time()
        self.trace.add(what, revision, *changes)

    def acknowledged(self, serial: str) -> None:
        """The app was told that its result is taken."""
        self.acks.setdefault(serial, self.servers.model.revision)
        self.trace.add("ack", serial)

    # --- helpers ------------------------------------------------------------------------------

    def client(self, process: Process) -> EtcdClient:
        """A client of etcd in ``process``."""
        return EtcdClient(
            self.servers.urls,
            clock=self.loop.time,
            timeout=TIMEOUT,
            silence=5.0,
            dial=lambda target, _: self.servers.channel(process, target),
        )

    async def start(self) -> None:
        """Boot everything."""
        for pod in self.pods:
            pod.boot()
        await asyncio.sleep(5.0)


class Pod:
    """A sidecar and its app on a host of their own, as the kubelet keeps them; a gateway has no app."""

    def __init__(self, world: World, name: str, *, role: str = SIDECAR) -> None:
        self.world = world
        self.name = name
        self.role = role
        self._random = world.fork()
        self._boots = 0
        self.skew = 0.0  # seconds
        self.sidecar = self._process()
        self.sidecar.kill()
        self.app = App(world, world.loop.process(f"app-{name}", host=name), world.fork())
        self.engine: AppEngine | None = None
        self.calls: dict[asyncio.Future[Any], None] = {}
        self.app_wanted = role == SIDECAR  # it connects
        self._mesh: Mesh | None = None

    def _process(self) -> Process:
        return self.world.loop.process(self.name, skew=self.skew)

    # --- the sidecar --------------------------------------------------------------------------

    def boot(self) -> None:
        """Start the sidecar's container, if it does not run."""
        if self.sidecar.alive:
            return
        self._boots += 1
        self.sidecar = self._process()
        self.sidecar.at_death.append(self._lose_calls)
        self.world.trace.add("boot", self.name, self._boots)
        self.sidecar.spawn(self._run(self.sidecar), "run")

    async def _run(self, process: Process) -> None:
        world = self.world
        ids = SystemIds(self._random.getrandbits(64))
        world.commits_by[ids.nonce] = f"{self.name}-{self._boots}"
        client = world.client(process)
        store = EtcdStore(
            parse(f"etcd://etcd?lease={LEASE}&timeout={TIMEOUT}"),
            namespace="default",
            app=APP_ID,
            partitions=PARTITIONS,
            client=client,
            clock=world.loop.time,
            wall=process.wall_ns,
            nonce=lambda: self._random.getrandbits(64),
        )
        engine = AppEngine(
            EngineConfig(
                store="etcd://etcd",
                app_id=APP_ID,
                partitions=PARTITIONS,
                turn_lease=TURN_LEASE,
                activity_lease=ACTIVITY_LEASE,
            ),
            store=store,
            identity=Identity(f"{self.name}-{self._boots}", pod=self.name, role=self.role),
            peers=Peers(self.name, _PORT + self._boots) if self.role == SIDECAR else None,
            connect=self._connect,
            clock=process.wall_ns,
            ids=ids,
            codecs={"toy": ToyCodec()},
        )
        try:
            await engine.open()
            await engine.begin()
        except TenureError as error:
            world.trace.add("exit", self.name, type(error).__name__)
            self._die(process)
            return
        self.engine = engine
        self._stop = asyncio.Event()
        self.app.process.post(self.reconnect)
        await self._stop.wait()
        await engine.halt()
        self.app.process.post(self.app.disconnect)
        await engine.close()
        await client.close()
        world.trace.add("stopped", self.name)
        self._die(process)

    def _connect(self, engine: AppEngine, peers: Peers) -> Mesh:
        """As ``AppEngine`` does it, with a word that comes from the seed."""
        hello = frames.Hello(engine.identity.name, "default", APP_ID, word=engine.ids.nonce)
        self._mesh = Mesh(
            engine.dispatcher, host=peers.host, port=peers.port, hello=hello, clock=engine.clock
        )
        return self._mesh

    def borrower(self) -> Pod | None:
        """One that runs an activity of this one's just now."""
        if self.engine is None or self._mesh is None or not self.sidecar.alive:
            return None
        names = {link.name.rpartition("-")[0] for link in self._mesh._open if link.lent}
        return next((pod for pod in self.world.apps if pod.name in names), None)

    def _die(self, process: Process) -> None:
        """The process ends (from within: not while it runs)."""
        self.world.loop.call_later(0, process.kill, context=Context())
        self.world.loop.call_later(1.0, self.boot, context=Context())

    def kill(self) -> None:
        """SIGKILL."""
        self.count_missed()
        self.engine = None
        self.sidecar.kill()

    def terminate(self) -> bool:
        """SIGTERM; False when there is nothing that could hear it."""
        if self.engine is None or not self.sidecar.running:
            return False
        self.count_missed()
        self.engine = None
        self.sidecar.post(self._stop.set)
        return True

    def count_missed(self) -> None:
        """Take down what its sweeps found, and what it borrowed."""
        if self.engine is None:
            return
        self.world.lent += self.engine.dispatcher.loans.taken
        sharing = self.engine.host.sharing
        if sharing is not None:
            self.world.missed += sharing.inboxes.missed

    def kept(self) -> str:
        """What is at workers in the end, though nothing is left to do; empty = nothing."""
        if self.engine is None:
            return ""
        dispatcher = self.engine.dispatcher
        far, near = dispatcher.lent, dispatcher.in_flight - dispatcher.lent
        busy = sum(stream.load for stream in dispatcher.loans.workers)
        # What the app swallowed is at it for ever, as far as anybody knows.
        if far or max(near, busy) > self.app.swallowed:
            return f"{self.name}: {near} items at its app, {busy} slots taken, {far} lent"
        return ""

    # --- the app ------------------------------------------------------------------------------

    def reconnect(self) -> None:
        """The app connects to its sidecar, now or when it is there; runs in the app."""
        if self.role != SIDECAR or self.app.connected or not self.app.process.alive:
            return
        engine = self.engine
        if engine is None or not self.sidecar.alive or not self.app_wanted:
            self.app.process.post(self.reconnect, after=_RECONNECT)
            return
        self.app.connect(self.sidecar, engine.dispatcher, self.reconnect)

    def heal(self) -> None:
        """Everything in it works again."""
        self.sidecar.resume()
        self.sidecar.skew = self.skew = 0.0
        self.boot()
        mood, self.app.mood = self.app.mood, Mood()
        self.app_wanted = self.role == SIDECAR
        self.app.process.resume()
        if mood.nameless:
            self.app.process.post(self.app.disconnect)

    # --- calls of clients ---------------------------------------------------------------------

    def _lose_calls(self) -> None:
        calls, self.calls = self.calls, {}
        for call in calls:
            if not call.done():
                call.set_exception(ConnectionResetError())

    async def call(
        self, who: Process, verb: Callable[[AppEngine], Coroutine[Any, Any, Any]]
    ) -> Any:
        """A client's call; runs in the client.

        Raises: what the verb raises; ConnectionRefusedError when nobody was there, and
        ConnectionResetError when nobody knows what became of it.
        """
        engine, sidecar = self.engine, self.sidecar
        if engine is None or not sidecar.alive:
            raise ConnectionRefusedError
        answered: asyncio.Future[Any] = who.loop.create_future()
        self.calls[answered] = None
        network = self.world.network

        def settle(result: Any, error: BaseException | None) -> None:
            self.calls.pop(answered, None)
            if answered.done():
                return
            if error is not None:
                answered.set_exception(error)
            else:
                answered.set_result(result)

        async def serve() -> None:
            result, error = None, None
            try:
                result = await verb(engine)
            except TenureError as failed:
                error = failed
            who.post(settle, result, error, after=network.delay(sidecar, who))

        sidecar.post(lambda: sidecar.spawn(serve(), "call"), after=network.delay(who, sidecar))
        return await answered
