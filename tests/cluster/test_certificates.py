"""Every certificate around etcd and the gateway ends within a minute, and is replaced under load.

Real parts only, each a process, as in ``test_faults``: etcd that wants certificates, three sidecars, a
gateway, stock SDK apps.  In scope: F23 of the fault matrix for etcd's connections (calls, watches, the
renewal of leases) and for the gateway's (a watch of the management API), with invariants I1 to I7 and
I10.  Files are replaced at two thirds of a life, as the upkeep does; nobody is started again.  Out of
scope: connections between sidecars (tests/integration/peers), who makes certificates (unit/common).
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.etcd import Cluster
from support.fleet import DEFAULT, Fleet, arguments
from support.gateway import GatewayProcess
from support.proxy import FaultProxy
from tenure_common.clock import wall_ns
from tenure_common.pki import authority
from tenure_common.pki.schedule import RENEW_AT
from tenure_sidecar.etcd import Tls

WIDTH = 16
PAUSE = 6_000  # milliseconds of an order's timer: some calls at any time, as no moment matters here
LIFE = 45.0  # seconds of a certificate; files are looked at every ten
YEAR = 365 * 86_400.0
HOST = frozenset({"127.0.0.1"})

pytestmark = pytest.mark.timeout(600)


def now() -> float:
    return wall_ns() / 1e9


class Short:
    """An authority, and a certificate of each of three parties, in files that are replaced.

    Each file is replaced as a whole and by itself, so that for a moment a certificate and a key do not
    fit.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._authority = authority.found(name="short", now=now(), life=YEAR)
        self.ca = folder / "ca.crt"
        self.ca.write_bytes(self._authority.bundle)
        self.ends: dict[str, float] = {}
        self.renew()

    @property
    def server(self) -> tuple[Path, Path]:
        """Etcd's."""
        return self.pair("etcd")

    @property
    def client(self) -> Tls:
        """Of those who call etcd."""
        certificate, key = self.pair("client")
        return Tls(str(self.ca), str(certificate), str(key))

    def pair(self, name: str) -> tuple[Path, Path]:
        """Certificate and key."""
        return self._folder / f"{name}.crt", self._folder / f"{name}.key"

    def renew(self) -> None:
        """New ones for all."""
        for name, hosts in (("etcd", HOST), ("client", frozenset[str]()), ("gateway", HOST)):
            made = authority.issue(self._authority, name=name, names=hosts, now=now(), life=LIFE)
            for path, text in zip(self.pair(name), (made.certificate, made.key), strict=True):
                new = path.with_suffix(".new")
                new.write_bytes(text)
                new.replace(path)
            self.ends[name] = authority.end_of(made.certificate)

    @property
    def renewal(self) -> float:
        """When the first of the present ones has to be replaced; seconds since the Unix epoch."""
        return min(self.ends.values()) - LIFE * (1 - RENEW_AT)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Replace them whenever it is time, and once more at the end: how long a busy machine takes to
        start everything is not what ends a certificate."""
        over = threading.Event()

        def keep() -> None:
            while not over.wait(max(0.0, self.renewal - now())):
                self.renew()

        keeper = threading.Thread(target=keep)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()
        self.renew()


class Watch:
    """A client that follows all instances through the gateway, on one connection."""

    def __init__(self, gateway: GatewayProcess, ca: Path) -> None:
        self.statuses: dict[str, str] = {}
        self.problem = ""
        context = ssl.create_default_context(cafile=str(ca))
        self._answer = urllib.request.urlopen(  # noqa: S310 - our own
            f"{gateway.url}/v1alpha1/apps/orders/watch", context=context, timeout=60
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            for line in self._answer:
                told = json.loads(line)
                if told["type"] == "CHANGED":
                    self.statuses[told["instance"]["instanceId"]] = told["instance"]["status"]
            self.problem = "it ended"
        except (OSError, ValueError, AttributeError, KeyError) as error:
            self.problem = repr(error)

    @property
    def ended(self) -> set[str]:
        """Instances that were seen to be complete."""
        return {one for one, status in self.statuses.items() if status == "COMPLETED"}

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._answer.fp.raw._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._answer.close()


@pytest.fixture
def short(tmp_path: Path) -> Short:
    return Short(tmp_path / "pki")


@pytest.fixture
async def fleet(tmp_path: Path, short: Short) -> AsyncIterator[Fleet]:
    folder = tmp_path / "etcd"
    with contextlib.ExitStack() as stack:
        with short.kept():
            cluster = Cluster(folder, certificates=short, client_certificates=True)
            stack.enter_context(cluster)
            made = Fleet(tmp_path, cluster, lease=DEFAULT, tls=short.client)
            stack.enter_context(made.under_load(WIDTH, pause=PAUSE))
        yield made


@pytest.fixture
def gateway(fleet: Fleet, short: Short, tmp_path: Path) -> Iterator[GatewayProcess]:
    folder = tmp_path / "gateway"
    folder.mkdir()
    certificate, key = short.pair("gateway")
    made = GatewayProcess(
        folder,
        f"etcd://127.0.0.1:{fleet.cluster.members[0].client_port}",
        scheme="https",
        args=[*arguments(short.client), f"--tls-cert={certificate}", f"--tls-key={key}"],
    )
    try:
        made.start()
        yield made
    finally:
        made.close()


def shown(gateway: GatewayProcess) -> float:
    """When the certificate ends that the gateway shows to new callers."""
    text = ssl.get_server_certificate(("127.0.0.1", gateway.port))
    return authority.end_of(text.encode())


def over(fleet: Fleet, short: Short) -> None:
    """Wait for two thirds of a life, replace all certificates, and wait for the old ones' end."""
    fleet.until(lambda: now() >= short.renewal, "two thirds of a life")
    end = max(short.ends.values())
    short.renew()
    fleet.until(lambda: now() >= end + 1, "the old ones to end")  # they end on whole seconds


async def test_everything_goes_on_while_certificates_end_and_are_replaced(
    fleet: Fleet, gateway: GatewayProcess, short: Short
) -> None:
    watch = Watch(gateway, short.ca)
    try:
        before = fleet.taken()
        for _ in range(2):
            over(fleet, short)
            fleet.progress(50)
            assert shown(gateway) == short.ends["gateway"]
        assert fleet.taken() == before, "no lease was lost"
        # All old connections break at once.  Only whoever has the new certificate connects again.
        fleet.guests = 1  # the gateway
        with fleet.fault():
            for one in fleet.sidecars:
                fleet.on_wires(one, FaultProxy.reset)
        assert fleet.taken() == before
        assert not watch.problem, watch.problem
        found, wrong = await fleet.verdict()
        assert not wrong, f"{wrong[:20]}\n{fleet.tail()}"
        assert found.commits > 10 * WIDTH
        seen = len(found.times)
        fleet.until(lambda: len(watch.ended) == seen, "the watch sees the end of everything")
        assert not watch.problem, watch.problem
        assert gateway.health("/readyz") == (200, "ok")
    finally:
        watch.close()


async def test_whoever_is_not_told_of_the_new_certificate_is_shut_out(
    fleet: Fleet, short: Short
) -> None:
    """The test above can fail: etcd takes no certificate that has ended."""
    stale = short.pair("stale")
    for path, there in zip(stale, short.pair("client"), strict=True):
        path.write_bytes(there.read_bytes())
    context = ssl.create_default_context(cafile=str(short.ca))
    context.load_cert_chain(*stale)
    over(fleet, short)
    port = fleet.cluster.members[0].client_port
    with (
        pytest.raises(OSError, match="expired|ALERT"),
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.recv(1)  # with TLS 1.3 a client hears only now that it was refused
