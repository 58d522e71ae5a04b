"""A host and a port in one text, whatever kind the host is: IPv4, IPv6, a name.

An IPv6 address has colons of its own, so it stands in brackets where a port follows (RFC 3986, 3.2.2).
"""

from __future__ import annotations

import ipaddress
from typing import Final

from tenure_common import names

LOOPBACK6: Final = "::1"


def joined(host: str, port: int | str) -> str:
    """``host:port``, as URLs and gRPC write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reached(host: str) -> str:
    """Where a program of this machine reaches a server that listens on ``host``: on loopback, when
    it listens on all addresses (``0.0.0.0``, ``::``, empty)."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host or names.LOOPBACK
    if not address.is_unspecified:
        return host
    return names.LOOPBACK if isinstance(address, ipaddress.IPv4Address) else LOOPBACK6
