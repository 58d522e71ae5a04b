"""Who may connect to the peers' port, and certificates that change and end while streams are open.

In scope: the port itself, from outside, with every wrong certificate there is; F23.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import trustme

from support.lenders import PARTITIONS, Member, Members, fan_out, until
from tenure_sidecar.dispatch.dispatcher import Dispatcher, Leases
from tenure_sidecar.peers import frames
from tenure_sidecar.peers import mesh as mesh_module
from tenure_sidecar.peers import tls as tls_module
from tenure_sidecar.peers.link import Link
from tenure_sidecar.peers.mesh import Mesh
from tenure_sidecar.peers.tls import PeerTls, app_name

APP = app_name("ns", "sim")
WORD = "the word of the process"

pytestmark = pytest.mark.timeout(300)


class Files:
    """A sidecar's certificate, key and authorities, as files that can be replaced."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.authority = authority
        authority.cert_pem.write_to_path(folder / "ca.pem")
        self.issue(APP)

    def issue(self, *names: str, seconds: float = 3600) -> None:
        """A new certificate for these names."""
        leaf = self.authority.issue_cert(
            *names, not_after=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        )
        leaf.private_key_and_cert_chain_pem.write_to_path(self._folder / "new.pem")
        (self._folder / "new.pem").replace(self._folder / "both.pem")

    @property
    def tls(self) -> PeerTls:
        """As the sidecar uses them."""
        both = str(self._folder / "both.pem")
        return PeerTls(
            certificate=both, key=both, ca=str(self._folder / "ca.pem"), app=APP, now=time.time
        )

    def credentials(self, *, client: bool = True) -> grpc.ChannelCredentials:
        """As a caller shows them; without ``client`` it shows none."""
        ca = (self._folder / "ca.pem").read_bytes()
        both = (self._folder / "both.pem").read_bytes()
        return grpc.ssl_channel_credentials(ca, *((both, both) if client else ()))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "ours", trustme.CA())


async def listening(tls: PeerTls | None) -> Mesh:
    """A process that is reached by WORD."""
    mesh = Mesh(
        Dispatcher(clock=time.time_ns, nonce="n", leases=Leases()),
        host="127.0.0.1",
        port=0,
        hello=frames.Hello("server", "ns", "sim", WORD),
        clock=time.time_ns,
        tls=tls,
    )
    await mesh.start()
    return mesh


@pytest.fixture
async def server(files: Files) -> AsyncIterator[Mesh]:
    mesh = await listening(files.tls)
    yield mesh
    await mesh.stop()


@pytest.fixture
async def plain() -> AsyncIterator[Mesh]:
    mesh = await listening(None)
    yield mesh
    await mesh.stop()


async def said(
    server: Mesh,
    credentials: grpc.ChannelCredentials | None,
    *,
    to: str = WORD,
    namespace: str = "ns",
    app_id: str = "sim",
    first: bytes | None = None,
) -> frames.Hello | grpc.StatusCode:
    """What the server says to a caller, or how it sends it away."""
    address = server.neighbours.address
    named = [("grpc.ssl_target_name_override", APP)]
    channel: Any = (
        grpc.aio.insecure_channel(address)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials, options=named)
    )
    async with channel:
        call = channel.stream_stream(frames.PATH)()
        hello = frames.Hello("caller", namespace, app_id, "w", to=to)
        try:
            await call.write(first or frames.join([frames.encode(hello)]))
            answer = frames.from_peer(await call.read())[0]
        except grpc.aio.AioRpcError:
            return await call.code()  # type: ignore[no-any-return] # a write only says that it is over
        assert isinstance(answer, frames.Hello)
        return answer


# --- who may ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [APP, "*.ns.peers.tenure.dev"])
async def test_a_sidecar_of_the_app_is_let_in(server: Mesh, files: Files, name: str) -> None:
    files.issue(name)
    answer = await said(server, files.credentials())
    assert isinstance(answer, frames.Hello)
    assert answer.word == WORD
    assert 3000 < (answer.good_for or 0) <= 3600


