"""A gateway's server in front of real engines in this process, with its files, and its callers.

Two namespaces: ``shop`` with ``orders`` and ``stock``, ``bank`` with ``orders``.  ``Files`` writes what
a gateway reads; ``Caller`` is somebody with a token, a certificate, or nothing.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import aiohttp
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.served import Served, served
from tenure_common.errors import NoSuchAppError
from tenure_sidecar.http.gateway import GatewayServer
from tenure_sidecar.http.manage.api import Api, AppName
from tenure_sidecar.http.secure import Place, Secured
from tenure_sidecar.http.tls import TlsFiles

NAMES = (AppName("shop", "orders"), AppName("shop", "stock"), AppName("bank", "orders"))


class Several:
    """``Apps`` over engines that run already."""

    default = "shop"

    def __init__(self, engines: Mapping[AppName, Served]) -> None:
        self.engines = engines

    def names(self) -> Sequence[AppName]:
        return sorted(self.engines)

    @asynccontextmanager
    async def use(self, namespace: str, name: str) -> AsyncGenerator[Api, None]:
        engine = self.engines.get(AppName(namespace, name))
        if engine is None:
            raise NoSuchAppError(f"no app '{name}' in '{namespace}'")
        yield engine.api


@dataclass
class Files:
    """What a gateway reads, and what its callers hold."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)  # of the server's certificate
    clients: trustme.CA = field(default_factory=trustme.CA)  # of the callers'

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cert, self.key = self.folder / "tls.crt", self.folder / "tls.key"
        self.client_ca, self.access = self.folder / "clients.crt", self.folder / "access.toml"
        self.ca = self.folder / "ca.crt"
        self.authority.cert_pem.write_to_path(self.ca)
        self.write_certificate()
        self.write_client_ca(self.clients)

    def write_certificate(self) -> None:
        """A new one of the same authority."""
        leaf = self.authority.issue_cert("127.0.0.1", "localhost")
        self.cert.write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
        self.key.write_bytes(leaf.private_key_pem.bytes())

    def write_client_ca(self, *authorities: trustme.CA) -> None:
        """Whose certificates callers may show."""
        self.client_ca.write_bytes(b"".join(one.cert_pem.bytes() for one in authorities))

    def write_access(self, callers: Mapping[str, Mapping[str, Any]]) -> None:
        """The access file; values that JSON and TOML write alike."""
        lines: list[str] = []
        for name, entry in callers.items():
            lines += [f"[callers.{name}]", *(f"{k} = {json.dumps(v)}" for k, v in entry.items())]
        self.access.write_text("\n".join(lines) + "\n")

    def issue(
        self, name: str, *hosts: str, uri: str = "", authority: trustme.CA | None = None
    ) -> tuple[Path, Path]:
        """Paths of a client's certificate and key; a certificate with a ``uri`` has no other name."""
        cert, key = self.folder / "client.crt", self.folder / "client.key"
        if uri:
            made, secret = _with_uri(uri, authority or self.clients)
            cert.write_bytes(made)
            key.write_bytes(secret)
            return cert, key
        leaf = (authority or self.clients).issue_cert(
            *(hosts or ("client.invalid",)), common_name=name
        )
        cert.write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
        key.write_bytes(leaf.private_key_pem.bytes())
        return cert, key

    def tls(self, *, client_ca: Path | None = None) -> TlsFiles:
        """Those of TLS."""
        return TlsFiles(str(self.cert), str(self.key), str(client_ca or self.client_ca))

    @property
    def secured(self) -> Secured:
        """All of them."""
        return Secured(self.tls(), str(self.access))


def _with_uri(uri: str, authority: trustme.CA) -> tuple[bytes, bytes]:
    """A certificate as SPIFFE has it: no subject, one URI; and its key."""
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    signer = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=True
        )
        .sign(cast("ec.EllipticCurvePrivateKey", signer), hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


class Person:
    """Somebody who calls; one connection at a time is kept open."""

    def __init__(
        self,
        url: str,
        *,
        ca: Path | None = None,
        pair: tuple[Path, Path] | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.url = url
        self._headers = list(headers)
        self.tls: ssl.SSLContext | bool = True
        if ca is not None:
            self.tls = ssl.create_default_context(cafile=str(ca))
            if pair is not None:
                self.tls.load_cert_chain(*map(str, pair))

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    def call(self, method: str, path: str, **more: Any) -> Any:
        """A request, to be entered."""
        url = aiohttp.client.URL(self.url + path, encoded=True)
        extra = more.pop("headers", [])
        headers = aiohttp.client.CIMultiDict([*self._headers, *extra])
        return self.session.request(method, url, ssl=self.tls, headers=headers, **more)

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Status, and the error's code or the body."""
        async with self.call(method, path, **more) as answer:
            body = json.loads(await answer.text())
            return answer.status, body.get("code", body) if answer.status >= 400 else body


def bearer(token: str) -> tuple[str, str]:
    """The header with a token."""
    return ("Authorization", f"Bearer {token}")


@asynccontextmanager
async def engines() -> AsyncGenerator[dict[AppName, Served], None]:
    """An engine for each app, without workers."""
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(served(app_id=name.app)) for name in NAMES}


@asynccontextmanager
async def gated(
    engines: Mapping[AppName, Served], files: Secured, *, host: str = "127.0.0.1"
) -> AsyncGenerator[tuple[GatewayServer, int], None]:
    """A server in front of them, and its port."""
    server = GatewayServer(
        Several(engines), place=Place(host, 0, "--port"), files=files, look_every=0.05
    )
    try:
        yield server, await server.start()
    finally:
        await server.stop()
