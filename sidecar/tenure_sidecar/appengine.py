"""One app's engine: store, host, dispatch, verbs; no listeners.

A sidecar has one, with workers at its ports; a gateway has one for each app, without.  Between
``open`` and ``begin`` everything is made and nothing moves: whoever listens begins to listen there,
because some SDKs give up when their first connection is refused.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from typing import TYPE_CHECKING, Protocol

import msgspec

from tenure_common.clock import wall_ns
from tenure_common.errors import StoreError
from tenure_sidecar.actors.host import Host
from tenure_sidecar.actors.jobs import Jobs
from tenure_sidecar.actors.loops import Loops
from tenure_sidecar.actors.operations import Operations
from tenure_sidecar.actors.retention import RetentionActor
from tenure_sidecar.actors.settings import AppSettings
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.dapr_api.metadata import Attributes
from tenure_sidecar.dispatch.dispatcher import Dispatcher, Leases
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.http.manage.api import Api
from tenure_sidecar.ids import SystemIds
from tenure_sidecar.meters import engine_metrics, peer_metrics
from tenure_sidecar.peers import frames
from tenure_sidecar.peers.mesh import Mesh
from tenure_sidecar.peers.tls import PeerTls, app_name
from tenure_sidecar.store.group import GroupWriter
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.stores import open_store
from tenure_sidecar.wire.dapr import DaprCodec
from tenure_sidecar.wire.microsoft import MicrosoftCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.actors.sharing.neighbours import Neighbours
    from tenure_sidecar.config import EngineConfig
    from tenure_sidecar.engine.retention import Retention
    from tenure_sidecar.engine.settings import Concurrency
    from tenure_sidecar.peers.clocks import Clocks
    from tenure_sidecar.store.port import Store
    from tenure_sidecar.wire.codec import Codec


class Peers(msgspec.Struct, frozen=True):
    """Where other sidecars of the app reach this one; ``files``: certificate, key and authorities."""

    host: str
    port: int
    files: tuple[str, str, str] | None = None


class Connections(Protocol):
    """What connects this process to other members; see ``peers.mesh.Mesh``."""

    neighbours: Neighbours
    clocks: Clocks

    async def start(self) -> None:
        """Listen.  Raises: PortInUseError, BadSettingError."""
        ...

    async def run(self) -> None:
        """Until cancelled."""
        ...

    async def drain(self, grace: float) -> None:
        """Borrow nothing more, and wait up to ``grace`` seconds for what was."""
        ...

    async def stop(self) -> None:
        """End everything."""
        ...


class AppEngine:
    """See the module docstring."""

    def __init__(  # noqa: PLR0913 - few call sites, by name
        self,
        config: EngineConfig,
        *,
        store: Store | None = None,
        identity: Identity | None = None,
        peers: Peers | None = None,
        connect: Callable[[AppEngine, Peers], Connections] | None = None,
        clock: Clock = wall_ns,
        ids: SystemIds | None = None,
        codecs: Mapping[str, Codec] | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            config: what to run.
            store: unless it is the one that ``config`` names.
            identity: who this process is among those that share the app's store; a new one unless
                given.
            peers: where those can reach it; None = they cannot.
            connect: makes the connections to them; gRPC's unless given.
            clock: the wall clock, nanoseconds since the Unix epoch.
            ids: random ones unless given.
            codecs: of the flavours that workers may speak, by name; those of the released SDKs
                unless given.

        Raises: BadSettingError.
        """
        self.config = config
        self._kept = config.kept  # a bad setting is told before anything is made
        self.clock = clock
        self.ids = ids or SystemIds()
        name = f"{socket.gethostname()}/{os.getpid()}/{self.ids.nonce}"
        self.identity = identity or Identity(name, pod=name)
        self.store = open_store(config) if store is None else store
        self.codecs: Mapping[str, Codec] = codecs or {
            "dapr": DaprCodec(app_id=config.app_id, namespace=config.namespace),
            "microsoft": MicrosoftCodec(),
        }
        self.attributes = Attributes()
        self.loops = Loops()
        self._at = peers if self.store.coordination is not None else None
        self._connect = connect or _mesh
        self._mesh: Connections | None = None
        self._begun = False
        self.grace = config.grace  # seconds that work under way may take when it is stopped

    # --- life ---------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the store and make the parts.  Raises: StoreError, BadSettingError."""
        config = self.config
        await self.store.open()
        loop = asyncio.get_running_loop()
        self.dispatcher = Dispatcher(
            clock=self.clock,
            nonce=self.ids.nonce,
            leases=Leases(
                turn=config.turn_lease or float("inf"),
                activity=config.activity_lease or float("inf"),
            ),
        )
        if self._at is not None:
            self._mesh = self._connect(self, self._at)
        self.writer = GroupWriter(
            self.store, call_later=loop.call_later, now=loop.time, pace=self._pace
        )
        self.host = Host(
            self.store,
            writer=self.writer,
            codecs=self.codecs,
            ids=self.ids,
            clock=self.clock,
            limits=Limits(),
            app_id=config.app_id,
            name=self.identity.name,
            retention=self._kept,
            identity=self.identity,
            peers=None if self._mesh is None else self._mesh.neighbours,
        )
        self.host.work = self.dispatcher
        self.dispatcher.on_workers = self.host.workers
        self.operations = Operations(
            self.host, store=self.store, writer=self.writer, ids=self.ids, clock=self.clock
        )
        self.jobs = Jobs(self.store, operations=self.operations, clock=self.clock, owned=self._owns)
        self.retention = RetentionActor(
            self.store,
            writer=self.writer,
            partitions=self._owned,
            purged=self.host.purged,
            clock=self.clock,
            rate=config.retention_rate,
        )
        self.host.expiring = self.retention.expect
        self.settings = AppSettings(self.store, default=self._kept, apply=self._set)
        self.metrics = engine_metrics(self.host, self.dispatcher, self.writer)
        if self._mesh is not None:
            clocks = self._mesh.clocks
            peer_metrics(self.metrics, lambda: clocks.skew)
        self.api = Api(
            app_id=config.app_id,
            operations=self.operations,
            store=self.store,
            jobs=self.jobs,
            settings=self.settings,
            workers=self.connected_workers,
            ids=self.ids,
            clock=self.clock,
        )

    async def begin(self) -> None:
        """Own partitions, resume what was under way, run the loops.  Raises: StoreError."""
        if self._mesh is not None:
            await self._mesh.start()
            self.loops.start("peers", self._mesh.run)
        await self.settings.look()
        await self.host.start()
        self.loops.start("dispatch sweep", self.dispatcher.run)
        self.loops.start("bulk jobs", self.jobs.run)
        self.loops.start("retention", self.retention.run)
        self.loops.start("settings", self.settings.run)
        self._begun = True

    async def over(self) -> None:
        """Never returns.  Raises: StoreError, when this process has to end because its store went
        back to the past; work that is under way then is for nothing."""
        if self.store.coordination is None:
            await asyncio.Event().wait()
        else:
            try:
                await self.store.coordination.over()
            except StoreError:
                self.grace = 0.0
                raise

    async def halt(self) -> None:
        """Hand the partitions over, take no more work and tell the workers; safe to call after a
        failed start."""
        if self._begun:
            self._begun = False
            await self.host.hand_over()
            await asyncio.gather(self.host.finish(self.grace), self._give_back())
        await self.loops.stop()
        if hasattr(self, "dispatcher"):
            self.dispatcher.close()

    async def _give_back(self) -> None:
        """End what was borrowed of other sidecars."""
        if self._mesh is not None:
            await self._mesh.drain(self.grace)

    async def close(self) -> None:
        """Finish the writes under way, give the partitions back, close the store."""
        if hasattr(self, "host"):
            await self.host.stop()
        if self._mesh is not None:
            await self._mesh.stop()
        await self.store.close()

    # --- facts --------------------------------------------------------------------------------

    @property
    def app_id(self) -> str:
        """Name of the app."""
        return self.config.app_id

    @property
    def workflows(self) -> Operations:
        """The verbs."""
        return self.operations

    def not_ready(self) -> list[str]:
        """Why the engine is not ready; empty when it is."""
        if not self._begun:
            return ["starting or stopping"]
        return [*self.loops.failing, *self.host.loops.failing]

    def connected_workers(self) -> int:
        """Open work streams."""
        return self.dispatcher.workers

    def active_actors(self) -> dict[str, int]:
        """Actor types as Dapr names them, with how many are in memory; none without a worker."""
        if not self.dispatcher.workers:
            return {}
        prefix = f"dapr.internal.{self.config.namespace}.{self.config.app_id}"
        return {
            f"{prefix}.workflow": self.host.resident_count,
            f"{prefix}.activity": self.dispatcher.in_flight,
        }

    # --- what the parts ask -------------------------------------------------------------------

    def _pace(self) -> float:
        """Most seconds between the beginnings of two writes: more company when more is in flight.

        With one workflow under way a write begins at once.  With many, the app is the bottleneck
        and a wait of milliseconds costs it nothing, while each write costs a thread wake-up and an
        fsync.
        """
        return min(0.00006 * max(0, self.dispatcher.in_flight - 2), 0.006)

    def _set(self, retention: Retention, most: Concurrency) -> None:
        self.host.retention = retention
        self.dispatcher.limit(most)

    def _owned(self) -> list[int]:
        return [fence.partition for fence in self.host.fences()]

    def _owns(self, instance_id: str) -> bool:
        return partition_of(instance_id, self.store.partitions) in self._owned()


def _mesh(engine: AppEngine, peers: Peers) -> Mesh:
    config = engine.config
    hello = frames.Hello(
        engine.identity.name, config.namespace, config.app_id, word=secrets.token_hex(16)
    )
    tls = None
    if peers.files is not None:
        certificate, key, ca = peers.files
        tls = PeerTls(
            certificate=certificate,
            key=key,
            ca=ca,
            app=app_name(config.namespace, config.app_id),
            now=lambda: engine.clock() / 1e9,
        )
    return Mesh(
        engine.dispatcher,
        host=peers.host,
        port=peers.port,
        hello=hello,
        clock=engine.clock,
        tls=tls,
    )
