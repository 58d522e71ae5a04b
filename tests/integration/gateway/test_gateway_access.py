"""Who may call a gateway, over real TLS: every row of the matrix, and files that change.

In scope: callers, rights, certificates, reloads, where it may listen.  Out of scope: what the routes
do (unit/http/manage), the rules of the access file (unit/http/test_access.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from support.gated import Files, Person, bearer, engines, gated
from support.served import Served
from tenure_common.errors import BadSettingError, PortInUseError
from tenure_sidecar.http.gateway import GatewayServer
from tenure_sidecar.http.manage.api import AppName
from tenure_sidecar.http.secure import Place, Secured
from tenure_sidecar.http.tls import TlsFiles

ADMIN, SHOP, READER, OLD, NEW = (
    f"{name}-0123456789abcdef" for name in ["admin", "shop", "reader", "old", "new"]
)
CALLERS = {
    "admin": {"tokens": [ADMIN]},
    "shop": {"tokens": [SHOP], "namespaces": ["shop"]},
    "reader": {"tokens": [READER], "read-only": True},
    "rotating": {"tokens": [OLD, NEW]},
    "robot": {"certificates": ["robot"]},
    "auditor": {
        "certificates": ["spiffe://example/auditor"],
        "namespaces": ["bank"],
        "read-only": True,
    },
}

NO_PATH = (404, "TN0720")
GET, POST = "GET", "POST"
SHOP_ORDERS = "/v1alpha1/namespaces/shop/apps/orders"
BANK_ORDERS = "/v1alpha1/namespaces/bank/apps/orders"
LIST_SHOP = (GET, f"{SHOP_ORDERS}/instances")
LIST_BANK = (GET, f"{BANK_ORDERS}/instances")
START_SHOP = (POST, f"{SHOP_ORDERS}/instances")
START_BANK = (POST, f"{BANK_ORDERS}/instances")
PLAN_SHOP = (POST, f"{SHOP_ORDERS}/dry-run")
JOB_SHOP = (POST, f"{SHOP_ORDERS}/jobs")
NOBODYS = (GET, "/v1alpha1/namespaces/nowhere/apps/orders/instances")
DEFAULT = (GET, "/v1alpha1/apps/orders/instances")
BODIES: dict[str, Any] = {
    "/instances": {"workflow": "ask"},
    "/dry-run": {"action": "rewind", "filter": {"status": ["FAILED"]}},
    "/jobs": {"action": "rewind", "filter": {"status": ["FAILED"]}},
}

OK, MADE, TAKEN = (200, ""), (201, ""), (202, "")
UNKNOWN, FORBIDDEN, FOREIGN, NO_APP = (
    (401, "TN0712"),
    (403, "TN0713"),
    (403, "TN0711"),
    (404, "TN0109"),
)


@pytest.fixture(scope="module")
async def apps() -> AsyncIterator[dict[AppName, Served]]:
    async with engines() as running:
        yield running


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path / "files")
    files.write_access(CALLERS)
    return files


class Gateway:
    """A running one."""

    def __init__(self, server: GatewayServer, port: int, files: Files) -> None:
        self.server = server
        self.url = f"https://127.0.0.1:{port}"
        self.port = port
        self.files = files

    def person(self, *headers: tuple[str, str], pair: tuple[Path, Path] | None = None) -> Person:
        return Person(self.url, ca=self.files.ca, headers=headers, pair=pair)


@pytest.fixture
async def gateway(apps: dict[AppName, Served], files: Files) -> AsyncIterator[Gateway]:
    async with gated(apps, files.secured) as (server, port):
        yield Gateway(server, port, files)


async def asked(person: Person, method: str, path: str, **more: Any) -> tuple[int, str]:
    """Status and code."""
    body = BODIES.get("/" + path.rpartition("/")[2]) if method == POST else None
    data = None if body is None else json.dumps(body).encode()
    status, found = await person.ask(method, path, data=data, **more)
    return status, found if status >= 400 else ""


# --- the matrix -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "request_", "answer"),
    [
        ("nobody", LIST_SHOP, UNKNOWN),
        ("nobody", START_SHOP, UNKNOWN),
        ("nobody", NOBODYS, UNKNOWN),
        ("nobody", (GET, "/v1alpha1/apps"), UNKNOWN),
        ("nobody", (GET, "/openapi.json"), UNKNOWN),
        ("nobody", (GET, "/nothing"), UNKNOWN),
        ("nobody", (GET, "/v1.0/healthz"), UNKNOWN),
        ("wrong", LIST_SHOP, UNKNOWN),
        ("part", LIST_SHOP, UNKNOWN),
        ("longer", LIST_SHOP, UNKNOWN),
        ("empty", LIST_SHOP, UNKNOWN),
        ("basic", LIST_SHOP, UNKNOWN),
        ("twice", LIST_SHOP, UNKNOWN),
        ("not text", LIST_SHOP, UNKNOWN),
        ("api token", LIST_SHOP, UNKNOWN),
        ("in the query", LIST_SHOP, UNKNOWN),
        ("admin", LIST_SHOP, OK),
        ("admin", LIST_BANK, OK),
        ("admin", START_SHOP, MADE),
        ("admin", START_BANK, MADE),
        ("admin", PLAN_SHOP, OK),
        ("admin", JOB_SHOP, TAKEN),
        ("admin", NOBODYS, NO_APP),
        ("admin", DEFAULT, OK),
        ("admin", (GET, "/openapi.json"), OK),
        ("shop", LIST_SHOP, OK),
        ("shop", START_SHOP, MADE),
        ("shop", JOB_SHOP, TAKEN),
        ("shop", DEFAULT, OK),
        ("shop", LIST_BANK, FORBIDDEN),
        ("shop", START_BANK, FORBIDDEN),
        ("shop", NOBODYS, FORBIDDEN),
        ("shop", (GET, "/v1alpha1/namespaces/bank/apps"), FORBIDDEN),
        ("shop", (GET, "/v1alpha1/namespaces/shop/apps"), OK),
        ("shop", (GET, "/v1alpha1/namespaces/shop%2F..%2Fbank/apps/orders/instances"), FORBIDDEN),
        ("shop", (GET, "/v1alpha1/namespaces/SHOP/apps/orders/instances"), FORBIDDEN),
        ("shop", (GET, "/v1alpha1/namespaces/shop/../bank/apps/orders/instances"), NO_PATH),
        ("reader", LIST_SHOP, OK),
        ("reader", LIST_BANK, OK),
        ("reader", PLAN_SHOP, OK),
        ("reader", START_SHOP, FORBIDDEN),
        ("reader", JOB_SHOP, FORBIDDEN),
        ("reader", (POST, f"{SHOP_ORDERS}/instances/x/terminate"), FORBIDDEN),
        ("reader", ("PUT", f"{SHOP_ORDERS}/instances/x"), FORBIDDEN),
        ("old token", LIST_SHOP, OK),
        ("new token", LIST_SHOP, OK),
        ("robot", LIST_SHOP, OK),
        ("robot", START_BANK, MADE),
        ("auditor", LIST_BANK, OK),
        ("auditor", LIST_SHOP, FORBIDDEN),
        ("auditor", START_BANK, FORBIDDEN),
        ("stranger's certificate", LIST_SHOP, FORBIDDEN),
        ("robot as a name of a host", LIST_SHOP, FORBIDDEN),
        ("auditor as a common name", LIST_BANK, FORBIDDEN),
        ("robot with a wrong token", LIST_SHOP, UNKNOWN),
        ("robot with shop's token", LIST_BANK, FORBIDDEN),
    ],
)  # fmt: skip
async def test_row(
    gateway: Gateway, who: str, request_: tuple[str, str], answer: tuple[int, str]
) -> None:
    issue = gateway.files.issue
    people: dict[str, Callable[[], Person]] = {
        "nobody": gateway.person,
        "wrong": lambda: gateway.person(bearer("x" * len(ADMIN))),
        "part": lambda: gateway.person(bearer(ADMIN[:-1])),
        "longer": lambda: gateway.person(bearer(ADMIN + "x")),
        "empty": lambda: gateway.person(("Authorization", "Bearer ")),
        "basic": lambda: gateway.person(("Authorization", f"Basic {ADMIN}")),
        "twice": lambda: gateway.person(bearer(ADMIN), bearer(ADMIN)),
        "not text": lambda: gateway.person(bearer(ADMIN + "é")),
        "api token": lambda: gateway.person(("dapr-api-token", ADMIN)),
        "in the query": gateway.person,
        "admin": lambda: gateway.person(bearer(ADMIN)),
        "shop": lambda: gateway.person(bearer(SHOP)),
        "reader": lambda: gateway.person(bearer(READER)),
        "old token": lambda: gateway.person(bearer(OLD)),
        "new token": lambda: gateway.person(("authorization", f"bearer {NEW}")),
        "robot": lambda: gateway.person(pair=issue("robot")),
        "auditor": lambda: gateway.person(pair=issue("", uri="spiffe://example/auditor")),
        "stranger's certificate": lambda: gateway.person(pair=issue("somebody")),
        "robot as a name of a host": lambda: gateway.person(pair=issue("other", "robot")),
        "auditor as a common name": lambda: gateway.person(pair=issue("spiffe://example/auditor")),
        "robot with a wrong token": lambda: gateway.person(bearer("x" * 20), pair=issue("robot")),
        "robot with shop's token": lambda: gateway.person(bearer(SHOP), pair=issue("robot")),
    }
    method, path = request_
    if who == "in the query":
        path += f"?token={ADMIN}&access_token={ADMIN}"
    async with people[who]() as person:
        assert await asked(person, method, path) == answer


async def test_what_is_refused_has_changed_nothing(
    gateway: Gateway, apps: dict[AppName, Served]
) -> None:
    before = {
        name: await engine.get("/counts") for name, engine in apps.items() if name.app == "orders"
    }
    for headers in ([], [bearer(READER)], [bearer("x" * 30)]):
        async with gateway.person(*headers) as person:
            assert (await asked(person, *START_SHOP))[0] in {401, 403}
            assert (await asked(person, *START_BANK))[0] in {401, 403}
    after = {
        name: await engine.get("/counts") for name, engine in apps.items() if name.app == "orders"
    }
    assert [one.body for one in after.values()] == [one.body for one in before.values()]
    assert gateway.server.gate.refused == 4


async def test_a_refusal_says_how_to_get_in(gateway: Gateway) -> None:
    async with gateway.person() as person, person.call(*LIST_SHOP) as answer:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        body = await answer.json()
    assert body["message"] == (
        "nothing says who you are; send 'Authorization: Bearer TOKEN', or a client certificate"
    )
    assert body["docs"].endswith("/errors/TN0712")


async def test_a_stranger_cannot_send_a_body(gateway: Gateway) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    async with gateway.person() as person:
        with contextlib.suppress(aiohttp.ClientError):
            assert (await person.ask(POST, START_SHOP[1], data=endless()))[0] == 401
        assert await asked(person, *LIST_SHOP) == UNKNOWN


@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
    ],
    ids=str,
)
@pytest.mark.parametrize("who", ["token", "certificate"])
async def test_web_pages_are_refused(
    gateway: Gateway, who: str, headers: Sequence[tuple[str, str]]
) -> None:
    person = (
        gateway.person(bearer(ADMIN))
        if who == "token"
        else gateway.person(pair=gateway.files.issue("robot"))
    )
    async with person:
        assert await asked(person, *START_SHOP, headers=headers) == FOREIGN


async def test_a_caller_sees_its_own_namespaces_in_the_list(gateway: Gateway) -> None:
    seen: dict[str, Any] = {}
    for name, token in (("admin", ADMIN), ("shop", SHOP)):
        async with gateway.person(bearer(token)) as person:
            _, seen[name] = await person.ask(GET, "/v1alpha1/apps")
    assert seen["shop"] == {
        "apps": ["orders", "stock"],
        "items": [
            {"namespace": "shop", "app": "orders"},
            {"namespace": "shop", "app": "stock"},
        ],
    }
    assert {"namespace": "bank", "app": "orders"} in seen["admin"]["items"]
    async with gateway.person(bearer(ADMIN)) as person:
        _, bank = await person.ask(GET, "/v1alpha1/namespaces/bank/apps")
    assert bank == {"apps": ["orders"], "items": [{"namespace": "bank", "app": "orders"}]}


async def test_apps_of_one_name_in_two_namespaces_are_two(gateway: Gateway) -> None:
    async with gateway.person(bearer(ADMIN)) as person:
        data = json.dumps({"workflow": "ask", "instanceId": "only-here"}).encode()
        async with person.call(POST, START_BANK[1], data=data) as answer:
            assert answer.status == 201
            assert answer.headers["Location"] == f"{BANK_ORDERS}/instances/only-here"
        assert (await person.ask(GET, f"{BANK_ORDERS}/instances/only-here"))[0] == 200
        assert await person.ask(GET, f"{SHOP_ORDERS}/instances/only-here") == (404, "TN0101")


# --- the handshake --------------------------------------------------------------------------------


async def test_a_certificate_of_another_authority_ends_the_handshake(gateway: Gateway) -> None:
    pair = gateway.files.issue("robot", authority=trustme.CA())
    async with gateway.person(pair=pair) as person:
        with pytest.raises(aiohttp.ClientError):
            await asked(person, *LIST_SHOP)
    async with gateway.person(bearer(ADMIN)) as person:
        assert await asked(person, *LIST_SHOP) == OK


async def test_unencrypted_requests_get_no_answer(gateway: Gateway) -> None:
    async with Person(f"http://127.0.0.1:{gateway.port}", headers=[bearer(ADMIN)]) as person:
        with pytest.raises(aiohttp.ClientError):
            await asked(person, *LIST_SHOP)
    async with gateway.person(bearer(ADMIN)) as person:
        assert await asked(person, *LIST_SHOP) == OK


async def test_old_versions_of_tls_are_refused(gateway: Gateway) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(gateway.files.ca)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", gateway.port, ssl=context)


# --- files that change ----------------------------------------------------------------------------


async def serial(gateway: Gateway) -> str:
    """Of the certificate that a new connection sees."""
    context = ssl.create_default_context(cafile=str(gateway.files.ca))
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=context)
    shown = writer.get_extra_info("peercert")
    writer.close()
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        await writer.wait_closed()
    return str(shown["serialNumber"])


async def first_line(stream: Any) -> Any:
    return json.loads(await stream.content.readline())


async def test_a_new_certificate_is_shown_and_no_connection_dropped(
    gateway: Gateway, apps: dict[AppName, Served]
) -> None:
    before = await serial(gateway)
    async with (
        gateway.person(bearer(ADMIN)) as person,
        person.call(GET, f"{SHOP_ORDERS}/watch?tag=reload=yes") as stream,
    ):
        assert (await first_line(stream))["type"] == "SYNCED"
        gateway.files.write_certificate()
        gateway.server.look()
        assert await serial(gateway) != before
        body = {"workflow": "ask", "tags": {"reload": "yes"}}
        await apps[AppName("shop", "orders")].post("/instances", body)
        assert (await first_line(stream))["type"] == "CHANGED"
    assert gateway.server.reloads == 1


async def test_the_loop_finds_new_files_by_itself(gateway: Gateway) -> None:
    task = asyncio.get_running_loop().create_task(gateway.server.run())
    try:
        before = await serial(gateway)
        gateway.files.write_certificate()
        async with asyncio.timeout(60):
            while await serial(gateway) == before:
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_connections_that_come_while_certificates_change_are_served(gateway: Gateway) -> None:
    ended = asyncio.Event()

    async def keep_calling() -> int:
        served = 0
        while not ended.is_set():
            async with gateway.person(bearer(ADMIN)) as person:  # each a new connection
                assert await asked(person, *LIST_SHOP) == OK
                served += 1
        return served

    callers = [asyncio.get_running_loop().create_task(keep_calling()) for _ in range(4)]
    for _ in range(5):
        gateway.files.write_certificate()
        gateway.server.look()
        async with gateway.person(bearer(ADMIN)) as person:
            assert await asked(person, *LIST_SHOP) == OK
    ended.set()
    assert min(await asyncio.gather(*callers)) > 0
    assert gateway.server.reloads == 5


async def test_a_pair_that_does_not_fit_changes_nothing(gateway: Gateway) -> None:
    before = await serial(gateway)
    right = gateway.files.key.read_bytes()
    gateway.files.key.write_bytes(trustme.CA().private_key_pem.bytes())
    gateway.server.look()
    assert await serial(gateway) == before
    assert gateway.server.bad_reloads == 1
    gateway.files.cert.unlink()
    gateway.server.look()
    assert gateway.server.bad_reloads == 2
    gateway.files.write_certificate()
    assert gateway.files.key.read_bytes() != right
    gateway.server.look()
    assert await serial(gateway) != before


async def test_who_loses_its_entry_is_out_at_once_and_others_are_not(gateway: Gateway) -> None:
    async with (
        gateway.person(bearer(SHOP)) as leaving,
        gateway.person(bearer(ADMIN)) as staying,
        leaving.call(GET, f"{SHOP_ORDERS}/watch?tag=a=b") as lost,
        staying.call(GET, f"{SHOP_ORDERS}/watch?tag=a=b") as kept,
    ):
        assert (await first_line(lost))["type"] == "SYNCED"
        assert (await first_line(kept))["type"] == "SYNCED"
        assert await asked(leaving, *LIST_SHOP) == OK
        gateway.files.write_access({name: c for name, c in CALLERS.items() if name != "shop"})
        gateway.server.look()
        assert await asked(leaving, *LIST_SHOP) == UNKNOWN
        with contextlib.suppress(aiohttp.ClientError):
            assert await lost.content.readline() == b""
        assert await asked(staying, *START_SHOP) == MADE
        assert not kept.content.at_eof()


async def test_rights_that_shrink_end_streams_too(gateway: Gateway) -> None:
    async with (
        gateway.person(bearer(ADMIN)) as person,
        person.call(GET, f"{BANK_ORDERS}/watch") as stream,
    ):
        while (await first_line(stream))["type"] != "SYNCED":
            pass
        gateway.files.write_access(
            {**CALLERS, "admin": {"tokens": [ADMIN], "namespaces": ["shop"]}}
        )
        gateway.server.look()
        with contextlib.suppress(aiohttp.ClientError):
            assert await stream.content.readline() == b""
        assert await asked(person, *LIST_BANK) == FORBIDDEN


@pytest.mark.parametrize("text", ["", "[callers.a]", "[callers.a]\ntokens = ['short']", "x = "])
async def test_an_access_file_that_cannot_be_used_changes_nothing(
    gateway: Gateway, text: str
) -> None:
    gateway.files.access.write_text(text)
    gateway.files.write_certificate()
    before = await serial(gateway)
    gateway.server.look()
    async with gateway.person(bearer(ADMIN)) as person:
        assert await asked(person, *LIST_SHOP) == OK
    assert (gateway.server.bad_reloads, gateway.server.reloads) == (1, 1)
    assert await serial(gateway) != before  # one bad file does not hold up the other


async def test_an_authority_that_is_replaced_is_not_trusted_any_more(gateway: Gateway) -> None:
    other = trustme.CA()
    old = gateway.files.issue("robot")
    async with gateway.person(pair=old) as robot:
        gateway.files.write_client_ca(gateway.files.clients, other)
        gateway.server.look()
        assert await asked(robot, *LIST_SHOP) == OK
    gateway.files.write_client_ca(other)
    gateway.server.look()
    async with gateway.person(pair=old) as robot:
        with pytest.raises(aiohttp.ClientError):
            await asked(robot, *LIST_SHOP)
    async with gateway.person(pair=gateway.files.issue("robot", authority=other)) as robot:
        assert await asked(robot, *LIST_SHOP) == OK


# --- where it may listen --------------------------------------------------------------------------

EVERYWHERE = ["0.0.0.0", "::"]


@pytest.mark.parametrize("host", EVERYWHERE)
@pytest.mark.parametrize(
    ("has", "lacks"),
    [
        ((), "--tls-cert and --tls-key and --access-file"),
        (("tls",), "--access-file"),
        (("access",), "--tls-cert and --tls-key"),
    ],
    ids=str,
)
async def test_nobody_is_anonymous_off_loopback(
    apps: dict[AppName, Served], files: Files, host: str, has: Sequence[str], lacks: str
) -> None:
    files.write_access({"admin": {"tokens": [ADMIN]}})
    secured = Secured(
        TlsFiles(str(files.cert), str(files.key)) if "tls" in has else None,
        str(files.access) if "access" in has else "",
    )
    with pytest.raises(BadSettingError, match=f"give {lacks}, or listen on"):
        async with gated(apps, secured, host=host):
            pytest.fail("it listens")


async def test_with_everything_it_listens_everywhere(
    apps: dict[AppName, Served], files: Files
) -> None:
    async with (
        gated(apps, files.secured, host="0.0.0.0") as (server, port),
        Gateway(server, port, files).person(bearer(ADMIN)) as person,
    ):
        assert await asked(person, *LIST_SHOP) == OK


async def test_on_loopback_programs_of_the_machine_may_do_everything(
    apps: dict[AppName, Served],
) -> None:
    async with gated(apps, Secured()) as (_, port), Person(f"http://127.0.0.1:{port}") as person:
        assert await asked(person, *START_BANK) == MADE
        assert await asked(person, *LIST_SHOP, headers=[("Host", "evil.example")]) == FOREIGN


async def test_on_loopback_callers_may_be_asked_for_too(
    apps: dict[AppName, Served], files: Files
) -> None:
    files.write_access({"admin": {"tokens": [ADMIN]}})
    async with gated(apps, Secured(None, str(files.access))) as (_, port):
        url = f"http://127.0.0.1:{port}"
        async with Person(url) as stranger, Person(url, headers=[bearer(ADMIN)]) as admin:
            assert await asked(stranger, *LIST_SHOP) == UNKNOWN
            assert await asked(admin, *LIST_SHOP) == OK


@pytest.mark.parametrize(
    ("secured", "message"),
    [
        (lambda f: Secured(TlsFiles(str(f.cert), ""), ""), "--tls-cert and --tls-key go together"),
        (lambda f: Secured(TlsFiles("/none", str(f.key)), ""), "cannot read '/none'"),
        (lambda f: Secured(TlsFiles(str(f.key), str(f.key)), ""), "must be PEM, and belong together"),
        (lambda f: Secured(f.secured.tls, ""), "--access-file has to say who may call"),
        (lambda f: Secured(None, str(f.access)), "--client-ca has to say who issues them"),
        (lambda f: Secured(None, "/none"), "cannot read the access file '/none'"),
        (lambda f: f.secured._replace(tls=f.tls(client_ca=f.access)), "authorities in"),
    ],
)  # fmt: skip
async def test_settings_that_cannot_be_are_refused(
    apps: dict[AppName, Served], files: Files, secured: Callable[[Files], Secured], message: str
) -> None:
    with pytest.raises(BadSettingError, match=message):
        async with gated(apps, secured(files)):
            pytest.fail("it listens")


async def test_a_port_that_is_taken_is_named(gateway: Gateway, apps: dict[AppName, Served]) -> None:
    from support.gated import Several

    place = Place("127.0.0.1", gateway.port, "--port")
    server = GatewayServer(Several(apps), place=place, files=gateway.files.secured)
    with pytest.raises(PortInUseError, match="choose another port with --port"):
        await server.start()


async def test_a_stop_ends_streams(gateway: Gateway) -> None:
    async with (
        gateway.person(bearer(ADMIN)) as person,
        person.call(GET, f"{SHOP_ORDERS}/watch?tag=a=b") as stream,
    ):
        assert (await first_line(stream))["type"] == "SYNCED"
        await gateway.server.stop()
        with contextlib.suppress(aiohttp.ClientError):
            assert await stream.content.readline() == b""
        with pytest.raises(aiohttp.ClientError):
            await asked(person, *LIST_SHOP)
