"""One injector process: wiring, start, stop.

It serves as soon as it has a certificate, and is *ready* once the API server trusts that.  While
the Kubernetes API is away it goes on with the certificate that it has.  A background loop that ends
ends the process: half an injector is worse than none, because the other replicas are whole.

On SIGTERM it stops being ready and goes on serving for a while, because it takes the cluster a
moment to send nobody here any more; but it lets go of each connection with the answer, because the
API server would go on using an open one for as long as there are reviews.  So a rolling update
fails no review.  A second signal ends the wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine, Mapping
from typing import Any, Final, Protocol

import structlog

from tenure_common import clock
from tenure_common.errors import BadSettingError, InjectorError
from tenure_common.health import Health, Listener
from tenure_common.kube import api_server
from tenure_common.version import VERSION
from tenure_injector import quantities
from tenure_injector.api import Api
from tenure_injector.config import Config
from tenure_injector.events import Events
from tenure_injector.files import Files
from tenure_injector.meters import Meters
from tenure_injector.rotation import Rotation
from tenure_injector.server import Webhook
from tenure_injector.tls import ServerTls

_log = structlog.get_logger(__name__)

# Seconds that an open connection may be idle.  The API server's client lets go of one after 90: were
# we to do so before, then some day just as a review was sent on it, which fails and is not repeated.
IDLE: Final = 180.0

_NANOS: Final = 1_000_000_000
_STUCK_AFTER: Final = 120.0  # seconds beyond the usual time between two looks


class Certificates(Protocol):
    """Where the certificate comes from: ``Rotation`` or ``Files``."""

    looks: int
    served: asyncio.Event

    @property
    def look_every(self) -> float:
        """Seconds between two looks."""
        ...

    @property
    def problem(self) -> str:
        """Why reviews cannot be answered, empty when they can."""
        ...

    async def run(self) -> None:
        """Look after it, for ever."""
        ...


def main(config: Config) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.  Raises: TenureError."""
    check(config)
    injector = Injector(config, env=os.environ)

    async def until_signal() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, injector.stop)
        await injector.run()

    asyncio.run(until_signal())
    return 0


def check(config: Config) -> None:
    """Raises: BadSettingError when settings do not fit or contradict each other."""
    for field in ("cpu_request", "cpu_limit", "memory_request", "memory_limit"):
        name = f"sidecar_{field}"
        text: str = getattr(config, name)
        try:
            if text:
                quantities.checked(text)
        except ValueError as error:
            message = f"--{name.replace('_', '-')}: '{text}' will not do: {error}"
            raise BadSettingError(message) from error
    if bool(config.certificate) is not bool(config.key):
        message = "--certificate and --key belong together: give both or neither"
        raise BadSettingError(message)


def certificate_names(config: Config) -> frozenset[str]:
    """The names by which the API server calls the injector."""
    service = f"{config.service}.{config.namespace}.svc"
    return frozenset({service, f"{service}.cluster.local", *config.certificate_names})


class Injector:
    """One process.  Its ports are known once ``listening`` is set."""

    def __init__(self, config: Config, *, env: Mapping[str, str]) -> None:
        """Nothing runs yet.  Raises: BadSettingError."""
        self.meters = Meters()
        self.listening = asyncio.Event()
        self.ports = (0, 0)  # of reviews and of health
        self._config = config
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()
        self._seen = (-1, 0.0)  # looks after the certificate, and when they became so many
        self._api = Api(
            server=api_server(config.api_server, env),
            token_file=config.api_token_file,
            ca_file=config.api_ca_file,
            timeout=config.api_timeout,
            meters=self.meters,
        )
        self._tls = ServerTls(client_ca=config.client_ca)
        self._events = Events(
            self._api,
            instance=config.pod_name,
            wall_ns=clock.wall_ns,
            monotonic=clock.monotonic,
            meters=self.meters,
        )
        self._certificates = self._source()
        self._webhook = Webhook(
            config,
            events=self._events,
            meters=self.meters,
            monotonic=clock.monotonic,
            stopping=self._stop.is_set,
        )
        self._reviews = Listener(
            self._webhook.app(),
            host=config.host,
            port=config.port,
            flag="--port",
            tls=self._tls.context,
            grace=config.grace,
            idle=IDLE,
        )
        health = Health(
            metrics=lambda: self.meters.metrics, stuck=self.stuck, not_ready=self.not_ready
        )
        self._health = Listener(
            health.app(), host=config.host, port=config.health_port, flag="--health-port"
        )

    def stop(self) -> None:
        """Stop being ready now, and serving after ``drain``; the second time, serving now."""
        if self._stop.is_set():
            self._at_once.set()
        self._stop.set()

    async def run(self) -> None:
        """Serve until ``stop``.

        Raises: TenureError when it cannot start, or when a background loop ends.
        """
        async with self._api, contextlib.AsyncExitStack() as undo:
            loops = [self._task(self._events.run()), self._task(self._certificates.run())]
            for loop in loops:
                undo.callback(loop.cancel)
            undo.push_async_callback(self._health.stop)
            health = await self._health.start()
            if not await self._wait(self._certificates.served.wait(), loops):
                return
            undo.push_async_callback(self._reviews.stop)
            self.ports = (await self._reviews.start(), health)
            self.listening.set()
            _log.info("injector serves", version=VERSION, port=self.ports[0], health=health)
            await self._wait(self._stop.wait(), loops)
            _log.info("injector stops", drain_seconds=self._config.drain)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._at_once.wait(), self._config.drain)
            await self._reviews.refuse()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._webhook.answered(), self._config.grace)

    def not_ready(self) -> str:
        """Why the API server should not call this replica, empty when it should."""
        if self._stop.is_set():
            return "it is being stopped"
        if not self.listening.is_set():
            return self._certificates.problem or "it is starting"
        return self._certificates.problem

    def stuck(self) -> str:
        """What makes no progress, empty when all does."""
        looks, now = self._certificates.looks, clock.monotonic()
        if looks != self._seen[0]:
            self._seen = (looks, now)
        idle = now - self._seen[1]
        if idle > _STUCK_AFTER + self._certificates.look_every:
            return f"nobody has looked after the certificate for {idle:.0f} s"
        return ""

    def _source(self) -> Certificates:
        config = self._config
        if config.certificate:
            return Files(
                certificate=config.certificate,
                key=config.key,
                now=_wall,
                use=self._tls.load,
                meters=self.meters,
            )
        return Rotation(
            self._api,
            config=config,
            names=certificate_names(config),
            now=_wall,
            use=self._tls.load,
            meters=self.meters,
        )

    def _task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(coroutine)

    async def _wait(
        self, event: Coroutine[Any, Any, object], loops: list[asyncio.Task[None]]
    ) -> bool:
        """Wait for ``event``; False when we are asked to stop before.

        Raises: InjectorError when one of the loops has ended.
        """
        waiting = [asyncio.ensure_future(one) for one in (event, self._stop.wait())]
        try:
            await asyncio.wait([*waiting, *loops], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        for loop in loops:
            if loop.done():
                message = f"a background loop ended: {loop.exception()!r}"
                raise InjectorError(message) from loop.exception()
        return not self._stop.is_set()


def _wall() -> float:
    return clock.wall_ns() / _NANOS
