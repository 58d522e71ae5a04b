"""TLS, client certificates and users, on real servers; certificates that change while in use."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import grpc
import pytest
import trustme

from support.etcd import Certificates, Cluster
from support.readable import readable
from tenure_common.errors import BadSettingError, EtcdAccessError, EtcdUnavailableError
from tenure_sidecar.etcd import EtcdClient, Get, Put, Tls, User, prefix_end

ROOT = User("root", "secret")


class Clock:
    """The monotonic clock, and jumps."""

    def __init__(self) -> None:
        self.jumped = 0.0

    def __call__(self) -> float:
        return monotonic() + self.jumped


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Cluster]:
    """Wants a client certificate of every client."""
    folder = tmp_path_factory.mktemp("secure")
    with Cluster(folder, certificates=certificates, client_certificates=True) as cluster:
        yield cluster


def tls_of(certificates: Certificates, name: str = "client") -> Tls:
    cert, key = certificates.issue(name)
    return Tls(str(certificates.ca), str(cert), str(key))


class Rotated:
    """A client's files in ``folder``, which are replaced while they are in use."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self.cert, self.key = folder / "tls.crt", folder / "tls.key"
        self.tls = Tls(str(certificates.ca), str(self.cert), str(self.key))

    def put(self, pair: tuple[Path | str, Path | str]) -> None:
        """Certificate and key are these from now on."""
        for source, target in zip(pair, (self.cert, self.key), strict=True):
            shutil.copy(source, target)


async def test_mutual_tls(secure: Cluster, certificates: Certificates, prefix: bytes) -> None:
    client = EtcdClient(secure.urls, clock=monotonic, tls=tls_of(certificates))
    await client.put(prefix, b"1")
    watch = client.watch(prefix)
    await watch.started()
    term = await client.lease_grant(60)
    await client.keep_alive(term.id, within=5)
    await client.put(prefix, b"2")
    assert (await anext(watch)).events[0].kv.value == b"2"
    await client.close()


@pytest.mark.parametrize("fault", ["no certificate", "other authority", "no roots", "plain"])
async def test_without_the_right_certificates_nothing_is_sent(
    fault: str, secure: Cluster, certificates: Certificates, tmp_path: Path, prefix: bytes
) -> None:
    good = tls_of(certificates)
    other = Certificates(tmp_path / "other")
    cert, key = other.issue("client")
    tls = {
        "no certificate": Tls(ca=good.ca),
        "other authority": Tls(good.ca, str(cert), str(key)),
        "no roots": Tls("", good.cert, good.key),
        "plain": None,
    }[fault]
    urls = [url.replace("https", "http") for url in secure.urls] if tls is None else secure.urls
    client = EtcdClient(urls, clock=monotonic, tls=tls, connect_timeout=0.5, timeout=2.0)
    with pytest.raises(EtcdUnavailableError):
        await client.get(prefix)
    await client.close()


def test_files_must_be_there(tmp_path: Path) -> None:
    async def make() -> None:
        EtcdClient(["https://e:1"], clock=monotonic, tls=Tls(ca=str(tmp_path / "none.pem")))

    with pytest.raises(BadSettingError, match=r"none\.pem"):
        asyncio.run(make())


@pytest.mark.parametrize("urls", [[], ["e:1"], ["ftp://e:1"], ["http://e:1", "https://e:2"]])
async def test_endpoints_are_urls_of_one_kind(urls: list[str]) -> None:
    with pytest.raises(BadSettingError, match="http://host:port"):
        EtcdClient(urls, clock=monotonic)


async def test_rotated_files_are_used_for_new_connections(
    secure: Cluster, certificates: Certificates, tmp_path: Path, prefix: bytes
) -> None:
    files = Rotated(tmp_path, certificates)
    # At first a certificate that etcd does not take.
    files.put(Certificates(tmp_path / "other").issue("client"))
    client = EtcdClient(
        secure.urls,
        clock=monotonic,
        tls=files.tls,
        connect_timeout=0.5,
        timeout=5.0,
    )
    with pytest.raises(EtcdUnavailableError):
        await client.get(prefix)
    files.put(certificates.issue("client"))
    assert await readable(client, prefix) is None
    await client.close()


