"""What the job and the process that stays both call: the API server, and etcd as administrator."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tenure_common.clock import monotonic
from tenure_common.kube import Json, KubeApi, api_server
from tenure_sidecar.etcd import EtcdClient, Tls
from tenure_sidecar.upkeep.config import UpkeepConfig
from tenure_sidecar.upkeep.keys import text_of

FILES: Final = ("ca.crt", "tls.crt", "tls.key")  # keys of a Secret with a certificate


def kube_api(config: UpkeepConfig, *, manager: str) -> KubeApi:
    """The API server of the cluster, not connected yet; ``manager`` is who writes, for people."""
    return KubeApi(
        server=api_server(config.api_server, os.environ),
        token_file=config.api_token_file,
        ca_file=config.api_ca_file,
        timeout=config.api_timeout,
        manager=manager,
    )


async def root_secret(api: KubeApi, config: UpkeepConfig) -> Json:
    """The Secret with the certificate of etcd's administrator.  Raises: ClusterApiError."""
    return await api.secret(config.namespace, f"{config.etcd}-root")


@asynccontextmanager
async def administrator(config: UpkeepConfig, secret: Json) -> AsyncGenerator[EtcdClient]:
    """A client of etcd with the certificate in ``secret``, which lies in files for so long."""
    with tempfile.TemporaryDirectory(prefix="tenure-upkeep-") as place:
        files = [Path(place) / name for name in FILES]
        for file in files:
            file.touch(mode=0o600)
            file.write_bytes(text_of(secret, file.name))
        endpoints = [f"https://{member}:2379" for member in config.members]
        client = EtcdClient(endpoints, clock=monotonic, tls=Tls(*map(str, files)))
        try:
            yield client
        finally:
            await client.close()
