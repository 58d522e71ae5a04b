"""The process that stays: its follower, its health port, and its end on a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tenure_common.clock import monotonic, wall_ns
from tenure_common.errors import BadCertificateError
from tenure_common.health import Health, Listener
from tenure_common.kube import KubeApi, api_server
from tenure_common.telemetry import Metrics
from tenure_sidecar.etcd import EtcdClient, Tls
from tenure_sidecar.upkeep.config import UpkeepConfig
from tenure_sidecar.upkeep.follow import Administrator, Follower
from tenure_sidecar.upkeep.keys import text_of

_FILES: Final = ("ca.crt", "tls.crt", "tls.key")


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
    async with KubeApi(
        server=api_server(config.api_server, os.environ),
        token_file=config.api_token_file,
        ca_file=config.api_ca_file,
        timeout=config.api_timeout,
        manager="tenure-namespaces",
    ) as api:
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
        tasks = [asyncio.create_task(follower.run()), asyncio.create_task(stop.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await health.stop()
    return 0


def _administrator(api: KubeApi, config: UpkeepConfig) -> Administrator:
    """A client with the administrator's certificate as it is now: it is replaced while we run."""

    @asynccontextmanager
    async def administrator() -> AsyncGenerator[EtcdClient]:
        secret = await api.secret(config.namespace, f"{config.etcd}-root")
        texts = {name: text_of(secret, name) for name in _FILES}
        if not all(texts.values()):
            message = f"Secret '{config.etcd}-root' is empty: the upkeep's Job has yet to fill it"
            raise BadCertificateError(message)
        with tempfile.TemporaryDirectory(prefix="tenure-upkeep-") as place:
            for name, text in texts.items():
                file = Path(place) / name
                file.touch(mode=0o600)
                file.write_bytes(text)
            endpoints = [f"https://{member}:2379" for member in config.members]
            tls = Tls(*(str(Path(place) / name) for name in _FILES))
            client = EtcdClient(endpoints, clock=monotonic, tls=tls)
            try:
                yield client
            finally:
                await client.close()

    return administrator


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