async def test_rotation_does_not_disturb_what_runs(
    secure: Cluster, certificates: Certificates, tmp_path: Path, prefix: bytes
) -> None:
    files = Rotated(tmp_path, certificates)
    files.put(certificates.issue("one"))
    clock = Clock()
    client = EtcdClient(secure.urls, clock=clock, tls=files.tls)
    watch = client.watch(prefix, prefix_end(prefix))
    await watch.started()
    before = client._pool.endpoints[0]
    await client.put(prefix + b"0", b"")
    files.put(certificates.issue("two"))
    clock.jumped = 60.0
    slow = asyncio.create_task(client.put(prefix + b"1", b"x" * 1_000_000))
    await client.put(prefix + b"2", b"")
    await slow
    while client._pool.endpoints[0] is before:  # until one that is connected takes its place
        await client.put(prefix + b"2", b"")
    seen: set[bytes] = set()
    while len(seen) < 3:
        batch = await anext(watch)
        assert not batch.gap
        seen |= {event.kv.key.removeprefix(prefix) for event in batch.events}
    await client.close()


async def test_half_written_files_do_not_stop_what_runs(
    secure: Cluster, certificates: Certificates, tmp_path: Path, prefix: bytes
) -> None:
    files = Rotated(tmp_path, certificates)
    files.put(certificates.issue("one"))
    clock = Clock()
    client = EtcdClient(secure.urls, clock=clock, tls=files.tls)
    await client.put(prefix, b"1")
    files.cert.unlink()
    clock.jumped = 60.0
    await client.put(prefix, b"2")
    await client.close()


@pytest.mark.parametrize("fault", ["half", "other authority"])
async def test_files_that_etcd_does_not_take_do_not_stop_what_runs(
    fault: str, secure: Cluster, certificates: Certificates, tmp_path: Path, prefix: bytes
) -> None:
    files = Rotated(tmp_path, certificates)
    files.put(certificates.issue("one"))
    clock = Clock()
    client = EtcdClient(secure.urls, clock=clock, tls=files.tls)
    await client.put(prefix, b"1")
    before = client._pool.endpoints[0]
    other = certificates if fault == "half" else Certificates(tmp_path / "other")
    new = other.issue("two")
    shutil.copy(new[0], files.cert)
    if fault != "half":
        shutil.copy(new[1], files.key)
    clock.jumped = 60.0
    await client.put(prefix, b"2")
    (coming,) = client._pool._coming
    state = coming.channel.get_state()
    while state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:  # it was tried
        await coming.channel.wait_for_state_change(state)
        state = coming.channel.get_state()
    await client.put(prefix, b"3")
    assert client._pool.endpoints[0] is before
    files.put(certificates.issue("three"))
    clock.jumped = 120.0
    while client._pool.endpoints[0] is before:
        await client.put(prefix, b"4")
    await client.close()


async def test_a_lease_is_renewed_with_the_newer_certificate(
    secure: Cluster, certificates: Certificates, tmp_path: Path
) -> None:
    files = Rotated(tmp_path, certificates)
    files.put(certificates.issue("one"))
    clock = Clock()
    client = EtcdClient(secure.urls, clock=clock, tls=files.tls)
    term = await client.lease_grant(600)
    await client.keep_alive(term.id, within=5)
    stream = client._keep_alives._stream
    assert stream is not None
    files.put(certificates.issue("two"))
    clock.jumped = 60.0
    while client._keep_alives._stream is stream:
        await client.keep_alive(term.id, within=5)
    assert (await client.keep_alive(term.id, within=5)).ttl == 600
    await client.close()


# --- users ----------------------------------------------------------------------------------------