@pytest.mark.parametrize(
    "name",
    [
        app_name("ns", "other"),
        app_name("elsewhere", "sim"),
        "*.elsewhere.peers.tenure.dev",
        "*.peers.tenure.dev",
        f"x.{APP}",
        "ns.peers.tenure.dev",
    ],
)
async def test_a_certificate_of_another_app_is_refused(
    server: Mesh, files: Files, tmp_path: Path, name: str
) -> None:
    theirs = Files(tmp_path / "theirs", files.authority)
    theirs.issue(name)
    assert await said(server, theirs.credentials()) is grpc.StatusCode.PERMISSION_DENIED


async def test_a_certificate_without_a_dns_name_is_refused(
    server: Mesh, files: Files, tmp_path: Path
) -> None:
    theirs = Files(tmp_path / "theirs", files.authority)
    theirs.issue("127.0.0.1")
    assert await said(server, theirs.credentials()) is grpc.StatusCode.PERMISSION_DENIED


async def test_a_caller_who_is_late_with_its_name_is_told_why_it_is_refused(
    server: Mesh, files: Files, tmp_path: Path
) -> None:
    theirs = Files(tmp_path / "theirs", files.authority)
    theirs.issue("127.0.0.1")
    named = [("grpc.ssl_target_name_override", APP)]
    channel: Any = grpc.aio.secure_channel(
        server.neighbours.address, theirs.credentials(), options=named
    )
    hello = frames.join([frames.encode(frames.Hello("caller", "ns", "sim", "w", to=WORD))])
    async with channel:
        late, prompt = (channel.stream_stream(frames.PATH)() for _ in range(2))
        await late.wait_for_connection()
        await prompt.write(hello)
        assert await prompt.code() is grpc.StatusCode.PERMISSION_DENIED
        # The server has had the late call before it, on the same connection.
        await late.write(hello)
        assert await late.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "not for" in await late.details()


async def test_a_certificate_of_another_authority_is_refused(
    server: Mesh, files: Files, tmp_path: Path
) -> None:
    theirs = Files(tmp_path / "theirs", trustme.CA())
    files.authority.cert_pem.write_to_path(tmp_path / "theirs" / "ca.pem")  # it trusts ours
    assert await said(server, theirs.credentials()) is grpc.StatusCode.UNAVAILABLE


async def test_a_caller_without_a_certificate_is_refused(server: Mesh, files: Files) -> None:
    refused = await said(server, files.credentials(client=False))
    assert refused is grpc.StatusCode.UNAVAILABLE


async def test_a_plain_caller_is_refused_where_there_is_tls(server: Mesh) -> None:
    assert await said(server, None) is grpc.StatusCode.UNAVAILABLE


async def test_an_ended_certificate_is_refused(server: Mesh, files: Files, tmp_path: Path) -> None:
    theirs = Files(tmp_path / "theirs", files.authority)
    theirs.issue(APP, seconds=-1)
    assert await said(server, theirs.credentials()) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("to", ["", "another word"])
async def test_who_does_not_know_the_word_is_refused(plain: Mesh, server: Mesh, to: str) -> None:
    assert await said(plain, None, to=to) is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("where", [{"namespace": "x"}, {"app_id": "x"}])
async def test_another_app_is_refused_whatever_its_certificate(
    server: Mesh, files: Files, where: dict[str, str]
) -> None:
    files.issue("*.ns.peers.tenure.dev")
    assert await said(server, files.credentials(), **where) is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    "first",
    [b"\x91\x92\x01\xc3", b"\x90", b"\xff", b"\x91\x93\x00"],
    ids=["want", "no", "?", "cut"],
)
async def test_a_caller_that_does_not_say_who_it_is_is_refused(plain: Mesh, first: bytes) -> None:
    assert await said(plain, None, first=first) is grpc.StatusCode.INVALID_ARGUMENT


# --- whom one connects to ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [app_name("ns", "other"), "127.0.0.1"])
async def test_a_server_with_a_certificate_of_another_app_is_not_lent_to(
    files: Files, tmp_path: Path, name: str
) -> None:
    theirs = Files(tmp_path / "theirs", files.authority)
    theirs.issue(name)
    impostor = await listening(theirs.tls)
    caller = await listening(files.tls)
    assert await caller._dial("impostor", (impostor.neighbours.address, WORD)) is False
    await caller.stop()
    await impostor.stop()


