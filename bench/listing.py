"""How long a page of a list takes: ``python bench/listing.py``.

Fills a store with ``--count`` instances (1 in 100 failed, the newest tenth still running, twenty
workflows, tags, one big family), starts a real ``tenure dev`` on it, and asks its HTTP API for pages of
a hundred, one request at a time: the first page, and one deep in the list.  The rare ones are
the oldest of all, which is the worst place for whoever lists the newest first.

The figures hold everything that the caller waits for: HTTP, the index read, decoding heads, JSON.
With ``--etcd`` the same on an etcd of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from integration.store.samples import Hub, a_creation, a_turn, parent_of
from support.engine import EngineProcess
from support.etcd import BUILT, Cluster
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.etcd import Address, EtcdStore
from tenure_sidecar.store.port import Create, Store
from tenure_sidecar.store.sqlite import SqliteStore

from stats import percentile  # isort: skip - beside this file

BATCH = 500
GOAL = 20.0  # ms, p95
SECOND = 1_000_000_000
BEGAN = 1_760_000_000 * SECOND  # of the oldest; one instance a second from there on
DEEP = 50  # pages before the deep one
LIST = "/v1alpha1/apps/bench/instances?"


def at(number: int) -> str:
    """The time at which instance ``number`` was created."""
    moment = time.gmtime(BEGAN // SECOND + number)
    return quote(time.strftime("%Y-%m-%dT%H:%M:%SZ", moment))


def queries(count: int) -> dict[str, str]:
    """What is asked, by what it is."""
    middle = f"From={at(count // 2)}&{{0}}To={at(count // 2 + count // 10)}"
    return {
        "everything, newest first": "",
        "everything, by id": "order=id",
        "status RUNNING": "status=RUNNING",
        "status FAILED (1 in 100)": "status=FAILED",
        "two statuses": "status=FAILED&status=COMPLETED",
        "workflow (1 in 20)": "workflow=flow-7",
        "workflow and status": "workflow=flow-7&status=FAILED",
        "workflow (the oldest 200)": "workflow=rare",
        "created in a range": f"created{middle.format('created')}",
        "completed in a range": f"completed{middle.format('completed')}",
        "completed in a range, by completion": (
            f"order=completed&completed{middle.format('completed')}"
        ),
        "tag (1 in 10)": "tag=region%3Dr3",
        "tag (the oldest 200)": "tag=old%3Dyes",
        "id prefix (1 in 100)": "idPrefix=instance-0001",
        "parent (1,000 children)": "parent=family",
        "status FAILED, by id": "status=FAILED&order=id",
    }


async def fill(store: Store, count: int) -> None:
    """Put the instances there, as creations and turns write them."""
    hub = Hub(store)
    await hub.own()
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        fields = {n: _fields(n, count) for n in numbers}
        await hub.write(*(Create(a_creation(_id(n), **fields[n])) for n in numbers))
        turns = [
            hub.commit_of(
                a_turn(_id(n), status=_status(n, count), consumed=("start",), **fields[n])
            )
            for n in numbers
        ]
        await hub.write(*turns)


def _id(number: int) -> str:
    return f"instance-{number * 7919 % 1_000_003:06}"  # ids are in no order of time


def _status(number: int, count: int) -> Status:
    if number >= count - count // 10:
        return Status.RUNNING
    return Status.FAILED if number % 100 == 3 else Status.COMPLETED  # noqa: PLR2004


def _fields(number: int, count: int) -> dict[str, object]:
    created = BEGAN + number * SECOND
    fields: dict[str, object] = {
        "name": "rare" if number < 200 else f"flow-{number % 20}",  # noqa: PLR2004
        "created_at": created,
        "updated_at": created,
        "tags": {"region": f"r{number % 10}"} | ({"old": "yes"} if number < 200 else {}),  # noqa: PLR2004
        "parent": parent_of("family") if 200 <= number < 1_200 else None,  # noqa: PLR2004
    }
    if _status(number, count) is not Status.RUNNING:
        fields["completed_at"] = created + 5 * SECOND
    return fields


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def page(self, query: str) -> tuple[float, int, str | None]:
        """Milliseconds, instances on the page, the cursor to the next."""
        began = time.perf_counter()
        self._connection.request("GET", LIST + query)
        answer = self._connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1_000
        if answer.status != 200:  # noqa: PLR2004
            raise RuntimeError(body.decode())
        page = json.loads(body)
        return took, len(page["instances"]), page.get("cursor")


def deep(client: Client, query: str) -> str:
    """The query of the deepest page up to ``DEEP``."""
    found = query
    for _ in range(DEEP):
        _, _, cursor = client.page(found)
        if cursor is None:
            break
        found = f"{query}&cursor={quote(cursor)}"
    return found


def measure(port: int, count: int, repeats: int) -> bool:
    """Print a table; whether every figure meets the goal."""
    client, good = Client(port), True
    print("| list | rows | first page p50 | p95 | deep page p50 | p95 |")
    print("|---|---|---|---|---|---|")
    for name, query in queries(count).items():
        cells: list[str] = []
        rows = 0
        for asked in (query, deep(client, query)):
            samples = [client.page(asked) for _ in range(repeats)]
            rows = max(rows, samples[0][1])
            times = [took for took, _, _ in samples]
            high = percentile(times, 95)
            good = good and high <= GOAL
            cells += [f"{percentile(times, 50):.1f} ms", f"{high:.1f} ms"]
        print(f"| {name} | {rows} | {' | '.join(cells)} |", flush=True)
    return good


async def prepare(store: Store, count: int) -> None:
    """Open, fill, close."""
    await store.open()
    await fill(store, count)
    await store.close()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="How long a page of a list takes.")
    parser.add_argument("--count", type=int, default=100_000, help="instances")
    parser.add_argument("--repeats", type=int, default=200, help="requests for each figure")
    parser.add_argument("--etcd", action="store_true", help="on etcd instead of SQLite")
    given = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if given.etcd:
            cluster = stack.enter_context(Cluster(folder / "etcd", version=BUILT))
            address = Address(endpoints=tuple(cluster.urls), timeout=60.0)
            store: Store = EtcdStore(address, namespace="default", app="bench")
            hosts = ",".join(url.partition("//")[2] for url in cluster.urls)
            engine = EngineProcess(folder, app_id="bench", store=f"etcd://{hosts}")
        else:
            engine = EngineProcess(folder, app_id="bench")
            store = SqliteStore(engine.database)
        asyncio.run(prepare(store, given.count))
        engine.start()
        stack.callback(engine.close)
        good = measure(engine.http_port, given.count, given.repeats)
    print(f"\nEvery p95 is {'at most' if good else 'NOT at most'} {GOAL:.0f} ms.")
    return 0 if good or given.etcd else 1


if __name__ == "__main__":
    sys.exit(main())
