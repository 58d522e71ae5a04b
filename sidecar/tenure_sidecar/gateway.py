"""``tenure gateway``: the management API of every app in an etcd store, with no app beside it.

::

    callers ──── HTTPS ──► gate: who is it? ──► rights in the namespace ──► fleet ──► the app's engine
    API server ─ HTTPS ──► gate: is it that? ──► what it has allowed ────────┘          │
    kubelet ──── HTTP ───► health, metrics                                             etcd
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

import structlog

from tenure_common.clock import monotonic
from tenure_common.errors import BadSettingError
from tenure_common.health import Health, Listener
from tenure_common.kube import KubeApi, api_server
from tenure_common.telemetry import Metrics
from tenure_common.version import VERSION
from tenure_common.waits import until_first
from tenure_sidecar.actors.loops import Loops
from tenure_sidecar.actors.sharing.decide import GATEWAY
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.aggregation import Aggregation
from tenure_sidecar.appengine import AppEngine
from tenure_sidecar.config import GatewayConfig
from tenure_sidecar.fleet import Fleet
from tenure_sidecar.http.gateway import GatewayServer
from tenure_sidecar.http.manage.api import AppName
from tenure_sidecar.http.secure import Place, Secured
from tenure_sidecar.http.tls import TlsFiles
from tenure_sidecar.ids import SystemIds
from tenure_sidecar.runtime import serve_until_signal
from tenure_sidecar.store.etcd import EtcdStore
from tenure_sidecar.stores import etcd_address

_log = structlog.get_logger(__name__)

_API_TIMEOUT = 10.0  # seconds of a call to the Kubernetes API


class Gateway:
    """The process, from its start to SIGTERM."""

    def __init__(self, config: GatewayConfig) -> None:
        """Nothing runs yet.  Raises: BadSettingError."""
        if not config.store.startswith("etcd:"):
            message = (
                f"--store '{config.store}': a gateway serves the apps of an etcd store; write "
                "etcd://HOST:PORT,…"
            )
            raise BadSettingError(message)
        self._config = config
        self._address = etcd_address(config)
        # A bad setting is told before anything runs.
        _ = config.engine(config.default_namespace, "-").kept
        nonce = SystemIds().nonce
        name = f"{config.pod_name or socket.gethostname()}/{os.getpid()}/{nonce}"
        self._identity = Identity(name, pod=config.pod_uid or name, role=GATEWAY)
        self._stop = asyncio.Event()
        self._stopping = False
        self._loops = Loops()
        self.client = self._address.client(monotonic)
        self.fleet = Fleet(
            self.client,
            prefix=self._address.prefix,
            namespaces=config.namespaces,
            default=config.default_namespace,
            idle=config.idle,
            clock=monotonic,
            make=self._engine,
        )
        self.server = GatewayServer(
            self.fleet,
            place=Place(config.gateway_host, config.gateway_port, "--gateway-port"),
            files=_files(config),
        )
        self.aggregation = _aggregation(config, self.fleet)
        self.metrics = self._metrics()
        self.health = Listener(
            Health(metrics=lambda: self.metrics, stuck=lambda: "", not_ready=self.not_ready).app(),
            host=config.health_host,
            port=config.health_port,
            flag="--health-port",
        )

    def _engine(self, name: AppName) -> AppEngine:
        config = self._config.engine(name.namespace, name.app)
        store = EtcdStore(self._address, namespace=name.namespace, app=name.app, client=self.client)
        return AppEngine(config, store=store, identity=self._identity)

    # --- life ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop being ready, close every app, end."""
        self._stopping = True
        self._stop.set()

    async def run(self, *, said: Callable[[str], None]) -> None:
        """Serve until ``stop``.  Raises: TenureError."""
        try:
            await self.health.start()
            port = await self.server.start()
            self._loops.start("apps", self.fleet.keep)
            self._loops.start("certificates and callers", self.server.run)
            if self.aggregation is not None:
                self._loops.start("part of the Kubernetes API", self.aggregation.run)
            said(
                f"tenure {VERSION} ready: gateway on {self._config.gateway_host} port {port}, "
                f"store {self._config.store}"
            )
            await until_first(self._stop.wait(), self.client.past.over())
        finally:
            await self._loops.stop()
            await self.server.stop()
            await self.fleet.stop()
            await self.health.stop()
            await self.client.close()

    def not_ready(self) -> str:
        """Why nobody should call, empty when one should."""
        if self._stopping:
            return "it is being stopped"
        return "; ".join(filter(None, [self.fleet.problem, *self._loops.failing]))

    def _metrics(self) -> Metrics:
        metrics, fleet, server = Metrics(), self.fleet, self.server
        metrics.gauge("tenure_gateway_apps", "Apps that are known", lambda: fleet.known)
        metrics.gauge("tenure_gateway_engines", "Apps with an engine here", lambda: fleet.running)
        metrics.gauge(
            "tenure_gateway_apps_ailing",
            "Apps that cannot be opened or are not sound",
            lambda: fleet.ailing,
        )
        metrics.counter(
            "tenure_gateway_engines_opened_total", "Engines opened", lambda: fleet.opened
        )
        metrics.counter(
            "tenure_gateway_engines_failed_total",
            "Engines that could not be opened",
            lambda: fleet.failed,
        )
        metrics.counter(
            "tenure_gateway_requests_refused_total",
            "Requests of web pages and of unknown callers",
            lambda: server.gate.refused,
        )
        metrics.counter(
            "tenure_gateway_reloads_total",
            "New certificates and access files taken into service",
            lambda: server.reloads,
        )
        metrics.counter(
            "tenure_gateway_reloads_failed_total",
            "Looks at certificates and access files that cannot be used",
            lambda: server.bad_reloads,
        )
        if (part := self.aggregation) is not None:
            metrics.gauge(
                "tenure_gateway_kubernetes_api_serving",
                "1 when the Kubernetes API server can call",
                lambda: int(part.serving),
            )
            metrics.counter(
                "tenure_gateway_kubernetes_api_refused_total",
                "Requests on its port that it did not send",
                lambda: part.refused,
            )
            metrics.counter(
                "tenure_gateway_kubernetes_api_failures_total",
                "Failed looks at how the API server is known",
                lambda: part.failures,
            )
        metrics.counter(
            "tenure_gateway_etcd_calls_total", "Calls to etcd", lambda: self.client.calls
        )
        return metrics


