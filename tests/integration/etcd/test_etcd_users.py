"""Users of real servers, known by their certificates: who may do what, also while they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme

from support.etcd import Certificates, Cluster, versions
from tenure_common.errors import EtcdAccessError, EtcdUnavailableError
from tenure_sidecar.etcd import EtcdClient, Tls
from tenure_sidecar.etcd.users import Users
from tenure_sidecar.upkeep import database

SHOP = b"/tenure/shop/"


class Nameless(Certificates):
    """The server's certificate has no common name, as the chart's."""

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        if name != "server":
            return super().issue(name, *hosts)
        return self.written(name, self.authority.issue_cert(*hosts))

    def client(self, user: str) -> Tls:
        """A client's files; trustme wants a host name, the chart's have none."""
        leaf = self.authority.issue_cert(f"{user.replace(':', '-')}.test", common_name=user)
        cert, key = self.written(user.replace(":", "-"), leaf)
        return Tls(str(self.ca), str(cert), str(key))

    def written(self, name: str, leaf: trustme.LeafCert) -> tuple[Path, Path]:
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(key)
        return cert, key


class Store:
    """An etcd that knows clients by their certificates."""

    def __init__(self, folder: Path, version: str) -> None:
        self.certificates = Nameless(folder / "tls")
        self.cluster = Cluster(
            folder / "etcd",
            version=version,
            certificates=self.certificates,
            client_certificates=True,
        )

    def client(self, user: str) -> EtcdClient:
        return EtcdClient(self.cluster.urls, clock=monotonic, tls=self.certificates.client(user))

    def ctl(self, *words: str) -> str:
        """What etcd's own tool prints for the administrator."""
        files = self.certificates.client("root")
        tls = ["--cacert", files.ca, "--cert", files.cert, "--key", files.key]
        return self.cluster.ctl(*words, tls=tls)

    async def may(self, user: str, key: bytes) -> bool:
        """Whether a user may write and read a key."""
        client = self.client(user)
        try:
            await client.put(key, b"x")
            return await client.get(key) is not None
        except EtcdAccessError:
            return False
        finally:
            await client.close()


@pytest.fixture(params=versions())
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    made = Store(tmp_path, request.param)
    with made.cluster:
        yield made


@pytest.fixture
async def root(store: Store) -> AsyncIterator[EtcdClient]:
    client = store.client("root")
    yield client
    await client.close()


async def test_each_gets_its_part_and_no_more(store: Store, root: EtcdClient) -> None:
    assert await store.may("stranger", b"/tenure/shop/a"), "nobody is asked yet"
    assert len(await database.users(root, ["shop"])) == 3
    allowed = {
        ("root", b"/other"): True,
        ("tenure-gateway", b"/tenure/shop/a"): True,
        ("tenure-gateway", b"/tenure/bank/a"): True,
        ("tenure-gateway", b"/other"): False,
        ("tenure:shop", b"/tenure/shop/orders/x"): True,
        ("tenure:shop", b"/tenure/bank/orders/x"): False,
        ("tenure:shop", b"/tenure/shop2/x"): False,
        ("tenure:shop", b"/tenure/"): False,
        ("stranger", b"/tenure/shop/a"): False,
    }
    assert {pair: await store.may(*pair) for pair in allowed} == allowed


async def test_again_changes_nothing(root: EtcdClient) -> None:
    assert await database.users(root)
    assert await database.users(root) == []
    assert await root.users.allow("tenure:shop", SHOP)
    assert not await root.users.allow("tenure:shop", SHOP)
    assert await root.users.names() == ["root", "tenure-gateway", "tenure:shop"]


async def test_half_done_is_finished(store: Store, root: EtcdClient) -> None:
    certificates = store.certificates.client("root")
    tls = ["--cacert", certificates.ca, "--cert", certificates.cert, "--key", certificates.key]
    store.cluster.ctl("user", "add", "root", "--no-password", tls=tls)
    store.cluster.ctl("role", "add", "tenure-gateway", tls=tls)
    assert len(await database.users(root)) == 2
    assert await store.may("tenure-gateway", b"/tenure/a")


async def test_who_is_forgotten_may_do_nothing(store: Store, root: EtcdClient) -> None:
    await database.users(root)
    await root.users.allow("tenure:shop", SHOP)
    assert await store.may("tenure:shop", b"/tenure/shop/a")
    assert await root.users.forget("tenure:shop")
    assert not await store.may("tenure:shop", b"/tenure/shop/a")
    assert not await root.users.forget("tenure:shop")


