"""Reviews over real TLS: what the API server meets on the wire.

Out of scope: decisions (tests/unit/injector) and the Kubernetes API (tests/kubernetes).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import trustme

from support.pods import CONFIG, applied, body, engine, pod
from support.ports import free_ports
from tenure_common import clock
from tenure_common.errors import BadCertificateError, BadSettingError, PortInUseError
from tenure_common.health import Listener
from tenure_injector import server as server_module
from tenure_injector.events import QUEUE, Events
from tenure_injector.files import Files
from tenure_injector.meters import Meters
from tenure_injector.pods import Json
from tenure_injector.server import Webhook
from tenure_injector.tls import ServerTls

LIMIT = 20_000
NAME = "tenure-injector.tenure-system.svc"


class Sent:
    """Takes Events instead of a cluster."""

    def __init__(self) -> None:
        self.events: list[Json] = []

    async def create_event(self, event: Json) -> None:
        self.events.append(event)


class Running:
    """A webhook on a port with certificate files, and how to talk to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.meters = Meters()
        self.sent = Sent()
        self.events = Events(
            self.sent, instance="i", wall_ns=lambda: 0, monotonic=lambda: 0.0, meters=self.meters
        )
        self.tls = ServerTls()
        self.write(self.authority)
        self.files = Files(
            certificate=str(folder / "tls.crt"),
            key=str(folder / "tls.key"),
            now=lambda: clock.wall_ns() / 1e9,
            use=self.tls.load,
            meters=self.meters,
        )
        self.context = trusting(self.authority)
        self.port = 0

    def write(self, authority: trustme.CA) -> None:
        """Certificate files of that authority."""
        leaf = authority.issue_cert(NAME, "127.0.0.1")
        leaf.private_key_pem.write_to_path(self.folder / "tls.key")
        chain = b"".join(one.bytes() for one in leaf.cert_chain_pems)
        (self.folder / "tls.crt").write_bytes(chain)

    def listener(self, *, tls: ServerTls | None = None, **more: Any) -> Listener:
        config = msgspec.structs.replace(CONFIG, max_review_bytes=LIMIT)
        webhook = Webhook(
            config,
            events=self.events,
            meters=self.meters,
            monotonic=clock.monotonic,
            stopping=lambda: False,
        )
        wanted = {
            "host": "127.0.0.1",
            "port": 0,
            "flag": "--port",
            "tls": (tls or self.tls).context,
        }
        return Listener(webhook.app(), **{**wanted, **more})

    async def review(self, data: Any, **more: Any) -> tuple[int, Any]:
        """Post on a connection of its own."""
        async with aiohttp.ClientSession() as session:
            return await self.post(session, data, **more)

    async def post(self, session: aiohttp.ClientSession, data: Any, **more: Any) -> tuple[int, Any]:
        url = f"https://127.0.0.1:{self.port}/mutate"
        async with session.post(url, data=data, **{"ssl": self.context, **more}) as answer:
            return answer.status, json.loads(await answer.text())

    async def raw(self, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which ``head`` was sent."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context, server_hostname=NAME
        )
        writer.write(b"POST /mutate HTTP/1.1\r\nHost: x\r\n" + head)
        return reader, writer


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(tmp_path)
    made.files.look()
    listener = made.listener()
    made.port = await listener.start()
    yield made
    await listener.stop()
    await listener.stop()


async def test_review(running: Running) -> None:
    made = pod()
    status, document = await running.review(body(made))
    assert status == 200
    assert engine(applied(made, document["response"]))["args"][1] == "--app-id=orders"
    assert running.meters.reviews == {("inject", "Injected"): 1}
    assert sum(running.meters.seconds.counts) == 1


async def test_many_reviews_on_one_connection(running: Running) -> None:
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        for number in range(50):
            _, document = await running.post(session, body(pod(), uid=f"u{number}"))
            assert document["response"]["uid"] == f"u{number}"