async def test_a_server_without_tls_is_not_lent_to(plain: Mesh, server: Mesh) -> None:
    assert await server._dial("plain", (plain.neighbours.address, WORD)) is False
    assert await plain._dial("tls", (server.neighbours.address, WORD)) is False


# --- certificates that change -----------------------------------------------------------------------


@pytest.fixture
async def members() -> AsyncIterator[Members]:
    made = Members()
    yield made
    await made.stop()


async def test_activities_are_lent_while_certificates_come_and_go(
    files: Files, tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F23: connections are made anew all the time; nothing is lost, late or run again."""
    monkeypatch.setattr(mesh_module, "_LOOK", 0.01)
    monkeypatch.setattr(tls_module, "_RENEW_AFTER", 0)
    monkeypatch.setattr(tls_module, "_RENEW_MIN", 0.05)
    theirs = Files(tmp_path / "theirs", files.authority)
    owner = await members.start("owner", tls=files.tls)
    peer = await members.start("peer", tls=theirs.tls)
    near, away = owner.worker(1), peer.worker(1)
    await members.settled()
    await fan_out(owner, near, 6)
    for _ in range(5):
        await until(lambda: away.tasks, "the peer has one")
        (old,) = [link for link in owner.links if link.lent]
        for one in (files, theirs):
            one.issue(APP)
        await until(lambda: len(owner.links) > 1, "a new connection")
        assert [link for link in owner.links if link.lent] == [old]
        answer = away.complete(away.tasks.popleft())
        await until(partial(_gone, old, owner), "the old connection is closed")
        await until(partial(getattr, answer, "errors"), "the result is answered")
        assert answer.acknowledged
    assert owner.dispatcher.redelivered == 0
    assert owner.dispatcher.ignored == 0
    assert owner.mesh is not None
    assert not owner.mesh.neighbours.suspects


def _gone(link: Link, owner: Member) -> bool:
    return link not in owner.links


async def test_a_connection_does_not_outlive_its_certificate(
    files: Files, tmp_path: Path, server: Mesh
) -> None:
    theirs = Files(tmp_path / "theirs", files.authority)
    theirs.issue(APP, seconds=3)
    channel: Any = grpc.aio.secure_channel(
        server.neighbours.address,
        theirs.credentials(),
        options=[("grpc.ssl_target_name_override", APP)],
    )
    async with channel:
        call = channel.stream_stream(frames.PATH)()
        await call.write(frames.join([frames.encode(frames.Hello("c", "ns", "sim", "w", to=WORD))]))
        assert await _end(call) is grpc.StatusCode.UNAUTHENTICATED


async def _end(call: Any) -> grpc.StatusCode:
    """Read a stream to its end; how it ended."""
    try:
        while True:
            await call.read()
    except grpc.aio.AioRpcError as error:
        return error.code()


async def test_a_sidecar_without_certificates_is_for_itself_until_they_come(
    files: Files, tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pod they come from a Secret, which may be filled after the pod has started."""
    monkeypatch.setattr(mesh_module, "_LOOK", 0.01)
    late = Files(tmp_path / "late", files.authority)
    both = tmp_path / "late" / "both.pem"
    both.unlink()
    owner = await members.start("owner", tls=files.tls)
    peer = await members.start("peer", tls=late.tls)
    assert peer.mesh is not None
    near = owner.worker(1)
    peer.worker(1)
    await until(lambda: len(owner.partitions | peer.partitions) == PARTITIONS, "all is owned")
    await until(lambda: owner.partitions and peer.partitions, "each has some")
    assert not peer.mesh.neighbours.address
    assert not owner.links
    assert not peer.links
    await fan_out(owner, near, 3)
    assert len(near.tasks) == 1
    late.issue(APP)
    await until(lambda: peer.dispatcher.loans.taken, "the peer has one")
    assert peer.mesh.neighbours.address


async def test_changed_files_are_used_before_the_old_ones_end(
    files: Files, tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_module, "_LOOK", 0.01)
    theirs = Files(tmp_path / "theirs", files.authority)
    owner = await members.start("owner", tls=files.tls)
    await members.start("peer", tls=theirs.tls)
    owner.worker(1)
    await members.settled()
    (first,) = owner.links
    files.issue(APP)
    await until(lambda: first not in owner.links and owner.links, "a new connection")
