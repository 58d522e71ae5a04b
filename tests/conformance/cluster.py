"""An app on three sidecars over a real etcd, of which two are killed again and again.

To a stage it is an engine: the ports are those of the sidecar that stays, which clients talk to.  The
other two have workers of the same driver, so that whatever a scenario starts may run on either, move
when it is killed, and move back when it is started again.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from support.engine import EngineProcess
from support.etcd import Cluster
from support.ports import free_ports

LEASE = 2  # seconds: etcd's shortest


class ShakyCluster:
    """See the module docstring.

    Args:
        folder: for everything.
        transport: of the sidecars.
    """

    def __init__(self, folder: Path, *, transport: str = "native") -> None:
        self._etcd = Cluster(folder / "etcd")
        self._folder = folder
        self._transport = transport
        self.sidecars: list[EngineProcess] = []
        self.kills = 0
        self._killing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start etcd and the sidecars."""
        self._etcd.__enter__()
        url = f"etcd://127.0.0.1:{self._etcd.members[0].client_port}?lease={LEASE}"
        for number in range(3):
            folder = self._folder / f"pod-{number}"
            folder.mkdir()
            pod = [f"--pod-name=pod-{number}", f"--pod-uid=uid-{number}", "--pod-ip=127.0.0.1"]
            pod += [f"--peers-port={free_ports(1)[0]}", f"--transport={self._transport}"]
            sidecar = EngineProcess(folder, role="sidecar", store=url, args=pod)
            self.sidecars.append(sidecar)
            sidecar.start()

    def shake(self) -> None:
        """Kill one of the two after the other from now on, as soon as the one before is back."""
        self._killing = asyncio.create_task(self._shake())

    async def _shake(self) -> None:
        for victim in itertools.cycle(self.sidecars[1:]):
            await asyncio.to_thread(victim.kill)
            self.kills += 1
            await asyncio.to_thread(victim.start)
            while not await asyncio.to_thread(victim.workers):
                await asyncio.sleep(0.05)  # a poll of another process

    async def steady(self) -> None:
        """Kill no more.  Raises: what went wrong with it."""
        if self._killing is not None:
            self._killing.cancel()
            await asyncio.gather(self._killing, return_exceptions=True)
            if not self._killing.cancelled():
                self._killing.result()

    def close(self) -> None:
        """End everything."""
        for sidecar in self.sidecars:
            sidecar.close()
        self._etcd.__exit__()

    # --- what a stage needs of an engine ------------------------------------------------------

    @property
    def grpc_port(self) -> int:
        """Of the one that stays."""
        return self.sidecars[0].grpc_port

    @property
    def taskhub_port(self) -> int:
        """Of the one that stays."""
        return self.sidecars[0].taskhub_port

    def tail(self) -> str:
        """The ends of the logs."""
        return "\n".join(f"--- {one.folder.name}\n{one.tail(10)}" for one in self.sidecars)