async def test_many_reviews_at_a_time(running: Running) -> None:
    wanted = [f"u{number}" for number in range(300)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:
        answers = await asyncio.gather(
            *(running.post(session, body(pod(), uid=uid)) for uid in wanted)
        )
    assert [document["response"]["uid"] for _, document in answers] == wanted


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a": ' * 3000, b'{"kind": "Pod"}'],
    ids=["empty", "cut", "list", "null", "not-utf-8", "deep", "pod"],
)
async def test_malformed_review_is_refused_and_the_server_goes_on(
    running: Running, data: bytes
) -> None:
    status, document = await running.review(data)
    assert (status, document["code"]) == (400, "TN0901")
    assert document["message"].startswith("the body is not an AdmissionReview")
    assert (await running.review(body(pod())))[0] == 200
    assert running.meters.rejected == {("BadReviewError",): 1}


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_body_that_is_not_packed_as_announced_is_refused(
    running: Running, encoding: str
) -> None:
    head = f"Content-Encoding: {encoding}\r\nContent-Length: 20\r\n\r\n".encode()
    reader, writer = await running.raw(head + b"\x00" * 20)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"TN0901" in answer
    assert running.meters.rejected == {("BadReviewError",): 1}


async def test_caller_that_leaves_is_no_failure_of_ours(running: Running) -> None:
    _, writer = await running.raw(b"Content-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    async with asyncio.timeout(60):
        while not running.meters.rejected:
            await asyncio.sleep(0.01)
    assert running.meters.rejected == {("BadReviewError",): 1}


async def test_malformed_pod_is_denied(running: Running) -> None:
    status, document = await running.review(body({"spec": {"containers": 7}}))
    assert status == 200
    assert document["response"]["allowed"] is False
    assert "$.spec.containers" in document["response"]["status"]["message"]


async def test_body_of_the_limit_is_read_and_one_byte_more_is_not(running: Running) -> None:
    text = body(pod())
    status, _ = await running.review(text + b" " * (LIMIT - len(text)))
    assert status == 200
    status, document = await running.review(text + b" " * (LIMIT + 1 - len(text)))
    assert (status, document["code"]) == (413, "TN0201")


async def test_announced_size_is_refused_before_the_body_comes(running: Running) -> None:
    reader, writer = await running.raw(b"Content-Length: 1000000000000\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_body_without_a_size_is_bounded_too(running: Running) -> None:
    chunk = b"3e8\r\n" + b" " * 1000 + b"\r\n"
    reader, writer = await running.raw(b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 21)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_body_that_does_not_come_is_given_up(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "BODY_SECONDS", 0.05)
    reader, writer = await running.raw(b"Content-Length: 100\r\n\r\n{")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400")
    writer.close()


async def test_more_bodies_than_fit_wait_their_turn(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All places are taken by bodies that do not come; a review is answered once they are given up.
    monkeypatch.setattr(server_module, "BODY_SECONDS", 0.2)
    stalled = [
        await running.raw(b"Content-Length: 100\r\n\r\n{") for _ in range(server_module.BODIES)
    ]
    assert (await running.review(body(pod())))[0] == 200
    for _, writer in stalled:
        writer.close()


async def test_unexpected_failure_is_answered(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(server_module.Replies, "to", fail)
    status, document = await running.review(body(pod()))
    assert (status, document["code"]) == (500, "TN0900")
    assert document["message"] == "the review failed: ZeroDivisionError: oops"


async def test_other_paths_and_methods(running: Running) -> None:
    async with aiohttp.ClientSession() as session:
        for method, path, status in (
            ("GET", "mutate", 405),
            ("POST", "mutate/", 404),
            ("GET", "metrics", 404),  # those are on the other port
        ):
            url = f"https://127.0.0.1:{running.port}/{path}"
            async with session.request(method, url, ssl=running.context) as answer:
                assert answer.status == status


# --- certificates ---------------------------------------------------------------------------------


async def test_certificate_is_replaced_under_open_connections(running: Running) -> None:
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        await running.post(session, body(pod()))
        other = trustme.CA()
        running.write(other)
        running.files.look()
        assert (await running.post(session, body(pod())))[0] == 200, "the open one goes on"
        assert (await running.review(body(pod()), ssl=trusting(other)))[0] == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await running.review(body(pod()))


async def test_pair_that_does_not_fit_changes_nothing(running: Running) -> None:
    (running.folder / "tls.key").write_bytes(trustme.CA().private_key_pem.bytes())
    with pytest.raises(BadCertificateError, match="cannot be used"):
        running.files.look()
    (running.folder / "tls.crt").unlink()
    with pytest.raises(BadCertificateError, match="cannot read"):
        running.files.look()
    assert running.files.problem == ""
    assert (await running.review(body(pod())))[0] == 200


async def test_files_that_are_not_there_yet_are_waited_for(tmp_path: Path) -> None:
    made = Running(tmp_path)
    key = (tmp_path / "tls.key").read_bytes()
    (tmp_path / "tls.key").unlink()
    task = asyncio.get_running_loop().create_task(made.files.run())
    while not made.files.looks:
        await asyncio.sleep(0)
    assert "tls.key" in made.files.problem
    (tmp_path / "tls.key").write_bytes(key)
    made.files.look()
    assert made.files.problem == ""
    task.cancel()


async def test_callers_must_show_a_certificate_where_one_is_asked(tmp_path: Path) -> None:
    made = Running(tmp_path)
    callers = trustme.CA()
    callers.cert_pem.write_to_path(tmp_path / "callers.crt")
    tls = ServerTls(client_ca=str(tmp_path / "callers.crt"))
    tls.load((tmp_path / "tls.crt").read_bytes(), (tmp_path / "tls.key").read_bytes())
    listener = made.listener(tls=tls)
    made.port = await listener.start()
    with pytest.raises(aiohttp.ClientError):
        await made.review(body(pod()))
    context = trusting(made.authority)
    callers.issue_cert("apiserver").configure_cert(context)
    assert (await made.review(body(pod()), ssl=context))[0] == 200
    await listener.stop()


def test_unreadable_ca_of_callers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettingError, match="callers' CA"):
        ServerTls(client_ca=str(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("host", "addresses"),
    [("", ("127.0.0.1", "::1")), ("::", ("::1",)), ("::1", ("::1",))],
    ids=["all", "ipv6", "ipv6-loopback"],
)
async def test_addresses_of_both_kinds(
    running: Running, host: str, addresses: tuple[str, ...]
) -> None:
    (port,) = free_ports(1)
    listener = running.listener(host=host, port=port)
    assert await listener.start() == port
    for address in addresses:
        _, writer = await asyncio.open_connection(
            address, port, ssl=running.context, server_hostname=NAME
        )
        writer.close()
    with pytest.raises(PortInUseError, match=r"(\*|\[::1?\]):\d+ is taken"):
        await running.listener(host=host, port=port).start()
    await listener.stop()


async def test_port_that_cannot_be_had(running: Running) -> None:
    with pytest.raises(PortInUseError, match="--port"):
        await running.listener(port=running.port).start()
    with pytest.raises(BadSettingError, match="cannot listen on 192.0.2.1"):
        await running.listener(host="192.0.2.1").start()


# --- events beside the reviews --------------------------------------------------------------------


async def test_events_are_sent_beside_and_not_for_dry_runs(running: Running) -> None:
    task = asyncio.get_running_loop().create_task(running.events.run())
    await running.review(body(pod(), dryRun=True))
    await running.review(body(pod(annotations={"tenure.dev/typo": "1"})))
    await running.review(body(pod()))
    while running.meters.events["sent",] < 2:
        await asyncio.sleep(0)
    assert [one["reason"] for one in running.sent.events] == ["Injected", "DoubtfulAnnotation"]
    assert running.meters.events["repeated",] == 1
    task.cancel()


async def test_the_answer_does_not_wait_for_what_is_told_about_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def notices(*_: Any, **__: Any) -> list[Any]:
        told.append("told")
        raise ZeroDivisionError("oops")

    failed: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: failed.append(context["exception"]))
    monkeypatch.setattr(server_module, "notices", notices)
    assert (await running.review(body(pod())))[0] == 200
    assert (told, list(map(type, failed))) == (["told"], [ZeroDivisionError])
    assert not running.meters.rejected


async def test_events_that_do_not_fit_are_dropped(running: Running) -> None:
    async with aiohttp.ClientSession() as session:
        for number in range(QUEUE + 20):
            await running.post(session, body(pod(name=f"orders-{number}")))
    assert running.meters.events == {("dropped",): 20}
