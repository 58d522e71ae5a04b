"""Who members are to each other: certificates of one authority, which name an app.

Both ends show one.  Each must be of the authority in ``--peers-ca`` and have, among its subject
alternative names, the DNS name of the app (``app_name``) or the wildcard of its namespace, by the usual
rules: ``*`` stands for one label.  The common name is not looked at.  With a wildcard, apps of a
namespace trust each other's certificates, and are told apart by what they say when they connect.

Files are read for each new connection, so a rotated certificate is used at once; a connection ends
before the certificates that it was made with do.  Files that are not there yet are waited for: in a
pod they come from a Secret, which another program fills.
"""

from __future__ import annotations

import calendar
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import structlog

from tenure_common.errors import BadSettingError
from tenure_common.names import PEERS_DOMAIN

_RENEW_AFTER = 2 / 3  # of the time that is left
_RENEW_MIN = 1.0  # seconds
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_VERSION, _UTC_TIME = 0xA0, 0x17  # tags in a certificate (RFC 5280, 4.1)
_LONG, _BYTE = 0x80, 0x7F
_CENTURY = 50  # two digits from here on are of the last century (RFC 5280, 4.1.2.5.1)

_grpc: Any = grpc  # its types are not complete
_log = structlog.get_logger(__name__)


class Contents(NamedTuple):
    """PEM."""

    ca: bytes
    key: bytes
    certificate: bytes


class PeerTls:
    """See the module docstring.

    Args:
        certificate, key, ca: paths of PEM files.
        app: name that certificates must have, see ``app_name``.
        now: wall clock, seconds since the Unix epoch.
    """

    def __init__(
        self, *, certificate: str, key: str, ca: str, app: str, now: Callable[[], float]
    ) -> None:
        self._certificate, self._key, self._ca = certificate, key, ca
        self.app = app
        self._now = now

    def missing(self) -> str:
        """A file that is not there (yet), or nothing."""
        files = (self._certificate, self._key, self._ca)
        return next((one for one in files if not Path(one).exists()), "")

    def read(self) -> Contents:
        """What is in the files.  Raises: BadSettingError."""
        return Contents(_read(self._ca), _read(self._key), _read(self._certificate))

    def left(self, certificate: bytes) -> float:
        """Seconds until the certificate (PEM) ends.  Raises: BadSettingError."""
        return not_after(certificate) - self._now()

    def server(self) -> Any:  # noqa: ANN401 - grpc's own types are not complete
        """For a server that reads the files again for each connection.  Raises: BadSettingError."""
        last = self.read()
        self.left(last.certificate)

        def fetch() -> Any:  # noqa: ANN401 - as above
            nonlocal last
            try:
                files = self.read()
            except BadSettingError as error:  # being replaced just now: the old ones still serve
                _log.warning("certificates for peers cannot be read", error=str(error))
                return None
            if files == last:
                return None
            last = files
            return _configuration(files)

        return _grpc.dynamic_ssl_server_credentials(
            _configuration(last), fetch, require_client_authentication=True
        )


def channel_credentials(files: Contents) -> grpc.ChannelCredentials:
    """For a new connection to a member."""
    return grpc.ssl_channel_credentials(files.ca, files.key, files.certificate)


def _configuration(files: Contents) -> Any:  # noqa: ANN401 - as above
    pair = [(files.key, files.certificate)]
    return _grpc.ssl_server_certificate_configuration(pair, root_certificates=files.ca)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"cannot read '{path}' for TLS between sidecars: {error.strerror}"
        raise BadSettingError(message) from error


def app_name(namespace: str, app_id: str) -> str:
    """The DNS name of an app that its sidecars' certificates have."""
    return f"{app_id}.{namespace}.{PEERS_DOMAIN}".lower()


def names(certificate: Iterable[str], app: str) -> bool:
    """Whether a certificate with these subject alternative names is of ``app``."""
    rest = app.partition(".")[2]
    return any(name.lower() in (app, f"*.{rest}") for name in certificate)


def renew_after(*left: float) -> float:
    """Seconds until a connection is replaced whose certificates are valid for ``left`` seconds."""
    return max(_RENEW_MIN, _RENEW_AFTER * min(left))


def not_after(certificate: bytes) -> float:
    """When the first certificate of a PEM text ends, seconds since the Unix epoch.

    Only the date is wanted, of certificates that TLS itself checks: a library for that would cost
    every pod more memory than the rest of this package.  Raises: BadSettingError.
    """
    begin = certificate.find(_BEGIN)
    end = certificate.find(_END, begin)
    try:
        if begin < 0 or end < 0:
            raise ValueError  # noqa: TRY301 - said below
        text = certificate[begin : end + len(_END)].decode("ascii")
        return _ends(ssl.PEM_cert_to_DER_cert(text))
    except (ValueError, IndexError) as error:
        message = "the certificate for TLS between sidecars is not a PEM certificate"
        raise BadSettingError(message) from error


def _ends(der: bytes) -> float:
    """``notAfter`` of a certificate.  Raises: ValueError, IndexError."""
    _, at, _ = _element(der, 0)  # Certificate
    _, at, _ = _element(der, at)  # TBSCertificate
    tag, _, end = _element(der, at)
    at = end if tag == _VERSION else at
    for _ in range(3):  # serial number, signature, issuer
        _, _, at = _element(der, at)
    _, at, _ = _element(der, at)  # validity
    _, _, at = _element(der, at)  # notBefore
    tag, start, end = _element(der, at)
    text = der[start:end].decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _CENTURY else "20") + text
    year, rest = int(text[:4]), text[4:14]
    month, day, hour, minute, second = (int(rest[i : i + 2]) for i in range(0, 10, 2))
    return float(calendar.timegm((year, month, day, hour, minute, second)))


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, begin and end of the contents of the element at ``at``."""
    tag, length = der[at], der[at + 1]
    at += 2
    if length & _LONG:
        count = length & _BYTE
        length = int.from_bytes(der[at : at + count], "big")
        at += count
    return tag, at, at + length
