"""The process that stays: its follower, its health port, and its end on a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tenure_common.clock import monotonic, wall_ns
from tenure_common.errors import BadCertificateError
from tenure_common.health import Health, Listener
from tenure_common.kube import KubeApi
from tenure_common.telemetry import Metrics
from tenure_common.waits import until_first
from tenure_sidecar.etcd import EtcdClient
from tenure_sidecar.upkeep.config import UpkeepConfig
from tenure_sidecar.upkeep.connections import FILES, administrator, kube_api, root_secret
from tenure_sidecar.upkeep.follow import Administrator, Follower
from tenure_sidecar.upkeep.keys import text_of


def main(config: UpkeepConfig) -> int:
    """Follow the namespaces until the process is told to end; returns the exit code.

    Raises: TenureError.
    """
    return asyncio.run(_run(config))


async def _run(config: UpkeepConfig) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with kube_api(config, manager="tenure-namespaces") as api:
        follower = Follower(
            api,
            config,
            administrator=_administrator(api, config) if config.etcd_members else None,
            wall=wall_ns,
            monotonic=monotonic,
        )
        health = Listener(
            Health(
                metrics=lambda: metrics,
                stuck=follower.stuck,
                not_ready=lambda: follower.trouble,
            ).app(),
            host=config.health_host,
            port=config.health_port,
            flag="--health-port",
        )
        metrics = _metrics(follower)
        port = await health.start()
        print(f"tenure upkeep: follows namespaces, health on port {port}", flush=True)  # noqa: T201
        try:
            await until_first(follower.run(), stop.wait())
        finally:
            await health.stop()
    return 0


def _administrator(api: KubeApi, config: UpkeepConfig) -> Administrator:
    """A client with the administrator's certificate as it is now: it is replaced while we run."""

    @asynccontextmanager
    async def present() -> AsyncGenerator[EtcdClient]:
        secret = await root_secret(api, config)
        if not all(text_of(secret, name) for name in FILES):
            message = f"Secret '{config.etcd}-root' is empty: the upkeep's Job has yet to fill it"
            raise BadCertificateError(message)
        async with administrator(config, secret) as client:
            yield client

    return present


def _metrics(follower: Follower) -> Metrics:
    metrics = Metrics()
    metrics.gauge(
        "tenure_upkeep_namespaces",
        "Namespaces by state: served, refused, failed.",
        lambda: follower.counts,
        labels=("state",),
    )
    metrics.counter(
        "tenure_upkeep_rounds_total",
        "Looks at the namespaces of the cluster: done, failed.",
        lambda: follower.rounds,
        labels=("outcome",),
    )
    return metrics
