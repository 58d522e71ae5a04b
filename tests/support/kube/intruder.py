"""What the certificates of an engine's pod open; the text of this runs in the engine's container.

::

    python -c TEXT ETCD NAMESPACE APP ENGINE    prints JSON

ETCD is an endpoint, NAMESPACE and APP are whose workflows are wanted, ENGINE is one of its engines
(host:port).  For each door: what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from tenure_common.clock import monotonic
from tenure_common.errors import TenureError
from tenure_sidecar.etcd import EtcdClient, Get, Tls, prefix_end
from tenure_sidecar.peers import frames
from tenure_sidecar.peers.tls import app_name

MOUNTED = Path("/var/run/tenure")
FILES = ("ca.crt", "tls.crt", "tls.key")


async def etcd(endpoint: str, namespace: str, files: str) -> dict[str, str]:
    """Try to read what a namespace has, and to write there."""
    tls = Tls(*(str(MOUNTED / files / name) for name in FILES))
    client = EtcdClient([f"https://{endpoint}"], clock=monotonic, tls=tls)
    prefix = f"/tenure/{namespace}/".encode()

    async def read() -> str:
        found = await client.range(Get(prefix, prefix_end(prefix), keys_only=True))
        return f"{len(found.kvs)} keys"

    async def write() -> str:
        await client.put(prefix + b"intruder", b"")
        await client.delete(prefix + b"intruder")
        return "written"

    found: dict[str, str] = {}
    for name, attempt in (("read", read), ("write", write)):
        try:
            found[name] = await attempt()
        except TenureError as error:
            found[name] = f"{type(error).__name__}: {error}"
    await client.close()
    return found


async def engine(address: str, namespace: str, app: str, files: str) -> str:
    """Knock at an engine's port for its peers with a certificate, or (without ``files``) none."""
    if files:
        ca, certificate, key = ((MOUNTED / files / name).read_bytes() for name in FILES)
        named = [("grpc.ssl_target_name_override", app_name(namespace, app))]
        credentials = grpc.ssl_channel_credentials(ca, key, certificate)
        channel: Any = grpc.aio.secure_channel(address, credentials, options=named)
    else:
        channel = grpc.aio.insecure_channel(address)
    hello = frames.Hello("intruder", namespace, app, "w", to="a word that it does not know")
    async with channel:
        call = channel.stream_stream(frames.PATH)()
        try:
            await call.write(frames.join([frames.encode(hello)]))
            await call.read()
        except grpc.aio.AioRpcError:
            pass  # a write's error only says that the call is over
        return f"{(await call.code()).name}: {await call.details()}"


async def main(endpoint: str, namespace: str, app: str, address: str) -> None:
    """Try all doors."""
    print(
        json.dumps(
            {
                "etcd": await etcd(endpoint, namespace, "store"),
                "etcd with the peers' certificate": await etcd(endpoint, namespace, "peers"),
                "engine": await engine(address, namespace, app, "peers"),
                "engine with the store's certificate": await engine(
                    address, namespace, app, "store"
                ),
                "engine without a certificate": await engine(address, namespace, app, ""),
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
