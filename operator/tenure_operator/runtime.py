"""Puts the operator together, runs it, and takes it apart in order.

One operator works at a time; the others wait for the lease, with nothing running but their health
port.  An operator that loses the lease ends with an error, and its pod begins anew: nothing that it
knew may be used after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
from collections.abc import Generator
from typing import Any, Final

import kopf
import structlog

from tenure_common import clock
from tenure_common.errors import (
    BadSettingError,
    ClusterRefusedError,
    ClusterUnavailableError,
    NoCrdsError,
)
from tenure_common.health import Health, Listener
from tenure_common.times import NANOS
from tenure_operator import handlers
from tenure_operator.announcer import Announcer
from tenure_operator.cache import Cache
from tenure_operator.cluster import Cluster
from tenure_operator.config import Config
from tenure_operator.controller import KINDS, Controller
from tenure_operator.gateway import Access, Gateway
from tenure_operator.leader import Leader
from tenure_operator.link import Link
from tenure_operator.meters import meters
from tenure_operator.queue import WorkQueue
from tenure_operator.rounds.desk import Desk
from tenure_operator.runs import Runs

_log = structlog.get_logger(__name__)

STOPS_WITHIN: Final = 10.0  # seconds
LOOKS_EVERY: Final = 5.0  # seconds, for definitions that are missing


def main(config: Config) -> int:
    """Run the operator until it is told to end; the exit code."""
    return asyncio.run(Operator(config).run())


class Operator:
    """One operator process."""

    def __init__(self, config: Config) -> None:
        """Raises: BadSettingError."""
        if "{namespace}" not in config.gateway and len(config.namespaces) != 1:
            message = (
                "--gateway has no {namespace}, so runs of several namespaces would be mixed up: "
                "put it into the URL, or name one namespace with --namespaces"
            )
            raise BadSettingError(message)
        self._config = config
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Until the end; raises what ended it, or returns 0."""
        config = self._config
        self._listen()
        link = await Link.connect(config.kubeconfig)
        cluster = Cluster(link)
        gateway = Gateway(_access(config))
        desk = _desk(cluster, gateway, patience=config.give_up_seconds * NANOS)
        controller = Controller(desk)
        leader = Leader(
            cluster,
            namespace=config.lease_namespace,
            name=config.lease_name,
            me=config.identity or f"{socket.gethostname()}_{secrets.token_hex(4)}",
            duration=config.lease_seconds,
            wall=clock.wall_ns,
            monotonic=clock.monotonic,
        )
        metrics = meters(desk, controller, leader)
        health = Listener(
            Health(
                metrics=lambda: metrics,
                stuck=controller.stuck,
                not_ready=lambda: leader.trouble or controller.not_ready(),
            ).app(),
            host=config.health_host,
            port=config.health_port,
            flag="--health-port",
        )
        try:
            port = await health.start()
            print(f"tenure operator: health on port {port}", flush=True)  # noqa: T201
            await self._lead(link, leader, desk, controller)
        finally:
            await leader.release()
            await controller.close()
            await desk.runs.close()
            await gateway.close()
            await link.close()
            await health.stop()
        return 0

    async def _lead(self, link: Link, leader: Leader, desk: Desk, controller: Controller) -> None:
        """Wait for the lease and work while it is ours.  Raises: TenureError."""
        if not await self._unless_stopped(leader.acquire()):  # which waits for the API server, too
            return
        missing = await _unserved(desk.cluster)
        with _tasks() as tasks:
            tasks.append(asyncio.create_task(leader.hold()))
            tasks.append(asyncio.create_task(desk.announcer.run()))
            tasks.extend(
                asyncio.create_task(controller.work()) for _ in range(self._config.workers)
            )
            started = asyncio.Event()
            watching = asyncio.create_task(self._watch(link, controller, started))
            tasks.append(watching)
            tasks.append(asyncio.create_task(self._listen_again(started)))
            if missing:
                tasks.append(asyncio.create_task(_until_served(desk.cluster, missing)))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Cancelled, kopf ends at once; asked to stop, it waits for tasks that are not its own.
                watching.cancel()
                await asyncio.wait((watching,), timeout=STOPS_WITHIN)
            for task in done:
                task.result()

    async def _watch(self, link: Link, controller: Controller, started: asyncio.Event) -> None:
        """Kopf's part."""
        namespaces = self._config.namespaces
        await kopf.operator(
            registry=handlers.registry(controller.told, link.login),
            settings=handlers.settings(),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            ready_flag=started,
        )

    def _listen(self) -> None:
        """End on SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _listen_again(self, started: asyncio.Event) -> None:
        """Until the end; the signals are taken back from kopf once it has begun."""
        await started.wait()
        self._listen()
        await self._stop.wait()

    async def _unless_stopped(self, work: Any) -> bool:  # noqa: ANN401 - a coroutine
        """Do it; False when the process was told to end first."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
            return False
        finally:
            for one in (task, stop):
                one.cancel()


async def _unserved(cluster: Cluster) -> tuple[str, ...]:
    """Which kinds are not there yet.  Raises: NoCrdsError, and the errors of ``Cluster``."""
    missing = await cluster.unserved(KINDS)
    if len(missing) == len(KINDS):
        message = "the API server does not know Tenure's resources: install crds/ first"
        raise NoCrdsError(message)
    if missing:
        _log.warning("definitions are missing", kinds=missing)
    return missing


async def _until_served(cluster: Cluster, missing: tuple[str, ...]) -> None:
    """Wait until there is one more: kopf finds out once which there are."""
    while True:
        await asyncio.sleep(LOOKS_EVERY)
        with contextlib.suppress(ClusterUnavailableError, ClusterRefusedError):
            if len(await cluster.unserved(missing)) < len(missing):
                _log.info("definitions are there now: the operator begins anew", kinds=missing)
                return


def _desk(cluster: Cluster, gateway: Gateway, *, patience: int) -> Desk:
    queue = WorkQueue()
    return Desk(
        cluster=cluster,
        gateway=gateway,
        cache=Cache(),
        runs=Runs(gateway, queue.add),
        queue=queue,
        announcer=Announcer(cluster, clock.wall_ns),
        clock=clock.wall_ns,
        patience=patience,
    )


def _access(config: Config) -> Access:
    return Access(
        config.gateway,
        token_file=config.gateway_token_file,
        ca=config.gateway_ca,
        cert=config.gateway_cert,
        key=config.gateway_key,
        within=config.gateway_answer_seconds,
    )


@contextlib.contextmanager
def _tasks() -> Generator[list[asyncio.Task[Any]]]:
    tasks: list[asyncio.Task[Any]] = []
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
