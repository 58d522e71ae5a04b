"""The command: certificates first, because etcd waits for them; then etcd."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from tenure_common.clock import monotonic, wall_ns
from tenure_sidecar.etcd import EtcdClient
from tenure_sidecar.upkeep import database
from tenure_sidecar.upkeep.config import UpkeepConfig
from tenure_sidecar.upkeep.connections import administrator, kube_api, root_secret
from tenure_sidecar.upkeep.keys import Keys

_NANOS = 1_000_000_000


def main(config: UpkeepConfig) -> int:
    """Do what there is to do; returns the exit code, 1 when a namespace of apps was left out.

    What was done before an error is told all the same.

    Raises: TenureError.
    """
    done: list[str] = []
    failed: list[str] = []
    try:
        asyncio.run(run(config, done, failed))
        if not done and not failed:
            done.append("nothing was to be done")
    finally:
        for line in done:
            print(line, flush=True)  # noqa: T201 - the command's output
        for line in failed:
            print(f"tenure: {line}", file=sys.stderr, flush=True)  # noqa: T201 - as above
    return 1 if failed else 0


async def run(config: UpkeepConfig, done: list[str], failed: list[str]) -> None:
    """Do what there is to do.

    Args:
        config: of the installation.
        done: gets what was done.
        failed: gets what failed in namespaces of apps.

    Raises: TenureError.
    """
    async with kube_api(config, manager="tenure-upkeep") as api:
        keys = Keys(api, config)
        try:
            await keys.look(wall_ns() / _NANOS)
        finally:
            done += keys.done
            failed += keys.failed
        if not config.etcd_members:
            return
        secret = await root_secret(api, config)
    config = msgspec.structs.replace(config, app_namespaces=keys.served)
    async with administrator(config, secret) as client:
        await _etcd(client, config, done)


async def _etcd(client: EtcdClient, config: UpkeepConfig, done: list[str]) -> None:
    async def users() -> list[str]:
        served = config.app_namespaces if config.app_users else None
        return await database.users(client, served)

    async def space() -> list[str]:
        return await database.space(
            client,
            members=config.etcd_members,
            quota=config.etcd_quota,
            least=config.defragment_from,
        )

    for attempt in (users, space):
        done += await database.insist(attempt, within=config.etcd_wait, clock=monotonic)