async def test_a_namespace_that_is_not_served_any_more_has_no_access(
    store: Store, root: EtcdClient
) -> None:
    """Its user is gone and so is its role; what it has written stays."""
    await root.users.allow("backup", b"/tenure/")  # somebody else's
    await database.users(root, ["bank", "shop"])
    assert await store.may("tenure:bank", b"/tenure/bank/a")
    assert await database.users(root, None) == [], "somebody else looks after them"
    assert await database.users(root, ["shop"]) == [
        "etcd: user tenure:bank taken away, its namespace is not served"
    ]
    assert not await store.may("tenure:bank", b"/tenure/bank/a")
    assert await store.may("tenure:shop", b"/tenure/shop/a")
    assert await root.users.names() == ["backup", "root", "tenure-gateway", "tenure:shop"]
    assert "tenure:bank" not in store.ctl("role", "list")
    assert await root.get(b"/tenure/bank/a") is not None
    assert await database.users(root, ["shop"]) == []
    assert await database.users(root, ["bank", "shop"]) == [
        "etcd: user tenure:bank may read and write /tenure/bank/"
    ]
    assert await store.may("tenure:bank", b"/tenure/bank/a")


async def test_whoever_is_served_and_not_looked_at_keeps_access(
    store: Store, root: EtcdClient
) -> None:
    await database.users(root, ["bank", "shop"])
    done, gone = await database.namespaces(root, serve=["depot"], keep=["depot", "shop"])
    assert gone == ["tenure:bank"]
    assert done == [
        "etcd: user tenure:depot may read and write /tenure/depot/",
        "etcd: user tenure:bank taken away, its namespace is not served",
    ]
    for name, may in (("depot", True), ("shop", True), ("bank", False)):
        assert await store.may(f"tenure:{name}", b"/tenure/%s/a" % name.encode()) is may


async def test_what_took_a_user_away_by_half_is_repeated(store: Store, root: EtcdClient) -> None:
    await database.users(root, ["bank"])
    send = root.users._call  # the connection breaks between two requests
    left = 1

    async def once(method: Any, request: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            message = "the connection broke"
            raise EtcdUnavailableError(message)
        return await send(method, request)

    with pytest.raises(EtcdUnavailableError):
        await Users(once).forget("tenure:bank")
    assert not await store.may("tenure:bank", b"/tenure/bank/a")
    assert len(await database.users(root)) == 1
    assert "tenure:bank" not in store.ctl("role", "list") + store.ctl("user", "list")


async def test_only_the_administrator_may(store: Store, root: EtcdClient) -> None:
    await database.users(root)
    gateway = store.client("tenure-gateway")
    with pytest.raises(EtcdAccessError):
        await gateway.users.allow("tenure:shop", SHOP)
    await gateway.close()


async def test_work_goes_on_while_users_come_and_go(store: Store, root: EtcdClient) -> None:
    await database.users(root)
    gateway = store.client("tenure-gateway")
    over = asyncio.Event()
    written = 0

    async def work() -> None:
        nonlocal written
        while not over.is_set():
            await gateway.put(b"/tenure/shop/a", b"x")
            written += 1

    tasks = [asyncio.ensure_future(work()) for _ in range(8)]
    for number in range(40):
        await root.users.allow(f"tenure:n{number}", b"/tenure/n%d/" % number)
    over.set()
    await asyncio.gather(*tasks)
    assert written > 40
    await gateway.close()


async def test_free_space_is_given_back(store: Store, root: EtcdClient) -> None:
    big = b"x" * 400_000
    for number in range(40):
        await root.put(b"/tenure/%d" % number, big)
    await root.delete(b"/tenure/", b"/tenure0")
    (before,) = await root.status()
    await root.compact(before.revision)
    while before.size - before.in_use < 10_000_000:  # told after further commits
        await root.put(b"/tenure/", b"x")
        (before,) = await root.status()
    assert await database.space(root, members=1, quota=1 << 30, least=1 << 40) == []
    (done,) = await database.space(root, members=1, quota=1 << 30, least=1 << 20)
    assert "defragmented" in done
    (after,) = await root.status()
    assert after.size < before.size / 4
    (said,) = await database.space(root, members=3, quota=1 << 30, least=1)
    assert "1 of 3 members answer" in said


async def test_an_etcd_that_is_away(store: Store, root: EtcdClient) -> None:
    store.cluster.members[0].kill()
    with pytest.raises(EtcdUnavailableError):
        await database.insist(lambda: database.users(root), within=0, clock=monotonic)


async def test_what_an_etcd_that_is_started_again_interrupts_is_done_again(
    store: Store, root: EtcdClient
) -> None:
    (member,) = store.cluster.members
    attempts = 0

    async def attempt() -> list[str]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            member.kill()
        elif attempts == 2:
            member.start()
        return await database.users(root)

    assert len(await database.insist(attempt, within=60, clock=monotonic)) == 2
    assert attempts > 1