def _files(config: GatewayConfig) -> Secured:
    tls = None
    if config.tls_cert or config.tls_key:
        tls = TlsFiles(config.tls_cert, config.tls_key, config.client_ca)
    elif config.client_ca:
        message = "--client-ca is of no use without --tls-cert and --tls-key"
        raise BadSettingError(message)
    return Secured(tls, config.access_file)


def _aggregation(config: GatewayConfig, fleet: Fleet) -> Aggregation | None:
    if not config.kubernetes_api:
        return None
    if not config.tls_cert or not config.tls_key:
        message = (
            "--kubernetes-api needs --tls-cert and --tls-key: the API server calls over TLS alone"
        )
        raise BadSettingError(message)
    return Aggregation(
        fleet,
        api=KubeApi(
            server=api_server(config.api_server, os.environ),
            token_file=config.api_token_file,
            ca_file=config.api_ca_file,
            timeout=_API_TIMEOUT,
            manager="tenure-gateway",
        ),
        place=Place(config.gateway_host, config.kubernetes_port, "--kubernetes-port"),
        files=TlsFiles(config.tls_cert, config.tls_key),
        vouching=config.kubernetes_ca,
    )


def main(config: GatewayConfig) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.  Raises: TenureError."""
    _log.info(
        "tenure gateway starts",
        version=VERSION,
        namespaces=list(config.namespaces) or "all",
        pod=config.pod_name or socket.gethostname(),
        pid=os.getpid(),
    )
    serve_until_signal(lambda: Gateway(config))
    return 0
