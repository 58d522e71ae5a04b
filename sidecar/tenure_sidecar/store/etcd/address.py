"""``etcd://…``: where a cluster is, and how this process speaks to it.

One text names the members and the little that belongs to the place rather than to the process.
Certificates, user and password are settings of their own, so that no secret stands in a command
line, a log or the line that says ready.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote

import msgspec

from tenure_common.errors import BadSettingError
from tenure_sidecar.etcd import EtcdClient, Tls, User

FORM = "etcd://HOST[:PORT][,HOST[:PORT]…][/PREFIX][?lease=SECONDS&timeout=SECONDS&tls=true]"
DEFAULT_PORT = 2379
DEFAULT_PREFIX = "tenure"
LEASE_MIN, LEASE_MAX = 2, 3600  # seconds

PLAIN = Tls()  # no files

# Not by urlsplit, which knows of one host, and of no second one in brackets.
_URL = re.compile(r"etcd://(?P<hosts>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?")
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_PREFIX = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_PORT_MAX = 65_535


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster of etcd, and the part of it that is Tenure's.

    Attributes:
        endpoints: URLs of the members.
        prefix: before all keys, without slashes at its ends.
        lease: seconds that ownership outlives a process that died.
        timeout: seconds for each call.
        tls: the files, for https.
        user: who to log in as.
    """

    endpoints: tuple[str, ...]
    prefix: str = DEFAULT_PREFIX
    lease: int = 10
    timeout: float = 5.0
    tls: Tls = PLAIN
    user: User | None = None

    def client(self, clock: Callable[[], float]) -> EtcdClient:
        """A client of the cluster; ``clock`` is monotonic, in seconds.  Raises: BadSettingError."""
        return EtcdClient(
            self.endpoints, clock=clock, tls=self.tls, user=self.user, timeout=self.timeout
        )


def parse(url: str, *, tls: Tls = PLAIN, user: User | None = None) -> Address:
    """The address that ``url`` names, reached with ``tls`` and as ``user``.

    TLS is used when a file is given for it, or when the URL says ``tls=true``.

    Raises: BadSettingError.
    """
    parts = _URL.fullmatch(url)
    if parts is None or not parts["hosts"]:
        raise _bad(url, f"it is not of the form {FORM}")
    netloc, path, query = parts["hosts"], parts["path"], parts["query"] or ""
    if "@" in netloc:
        raise _bad(_without_secret(url), "user and password are settings: --etcd-user")
    given = _options(url, query)
    prefix = unquote(path).strip("/") or DEFAULT_PREFIX
    if not _PREFIX.fullmatch(prefix):
        raise _bad(url, f"prefix '{prefix}' has other characters than A-Z a-z 0-9 . _ - /")
    if bool(tls.cert) != bool(tls.key):
        raise _bad(url, "--etcd-cert and --etcd-key go together")
    files = bool(tls.ca or tls.cert)
    secure = _truth(url, given.pop("tls", "true" if files else "false"))
    if files and not secure:
        raise _bad(url, "tls=false, but --etcd-ca or --etcd-cert is given")
    kind = "https" if secure else "http"
    return Address(
        endpoints=tuple([f"{kind}://{_endpoint(url, one)}" for one in netloc.split(",")]),
        prefix=prefix,
        lease=int(_number(url, "lease", given.pop("lease", "10"), LEASE_MIN, LEASE_MAX)),
        timeout=_number(url, "timeout", given.pop("timeout", "5"), 0.1, 600),
        tls=tls,
        user=user,
    )


def _options(url: str, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise _bad(url, f"its options cannot be read: {error}") from error
    given = dict(pairs)
    unknown = sorted(set(given) - {"lease", "timeout", "tls"})
    if unknown or len(given) != len(pairs):
        what = ", ".join(unknown) or "an option that is there twice"
        raise _bad(url, f"it has {what}; known are lease, timeout and tls")
    return given


def _endpoint(url: str, text: str) -> str:
    match = _HOST.fullmatch(text)
    port = int((match and match[2]) or DEFAULT_PORT)
    if match is None or not 1 <= port <= _PORT_MAX or not _is_host(match[1]):
        hint = "; an IPv6 address stands in brackets" if text.count(":") > 1 else ""
        raise _bad(url, f"'{text}' is not HOST or HOST:PORT{hint}")
    return f"{match[1]}:{port}"


def _is_host(text: str) -> bool:
    """Whether what is in brackets, if any, is an IPv6 address."""
    if not text.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(text[1:-1])
    except ValueError:
        return False
    return True


def _truth(url: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise _bad(url, f"tls={text} is neither true nor false")
    return text == "true"


def _number(url: str, name: str, text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most or (name == "lease" and number != int(number)):
        raise _bad(url, f"{name}={text} is not a number of seconds from {least:g} to {most:g}")
    return number


def _without_secret(url: str) -> str:
    return re.sub(r"//[^/]*@", "//…@", url)


def _bad(url: str, why: str) -> BadSettingError:
    return BadSettingError(f"--store '{url}': {why}")
