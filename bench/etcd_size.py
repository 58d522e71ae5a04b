"""How many bytes of etcd an instance takes: ``python bench/etcd_size.py``.

Starts an etcd of its own, runs instances of each kind through the real engine (with a worker in this
process), compacts and defragments, and prints for each kind:

* *keys*: keys of one instance when it has come to rest;
* *data*: bytes of these keys and their values, which is what a snapshot of etcd carries;
* *file*: bytes by which the member's file grew, after compaction and defragmentation.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.etcd import Cluster
from support.one_engine import OneEngine
from support.toy import Call, Event, Sleep
from tenure_sidecar.store.etcd import Address, EtcdStore
from tenure_sidecar.store.port import Store

Steps = Generator[Any, Any, Any]

_AT_ONCE = 64
_FAR = 365 * 86_400.0  # seconds
_PAYLOAD = "x" * 100


def empty(_given: str | None) -> Steps:
    """Ends at once."""
    return _PAYLOAD
    yield


def sleeper(_given: str | None) -> Steps:
    """Waits for a timer of next year."""
    yield Sleep(_FAR)


def waiter(_given: str | None) -> Steps:
    """Waits for an event that nobody sends."""
    yield Event("approval")


def chain(given: str | None) -> Steps:
    """As many activities as it is told, one after the other."""
    for _ in range(int(given or "0")):
        yield Call("step", _PAYLOAD)
    return _PAYLOAD


# What is said of it, the workflow, its input.
KINDS = [
    ("ended, without a step", empty, _PAYLOAD),
    ("ended, after 10 activities", chain, "10"),
    ("ended, after 110 activities", chain, "110"),
    ("dormant, waits for a timer", sleeper, _PAYLOAD),
    ("dormant, waits for an event", waiter, _PAYLOAD),
]


async def sizes(store: EtcdStore) -> tuple[int, int, int]:
    """Keys, their bytes, and the bytes of the file without free space."""
    client = store.client
    (status,) = await client.status()
    await client.compact(status.revision)
    await client.defragment(status.url)
    keys = data = 0
    async for page in client.scan(b"/tenure/", b"/tenure0"):
        keys += len(page.kvs)
        data += sum(len(kv.key) + len(kv.value) for kv in page.kvs)
    (status,) = await client.status()
    return keys, data, status.in_use


async def fill(store: Store, workflow: Any, given: str, count: int) -> None:
    """Run ``count`` instances until they have come to rest."""
    one = OneEngine(
        workflows={"workflow": workflow}, activities={"step": lambda given: given}, store=store
    )
    await one.start()
    room = asyncio.Semaphore(_AT_ONCE)
    rests = workflow in (sleeper, waiter)

    async def run(number: int) -> None:
        async with room:
            instance_id = await one.begin("workflow", given, f"instance-{number:012}")
            if not rests:
                await one.finish(instance_id)
                return
            await one.operations.wait(instance_id, end=False)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(run(number))
    await one.host.stop()


async def measure(cluster: Cluster, workflow: Any, given: str, count: int) -> list[float]:
    """Keys, bytes of data and bytes of file of one instance."""
    store = EtcdStore(
        Address(endpoints=tuple(cluster.urls), timeout=60.0), namespace="default", app="app"
    )
    await store.open()
    before = await sizes(store)
    await fill(store, workflow, given, count)
    after = await sizes(store)
    await store.close()
    return [(b - a) / count for a, b in zip(before, after, strict=True)]


async def measure_all(count: int) -> None:
    """Measure every kind on a fresh etcd each, and print a table."""
    print("| an instance that | keys | data | file |")
    print("|---|---|---|---|")
    for name, workflow, given in KINDS:
        with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
            keys, data, file = await measure(cluster, workflow, given, count)
        print(f"| {name} | {keys:.0f} | {data:,.0f} B | {file:,.0f} B |", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="How many bytes of etcd an instance takes.")
    parser.add_argument("--count", type=int, default=1_000, help="instances of each kind")
    count = parser.parse_args().count
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    asyncio.run(measure_all(count))


if __name__ == "__main__":
    main()
