"""Who may talk to the loopback port: programs of this machine, and no web page in its browser.

A loopback port is open to every page in the developer's browser.  Two things tell pages from
programs: browsers add ``Origin`` or ``Sec-Fetch-Site`` to what a foreign page sends, and a page
that points a name of its own at 127.0.0.1 (DNS rebinding) has that name in ``Host``.  An IP address
or ``localhost`` in ``Host`` cannot be rebound; other names must be configured.

With an API token set, all but the two health checks need it (the app's SDK sends DAPR_API_TOKEN).
The exemption is by exact path, never by prefix.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tenure_common.errors import AccessError, BadTokenError, ForeignCallerError

TOKEN_HEADER: Final = "dapr-api-token"  # noqa: S105 - the name of a header
OPEN_PATHS: Final = frozenset({"/v1.0/healthz", "/v1.0/healthz/outbound"})


class Refusal(NamedTuple):
    """Why a request is not served, in the words of either API."""

    error: AccessError
    code: str  # Dapr's kind of code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.error.http


def refusal(
    path: str,
    headers: Mapping[str, str],
    *,
    hosts: Collection[str] = (),
    token: str | None = None,
) -> Refusal | None:
    """None when the request may pass.

    Args:
        path: the path that is dispatched, decoded.
        headers: case-insensitive.
        hosts: names (without port) that may stand in ``Host`` besides addresses and localhost.
        token: the API token, None when none is needed.
    """
    foreign = from_elsewhere(headers, hosts=hosts)
    if foreign is not None:
        return foreign
    if token is not None and path not in OPEN_PATHS:
        given = headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(raw(given), raw(token)):
            message = f"the {TOKEN_HEADER} header is missing or wrong"
            return Refusal(BadTokenError(message), "ERR_API_TOKEN")
    return None


def from_elsewhere(headers: Mapping[str, str], *, hosts: Collection[str] | None) -> Refusal | None:
    """None when a program sent the request, to an address or a name of ours.

    ``hosts``: as for ``refusal``; None = any name will do, because callers have to show who they are
    over TLS, and a page that points its own name at us cannot.
    """
    host = headers.get("Host", "")
    if hosts is not None and not _is_known(_name(host), hosts):
        message = (
            f"the Host header says '{host[:100]}', which is no address of this machine; "
            "call localhost or an IP address"
        )
        return Refusal(ForeignCallerError(message), "ERR_HOST_NOT_ALLOWED")
    origin = headers.get("Origin")
    site = headers.get("Sec-Fetch-Site", "none")
    if (origin is not None and not _same(origin, host)) or site not in {"none", "same-origin"}:
        message = "requests of web pages are not served"
        return Refusal(ForeignCallerError(message), "ERR_ORIGIN_NOT_ALLOWED")
    return None


def raw(header: str) -> bytes:
    """The bytes of a header's value; aiohttp keeps those that are not UTF-8 as surrogates."""
    return header.encode(errors="surrogateescape")


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_known(name: str, hosts: Collection[str]) -> bool:
    if name == "localhost" or name in hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(origin: str, host: str) -> bool:
    return origin in {f"http://{host}", f"https://{host}"}
