"""A whole engine in the test's own process, with its HTTP server, on a store in memory.

Real: operations, actors, dispatch, group commit, the HTTP server and its socket.  Not there: SDKs and
gRPC; a toy worker runs the workflows when a test connects one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from support.http_fakes import FakeEngine
from support.seeded import SeededIds
from support.toy import ActivityError, Call, Child, Event, Sleep, ToyCodec, ToyWorker, Workflow
from tenure_common.clock import wall_ns
from tenure_sidecar.actors.host import Host
from tenure_sidecar.actors.jobs import Jobs
from tenure_sidecar.actors.operations import Operations
from tenure_sidecar.actors.settings import AppSettings
from tenure_sidecar.dispatch.dispatcher import Dispatcher, Leases
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.retention import Retention
from tenure_sidecar.engine.settings import Concurrency
from tenure_sidecar.http.manage.api import Api, OneApp
from tenure_sidecar.http.server import HttpServer
from tenure_sidecar.store.group import GroupWriter
from tenure_sidecar.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

APP = "orders"


def echo(given: str | None) -> Generator[Any, Any, Any]:
    return (yield Call("echo", given))


def ask(given: str | None) -> Generator[Any, Any, Any]:
    return (yield Event(json.loads(given or '"answer"')))


def fails(given: str | None) -> Generator[Any, Any, Any]:
    return (yield Call("fail", given))


def nap(given: str | None) -> Generator[Any, Any, Any]:
    yield Sleep(float(given or 3600))
    return '"awake"'


def family(given: str | None) -> Generator[Any, Any, Any]:
    return (yield Child("ask", given))


def _fail(given: str | None) -> str | None:
    raise ActivityError(given or "failed")


WORKFLOWS: dict[str, Workflow] = {
    "echo": echo,
    "ask": ask,
    "fails": fails,
    "nap": nap,
    "family": family,
}
ACTIVITIES: dict[str, Callable[[str | None], str | None]] = {"echo": lambda x: x, "fail": _fail}


@dataclass
class Reply:
    """One answer."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.body["code"])


class Served:
    """See the module docstring."""

    def __init__(
        self,
        *,
        retention: Retention = Retention(),
        token: str | None = None,
        app_id: str = APP,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ids = SeededIds()
        self.store = MemoryStore()
        self.writer = GroupWriter(self.store, call_later=loop.call_later, now=loop.time)
        self.dispatcher = Dispatcher(clock=wall_ns, nonce="b-", leases=Leases())
        self.host = Host(
            self.store,
            writer=self.writer,
            codecs={"toy": ToyCodec()},
            ids=self.ids,
            clock=wall_ns,
            limits=Limits(),
            app_id=app_id,
            name="test",
            retention=retention,
        )
        self.host.work = self.dispatcher
        self.operations = Operations(
            self.host, store=self.store, writer=self.writer, ids=self.ids, clock=wall_ns
        )
        self.jobs = Jobs(
            self.store, operations=self.operations, clock=wall_ns, owned=lambda _id: True
        )
        self.settings = AppSettings(self.store, default=retention, apply=self._set)
        self.api = Api(
            app_id=app_id,
            operations=self.operations,
            store=self.store,
            jobs=self.jobs,
            settings=self.settings,
            workers=lambda: self.dispatcher.workers,
            ids=self.ids,
            clock=wall_ns,
        )
        self.server = HttpServer(
            FakeEngine(app_id=app_id), host="127.0.0.1", port=0, token=token, apps=OneApp(self.api)
        )
        self.url = ""
        self.session: aiohttp.ClientSession
        self.token = token

    def _set(self, retention: Retention, most: Concurrency) -> None:
        self.host.retention = retention
        self.dispatcher.limit(most)

    async def open(self) -> None:
        await self.host.start()
        self.url = f"http://127.0.0.1:{await self.server.start()}"
        self.session = aiohttp.ClientSession()

    async def close(self) -> None:
        await self.session.close()
        self.dispatcher.close()
        await self.server.stop()
        await self.host.stop()

    def connect(self) -> ToyWorker:
        """A worker with the workflows of this module."""
        return ToyWorker(
            self.dispatcher,
            workflows=WORKFLOWS,
            activities=dict(ACTIVITIES),
            later=asyncio.get_running_loop().call_soon,
        )

    # --- requests -----------------------------------------------------------------------------

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        app: str = APP,
        **query: Any,
    ) -> Reply:
        """One request below the app's path; ``query`` in snake_case, lists are repeated."""
        url = aiohttp.client.URL(f"{self.url}/v1alpha1/apps/{app}{path}", encoded=True)
        pairs = [(_camel(k), str(one)) for k, v in query.items() for one in _list(v)]
        if pairs:
            url = url.update_query(pairs)
        if data is None and body is not None:
            data = json.dumps(body).encode()
        async with self.session.request(method, url, data=data, headers=headers) as answer:
            text = await answer.text()
            return Reply(answer.status, json.loads(text), dict(answer.headers))

    async def get(self, path: str, **query: Any) -> Reply:
        return await self.ask("GET", path, **query)

    async def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        return await self.ask("POST", path, {} if body is None else body, **more)

    async def start(self, workflow: str = "ask", instance_id: str = "", **fields: Any) -> str:
        """Start an instance and return its id."""
        body = {"workflow": workflow, "instanceId": instance_id, **fields}
        answer = await self.post("/instances", body)
        assert answer.status == 201, answer
        return str(answer.body["instance"]["instanceId"])

    async def ended(self, instance_id: str) -> dict[str, Any]:
        """The instance, once it has ended."""
        answer = await self.get(f"/instances/{instance_id}/wait", timeout=60)
        assert answer.body["reached"], answer
        found: dict[str, Any] = answer.body["instance"]
        return found

    async def started(self, instance_id: str) -> None:
        """Wait until the first turn is over."""
        answer = await self.get(f"/instances/{instance_id}/wait", until="started", timeout=60)
        assert answer.body["reached"], answer


@asynccontextmanager
async def served(**options: Any) -> AsyncGenerator[Served, None]:
    """A running engine."""
    engine = Served(**options)
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _list(value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else one for one in values]
