"""One engine in virtual time: host, dispatch, group commit and a store, with toy workers.

Everything but the network, the clock and the app's code is the real thing.  The store's data survive
``crash``, which drops the process's memory the way SIGKILL does: writes under way end (the database
decides them), nobody hears of it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from support.seeded import SeededIds
from support.toy import ToyCodec, ToyWorker, Workflow
from support.virtual import VirtualLoop
from tenure_sidecar.actors.host import Host
from tenure_sidecar.actors.operations import Operations
from tenure_sidecar.actors.port import Clock
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.dispatch.dispatcher import Dispatcher, Leases
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.ids import Ids
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.starting import start
from tenure_sidecar.peers import frames
from tenure_sidecar.peers.mesh import Mesh
from tenure_sidecar.peers.tls import PeerTls
from tenure_sidecar.store.group import GroupWriter
from tenure_sidecar.store.memory import MemoryDatabase, MemoryStore
from tenure_sidecar.store.port import Op, Result, Store
from tenure_sidecar.wire.codec import Hello


class SlowStore(MemoryStore):
    """A memory store whose writes take time and fail when ``fault`` says so.

    ``fault`` is asked before and after each write: an error before means that nothing happened, an
    error after that everything did and nobody knows.
    """

    def __init__(self, database: MemoryDatabase, *, delay: Callable[[], float]) -> None:
        super().__init__(database)
        self._delay = delay
        self.before: Callable[[Sequence[Op]], BaseException | None] = lambda _ops: None
        self.after: Callable[[Sequence[Op]], BaseException | None] = lambda _ops: None

    async def write(self, ops: Sequence[Op]) -> list[Result]:
        await asyncio.sleep(self._delay())
        error = self.before(ops)
        if error is not None:
            raise error
        results = await super().write(ops)
        error = self.after(ops)
        if error is not None:
            raise error
        await asyncio.sleep(self._delay())
        return results


class OneEngine:
    """See the module docstring; ``seed`` decides ids and every delay.

    With a ``store`` of its own (open, and the caller's to close) it runs in real time.  With an
    ``identity`` it shares the store with others; and if ``connects``, in real time, it is connected to
    them, and lends.
    """

    def __init__(
        self,
        *,
        workflows: dict[str, Workflow],
        activities: dict[str, Callable[[str | None], str | None]],
        seed: int = 0,
        database: MemoryDatabase | None = None,
        store: Store | None = None,
        ids: Ids | None = None,
        identity: Identity | None = None,
        connects: bool = False,
        tls: PeerTls | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._store = store
        self.identity = identity
        wall = self.loop.wall_ns if isinstance(self.loop, VirtualLoop) else time.time_ns
        self.clock: Clock = clock or wall
        self.random = random.Random(seed)
        self.ids = ids or SeededIds(seed)
        self.workflows = workflows
        self.activities = activities
        self.database = database or MemoryDatabase(partitions=8)
        self.workers: list[ToyWorker] = []
        self._boot = 0
        self._connects = connects
        self._tls = tls
        self.mesh: Mesh | None = None

    async def start(self, workers: int = 1) -> None:
        """Boot the process and connect workers."""
        self._boot += 1
        clock = self.clock
        self.store: SlowStore = SlowStore(self.database, delay=lambda: self.random.random() / 1e3)
        store = self._store or self.store
        self.writer = GroupWriter(store, call_later=self.loop.call_later, now=self.loop.time)
        self.dispatcher = Dispatcher(
            clock=clock,
            nonce=f"b{self._boot}-",
            leases=Leases(turn=30.0),
        )
        if self._connects:
            assert self.identity is not None
            hello = frames.Hello(self.identity.name, "ns", "sim", word=self.ids.execution_id())
            self.mesh = Mesh(
                self.dispatcher, host="127.0.0.1", port=0, hello=hello, clock=clock, tls=self._tls
            )
            await self.mesh.start()
        self.host = Host(
            store,
            writer=self.writer,
            codecs={"toy": ToyCodec()},
            ids=self.ids,
            clock=clock,
            limits=Limits(),
            app_id="sim",
            name=f"engine-{self._boot}",
            identity=self.identity,
            peers=None if self.mesh is None else self.mesh.neighbours,
        )
        self.host.work = self.dispatcher
        self.dispatcher.on_workers = self.host.workers
        self.operations = Operations(
            self.host, store=store, writer=self.writer, ids=self.ids, clock=clock
        )
        await self.host.start()
        self._sweep = self.loop.create_task(self.dispatcher.run())
        if self.mesh is not None:
            self._looking = self.loop.create_task(self.mesh.run())
        for _ in range(workers):
            self.connect()

    def connect(self, *, echoes: bool = True, hello: Hello = Hello()) -> ToyWorker:
        """One more worker; ``echoes``: it answers with completion tokens."""
        worker = ToyWorker(
            self.dispatcher,
            workflows=self.workflows,
            activities=self.activities,
            later=self._later,
            echoes=echoes,
            hello=hello,
        )
        self.workers.append(worker)
        return worker

    def _later(self, callback: Callable[[], None]) -> None:
        self.loop.call_later(self.random.random() / 100, callback)

    async def stop(self) -> None:
        """SIGTERM, in the order of ``AppEngine``."""
        await self.host.hand_over()
        if self.mesh is not None:
            await self.mesh.drain(30.0)
        self._sweep.cancel()
        self.dispatcher.close()
        await self.host.stop()
        if self.mesh is not None:
            self._looking.cancel()
            await self.mesh.stop()

    async def crash(self) -> None:
        """SIGKILL."""
        if self.mesh is not None:
            self._looking.cancel()
            await self.mesh.stop()
        self._sweep.cancel()
        for worker in self.workers:
            worker.dead = True
        self.host.abort()
        await asyncio.sleep(0.01)

    async def begin(self, name: str, given: str | None = None, instance_id: str = "") -> str:
        """Start an instance; returns its id once it is durable."""
        creation = start(
            name=name,
            instance_id=instance_id,
            input=given,
            now=self.clock(),
            ids=self.ids,
            limits=Limits(),
        )
        head = await self.operations.start(creation)
        return head.instance_id

    async def finish(self, instance_id: str, *, within: float = 3600.0) -> str | None:
        """Wait for COMPLETED and return the output."""
        async with asyncio.timeout(within):
            head = await self.operations.wait(instance_id, end=True)
        assert head.status is Status.COMPLETED, head
        return head.output

    @property
    def effects(self) -> list[tuple[str, str]]:
        """Every activity that any worker ever ran."""
        return [effect for worker in self.workers for effect in worker.effects]
