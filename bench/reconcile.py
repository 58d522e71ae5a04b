"""What the operator can do: ``python bench/reconcile.py``; ``--quick`` for half a minute.

A real API server on real etcd and the operator as a process, with its own rights.  The gateway is a
stub in this process, whose runs end at once (or when told), so that no engine is measured.  It prints

* *created to Completed*: Workflows created on several connections, until the watch of a user has
  seen the last of them Completed;
* *event to status*: an engine tells of an end on its watch, until the watch of a user has the status;
  at a fixed rate, whatever comes back;
* *cold sync*: from the start of an operator process until it has looked at every Workflow, what it
  wrote meanwhile (nothing should change), and the size of its memory;
* *at rest*: requests about Tenure's resources that the API server has counted, and calls of the
  gateway, while nothing happens.

API server, etcd, operator and this process share the machine; on few cores they take from each other.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import procfs
from aiohttp import web
from stats import percentile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.kube.controlplane import ControlPlane
from support.kube.objects import workflow
from support.kube.operating import ACCOUNT, ROOT, rules
from support.kube.operator_process import OperatorProcess, operator_process

_NAMESPACE = "shop"
_HOME = "tenure-system"
_CONNECTIONS = 16
_WITHIN = 600.0  # seconds; a bound for what is broken
_LOOK = 0.02  # seconds between two looks at the operator's metrics
_WORKFLOWS = f"/apis/tenure.dev/v1alpha1/namespaces/{_NAMESPACE}/workflows"


class Sizes(NamedTuple):
    """How much of each."""

    throughput: int  # Workflows that are created and completed
    events: int  # runs that end one by one
    rate: float  # ends a second
    resources: int  # Workflows of the cold sync
    rest: float  # seconds


FULL = Sizes(2_000, 500, 20.0, 10_000, 60.0)
QUICK = Sizes(300, 60, 20.0, 500, 5.0)


class Stub:
    """As much of a gateway as the operator uses; workflow ``wait`` ends when told, others at once."""

    def __init__(self) -> None:
        self.calls = 0
        self._runs: dict[str, dict[str, Any]] = {}
        self._watches: list[asyncio.Queue[dict[str, Any]]] = []
        self._cursor = itertools.count(1)

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._counted])
        base = "/v1alpha1/namespaces/{namespace}/apps"
        app.router.add_get(base, self._apps)
        app.router.add_post(base + "/{app}/instances", self._start)
        app.router.add_get(base + "/{app}/instances/{run}", self._look)
        app.router.add_get(base + "/{app}/watch", self._watch)
        return app

    def end(self, run: str) -> None:
        """The run completes now."""
        self._runs[run] |= {"status": "COMPLETED", "completedAt": _now(), "output": run}
        self._tell(run)

    def _tell(self, run: str) -> None:
        line = {"type": "CHANGED", "instance": self._runs[run], "cursor": str(next(self._cursor))}
        for queue in self._watches:
            queue.put_nowait(line)

    @web.middleware
    async def _counted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls += 1
        return await handler(request)  # type: ignore[no-any-return]

    async def _apps(self, _request: web.Request) -> web.Response:
        return web.json_response({"items": []})

    async def _start(self, request: web.Request) -> web.Response:
        body = await request.json()
        run = body["instanceId"]
        tags = {**body["tags"], "tenure.dev/request-key": request.headers["Idempotency-Key"]}
        known = {"instanceId": run, "workflow": body["workflow"], "tags": tags}
        self._runs[run] = {**known, "status": "RUNNING", "startedAt": _now(), "historyLength": 3}
        self._tell(run)
        started = dict(self._runs[run])
        if body["workflow"] != "wait":
            asyncio.get_running_loop().call_soon(self.end, run)
        return web.json_response({"instance": started}, status=HTTPStatus.CREATED)

    async def _look(self, request: web.Request) -> web.Response:
        found = self._runs.get(request.match_info["run"])
        if found is None:
            return web.json_response(
                {"code": "TN0101", "message": "no such run"}, status=HTTPStatus.NOT_FOUND
            )
        return web.json_response(found)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._watches.append(queue)
        try:
            lines = [{"type": "RESET"}]
            lines += [{"type": "CHANGED", "instance": one} for one in self._runs.values()]
            lines.append({"type": "SYNCED", "cursor": str(next(self._cursor))})
            await answer.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            while True:
                line = await queue.get()
                await answer.write(json.dumps(line).encode() + b"\n")
        finally:
            self._watches.remove(queue)


class User:
    """Creates Workflows, and watches them."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server
        self.completed: dict[str, float] = {}  # name -> when the watch showed it
        self.running: set[str] = set()
        self._news = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def create(self, names: list[str], kind: str) -> None:
        """Workflows ``kind`` with these names, on several connections."""
        left = iter(names)

        async def some() -> None:
            for name in left:
                body = workflow(name, workflow=kind, instanceID=name)
                async with self._session.post(self._server + _WORKFLOWS, json=body) as answer:
                    assert answer.status == HTTPStatus.CREATED, await answer.text()

        await asyncio.gather(*(some() for _ in range(_CONNECTIONS)))

    async def watch(self) -> None:
        """Begin to watch; what is there already is told, too."""
        self._watching = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Watch no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def until(self, found: Any) -> None:
        """Wait until that is true of what the watch has shown."""
        async with asyncio.timeout(_WITHIN):
            while not found():
                if self._watching is not None and self._watching.done():
                    self._watching.result()
                self._news.clear()
                await self._news.wait()

    async def _follow(self) -> None:
        """Watch, again and again: a watch ends, and a new kind is refused until it has a cache."""
        while True:
            await self._stream()
            await asyncio.sleep(_LOOK)

    async def _stream(self) -> None:
        url = f"{self._server}{_WORKFLOWS}?watch=1"
        endless = aiohttp.ClientTimeout(total=None)
        rest = bytearray()
        async with self._session.get(url, timeout=endless) as answer:
            if answer.status != HTTPStatus.OK:
                print(f"the watch was answered {answer.status}", file=sys.stderr)
                return
            async for chunk in answer.content.iter_any():
                rest += chunk
                *lines, last = bytes(rest).split(b"\n")
                rest = bytearray(last)
                for line in lines:
                    self._take(json.loads(line)["object"])
                self._news.set()

    def _take(self, found: dict[str, Any]) -> None:
        name, phase = found["metadata"]["name"], found.get("status", {}).get("phase")
        if phase == "Completed":
            self.completed.setdefault(name, time.perf_counter())
        elif phase == "Running":
            self.running.add(name)


