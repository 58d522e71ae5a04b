"""The composition root: one process, from settings to listening, and back.

Start order: store (locked, migrated), ownership, listeners, HTTP, app.  The listeners come up before
anything is resumed, because some SDKs give up when their first connection is refused.  Stop order is
the reverse: workers see their streams end, calls under way finish, writes are drained, the
partitions are given back, the store is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tenure_common.clock import wall_ns
from tenure_common.errors import BadSettingError
from tenure_common.version import VERSION
from tenure_sidecar.actors.host import Host
from tenure_sidecar.actors.jobs import Jobs
from tenure_sidecar.actors.loops import Loops
from tenure_sidecar.actors.operations import Operations
from tenure_sidecar.actors.retention import RetentionActor
from tenure_sidecar.app import App, environment
from tenure_sidecar.dispatch.dispatcher import Dispatcher, Leases
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.http.manage.api import Api, OneApp
from tenure_sidecar.http.server import HttpServer
from tenure_sidecar.ids import SystemIds
from tenure_sidecar.meters import engine_metrics
from tenure_sidecar.rpc.servers import make
from tenure_sidecar.rpc.service import task_hub
from tenure_sidecar.rpc.transport import TransportLimits
from tenure_sidecar.store.group import GroupWriter
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.wire.dapr import DaprCodec
from tenure_sidecar.wire.microsoft import MicrosoftCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure_sidecar.config import Config
    from tenure_sidecar.rpc.transport import Transport
    from tenure_sidecar.store.port import Store
    from tenure_sidecar.wire.codec import Codec

_log = structlog.get_logger(__name__)


def open_store(config: Config) -> Store:
    """The store that the settings name.  Raises: BadSettingError."""
    kind, _, rest = config.store.partition(":")
    if kind == "sqlite" and rest:
        from tenure_sidecar.store.sqlite import SqliteStore  # noqa: PLC0415 - one store is enough

        path = Path(rest)
        path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteStore(path, partitions=config.partitions)
    if kind == "etcd":
        from tenure_sidecar.etcd import Tls, User  # noqa: PLC0415
        from tenure_sidecar.store.etcd import EtcdStore, parse  # noqa: PLC0415

        if config.etcd_password and not config.etcd_user:
            message = "--etcd-password is given without --etcd-user: say whose it is"
            raise BadSettingError(message)
        address = parse(
            config.store,
            tls=Tls(config.etcd_ca, config.etcd_cert, config.etcd_key),
            user=User(config.etcd_user, config.etcd_password) if config.etcd_user else None,
        )
        return EtcdStore(
            address, namespace=config.namespace, app=config.app_id, partitions=config.partitions
        )
    message = f"--store '{config.store}' is not a store: write sqlite:PATH or etcd://HOST:PORT,…"
    raise BadSettingError(message)


class Engine:
    """Everything that runs in this process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._kept = config.kept  # a bad setting is told before anything is made
        self.ids = SystemIds()
        self.store = open_store(config)
        self.codecs: dict[str, Codec] = {
            "dapr": DaprCodec(app_id=config.app_id, namespace=config.namespace),
            "microsoft": MicrosoftCodec(),
        }
        self.grpc_port = 0
        self.taskhub_port = 0
        self.http_port = 0
        self._transports: list[Transport] = []
        self.loops = Loops()
        self._ready = False

    async def start(self) -> None:
        """Open, own, listen.  Raises: TenureError."""
        config = self.config
        await self.store.open()
        loop = asyncio.get_running_loop()
        self.dispatcher = Dispatcher(
            clock=wall_ns,
            nonce=self.ids.nonce,
            leases=Leases(
                turn=config.turn_lease or float("inf"),
                activity=config.activity_lease or float("inf"),
            ),
        )
        self.writer = GroupWriter(
            self.store, call_later=loop.call_later, now=loop.time, pace=self._pace
        )
        self.host = Host(
            self.store,
            writer=self.writer,
            codecs=self.codecs,
            ids=self.ids,
            clock=wall_ns,
            limits=Limits(),
            app_id=config.app_id,
            name=f"{socket.gethostname()}/{os.getpid()}",
            retention=self._kept,
        )
        self.host.work = self.dispatcher
        self.operations = Operations(
            self.host, store=self.store, writer=self.writer, ids=self.ids, clock=wall_ns
        )
        self.grpc_port = await self._listen(config.grpc_port, "dapr", flag="--grpc-port")
        self.taskhub_port = await self._listen(
            config.taskhub_port, "microsoft", flag="--taskhub-port"
        )
        self.jobs = Jobs(self.store, operations=self.operations, clock=wall_ns, owned=self._owns)
        self.retention = RetentionActor(
            self.store,
            writer=self.writer,
            partitions=self._owned,
            purged=self.host.purged,
            clock=wall_ns,
            rate=config.retention_rate,
        )
        self.host.expiring = self.retention.expect
        self.metrics = engine_metrics(self.host, self.dispatcher, self.writer)
        self.http = HttpServer(
            self,
            host=config.host,
            port=config.http_port,
            token=config.api_token or None,
            apps=OneApp(
                Api(
                    app_id=config.app_id,
                    operations=self.operations,
                    store=self.store,
                    jobs=self.jobs,
                    ids=self.ids,
                    clock=wall_ns,
                )
            ),
        )
        self.http_port = await self.http.start()
        await self.host.start()
        self.loops.start("dispatch sweep", self.dispatcher.run)
        self.loops.start("bulk jobs", self.jobs.run)
        self.loops.start("retention", self.retention.run)
        self._ready = True

    async def _listen(self, port: int, default_flavour: str, *, flag: str) -> int:
        config = self.config
        unary, streams = task_hub(
            self.operations,
            self.dispatcher,
            self.codecs,
            default_flavour=default_flavour,
            forced_flavour=config.flavour or None,
            message_bytes=config.max_worker_message_bytes,
            app_id=config.app_id,
        )
        transport = make(
            config.transport,
            host=config.host,
            port=port,
            unary=unary,
            streams=streams,
            limits=TransportLimits(max_receive_bytes=config.max_message_bytes),
            port_flag=flag,
        )
        bound = await transport.start()
        self._transports.append(transport)
        return bound

    def _pace(self) -> float:
        """Most seconds between the beginnings of two writes: more company when more is in flight.

        With one workflow under way a write begins at once.  With many, the app is the bottleneck
        and a wait of milliseconds costs it nothing, while each write costs a thread wake-up and an
        fsync.
        """
        return min(0.00006 * max(0, self.dispatcher.in_flight - 2), 0.006)

    def _owned(self) -> list[int]:
        return [fence.partition for fence in self.host.fences()]

    def _owns(self, instance_id: str) -> bool:
        return partition_of(instance_id, self.store.partitions) in self._owned()

    async def stop(self) -> None:
        """Stop in order; safe to call after a failed start."""
        self._ready = False
        await self.loops.stop()
        if hasattr(self, "dispatcher"):
            self.dispatcher.close()
        await asyncio.gather(*(t.stop(self.config.grace) for t in self._transports))
        if hasattr(self, "http"):
            await self.http.stop()
        if hasattr(self, "host"):
            await self.host.stop()
        await self.store.close()

    # --- facts for the HTTP side ----------------------------------------------------------------

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
        if not self._ready:
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


