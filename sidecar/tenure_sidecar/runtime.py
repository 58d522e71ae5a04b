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
import sys
from typing import TYPE_CHECKING, Protocol

from tenure_common.version import VERSION
from tenure_common.waits import until_first
from tenure_sidecar.app import App, environment
from tenure_sidecar.appengine import AppEngine
from tenure_sidecar.http.manage.api import OneApp
from tenure_sidecar.http.server import HttpServer
from tenure_sidecar.rpc.access import guarded
from tenure_sidecar.rpc.runtime import runtime_service
from tenure_sidecar.rpc.servers import make
from tenure_sidecar.rpc.service import task_hub
from tenure_sidecar.rpc.transport import TransportLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure_sidecar.actors.sharing.records import Identity
    from tenure_sidecar.appengine import Peers
    from tenure_sidecar.config import Config, EngineConfig
    from tenure_sidecar.rpc.transport import Transport


class Engine(AppEngine):
    """An app's engine and its listeners, for the workers and clients on this machine or in this pod."""

    def __init__(
        self,
        config: EngineConfig,
        *,
        identity: Identity | None = None,
        peers: Peers | None = None,
    ) -> None:
        """Nothing is opened yet; see ``AppEngine``.  Raises: BadSettingError."""
        super().__init__(config, identity=identity, peers=peers)
        self.grpc_port = 0
        self.taskhub_port = 0
        self.http_port = 0
        self._transports: list[Transport] = []

    async def start(self) -> None:
        """Open, listen, begin.  Raises: TenureError."""
        config = self.config
        await self.open()
        self.grpc_port = await self._listen(config.grpc_port, "dapr", flag="--grpc-port")
        self.taskhub_port = await self._listen(
            config.taskhub_port, "microsoft", flag="--taskhub-port"
        )
        self.http = HttpServer(
            self,
            host=config.host,
            port=config.http_port,
            token=config.api_token or None,
            apps=OneApp(self.api, namespace=config.namespace),
        )
        self.http_port = await self.http.start()
        await self.begin()

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
        if default_flavour == "dapr":
            unary |= runtime_service(self)
        transport = make(
            config.transport,
            host=config.host,
            port=port,
            unary=guarded(unary, config.api_token),
            streams=guarded(streams, config.api_token),
            limits=TransportLimits(max_receive_bytes=config.max_message_bytes),
            port_flag=flag,
        )
        bound = await transport.start()
        self._transports.append(transport)
        return bound

    async def stop(self) -> None:
        """Stop in order; safe to call after a failed start."""
        await self.halt()
        await asyncio.gather(*(t.stop(self.grace) for t in self._transports))
        if hasattr(self, "http"):
            await self.http.stop()
        await self.close()


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
        app_ends: list[asyncio.Task[int]] = []
        if config.command:
            env = environment(
                os.environ,
                app_id=config.app_id,
                host=config.host,
                grpc_port=engine.grpc_port,
                http_port=engine.http_port,
                api_token=config.api_token,
            )
            app = await App.start(config.command, env)
            app_ends.append(loop.create_task(app.wait()))
        await until_first(stop.wait(), engine.over(), *app_ends)
        code = sum(one.result() for one in app_ends if not one.cancelled())
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            if app is not None:
                await app.stop(config.grace)
            await engine.stop()
    return code


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's where there is one, and the interpreter set to share itself quickly.

    A writer thread and the transport's receiver share the interpreter with the loop: at the default
    of 5 ms a thread that becomes runnable may wait that long for its turn.
    """
    sys.setswitchinterval(0.0005)
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop


def tell(line: str) -> None:
    """Print a line of the command's output."""
    print(line, flush=True)  # noqa: T201 - the command's output


class Service(Protocol):
    """A process of a cluster: it runs until it is told to stop."""

    def stop(self) -> None:
        """Begin to end."""
        ...

    async def run(self, *, said: Callable[[str], None]) -> None:
        """Serve until ``stop``.  Raises: TenureError."""
        ...


def serve_until_signal(make: Callable[[], Service]) -> None:
    """Run what ``make`` makes, on the loop, until SIGTERM or SIGINT.  Raises: TenureError."""

    async def until_signal() -> None:
        service = make()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, service.stop)
        await service.run(said=tell)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(until_signal())


def main(config: Config) -> int:
    """Run the engine and the app; returns the exit code.  Raises: TenureError."""
    factory = loop_factory()

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