async def throughput(
    user: User, operator: OperatorProcess, plane: ControlPlane, count: int
) -> None:
    """Created to Completed."""
    names = [f"run-{number}" for number in range(count)]
    writes = operator.metric("tenure_operator_writes_total")
    programs = {
        "operator": operator.pid,
        "API server": plane.apiserver.pid,
        "etcd": plane.etcd.pid,
        "bench": os.getpid(),
    }
    before = {name: procfs.read(pid).cpu for name, pid in programs.items()}
    began = time.perf_counter()
    await user.create(names, "order")
    created = time.perf_counter() - began
    await user.until(lambda: all(name in user.completed for name in names))
    taken = max(user.completed[name] for name in names) - began
    cpu = {
        name: 1000 * (procfs.read(pid).cpu - before[name]) / count for name, pid in programs.items()
    }
    writes = (operator.metric("tenure_operator_writes_total") - writes) / count
    cores = len(os.sched_getaffinity(0))
    print(
        f"created to Completed: {count / taken:,.0f} resources/s "
        f"({count:,} in {taken:.1f} s; creating them took {created:.1f} s), {writes:.1f} writes each"
    )
    print(
        f"  CPU each: {', '.join(f'{name} {took:.1f} ms' for name, took in cpu.items())}; "
        f"the operator alone would end at {1000 / cpu['operator']:,.0f} resources/s, "
        f"all of them on {cores} cores at {1000 * cores / sum(cpu.values()):,.0f}"
    )


async def latency(user: User, stub: Stub, count: int, rate: float) -> None:
    """Event to status."""
    names = [f"wait-{number}" for number in range(count)]
    await user.create(names, "wait")
    await user.until(lambda: user.running.issuperset(names))
    due: dict[str, float] = {}
    began = time.perf_counter()
    for number, name in enumerate(names):
        at = began + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        due[name] = time.perf_counter()
        stub.end(name)
    await user.until(lambda: all(name in user.completed for name in names))
    took = sorted((user.completed[name] - due[name]) * 1000 for name in names)
    shown = ", ".join(f"p{part} {percentile(took, part):.1f} ms" for part in (50, 99))
    print(f"event to status: {shown}, max {took[-1]:.1f} ms ({count:,} at {rate:.0f}/s)")


