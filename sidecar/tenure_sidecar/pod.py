"""``tenure sidecar``: the engine beside an app, in the app's pod.

The process lives as long as the pod.  It answers the kubelet at once, because the app's own start
waits for that; it waits for a store that is away, however long that takes, and is *ready* once it
serves.  What no waiting mends (a wrong setting, a port that is taken, a database that is damaged)
ends it with a message, and the kubelet starts it again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

import structlog

from tenure_common.errors import BadSettingError, TenureError
from tenure_common.health import Health, Listener
from tenure_common.telemetry import Metrics
from tenure_common.version import VERSION
from tenure_common.waits import until_first
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.appengine import Peers
from tenure_sidecar.config import SidecarConfig
from tenure_sidecar.runtime import Engine, ready_line, serve_until_signal

_PAUSE_MIN: Final = 0.5  # seconds between two attempts to start
_PAUSE_MAX: Final = 10.0

_log = structlog.get_logger(__name__)


class Pod:
    """The engine of one pod, from process start to SIGTERM."""

    def __init__(self, config: SidecarConfig) -> None:
        """Nothing runs yet.  Raises: BadSettingError."""
        self.health_port = 0
        self.engine: Engine | None = None
        self._config = config
        self._peers = _peers(config)
        self._problem = "it is starting"
        self._stop = asyncio.Event()
        self._nothing = Metrics()
        health = Health(metrics=self._metrics, stuck=lambda: "", not_ready=self.not_ready)
        self._health = Listener(
            health.app(), host=config.health_host, port=config.health_port, flag="--health-port"
        )

    def stop(self) -> None:
        """Stop being ready, hand over, end."""
        self._problem = "it is being stopped"
        self._stop.set()

    def not_ready(self) -> str:
        """Why nobody should call, empty when one should."""
        if self._problem or self.engine is None:
            return self._problem
        return "; ".join(self.engine.not_ready())

    async def run(self, *, said: Callable[[str], None]) -> None:
        """Serve until ``stop``.  Raises: TenureError."""
        self.health_port = await self._health.start()
        try:
            await self._start()
            if self.engine is not None:
                said(ready_line(self.engine))
                await until_first(self._stop.wait(), self.engine.over())
        finally:
            if self.engine is not None:
                await self.engine.stop()
            await self._health.stop()

    async def _start(self) -> None:
        """Start the engine, as soon as its store can be had."""
        pause = _PAUSE_MIN
        while not self._stop.is_set():
            config = self._config
            engine = Engine(config, identity=_identity(config), peers=self._peers)
            try:
                await engine.start()
            except TenureError as error:
                await engine.stop()
                if error.grpc != "UNAVAILABLE":
                    raise
                self._problem = str(error)
                _log.warning("cannot start, trying again", error=str(error), pause_seconds=pause)
            else:
                self.engine = engine
                if not self._stop.is_set():
                    self._problem = ""
                return
            await self._rest(pause)
            pause = min(2 * pause, _PAUSE_MAX)

    async def _rest(self, pause: float) -> None:
        try:
            async with asyncio.timeout(pause):
                await self._stop.wait()
        except TimeoutError:
            pass

    def _metrics(self) -> Metrics:
        return self._nothing if self.engine is None else self.engine.metrics


def _identity(config: SidecarConfig) -> Identity | None:
    """The same after a restart of the container, where the pod is known."""
    pod = config.pod_uid or config.pod_name
    return Identity(config.pod_name or pod, pod=pod) if pod else None


def _peers(config: SidecarConfig) -> Peers | None:
    """Where other sidecars reach this one.  Raises: BadSettingError."""
    files = (config.peers_cert, config.peers_key, config.peers_ca)
    if any(files) and not all(files):
        message = "TLS between sidecars needs all of --peers-cert, --peers-key and --peers-ca"
        raise BadSettingError(message)
    if not config.pod_ip:
        return None
    return Peers(config.pod_ip, config.peers_port, files if all(files) else None)


def main(config: SidecarConfig) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.  Raises: TenureError."""
    _log.info(
        "tenure sidecar starts",
        version=VERSION,
        app=config.app_id,
        namespace=config.namespace,
        pod=config.pod_name or socket.gethostname(),
        pid=os.getpid(),
    )
    serve_until_signal(lambda: Pod(config))
    return 0
