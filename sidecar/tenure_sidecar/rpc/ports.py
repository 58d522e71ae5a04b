"""Addresses to listen on, and a helpful answer when one is taken.

``localhost`` means both loopback addresses, where the machine has both: some clients try ::1 first.
No host at all means all addresses, of IPv4 and IPv6, as far as the machine has both.
A port is tried before the gRPC server binds it, because both gRPC libraries tell of a failure in
ways that cannot be told apart (a RuntimeError, a line on stderr).  Who holds a port is looked up in
/proc; without the rights to see it, or on another system, the message just says less.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from pathlib import Path

from tenure_common.errors import BadSettingError, PortInUseError
from tenure_common.hosts import joined

LOCALHOST = "localhost"
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp


def addresses(host: str) -> tuple[str, ...]:
    """The IP addresses that ``host`` stands for here, the preferred one first.

    Raises: BadSettingError when the name cannot be resolved.
    """
    if host == LOCALHOST:
        return ("127.0.0.1", "::1") if _has("::1") else ("127.0.0.1",)
    if not host:
        return ("0.0.0.0", "::") if _has("::") else ("0.0.0.0",)  # noqa: S104 - as asked for
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        message = f"cannot listen on '{host}': {error}; give an address of this machine"
        raise BadSettingError(message) from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_loopback(address: str) -> bool:
    """Whether only processes of this machine (or pod) reach the IP ``address``."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def require_free(address: str, port: int, *, flag: str) -> None:
    """Check that a server can listen on ``address`` and ``port`` (0 = any, always free).

    ``flag`` is the setting that changes the port, for the message.
    Raises: PortInUseError; BadSettingError when the address or port cannot be used at all.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT is free, one that somebody listens on is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            raise refusal(error, address, port, flag=flag) from error


def refusal(
    error: OSError, address: str, port: int, *, flag: str
) -> PortInUseError | BadSettingError:
    """The error to raise for a failed bind."""
    where = joined(address, port)
    if error.errno != errno.EADDRINUSE:
        reason = error.strerror or str(error)
        return BadSettingError(f"cannot listen on {where}: {reason}; change {flag} or the host")
    holder = port_holder(port)
    by = f" by {holder}" if holder else ""
    return PortInUseError(f"{where} is in use{by}; stop it or choose another port with {flag}")


def port_holder(port: int, *, proc: Path = Path("/proc")) -> str | None:
    """Who listens on TCP ``port``, as ``name (pid N)``; None when that cannot be found out."""
    inodes = _listening_inodes(port, proc=proc)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    try:
        processes = sorted((int(p.name), p) for p in proc.iterdir() if p.name.isdigit())
    except OSError:
        return None
    for pid, process in processes:
        try:
            with os.scandir(process / "fd") as entries:
                links = {os.readlink(entry) for entry in entries}  # noqa: PTH115
            if links & wanted:
                return f"{(process / 'comm').read_text().strip()} (pid {pid})"
        except OSError:
            continue  # another user's process, or one that has just ended
    return None


def _listening_inodes(port: int, *, proc: Path) -> set[str]:
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # 1: local address as hex "ADDRESS:PORT"; 3: state; 9: inode
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _has(address6: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((address6, 0))
    except OSError:
        return False
    return True