@pytest.fixture(params=["simple", "jwt"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path, prefix: bytes) -> Iterator[Cluster]:
    """With users: ``root``, and ``app`` whose role covers ``prefix``."""
    token = "simple"
    if request.param == "jwt":
        authority = trustme.CA(key_type=trustme.KeyType.RSA)
        leaf = authority.issue_cert("jwt.test", key_type=trustme.KeyType.RSA)
        leaf.private_key_pem.write_to_path(tmp_path / "jwt.key")
        leaf.cert_chain_pems[0].write_to_path(tmp_path / "jwt.pem")
        token = (
            f"jwt,pub-key={tmp_path / 'jwt.pem'},priv-key={tmp_path / 'jwt.key'},"
            "sign-method=RS256,ttl=2s"
        )
    with Cluster(tmp_path / "etcd", extra=["--auth-token", token]) as cluster:
        cluster.ctl("user", "add", "root:secret")
        cluster.ctl("user", "grant-role", "root", "root")
        cluster.ctl("user", "add", "app:pass")
        cluster.ctl("role", "add", "app")
        end = prefix_end(prefix).decode()
        cluster.ctl("role", "grant-permission", "app", "readwrite", prefix.decode(), end)
        cluster.ctl("user", "grant-role", "app", "app")
        cluster.ctl("auth", "enable")
        yield cluster


async def test_a_user_may_do_what_the_role_says(guarded: Cluster, prefix: bytes) -> None:
    client = EtcdClient(guarded.urls, clock=monotonic, user=User("app", "pass"))
    await client.put(prefix + b"a", b"1")
    assert len((await client.range(Get(prefix, prefix_end(prefix)))).kvs) == 1
    with pytest.raises(EtcdAccessError, match="permission denied"):
        await client.put(b"/elsewhere", b"")
    with pytest.raises(EtcdAccessError):
        await client.txn((), (Put(prefix + b"b", b""), Put(b"/elsewhere", b"")))
    assert await client.get(prefix + b"b") is None
    watch, forbidden = client.watch(prefix, prefix_end(prefix)), client.watch(b"/elsewhere")
    with pytest.raises(EtcdAccessError):
        await anext(forbidden)
    await watch.started()
    await client.put(prefix + b"c", b"")
    assert (await anext(watch)).events[0].kv.key == prefix + b"c"
    lease = await client.lease_grant(60)
    assert (await client.keep_alive(lease.id, within=5)).ttl == 60
    await client.close()


@pytest.mark.parametrize("user", [None, User("app", "wrong"), User("nobody", "pass")])
async def test_who_is_not_known_is_told_so(
    user: User | None, guarded: Cluster, prefix: bytes
) -> None:
    client = EtcdClient(guarded.urls, clock=monotonic, user=user)
    with pytest.raises(EtcdAccessError):
        await client.put(prefix, b"")
    watch = client.watch(prefix)
    if user is None:
        with pytest.raises(EtcdAccessError):
            await anext(watch)
    await client.close()


async def test_a_token_that_ended_is_replaced_and_the_write_happens_once(
    guarded: Cluster, prefix: bytes
) -> None:
    client = EtcdClient(guarded.urls, clock=monotonic, user=User("app", "pass"))
    watch = client.watch(prefix, prefix_end(prefix))
    first = await client.put(prefix + b"a", b"1")
    await watch.started()
    (member,) = guarded.members
    member.kill()  # simple tokens are gone, and the users' revision is another one for all
    member.start()
    guarded.wait_ready()
    guarded.ctl("user", "add", "another:pass", user="root:secret")
    revision = await client.put(prefix + b"b", b"2")
    assert revision == first + 1
    while True:
        batch = await anext(watch)
        assert not batch.gap
        if batch.revision == revision:
            break
    later = client.watch(prefix, prefix_end(prefix))
    await later.started()
    await client.close()


async def test_a_token_that_ran_out_is_replaced(tmp_path: Path, prefix: bytes) -> None:
    # A token is refused for its age: forged here, because waiting for it would take a while.
    with Cluster(tmp_path / "etcd") as cluster:
        cluster.ctl("user", "add", "root:secret")
        cluster.ctl("user", "grant-role", "root", "root")
        cluster.ctl("auth", "enable")
        client = EtcdClient(cluster.urls, clock=monotonic, user=ROOT)
        await client.put(prefix, b"1")
        client._tokens._token = "stale.1"
        await client.put(prefix, b"2")
        client._tokens._token = "stale.1"
        found = await asyncio.gather(*(client.get(prefix) for _ in range(10)))
        assert {kv.value for kv in found if kv} == {b"2"}
        client._tokens._token = "stale.1"
        term = await client.lease_grant(60)
        client._tokens._token = "stale.1"
        watch = client.watch(prefix)
        await watch.started()
        await client.put(prefix, b"3")
        assert (await anext(watch)).events[0].kv.value == b"3"
        await client.revoke(term.id)
        await client.close()


async def test_users_are_switched_off_and_on_again(guarded: Cluster, prefix: bytes) -> None:
    """As an administrator does who forgot a password; what runs goes on, and so does what starts."""
    client = EtcdClient(guarded.urls, clock=monotonic, user=User("app", "pass"))
    watch = client.watch(prefix, prefix_end(prefix))
    await client.put(prefix + b"a", b"1")
    await watch.started()
    guarded.ctl("auth", "disable", user="root:secret")
    await client.put(prefix + b"b", b"2")
    other = EtcdClient(guarded.urls, clock=monotonic, user=User("app", "pass"))
    await other.put(prefix + b"c", b"3")
    late = other.watch(prefix, prefix_end(prefix))
    await late.started()
    guarded.ctl("auth", "enable")
    last = await other.put(prefix + b"d", b"4")
    for each in (watch, late):
        while (await anext(each)).revision < last:
            pass
    later = other.watch(prefix, prefix_end(prefix))
    await later.started()
    with pytest.raises(EtcdAccessError, match="permission denied"):
        await other.put(b"/elsewhere", b"")
    await client.close()
    await other.close()