async def cold_sync(operator: OperatorProcess, count: int) -> None:
    """A new operator process finds everything as it should be."""
    assert operator.stop() == 0
    began = time.perf_counter()
    operator.start()
    async with asyncio.timeout(_WITHIN):
        while not await asyncio.to_thread(_settled, operator, count):
            assert operator.alive, operator.tail()
            await asyncio.sleep(_LOOK)
    taken = time.perf_counter() - began
    writes = int(operator.metric("tenure_operator_writes_total"))
    memory = procfs.read(operator.pid).peak / 2**20
    print(f"cold sync: {count:,} Workflows in {taken:.1f} s, {writes} writes, {memory:.0f} MiB")


async def at_rest(plane: ControlPlane, operator: OperatorProcess, stub: Stub, rest: float) -> None:
    """Requests while nothing happens."""
    before = _requests(plane), stub.calls, operator.metric("tenure_operator_rounds_total")
    await asyncio.sleep(rest)
    after = _requests(plane), stub.calls, operator.metric("tenure_operator_rounds_total")
    api, gateway, rounds = (int(new - old) for new, old in zip(after, before, strict=True))
    print(f"at rest for {rest:.0f} s: {api} API, {gateway} gateway requests, {rounds} rounds")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _settled(operator: OperatorProcess, count: int) -> bool:
    try:
        return (
            operator.metric("tenure_operator_resources") >= count
            and operator.metric("tenure_operator_rounds_total") >= count
            and operator.metric("tenure_operator_queue_due") == 0
        )
    except OSError:  # its health port is not open yet
        return False


def _requests(plane: ControlPlane) -> float:
    """Requests about Tenure's resources that the API server has counted; a watch counts at its end."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in plane.raw("/metrics").decode().splitlines()
        if line.startswith("apiserver_request_total{") and 'group="tenure.dev"' in line
    )


@asynccontextmanager
async def _served(stub: Stub) -> AsyncIterator[str]:
    runner = web.AppRunner(stub.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1alpha1/namespaces/{{namespace}}"
    finally:
        await runner.cleanup()


async def _measure(plane: ControlPlane, folder: Path, sizes: Sizes) -> None:
    admin = plane.certificates.issue("admin-of-bench", group="system:masters")
    tls = ssl.create_default_context(cafile=str(plane.certificates.authority))
    tls.load_cert_chain(admin.certificate, admin.key)
    connector = aiohttp.TCPConnector(ssl=tls, limit=2 * _CONNECTIONS)
    stub = Stub()
    async with _served(stub) as gateway, aiohttp.ClientSession(connector=connector) as session:
        operator = operator_process(
            folder,
            kubeconfig=plane.account_kubeconfig(_HOME, ACCOUNT),
            gateway=gateway,
            lease=_HOME,
        )
        user = User(session, plane.server)
        try:
            await asyncio.to_thread(operator.ready)
            await user.watch()
            await throughput(user, operator, plane, sizes.throughput)
            await latency(user, stub, sizes.events, sizes.rate)
            more = max(0, sizes.resources - sizes.throughput - sizes.events)
            names = [f"more-{number}" for number in range(more)]
            await user.create(names, "order")
            await user.until(lambda: all(name in user.completed for name in names))
            await asyncio.to_thread(_finished, plane, operator)
            count = len(user.completed)
            await user.stop()
            await cold_sync(operator, count)
            await at_rest(plane, operator, stub, sizes.rest)
        finally:
            await user.stop()
            operator.kill()


def _finished(plane: ControlPlane, operator: OperatorProcess) -> None:
    """Wait until the operator has nothing to do: the last finalizers are away."""

    def nothing_left() -> bool:
        found = plane.request(_WORKFLOWS)["items"]
        return not any(one["metadata"].get("finalizers") for one in found)

    operator.wait_until("no finalizers", nothing_left, within=_WITHIN)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small numbers, half a minute")
    sizes = QUICK if parser.parse_args().quick else FULL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plane = ControlPlane(folder / "plane")
        plane.start()
        try:
            plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
            plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
            for one in (_NAMESPACE, _HOME):
                plane.kubectl("create", "namespace", one)
            plane.kubectl.apply(*rules(_HOME))
            asyncio.run(_measure(plane, folder, sizes))
        finally:
            plane.stop()


if __name__ == "__main__":
    main()