def ready_line(engine: Engine) -> str:
    """The one line that ``tenure dev`` prints when it serves."""
    return (
        f"tenure {VERSION} ready: app '{engine.config.app_id}', "
        f"grpc {engine.grpc_port} (dapr), {engine.taskhub_port} (durable task), "
        f"http {engine.http_port}, store {engine.config.store}"
    )


async def run(config: Config, *, tell: Callable[[str], None]) -> int:
    """Run until a signal or the app's end; returns the exit code.  Raises: TenureError."""
    engine = Engine(config)
    app: App | None = None
    code = 0
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await engine.start()
        tell(ready_line(engine))
        waits: list[asyncio.Task[bool] | asyncio.Task[int]] = [loop.create_task(stop.wait())]
        if config.command:
            env = environment(
                os.environ,
                app_id=config.app_id,
                grpc_port=engine.grpc_port,
                http_port=engine.http_port,
            )
            app = await App.start(config.command, env)
            waits.append(loop.create_task(app.wait()))
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        if len(waits) > 1 and waits[1] in done:
            code = int(waits[1].result())
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            if app is not None:
                await app.stop(config.grace)
            await engine.stop()
    return code


def main(config: Config) -> int:
    """Run on uvloop where there is one.  Raises: TenureError."""
    # A writer thread and the transport's receiver share the interpreter with the loop: at the
    # default of 5 ms a thread that becomes runnable may wait that long for its turn.
    sys.setswitchinterval(0.0005)
    try:
        import uvloop  # noqa: PLC0415 - optional

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        factory = None

    def tell(line: str) -> None:
        print(line, flush=True)  # noqa: T201 - the command's output

    def serve() -> int:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(run(config, tell=tell))

    if not config.profile:
        return serve()
    import cProfile  # noqa: PLC0415 - only when asked for

    profile = cProfile.Profile()
    try:
        return int(profile.runcall(serve))
    finally:
        profile.dump_stats(config.profile)
