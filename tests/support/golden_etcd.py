"""Golden stores in etcd: the keys of an app as each released layout left them, kept for ever.

``cd tests && python -m support.golden_etcd`` writes that of the present layout, and never over an
existing file.  The file is JSON: transactions in the order in which they were written, each a list of
keys and values, because the order of an inbox is that of its revisions.  What goes with a lease is not
there: the process has ended.  ``-first`` is what the first version with sidecars that share an app
left; the layout is the same since then, and fields have been added.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from base64 import b64decode, b64encode
from itertools import groupby
from pathlib import Path
from time import monotonic

from support.etcd import Cluster
from support.golden import ACTIVITIES, ROOT, STORES, WORKFLOWS, fill
from support.one_engine import OneEngine
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.engine import codec
from tenure_sidecar.etcd import EtcdClient, Put
from tenure_sidecar.ids import SystemIds
from tenure_sidecar.store.etcd import Address, EtcdStore
from tenure_sidecar.store.etcd.keys import Keys, span
from tenure_sidecar.store.etcd.values import FORMAT, LAYOUT

KEYS = Keys("golden", "workflows", partitions=8)  # values are bound to their keys
PRESENT = STORES / f"etcd-{LAYOUT}.{FORMAT}.{codec.FORMAT}.json"


async def engine(cluster: Cluster) -> tuple[OneEngine, EtcdStore]:
    """A real engine on the golden app, without workers."""
    address = Address(endpoints=tuple(cluster.urls), timeout=20.0)
    store = EtcdStore(address, namespace="golden", app="workflows", partitions=8)
    await store.open()
    one = OneEngine(
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        store=store,
        ids=SystemIds(),
        identity=Identity("one", pod="one"),
    )
    await one.start(workers=0)
    return one, store


async def restore(client: EtcdClient, path: Path) -> None:
    """Make the golden app what the file says, and nothing else.  Raises: StoreError."""
    await client.delete(*span(KEYS.root))
    for transaction in json.loads(path.read_text(encoding="utf-8")):
        puts = [Put(key.encode(), b64decode(value)) for key, value in transaction]
        await client.txn((), puts)


async def dump(client: EtcdClient) -> str:
    """The golden app as a file has it.  Raises: StoreError."""
    found = [kv async for page in client.scan(*span(KEYS.root)) for kv in page.kvs]
    found.sort(key=lambda kv: (kv.mod_revision, kv.key))
    transactions = [
        [[kv.key.decode(), b64encode(kv.value).decode()] for kv in kvs]
        for _, kvs in groupby(found, key=lambda kv: kv.mod_revision)
    ]
    return json.dumps(transactions, indent=1) + "\n"


async def _make(cluster: Cluster) -> str:
    one, store = await engine(cluster)
    await fill(one)
    await store.close()
    client = EtcdClient(cluster.urls, clock=monotonic)
    try:
        return await dump(client)
    finally:
        await client.close()


def main() -> None:
    """Write the present layout's file, if it is not there yet."""
    if PRESENT.exists():
        return
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
        PRESENT.write_text(asyncio.run(_make(cluster)), encoding="utf-8")
    print(f"wrote {PRESENT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
